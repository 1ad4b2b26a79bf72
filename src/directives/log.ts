// access_log and log_format: one line for each exchange, one for each tunnel that has ended.
// https://nginx.org/en/docs/http/ngx_http_log_module.html

import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { byteString } from '../config/source.ts';
import { parseTemplate, type Template, type VariableSlot } from '../config/template.ts';
import {
  any,
  argument,
  integer,
  optional,
  parameters,
  path,
  rest,
  size,
  template,
  time,
  word,
} from '../config/values.ts';
import { AccessLog, type Escape, escapeDefault, escapeJson, escapeNone } from '../diagnostics/access-log.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { HttpDraft, LocationDraft, Workshop } from './draft.ts';
import { nginxModule } from './module.ts';

const COMBINED =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"';

const conditionKind = template('condition');
const logParameters = parameters('parameters', {
  buffer: size('size'),
  flush: time('time'),
  gzip: integer('level'),
  if: conditionKind,
});

const table = directives({
  log_format: {
    in: ['http'],
    args: [
      word('name'),
      rest(argument('string', '[escape=default|json|none] string', (text, given) => ({ text, given }))),
    ],
    many: true,
    doc: 'A format for lines of `access_log`. `combined` exists without it.',
  },
  access_log: {
    in: ['http', 'server', 'location', 'if', 'limit_except'],
    args: [path('file'), optional(word('format')), any(word('parameter'))],
    many: true,
    default: 'logs/access.log',
    doc: 'Where lines go, in which format; `buffer=size` and `flush=time` gather them, `if=condition` leaves out those for which it is empty or 0. `off` takes away what a higher level says.',
    differs: '`gzip` and `syslog:` are not there yet, nor variables in the path.',
  },
  open_log_file_cache: {
    in: ['http', 'server', 'location'],
    args: [rest(word('parameter'))],
    effect: 'no effect',
    doc: 'Log files are kept open.',
  },
});

type Set = SetOf<typeof table>;
type WrittenLog = Set['access_log'][number];

export const log = nginxModule('http_log', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_log_module.html',
  directives: table,
  http(set, draft) {
    const formats = formatsOf(draft);
    for (const { name, string, at } of set.log_format) {
      draft.workshop.problems.attempt(() => {
        if (formats.has(name)) throw new ConfigError(`duplicate "log_format" name "${name}"`, at);
        formats.set(name, compileFormat(string, draft.workshop));
      });
    }
  },
  location(set, draft) {
    if (set.access_log.some(({ file }) => file === 'off')) return;
    for (const written of set.access_log) {
      draft.workshop.problems.attempt(() => {
        const accessLog = accessLogOf(written, draft);
        draft.log.push((exchange) => accessLog.write(exchange));
      });
    }
  },
});

type Format = (exchange: Exchange) => string;

const FORMATS = Symbol('log formats');

function formatsOf(draft: HttpDraft): Map<string, Format> {
  const known = draft.notes.get(FORMATS) as Map<string, Format> | undefined;
  if (known !== undefined) return known;
  const formats = new Map<string, Format>([['combined', compileText(COMBINED, escapeDefault, draft.workshop)]]);
  draft.notes.set(FORMATS, formats);
  return formats;
}

const ESCAPES: Readonly<Record<string, Escape>> = {
  'escape=default': escapeDefault,
  'escape=json': escapeJson,
  'escape=none': escapeNone,
};

interface FormatPart {
  readonly text: string;
  readonly given: { readonly at: Template['at'] };
}

function compileFormat(parts: readonly FormatPart[], workshop: Workshop): Format {
  const [first] = parts;
  const named = first !== undefined && first.text.startsWith('escape=');
  if (named && !(first.text in ESCAPES)) {
    throw new ConfigError(`unknown log format escaping "${first.text.slice(7)}"`, first.given.at);
  }
  const escape = (named ? ESCAPES[first.text] : undefined) ?? escapeDefault;
  const text = (named ? parts.slice(1) : parts).map((part) => part.text).join('');
  return compileText(text, escape, workshop, first?.given.at);
}

type Piece = string | VariableSlot<Exchange>;

/** A variable without a value is `-`, or with `escape=json` and `none` nothing: nginx's rule. */
function compileText(text: string, escape: Escape, workshop: Workshop, at = NOWHERE): Format {
  const missing = escape === escapeDefault ? '-' : '';
  const pieces: Piece[] = parseTemplate(text, at).parts.map((part) => {
    if (typeof part === 'string') return byteString(part);
    if ('capture' in part) return '';
    return workshop.variables.slot(part.variable, part.at);
  });
  return (exchange) => {
    let line = '';
    for (const piece of pieces) line += typeof piece === 'string' ? piece : shown(piece.get(exchange), escape, missing);
    return line;
  };
}

function shown(value: string | undefined, escape: Escape, missing: string): string {
  return value === undefined || value === '' ? missing : escape(value);
}

const NOWHERE = { source: { file: '', text: '' }, line: 0, column: 0, offset: 0, length: 0 };

function accessLogOf(written: WrittenLog, draft: LocationDraft): AccessLog<Exchange> {
  const { workshop, server } = draft;
  const { file, format: formatName = 'combined', at } = written;
  if (/^syslog:/.test(file)) throw new ConfigError(`"access_log ${file}" is not supported yet`, at);
  if (file.includes('$')) throw new ConfigError('variables in the path of "access_log" are not supported yet', at);
  const given = readParameters(written);
  const format = formatsOf(server.http).get(formatName);
  if (format === undefined) throw new ConfigError(`unknown log format "${formatName}"`, at);
  const absolute = workshop.fromPrefix(file);
  workshop.logPaths.add(absolute);
  const logFile = workshop.logFiles.file(absolute);
  if (given.buffer !== undefined) logFile.buffer({ size: given.buffer, flush: given.flush ?? 0 });
  return new AccessLog({
    file: logFile,
    format,
    condition: given.if === undefined ? undefined : workshop.text(given.if),
  });
}

function readParameters({ parameter, at }: WrittenLog) {
  const args = parameter.map((text) => ({ text, quoted: false, at }));
  const given = logParameters.parse(args, 'access_log');
  if (given.gzip !== undefined) throw new ConfigError('"gzip" of "access_log" is not supported yet', at);
  if (given.flush !== undefined && given.buffer === undefined)
    throw new ConfigError(`no buffer is defined for access_log`, at);
  return given;
}
