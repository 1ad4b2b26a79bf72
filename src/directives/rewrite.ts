// The rewrite module: rewrite, if, set, break and return, run in the order in which they stand.
// https://nginx.org/en/docs/http/ngx_http_rewrite_module.html

import { directives } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseNumber } from '../config/quantities.ts';
import type { Template } from '../config/template.ts';
import type { Block, Directive, Position } from '../config/tree.ts';
import { flag, optional, template, variableName } from '../config/values.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import { PENDING } from '../exchange/verdict.ts';
import { redirectTo } from '../route/redirects.ts';
import { fill, NEXT_STEP, runScript, type Step, stop, when } from '../route/script.ts';
import { sendText } from '../serve/answer.ts';
import { typeOf } from '../serve/mime-types.ts';
import type { LocationDraft, Workshop } from './draft.ts';
import { nginxModule } from './module.ts';
import { compileCondition, conditionKind, type WrittenCondition } from './rewrite-condition.ts';
import { compileRewrite, isUrl, rewriteKind, type WrittenRewrite } from './rewrite-replacement.ts';
import { scriptText } from './script-text.ts';

const SCRIPTS = ['server', 'location', 'if', 'server if'] as const;

const table = directives({
  rewrite: {
    in: SCRIPTS,
    args: [rewriteKind],
    many: true,
    inherit: false,
    doc: 'Replaces a URI that matches; a `?` at the end of the replacement drops the arguments. `last` ends the lines and looks for another location, `break` ends them and stays, `redirect` (302) and `permanent` (301) send the client there, as does a replacement that is a URL. After 10 changes: 500.',
    differs: 'Control characters in a redirect are escaped: they would split the answer.',
  },
  if: {
    in: ['server', 'location'],
    args: [conditionKind],
    many: true,
    block: 'if',
    doc: 'Runs its lines, and in a location puts its settings over those of the location, where a variable is neither empty nor `0`, or as `=`, `!=`, `~`, `~*`, `!~`, `!~*` compare it, or where a file is one (`-f`), a folder (`-d`), there (`-e`) or executable (`-x`).',
  },
  set: {
    in: SCRIPTS,
    args: [variableName('variable'), template('value')],
    many: true,
    inherit: false,
    doc: 'Gives a variable a value; of the variables that are built in, `$args` and `$limit_rate` take one.',
  },
  break: {
    in: SCRIPTS,
    args: [],
    many: true,
    inherit: false,
    doc: 'Ends the lines of this module; no other location is looked for.',
  },
  return: {
    in: SCRIPTS,
    args: [template('code'), optional(template('text'))],
    many: true,
    inherit: false,
    doc: 'Answers with a status, with a text or, for 301, 302, 303, 307 and 308, a URL; `return URL` is a 302. 444 closes without an answer.',
    differs: 'Control characters in a URL, as of a decoded `$uri`, are escaped: they would split the answer.',
  },
  rewrite_log: {
    in: ['http', ...SCRIPTS],
    args: [flag],
    default: 'off',
    doc: 'Whether what the lines of this module do is told in the error log, with level notice.',
  },
  uninitialized_variable_warn: {
    in: ['http', ...SCRIPTS],
    args: [flag],
    default: 'on',
    doc: 'Whether a variable that is read before `set` has given it a value is told in the error log.',
  },
});

export const rewrite = nginxModule('http_rewrite', {
  nginx: 'default',
  doc: 'https://nginx.org/en/docs/http/ngx_http_rewrite_module.html',
  directives: table,
  server(set, { rewrite: handlers, workshop }, { block }) {
    const steps = new ScriptCompiler(workshop, set.rewrite_log, NO_OVERLAYS).compile(block);
    if (steps.length > 0) handlers.push((exchange) => runScript(exchange, steps));
  },
  location(set, draft, { block }) {
    draft.settings.warnsOfUnset = set.uninitialized_variable_warn;
    // A server's own lines have been run before a location is looked for, those of an `if` are part of its location's.
    if (draft.pattern === undefined || draft.overlay !== undefined) return;
    const steps = new ScriptCompiler(draft.workshop, set.rewrite_log, draft.overlays).compile(block);
    if (steps.length > 0) draft.rewrite.push((exchange) => runScript(exchange, steps));
  },
});

const NO_OVERLAYS: LocationDraft['overlays'] = new Map();

interface WrittenReturn {
  readonly code: Template;
  readonly text: Template | undefined;
}

interface WrittenSet {
  readonly variable: string;
  readonly value: Template;
  readonly at: Position;
}

interface WrittenIf {
  readonly condition: WrittenCondition;
  readonly block: Block;
}

/** The lines of one block as steps; each mistake is told, also in lines that are never reached. */
class ScriptCompiler {
  readonly #workshop: Workshop;
  readonly #logs: boolean;
  readonly #overlays: LocationDraft['overlays'];

  constructor(workshop: Workshop, logs: boolean, overlays: LocationDraft['overlays']) {
    this.#workshop = workshop;
    this.#logs = logs;
    this.#overlays = overlays;
  }

  compile(block: Block): Step[] {
    return block.directives.flatMap((line) => this.#workshop.problems.attempt(() => this.#step(line)) ?? []);
  }

  /** What was refused when it was checked has no value; what is no line of a script has another declaration. */
  #step({ name, value, declaredBy }: Directive): Step | undefined {
    if (value === undefined || declaredBy !== (table as Record<string, object>)[name]) return undefined;
    switch (name) {
      case 'rewrite':
        return compileRewrite(value as WrittenRewrite, this.#workshop, this.#logs);
      case 'set':
        return this.#set(value as WrittenSet);
      case 'if':
        return this.#if(value as WrittenIf);
      case 'return':
        return returning(value as WrittenReturn, this.#workshop);
      default:
        return name === 'break' ? stop : undefined;
    }
  }

  #if({ condition, block }: WrittenIf): Step {
    const holds = compileCondition(condition, this.#workshop, this.#logs);
    return when(holds, this.#overlays.get(block)?.settings, this.compile(block));
  }

  #set({ variable, value, at }: WrittenSet): Step {
    const text = scriptText(value.parts, value, this.#workshop);
    const set = this.#workshop.variables.setter(variable, (exchange) => readUnset(exchange, variable), at);
    return (exchange, { escapes }) => {
      set(exchange, fill(text, exchange, escapes));
      return NEXT_STEP;
    };
  }
}

function readUnset(exchange: Exchange, name: string): string {
  if (exchange.location.warnsOfUnset) exchange.log('warn', `using uninitialized "${name}" variable`);
  return '';
}

const MOST = 999;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

function returning({ code, text }: WrittenReturn, workshop: Workshop): Step {
  if (text === undefined && isUrl(code.text)) return redirecting(302, workshop.text(code));
  const status = readStatus(code);
  if (REDIRECTS.has(status)) return redirecting(status, text === undefined ? EMPTY : workshop.text(text));
  // An error without a text of its own is left to `error_page`.
  if (status >= 400 && (text === undefined || text.constant === '')) return () => status;
  return answering(status, text === undefined ? EMPTY : workshop.text(text));
}

function readStatus({ text, at }: Template): number {
  const status = parseNumber(text);
  if (status === undefined || status > MOST) throw new ConfigError(`invalid return code "${text}"`, at);
  return status;
}

const EMPTY: Text = () => '';

function redirecting(status: number, url: Text): Step {
  return (exchange) => {
    if (exchange.errorStatus === 0) exchange.status = status;
    return redirectTo(exchange, status, url(exchange));
  };
}

function answering(status: number, body: Text): Step {
  return (exchange) => {
    const { types, defaultType } = exchange.location;
    // Who has sent us here with X-Accel-Redirect may have said it better.
    const type = exchange.answer.get('content-type') ?? typeOf(exchange.uri, types, defaultType);
    // `$status` in the text is the one that it goes with.
    if (exchange.errorStatus === 0) exchange.status = status;
    // Whoever reads an interim answer waits for another, and would take the next request's for it.
    if (status < 200) exchange.link.keepAlive = false;
    sendText(exchange, status, type, body(exchange));
    // The exchange is finished: no later phase may look at it.
    return PENDING;
  };
}
