// The kinds of argument: how each is written, what it becomes, and what nginx says when it is wrong.

import { type Address, AddressError, type AddressOptions, parseAddress } from '../addresses.ts';
import type { Kind } from './directive.ts';
import { ConfigError, type Warn } from './errors.ts';
import { nearestName } from './nearest-name.ts';
import { compilePattern, type Pattern } from './pattern.ts';
import { parseNumber, parseSize, parseTime } from './quantities.ts';
import { byteString, placeWithin } from './source.ts';
import { parseTemplate, type Template } from './template.ts';
import type { Argument } from './tree.ts';

type KindValue<K> = K extends Kind<string, infer T> ? T : never;

/** Reads one argument. A ConfigError that it throws without a place gets the place of the argument. */
export type ReadArgument<T> = (text: string, argument: Argument, directive: string, warn: Warn) => T;

/** A kind of one argument. All others are made of it; a module may make kinds of its own. */
export function argument<const Name extends string, T>(
  name: Name,
  syntax: string,
  read: ReadArgument<T>,
): Kind<Name, T> {
  return {
    name,
    syntax,
    takes: 'one',
    parse: (args, directive, warn = () => {}) => {
      const only = args[0] as Argument;
      return placed(only, () => read(only.text, only, directive, warn));
    },
  };
}

function placed<T>(only: Argument | undefined, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof ConfigError) || error.at !== undefined || only === undefined) throw error;
    throw new ConfigError(error.message, only.at, error);
  }
}

const invalid = (directive: string, what = 'value'): string => `"${directive}" directive invalid ${what}`;

/** `on` or `off`, in either case: a boolean. */
export const flag: Kind<'flag', boolean> = argument('flag', 'on | off', (text, _, directive) => {
  const known = text.toLowerCase();
  if (known === 'on' || known === 'off') return known === 'on';
  throw new ConfigError(`invalid value "${text}" in "${directive}" directive, it must be "on" or "off"`);
});

export interface IntegerOptions {
  readonly min?: number;
  readonly max?: number;
}

/** A whole number without a sign. With `min` or `max`, both included, nginx's words for one out of bounds. */
export function integer<const Name extends string>(name: Name, options: IntegerOptions = {}): Kind<Name, number> {
  const { min = 0, max = Number.POSITIVE_INFINITY } = options;
  return argument(name, name, (text, _, directive) => {
    const value = parseNumber(text);
    if (value === undefined) throw new ConfigError(invalid(directive, 'number'));
    if (value >= min && value <= max) return value;
    throw new ConfigError(
      `value must be ${max < Number.POSITIVE_INFINITY ? `between ${min} and ${max}` : `equal to or greater than ${min}`}`,
    );
  });
}

/** How many there shall be: at least one. nginx has one sentence for whatever is wrong with it: `"x" directive invalid value`. */
export function count<const Name extends string>(name: Name): Kind<Name, number> {
  return saying(integer(name, { min: 1 }), (_, directive) => invalid(directive));
}

/** A size that is not 0: of a buffer. */
export function bufferSize<const Name extends string>(name: Name): Kind<Name, number> {
  return argument(name, name, (text, _, directive) => {
    const value = parseSize(text, 'km');
    if (value === undefined || value === 0) throw new ConfigError(invalid(directive), undefined, { mend: SIZE_MEND });
    return value;
  });
}

const SIZE_MEND = 'a number of bytes, or with k or m';

/** Bytes, with `k` or `m`. nginx knows no `g` here; see `offset`. */
export function size<const Name extends string>(name: Name): Kind<Name, number> {
  return bytes(name, 'km', SIZE_MEND);
}

/** Bytes, with `k`, `m` or `g`: for what nginx keeps as a file offset, such as `client_max_body_size`. */
export function offset<const Name extends string>(name: Name): Kind<Name, number> {
  return bytes(name, 'kmg', 'a number of bytes, or with k, m or g');
}

function bytes<const Name extends string>(name: Name, units: 'km' | 'kmg', mend: string): Kind<Name, number> {
  return argument(name, name, (text, _, directive) => {
    const value = parseSize(text, units);
    if (value === undefined) throw new ConfigError(invalid(directive), undefined, { mend });
    return value;
  });
}

/** The longest that a timer of Node can wait: 24.8 days. What is longer would end at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** A time that nginx keeps in milliseconds: `60s`, `500ms`, `1m 30s`. In ms, and never more than a timer can wait (24.8 days). */
export function time<const Name extends string>(name: Name): Kind<Name, number> {
  return argument(name, name, (text, _, directive) => Math.min(readTime(text, 'ms', directive), LONGEST_TIMER));
}

/** A time that nginx keeps in seconds: `5m`, `1y`, but no `ms`. In ms, too. */
export function seconds<const Name extends string>(name: Name): Kind<Name, number> {
  return argument(name, name, (text, _, directive) => readTime(text, 's', directive));
}

function readTime(text: string, precision: 'ms' | 's', directive: string): number {
  const value = parseTime(text, precision);
  if (value !== undefined) return value;
  const example = precision === 'ms' ? '500ms, 60s, 1m30s, 1h' : '60s, 5m, 1h, 1d';
  throw new ConfigError(invalid(directive), undefined, { mend: `a time is written such as ${example}` });
}

/** Any argument as it is: a name, a keyword that the module looks at itself. */
export function word<const Name extends string>(name: Name): Kind<Name, string> {
  return argument(name, name, (text) => text);
}

/** Text that goes over the wire or is compared with what came over it: a byte string (see source.ts). */
export function text<const Name extends string>(name: Name): Kind<Name, string> {
  return argument(name, name, byteString);
}

/** The name of a file, as written: the module makes it absolute, for some are relative to the prefix and some to the configuration. */
export function path<const Name extends string>(name: Name): Kind<Name, string> {
  return argument(name, name, (value) => value);
}

/** One of several words, in either case: the word as it is declared. */
export function oneOf<const Name extends string, const Word extends string>(
  name: Name,
  ...words: readonly Word[]
): Kind<Name, Word> {
  return argument(name, words.join(' | '), (given) => {
    const known = words.find((candidate) => candidate.toLowerCase() === given.toLowerCase());
    if (known !== undefined) return known;
    throw new ConfigError(`invalid value "${given}"`, undefined, { mend: `it must be ${listed(words)}` });
  });
}

const listed = (words: readonly string[]): string => words.map((one) => `"${one}"`).join(' or ');

/** At least one of several words, each once, in the order given. One that stands twice is a warning, as in nginx. */
export function someOf<const Name extends string, const Word extends string>(
  name: Name,
  ...words: readonly Word[]
): Kind<Name, readonly Word[]> {
  const one = oneOf(name, ...words);
  return {
    name,
    syntax: `${words.join(' | ')} ...`,
    takes: 'rest',
    parse: (args, directive, warn) => {
      const found = new Set<Word>();
      for (const given of args) {
        const known = one.parse([given], directive);
        if (found.has(known)) warn?.(`duplicate value "${given.text}"`, given.at);
        found.add(known);
      }
      return [...found];
    },
  };
}

/** Exactly this word, and nothing else; useful in `either`. */
export function literal<const Word extends string>(only: Word): Kind<Word, Word> {
  return argument(only, only, (given) => {
    if (given === only) return only;
    throw new ConfigError(`invalid value "${given}"`, undefined, { mend: `it must be "${only}"` });
  });
}

export interface AddressKindOptions extends AddressOptions {
  /** nginx's sentence: it differs by directive. Default: `REASON in "TEXT" of the "DIRECTIVE" directive`. */
  readonly wrong?: (reason: string, text: string, directive: string) => string;
}

/** An address: `host:port`, `[::1]:port`, `unix:/path`; for `listen` also `*:port` and a port alone. Names are not looked up. */
export function address<const Name extends string>(name: Name, options: AddressKindOptions = {}): Kind<Name, Address> {
  const { wrong = (reason, given, directive) => `${reason} in "${given}" of the "${directive}" directive` } = options;
  return argument(name, name, (given, _, directive) => {
    try {
      return parseAddress(given, options);
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      throw new ConfigError(wrong(error.message, given, directive));
    }
  });
}

/** A PCRE regular expression, translated. */
export function regex<const Name extends string>(
  name: Name,
  options: { readonly insensitive?: boolean } = {},
): Kind<Name, Pattern> {
  return argument(name, name, (given, { at }) => compilePattern(given, { ...options, at }));
}

/** A string with variables. */
export function template<const Name extends string>(name: Name): Kind<Name, Template> {
  return argument(name, name, (given, { at }) => parseTemplate(given, at));
}

/** The name of a variable: `$name` becomes `name`, in lower case. */
export function variableName<const Name extends string>(name: Name): Kind<Name, string> {
  return argument(name, `$${name}`, (given) => {
    if (given.length > 1 && given.startsWith('$')) return given.slice(1).toLowerCase();
    const mend = given.startsWith('$') ? 'a name must follow' : `did you mean "$${given}"?`;
    throw new ConfigError(`invalid variable name "${given}"`, undefined, { mend });
  });
}

// Kinds made of kinds.

/** May be missing: then the value is `fallback`, or undefined. */
export function optional<const Name extends string, T>(kind: Kind<Name, T>): Kind<Name, T | undefined>;
export function optional<const Name extends string, T, const F>(kind: Kind<Name, T>, fallback: F): Kind<Name, T | F>;
export function optional<const Name extends string, T>(kind: Kind<Name, T>, fallback?: T): Kind<Name, T | undefined> {
  const parse: Kind<Name, T | undefined>['parse'] = (args, directive, warn) =>
    args.length === 0 ? fallback : kind.parse(args, directive, warn);
  return { name: kind.name, syntax: `[${kind.syntax}]`, takes: 'optional', parse };
}

/** All arguments that remain, at least one. */
export function rest<const Name extends string, T>(kind: Kind<Name, T>): Kind<Name, readonly T[]> {
  return { ...each(kind), syntax: `${kind.syntax} ...`, takes: 'rest' };
}

/** All arguments that remain; there may be none. */
export function any<const Name extends string, T>(kind: Kind<Name, T>): Kind<Name, readonly T[]> {
  return { ...each(kind), syntax: `[${kind.syntax} ...]`, takes: 'any' };
}

function each<Name extends string, T>(kind: Kind<Name, T>): Pick<Kind<Name, readonly T[]>, 'name' | 'parse'> {
  return {
    name: kind.name,
    parse: (args, directive, warn) => args.map((one) => kind.parse([one], directive, warn)),
  };
}

/** Makes something else of the value. A ConfigError that `make` throws without a place gets that of the first argument. */
export function mapped<const Name extends string, T, U>(
  kind: Kind<Name, T>,
  make: (value: T, directive: string) => U,
): Kind<Name, U> {
  const parse: Kind<Name, U>['parse'] = (args, directive, warn) =>
    placed(args[0], () => make(kind.parse(args, directive, warn), directive));
  return { name: kind.name, syntax: kind.syntax, takes: kind.takes, parse };
}

/** The same kind with another sentence for what is wrong: nginx has several for the same mistake. */
export function saying<const Name extends string, T>(
  kind: Kind<Name, T>,
  sentence: (text: string, directive: string) => string,
): Kind<Name, T> {
  const parse: Kind<Name, T>['parse'] = (args, directive, warn) => {
    try {
      return kind.parse(args, directive, warn);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new ConfigError(sentence(args[0]?.text ?? '', directive), error.at ?? args[0]?.at, error);
    }
  };
  return { name: kind.name, syntax: kind.syntax, takes: kind.takes, parse };
}

/** The same kind with a warning: `warning` says what deserves a word of a value, or undefined. */
export function telling<const Name extends string, T>(
  kind: Kind<Name, T>,
  warning: (value: T, directive: string) => string | undefined,
): Kind<Name, T> {
  const parse: Kind<Name, T>['parse'] = (args, directive, warn) => {
    const value = kind.parse(args, directive, warn);
    const message = warning(value, directive);
    if (message !== undefined && args[0] !== undefined) warn?.(message, args[0].at);
    return value;
  };
  return { name: kind.name, syntax: kind.syntax, takes: kind.takes, parse };
}

/** The first kind that takes the argument; where none does, the last one says what is wrong: `either('size', literal('off'), size('size'))`. */
export function either<const Name extends string, const Kinds extends readonly Kind[]>(
  name: Name,
  ...kinds: Kinds
): Kind<Name, KindValue<Kinds[number]>> {
  const syntax = kinds.map((kind) => kind.syntax).join(' | ');
  return { name, syntax, takes: 'one', parse: (args, directive, warn) => firstFitting(kinds, args, directive, warn) };
}

function firstFitting<Kinds extends readonly Kind[]>(
  kinds: Kinds,
  args: readonly Argument[],
  directive: string,
  warn: Warn | undefined,
): KindValue<Kinds[number]> {
  let wrong: unknown;
  for (const kind of kinds) {
    try {
      return kind.parse(args, directive, warn) as KindValue<Kinds[number]>;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      wrong = error;
    }
  }
  throw wrong;
}

// Groups of parameters: `weight=5 backup`, in any order.

/** A parameter without a value, such as `backup`: true where it stands. */
export const alone = Symbol('a parameter without a value');

/** Parameters by name. `any(kind)` for one that may be given several times; of others the last one counts. */
export type ParameterShape = Readonly<Record<string, Kind | typeof alone>>;

/** undefined (false for `alone`, an empty list for `any`) where a parameter does not stand. */
export type ParameterValues<Shape extends ParameterShape> = {
  readonly [Key in keyof Shape]: Shape[Key] extends typeof alone
    ? boolean
    : Shape[Key] extends Kind<string, infer T>
      ? T extends readonly unknown[]
        ? T
        : T | undefined
      : never;
};

export interface ParametersOptions {
  /** nginx's sentence for a value that is wrong. Default: `invalid parameter "weight=x"`. */
  readonly invalid?: (key: string, value: string, directive: string) => string;
  /** nginx's sentence for a parameter that is none. Default: `invalid parameter "heavy"`. */
  readonly unknown?: (text: string, directive: string) => string;
  /** At least one must stand. Default: there may be none. */
  readonly needed?: boolean;
}

/** All arguments that remain, each `name=value` or a name alone. */
export function parameters<const Name extends string, const Shape extends ParameterShape>(
  name: Name,
  shape: Shape,
  options: ParametersOptions = {},
): Kind<Name, ParameterValues<Shape>> {
  const reader = new ParameterReader(shape, options);
  return {
    name,
    syntax: Object.entries(shape).map(parameterSyntax).join(' '),
    takes: options.needed === true ? 'rest' : 'any',
    parse: (args, directive, warn) => reader.read(args, directive, warn) as ParameterValues<Shape>,
  };
}

const parameterSyntax = ([key, kind]: [string, Kind | typeof alone]): string =>
  kind === alone ? `[${key}]` : `[${key}=${kind.syntax}]`;

class ParameterReader {
  readonly #shape: ParameterShape;
  readonly #invalid: NonNullable<ParametersOptions['invalid']>;
  readonly #unknownText: NonNullable<ParametersOptions['unknown']>;

  constructor(shape: ParameterShape, options: ParametersOptions) {
    this.#shape = shape;
    this.#invalid = options.invalid ?? ((key, value) => `invalid parameter "${key}=${value}"`);
    this.#unknownText = options.unknown ?? ((text) => `invalid parameter "${text}"`);
  }

  read(args: readonly Argument[], directive: string, warn: Warn | undefined): Record<string, unknown> {
    const values: Record<string, unknown> = Object.create(null);
    const given = this.#gather(args, directive);
    for (const [key, kind] of Object.entries(this.#shape)) {
      const found = given.get(key) ?? [];
      values[key] = kind === alone ? found.length > 0 : this.#value(key, kind, found, directive, warn);
    }
    return values;
  }

  #gather(args: readonly Argument[], directive: string): Map<string, Argument[]> {
    const given = new Map<string, Argument[]>();
    for (const one of args) {
      const [key, value] = this.#split(one, directive);
      const found = given.get(key);
      if (found === undefined) given.set(key, [value]);
      else found.push(value);
    }
    return given;
  }

  #split(one: Argument, directive: string): [string, Argument] {
    const equals = one.text.indexOf('=');
    const key = equals === -1 ? one.text : one.text.slice(0, equals);
    const kind = Object.hasOwn(this.#shape, key) ? this.#shape[key] : undefined;
    if (kind === undefined || (kind === alone) !== (equals === -1)) throw this.#unknown(one, key, kind, directive);
    const value = one.text.slice(key.length + 1);
    return [key, { ...one, text: value, at: placeWithin(one.at, one.text, key.length + 1, value.length) }];
  }

  #unknown(one: Argument, key: string, kind: Kind | typeof alone | undefined, directive: string): ConfigError {
    const nearest = nearestName(key, Object.keys(this.#shape));
    const meant = nearest === undefined ? undefined : `did you mean "${nearest}"?`;
    const known = kind === alone ? 'it takes no value' : `it takes a value: "${key}=…"`;
    const mend = kind === undefined ? meant : known;
    return new ConfigError(this.#unknownText(one.text, directive), one.at, mend === undefined ? {} : { mend });
  }

  #value(key: string, kind: Kind, found: readonly Argument[], directive: string, warn: Warn | undefined): unknown {
    const last = found.at(-1);
    const list = kind.takes === 'any' || kind.takes === 'rest';
    if (last === undefined) return list ? [] : undefined;
    try {
      return kind.parse(list ? found : [last], directive, warn);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new ConfigError(this.#invalid(key, last.text, directive), error.at ?? last.at, error);
    }
  }
}
