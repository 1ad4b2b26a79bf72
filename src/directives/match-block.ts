// match: what the answer to a health check has to be, line by line.
// https://nginx.org/en/docs/http/ngx_http_upstream_hc_module.html#match

import { ConfigError } from '../config/errors.ts';
import { compilePattern } from '../config/pattern.ts';
import { byteString } from '../config/source.ts';
import { parseTemplate } from '../config/template.ts';
import type { Argument, Block, Directive, Position } from '../config/tree.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { isToken } from '../http1/headers.ts';
import type { MatchTests, TextTest } from '../serve/health/match-tests.ts';
import type { Workshop } from './draft.ts';

type StatusTest = MatchTests['status'][number];
type HeaderTest = MatchTests['headers'][number];

/** A `match` block that was read. */
export interface Match {
  readonly tests: MatchTests;
  /** The names of its lines, each once: not every check can have all of them. */
  readonly lines: ReadonlySet<string>;
}

/** Mistakes are told where they stand, and the other lines are read all the same. */
export function readMatch(block: Block, workshop: Workshop): Match {
  return new MatchReader(workshop).read(block);
}

const LOWEST_STATUS = 100;
const HIGHEST_STATUS = 999;

class MatchReader {
  readonly #workshop: Workshop;
  readonly #status: StatusTest[] = [];
  readonly #headers: HeaderTest[] = [];
  readonly #body: TextTest[] = [];
  readonly #required: ((exchange: Exchange) => string | undefined)[] = [];
  #send: string | undefined = undefined;
  #expect: TextTest | undefined = undefined;

  constructor(workshop: Workshop) {
    this.#workshop = workshop;
  }

  read({ directives }: Block): Match {
    for (const line of directives) this.#workshop.problems.attempt(() => this.#line(line));
    const tests: MatchTests = {
      status: this.#status,
      headers: this.#headers,
      body: this.#body,
      required: this.#required,
      send: this.#send,
      expect: this.#expect,
    };
    return { tests, lines: new Set(directives.map(({ name }) => name)) };
  }

  #line(line: Directive): void {
    const { name, at } = line;
    if (name === 'status') this.#status.push(statusTest(line));
    else if (name === 'header') this.#headers.push(headerTest(line));
    else if (name === 'body') this.#body.push(bodyTest(line));
    else if (name === 'require') this.#require(line);
    else if (name === 'send') this.#send = this.#once(this.#send, bytesOf(only(line)), line);
    else if (name === 'expect') this.#expect = this.#once(this.#expect, expectTest(line), line);
    else throw new ConfigError(`unknown directive "${name}"`, at, { mend: KNOWN });
  }

  #once<T>(former: T | undefined, value: T, { name, at }: Directive): T {
    if (former !== undefined) throw new ConfigError(`"${name}" directive is duplicate`, at);
    return value;
  }

  #require({ args, at }: Directive): void {
    if (args.length === 0) throw wrongNumber('require', at);
    for (const { text, at: place } of args) {
      const template = parseTemplate(text, place);
      if (template.constant !== undefined) throw new ConfigError(`invalid variable name "${text}"`, place);
      this.#required.push(this.#workshop.text(template));
    }
  }
}

const KNOWN = 'a match has "status", "header", "body", "require", "send" and "expect"';

const wrongNumber = (name: string, at: Position): ConfigError =>
  new ConfigError(`invalid number of arguments in "${name}" directive`, at);

/** `!` as an argument of its own comes first. */
function negated(args: readonly Argument[]): { readonly not: boolean; readonly rest: readonly Argument[] } {
  const not = args[0]?.text === '!';
  return { not, rest: not ? args.slice(1) : args };
}

function statusTest({ args, at }: Directive): StatusTest {
  const { not, rest } = negated(args);
  if (rest.length === 0) throw wrongNumber('status', at);
  const ranges = rest.map(statusRange);
  return (status) => ranges.some(([low, high]) => status >= low && status <= high) !== not;
}

function statusRange({ text, at }: Argument): readonly [low: number, high: number] {
  const [, first = '', last = first] = /^(\d{3})(?:-(\d{3}))?$/.exec(text) ?? [];
  const [low, high] = [Number(first), Number(last)];
  if (first === '' || low < LOWEST_STATUS || high > HIGHEST_STATUS || low > high)
    throw new ConfigError(`invalid status "${text}"`, at, { mend: 'a status, or a range such as "200-399"' });
  return [low, high];
}

function headerTest({ args, at }: Directive): HeaderTest {
  const { not, rest } = negated(args);
  const [name, operator, value] = rest;
  if (name === undefined || rest.length > 3 || (not && operator !== undefined)) throw wrongNumber('header', at);
  if (!isToken(name.text)) throw new ConfigError(`"${name.text}" is not the name of a header field`, name.at);
  const lowerName = name.text.toLowerCase();
  if (operator === undefined) return { lowerName, test: (said) => (said === undefined) === not };
  if (value === undefined) throw wrongNumber('header', at);
  const test = operation(operator, value);
  return { lowerName, test: (said) => said !== undefined && test(said) };
}

function bodyTest({ args, at }: Directive): TextTest {
  const [operator, value] = args;
  if (operator === undefined || value === undefined || args.length > 2) throw wrongNumber('body', at);
  if (operator.text === '=' || operator.text === '!=')
    throw new ConfigError(`invalid operator "${operator.text}"`, operator.at, { mend: 'it must be "~" or "!~"' });
  return operation(operator, value);
}

/** A field, or a body, that is there. */
function operation(operator: Argument, value: Argument): TextTest {
  const not = operator.text.startsWith('!');
  const how = not ? operator.text.slice(1) : operator.text;
  if (how === '=') {
    const wanted = byteString(value.text);
    return (said) => (said === wanted) !== not;
  }
  if (how !== '~' && how !== '~*') throw new ConfigError(`invalid operator "${operator.text}"`, operator.at);
  const test = regexTest(how === '~*', value);
  return (said) => test(said) !== not;
}

function regexTest(insensitive: boolean, { text, at }: Argument): TextTest {
  const { regexp } = compilePattern(text, { insensitive, at });
  return (said) => regexp.test(said);
}

/** What the peer says begins with a text, or an expression matches it somewhere. */
function expectTest(line: Directive): TextTest {
  const [operator, value] = line.args;
  if (line.args.length === 2 && value !== undefined && (operator?.text === '~' || operator?.text === '~*'))
    return regexTest(operator.text === '~*', value);
  const wanted = bytesOf(only(line));
  return (said) => said.startsWith(wanted);
}

function only({ name, args, at }: Directive): Argument {
  const [argument] = args;
  if (argument === undefined || args.length > 1) throw wrongNumber(name, at);
  if (argument.text === '') throw new ConfigError(`invalid value "" in "${name}" directive`, argument.at);
  return argument;
}

/** With nginx's way to write any byte: `\x0d\x0a`. */
function bytesOf({ text }: Argument): string {
  const byte = (_: string, digits: string): string => String.fromCharCode(Number.parseInt(digits, 16));
  return byteString(text).replace(/\\x([0-9a-fA-F]{2})/g, byte);
}
