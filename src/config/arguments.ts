// The arguments of one directive to its value: how many there may be, and which kind takes which.

import type { DirectiveSpec, Kind } from './directive.ts';
import { ConfigError, Problems, type Warn } from './errors.ts';
import { Lexer } from './lexer.ts';
import type { Argument, Directive } from './tree.ts';

/** How many arguments a declaration takes. */
export interface ArgumentCount {
  readonly least: number;
  readonly most: number;
}

export function argumentCount(kinds: readonly Kind[]): ArgumentCount {
  let least = 0;
  let most = 0;
  for (const { takes } of kinds) {
    if (takes === 'one' || takes === 'rest') least++;
    most += takes === 'one' || takes === 'optional' ? 1 : Number.POSITIVE_INFINITY;
  }
  return { least, most };
}

/**
 * The value of a directive, as `ValueOf` in directive.ts has it. The number of arguments must have been checked.
 * @throws ConfigError
 */
export function directiveValue(spec: DirectiveSpec, count: ArgumentCount, directive: Directive, warn: Warn): unknown {
  const { name, args, at, block } = directive;
  const [only] = spec.args;
  if (spec.block === undefined && only === undefined) return true;
  if (spec.block === undefined && spec.args.length === 1) return (only as Kind).parse(args, name, warn);
  const values = parseArguments(spec.args, args, args.length - count.least, name, warn);
  values['at'] = at;
  if (spec.block !== undefined) values['block'] = block;
  return values;
}

/** By name. Those that must be there get theirs; what is left goes to those that may take more, from the left. */
function parseArguments(
  kinds: readonly Kind[],
  args: readonly Argument[],
  spareArguments: number,
  directive: string,
  warn: Warn,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  let spare = spareArguments;
  let index = 0;
  for (const kind of kinds) {
    const length = share(kind, spare);
    spare -= length - Number(kind.takes === 'one' || kind.takes === 'rest');
    values[kind.name] = kind.parse(args.slice(index, index + length), directive, warn);
    index += length;
  }
  return values;
}

function share(kind: Kind, spare: number): number {
  if (kind.takes === 'one') return 1;
  if (kind.takes === 'optional') return Math.min(1, spare);
  return kind.takes === 'rest' ? 1 + spare : spare;
}

const defaults = new WeakMap<DirectiveSpec, unknown>();

/** What a directive is where nobody sets it: its declared default read by its own kinds; undefined where it declares none. */
export function defaultOf(spec: DirectiveSpec, name: string): unknown {
  if (spec.default === undefined) return undefined;
  if (!defaults.has(spec)) defaults.set(spec, parseDefault(spec, spec.default, name));
  return defaults.get(spec);
}

function parseDefault(spec: DirectiveSpec, text: string, name: string): unknown {
  const problems = new Problems();
  const source = { file: `the default of ${name}`, text: `${name} ${text};` };
  const { words, at } = new Lexer(source, problems).next();
  const args = words.slice(1);
  const count = argumentCount(spec.args);
  if (args.length < count.least || args.length > count.most) throw new ConfigError('invalid number of arguments', at);
  problems.throwFirst();
  const directive: Directive = { name, args, at: (words[0] as Argument).at, end: at, block: undefined };
  return directiveValue(spec, count, directive, () => {});
}
