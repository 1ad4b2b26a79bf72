// access_log and log_format: one line for each exchange; for each tunnel one when it ends, or when it opens, or two.
// https://nginx.org/en/docs/http/ngx_http_log_module.html

import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError, comparePlaces } from '../config/errors.ts';
import { byteString } from '../config/source.ts';
import { parseTemplate } from '../config/template.ts';
import type { Argument, Position } from '../config/tree.ts';
import { alone, argument, integer, mapped, optional, parameters, path, rest, seconds, word } from '../config/values.ts';
import { AccessLog } from '../diagnostics/access-log.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { HttpDraft, Workshop } from './draft.ts';
import { compileLogFormat, type LogFormat } from './log-format.ts';
import { type LogParameters, logParametersKind } from './log-parameters.ts';
import { nginxModule } from './module.ts';
import { NamedLog, type NamedLogPolicy, NO_CACHE } from './named-log.ts';
import { noteOf } from './note-of.ts';
import { isSyslog, readSyslog } from './syslog-target.ts';

const COMBINED =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"';

const cacheKind = mapped(
  parameters(
    'parameters',
    {
      off: alone,
      max: integer('number', { min: 1 }),
      inactive: seconds('time'),
      min_uses: integer('number'),
      valid: seconds('time'),
    },
    {
      needed: true,
      invalid: (key, value, directive) => `invalid "${directive}" parameter "${key}=${value}"`,
      unknown: (text, directive) => `invalid "${directive}" parameter "${text}"`,
    },
  ),
  ({ off, max, inactive, min_uses, valid }, directive): NamedLogPolicy => {
    if (off) return NO_CACHE;
    if (max === undefined) throw new ConfigError(`"${directive}" must have "max" parameter`);
    return {
      max,
      inactive: inactive ?? NO_CACHE.inactive,
      minUses: min_uses ?? NO_CACHE.minUses,
      valid: valid ?? NO_CACHE.valid,
    };
  },
);

const table = directives({
  log_format: {
    in: ['http'],
    args: [word('name'), rest(argument('string', '[escape=default|json|none] string', (_, given): Argument => given))],
    many: true,
    doc: 'A format for lines of `access_log`. `combined` exists without it.',
  },
  access_log: {
    in: ['http', 'server', 'location', 'if', 'limit_except'],
    args: [path('file'), optional(word('format')), logParametersKind],
    many: true,
    default: 'logs/access.log',
    doc: 'Where lines go, in which format: a file, or `syslog:server=address,facility=…,severity=…,tag=…,nohostname` over UDP; `buffer=size` and `flush=time` gather them, `gzip` compresses what was gathered, `if=condition` leaves out those for which it is empty or 0. `off` takes away what a higher level says. A path with variables is opened by the worker, if the document root is there.',
    differs:
      'A syslog server on a `unix:` socket is refused. A path in which a variable has put `..` is refused. A tunnel is one line, written when it ends, unless `websocket_log` says otherwise.',
  },
  open_log_file_cache: {
    in: ['http', 'server', 'location'],
    args: [cacheKind],
    doc: 'How many log files whose names have variables are kept open in each worker (`max`), how long without a line (`inactive`, 10 s), after how many lines (`min_uses`, 1), and how long until the name is looked at again (`valid`, 60 s).',
  },
});

type Set = SetOf<typeof table>;
type WrittenLog = Set['access_log'][number];
type LogWriter = (exchange: Exchange) => void;

export const log = nginxModule('http_log', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_log_module.html',
  directives: table,
  http(set, http, level) {
    const { problems } = http.workshop;
    const logs = AccessLogs.of(http);
    for (const { name, string, at } of set.log_format) problems.attempt(() => logs.defineFormat(name, string, at));
    // Whatever is wrong with them is told, though no server may inherit them.
    if (level.has('access_log')) logs.writers(set);
  },
  location(set, draft) {
    draft.log.push(...AccessLogs.of(draft.server.http).writers(set));
  },
});

interface Format {
  readonly line: LogFormat;
  /** undefined for `combined`, which is there before anything is read. */
  readonly at: Position | undefined;
}

const LOGS = Symbol('access logs');

/**
 * nginx's own format has no place for it, and nobody's log may be silent on it: who ended a tunnel, and why, stands behind its line;
 * behind that of its beginning, that it is one.
 */
function withEnd(line: LogFormat): LogFormat {
  return (exchange) => {
    const { tunnel } = exchange;
    if (tunnel === undefined) return line(exchange);
    return `${line(exchange)} "${tunnel.endedAt === 0 ? 'open' : `${tunnel.endedBy}: ${tunnel.endCause}`}"`;
  };
}

/** The formats and logs of a configuration: a log is made once, however many locations inherit it. */
class AccessLogs {
  readonly #workshop: Workshop;
  readonly #formats = new Map<string, Format>();
  readonly #writers = new Map<WrittenLog, LogWriter | undefined>();

  private constructor(workshop: Workshop) {
    this.#workshop = workshop;
    const nowhere = { source: { file: '', text: '' }, line: 0, column: 0, offset: 0, length: 0 };
    const line = compileLogFormat([{ text: COMBINED, quoted: true, at: nowhere }], workshop);
    this.#formats.set('combined', { line: withEnd(line), at: undefined });
  }

  static of(http: HttpDraft): AccessLogs {
    return noteOf(http, LOGS, () => new AccessLogs(http.workshop));
  }

  defineFormat(name: string, strings: readonly Argument[], at: Position): void {
    if (this.#formats.has(name)) throw new ConfigError(`duplicate "log_format" name "${name}"`, at);
    this.#formats.set(name, { line: compileLogFormat(strings, this.#workshop), at });
  }

  /** What writes the logs that are in force on a level; what is wrong with one is told once. */
  writers(set: Set): LogWriter[] {
    const written = set.access_log;
    const off = written.some(({ file }) => file === 'off');
    const made = written.map((one) => this.#writer(one, set.open_log_file_cache ?? NO_CACHE));
    return off ? [] : made.filter((writer) => writer !== undefined);
  }

  #writer(written: WrittenLog, policy: NamedLogPolicy): LogWriter | undefined {
    const isNamed = written.file.includes('$') && !isSyslog(written.file);
    const known = this.#writers.get(written);
    // Of a named log each level may keep files in its own way.
    if (this.#writers.has(written) && (known === undefined || !isNamed)) return known;
    const made = this.#workshop.problems.attempt(() => {
      if (isSyslog(written.file)) return this.#syslogLog(written);
      return isNamed ? this.#namedLog(written, policy) : this.#fileLog(written);
    });
    this.#writers.set(written, made);
    return made;
  }

  #fileLog(written: WrittenLog): LogWriter | undefined {
    const { file, parameters: given, at } = written;
    if (file === 'off') return this.#nothing(written);
    const line = this.#format(written);
    checkFlush(written);
    const absolute = this.#workshop.fromPrefix(file);
    this.#workshop.logPaths.add(absolute);
    this.#declareBuffer(absolute, given, written.file, at);
    const log = new AccessLog({
      file: this.#workshop.logFiles.file(absolute),
      format: line,
      condition: this.#condition(given),
    });
    return (exchange) => log.write(exchange);
  }

  #nothing({ format, at }: WrittenLog): undefined {
    if (format !== undefined) throw new ConfigError(`invalid parameter "${format}"`, at);
  }

  #namedLog(written: WrittenLog, policy: NamedLogPolicy): LogWriter {
    const { file, parameters: given, at } = written;
    const line = this.#format(written);
    checkFlush(written);
    if (given.buffer !== undefined) throw new ConfigError('buffered logs cannot have variables in name', at);
    const name = this.#workshop.text(parseTemplate(file, at));
    const prefix = byteString(this.#workshop.fromPrefix(''));
    const log = new NamedLog({
      path: (exchange) => absolute(name(exchange), prefix),
      line,
      condition: this.#condition(given),
      policy,
    });
    return (exchange) => log.write(exchange);
  }

  #syslogLog(written: WrittenLog): LogWriter | undefined {
    const { file, parameters: given, at } = written;
    const target = readSyslog(file, at, this.#workshop);
    const line = this.#format(written);
    checkFlush(written);
    if (given.buffer !== undefined) throw new ConfigError('logs to syslog cannot be buffered', at);
    if (target === undefined) return undefined;
    const syslog = this.#workshop.logFiles.syslog.log(target);
    const log = new AccessLog({ file: syslog, format: line, condition: this.#condition(given) });
    return (exchange) => log.write(exchange);
  }

  /** As nginx, which reads from top to bottom: a format must stand before the log that uses it. */
  #format({ format = 'combined', at }: WrittenLog): LogFormat {
    const name = format.toLowerCase();
    const found = [...this.#formats].find(([known]) => known.toLowerCase() === name)?.[1];
    if (found === undefined) throw new ConfigError(`unknown log format "${format}"`, at);
    if (found.at === undefined || comparePlaces(found.at, at) < 0) return found.line;
    const mend = `"log_format ${format}" must stand before it`;
    throw new ConfigError(`unknown log format "${format}"`, at, { mend });
  }

  /** All logs that go to one file share its buffer. */
  #declareBuffer(absolutePath: string, { buffer, flush, gzip }: LogParameters, written: string, at: Position): void {
    if (buffer === undefined) return;
    const { logBuffers } = this.#workshop;
    const former = logBuffers.get(absolutePath);
    const isOther = former?.size !== buffer || former.flush !== flush || former.gzip !== gzip;
    if (former !== undefined && isOther)
      throw new ConfigError(`access_log "${written}" already defined with conflicting parameters`, at);
    logBuffers.set(absolutePath, { size: buffer, flush, gzip });
  }

  #condition({ condition }: LogParameters): ((exchange: Exchange) => string) | undefined {
    return condition === undefined ? undefined : this.#workshop.text(condition);
  }
}

function checkFlush({ file, parameters: { flush, buffer }, at }: WrittenLog): void {
  if (flush > 0 && buffer === undefined) throw new ConfigError(`no buffer is defined for access_log "${file}"`, at);
}

function absolute(name: string, prefix: string): string {
  return name.startsWith('/') ? name : prefix + name;
}
