// Strings with variables, such as `"$host:$server_port"`: parsed where they stand, compiled once into a function.

import { ConfigError, type Problem } from './errors.ts';
import { nearestName } from './nearest-name.ts';
import { byteString, placeWithin } from './source.ts';
import type { Position } from './tree.ts';

/** Text, a variable by its name (lower case: nginx knows no difference), or `$1` … `$9` of the last regular expression. */
export type TemplatePart = string | { readonly variable: string; readonly at: Position } | { readonly capture: number };

export interface Template {
  /** As it stands in the configuration, quotes and escapes gone. */
  readonly text: string;
  readonly at: Position;
  readonly parts: readonly TemplatePart[];
  /** The text where it has no variable; undefined where it has one. */
  readonly constant: string | undefined;
}

/**
 * Splits a string at its variables: `$name`, `${name}`, `$1`. nginx has no way to escape a `$`.
 * @throws ConfigError `invalid variable name`, `the closing bracket in "x" variable is missing`
 */
export function parseTemplate(text: string, at: Position): Template {
  if (!text.includes('$')) return { text, at, parts: text === '' ? [] : [text], constant: text };
  const parts: TemplatePart[] = [];
  for (let index = 0; index < text.length; ) {
    const [part, next] = text[index] === '$' ? variableAt(text, index, at) : textAt(text, index);
    parts.push(part);
    index = next;
  }
  return { text, at, parts, constant: undefined };
}

function textAt(text: string, index: number): [TemplatePart, number] {
  const dollar = text.indexOf('$', index);
  const end = dollar === -1 ? text.length : dollar;
  return [text.slice(index, end), end];
}

const NAME = /[A-Za-z0-9_]*/y;

function nameAt(text: string, index: number): string {
  NAME.lastIndex = index;
  return NAME.exec(text)?.[0] ?? '';
}

function variableAt(text: string, dollar: number, at: Position): [TemplatePart, number] {
  const first = text.charAt(dollar + 1);
  if (first >= '1' && first <= '9') return [{ capture: Number(first) }, dollar + 2];
  const bracket = first === '{';
  const start = dollar + (bracket ? 2 : 1);
  const name = nameAt(text, start);
  const end = start + name.length;
  const closed = !bracket || text[end] === '}';
  const place = placeWithin(at, text, dollar, end - dollar + Number(bracket && closed));
  if (!closed && start < text.length)
    throw new ConfigError(`the closing bracket in "${name}" variable is missing`, place);
  if (name === '') throw new ConfigError('invalid variable name', place, { mend: 'a name is letters, digits and "_"' });
  return [{ variable: name.toLowerCase(), at: place }, end + Number(bracket)];
}

/** Reads a variable of `X`; undefined where it has no value. */
export type Getter<X> = (x: X) => string | undefined;

export interface VariableOptions {
  /** Computed once for each `X` and then remembered, as nginx does for `map`. Default false: asked each time. */
  readonly cached?: boolean;
  /** nginx's `volatile`: never remembered, whatever `cached` says. Default false. */
  readonly volatile?: boolean;
  /** May be defined again, as `map` and `set` may; the last definition counts. Default false. */
  readonly changeable?: boolean;
  /** What gives it another value, where that is kept elsewhere than in the table (`$args`). Makes it changeable by `setter`. */
  readonly set?: (x: never, value: string) => void;
  /** Where the configuration defines it; undefined for those that are built in. */
  readonly at?: Position;
}

/** A variable in use. `get` may be called once the table is resolved. */
export interface VariableSlot<X> {
  readonly name: string;
  get: Getter<X>;
}

export interface VariableTableOptions<X> {
  /** `$1` … `$9`. */
  readonly captures: (x: X, n: number) => string | undefined;
  /** Where cached values of `x` are kept, by slot: undefined is not yet computed, null is computed and without a value. */
  readonly cache?: (x: X) => (string | undefined | null)[];
}

interface Use<X> {
  readonly slot: VariableSlot<X>;
  readonly at: Position | undefined;
}

interface Definition<X> {
  readonly get: Getter<X>;
  readonly options: VariableOptions;
}

/** A variable that the configuration gives values to (`set`). */
interface Assigned<X> {
  /** Where its value is kept. */
  readonly cell: number;
  /** Its value where nothing has given it one, and nothing else defines it. */
  readonly unset: Getter<X>;
  /** Bound by `resolve`; undefined where the cell is all. */
  set: ((x: X, value: string) => void) | undefined;
}

/**
 * All variables of one kind of `X`. A name may be used before it is defined (`map` stands where it likes): `slot` hands out
 * a place, `resolve` fills all of them at the end. Names are case-insensitive.
 */
export class VariableTable<X> {
  readonly captures: (x: X, n: number) => string | undefined;
  readonly #cache: VariableTableOptions<X>['cache'];
  readonly #defined = new Map<string, Definition<X>>();
  readonly #prefixes = new Map<string, (x: X, rest: string) => string | undefined>();
  readonly #used = new Map<string, Use<X>>();
  readonly #assigned = new Map<string, Assigned<X>>();
  #cells = 0;

  constructor(options: VariableTableOptions<X>) {
    this.captures = options.captures;
    this.#cache = options.cache;
  }

  /** @throws ConfigError `the duplicate "x" variable` */
  define(name: string, get: Getter<X>, options: VariableOptions = {}): void {
    const known = name.toLowerCase();
    const former = this.#defined.get(known);
    if (former !== undefined && !former.options.changeable) {
      throw new ConfigError(`the duplicate "${known}" variable`, options.at);
    }
    this.#defined.set(known, { get, options });
  }

  /** All variables whose names begin so: `definePrefix('http_', (x, rest) => …)`. A longer prefix goes before a shorter one. */
  definePrefix(prefix: string, get: (x: X, rest: string) => string | undefined): void {
    this.#prefixes.set(prefix, get);
  }

  /**
   * What gives a variable another value, as `set` does: it goes before what else defines the variable.
   * @param unset its value where nothing has given it one, and nothing else defines it; remembered
   * @throws ConfigError `the duplicate "x" variable` for one that is built in
   */
  setter(name: string, unset: Getter<X>, at?: Position): (x: X, value: string) => void {
    const known = name.toLowerCase();
    const options = this.#defined.get(known)?.options;
    if (options !== undefined && !options.changeable && options.set === undefined)
      throw new ConfigError(`the duplicate "${known}" variable`, at);
    const assigned = this.#assigned.get(known) ?? { cell: this.#cells++, unset, set: undefined };
    this.#assigned.set(known, assigned);
    return (x, value) => {
      if (assigned.set === undefined) this.#cellsOf(x)[assigned.cell] = value;
      else assigned.set(x, value);
    };
  }

  #cellsOf(x: X): (string | undefined | null)[] {
    if (this.#cache === undefined) throw new TypeError('a variable that is remembered needs a table with a cache');
    return this.#cache(x);
  }

  has(name: string): boolean {
    return this.#defined.has(name.toLowerCase());
  }

  /** The names that are defined, prefixes with a `*`; for the docs. */
  get names(): readonly string[] {
    return [...this.#defined.keys(), ...[...this.#prefixes.keys()].map((prefix) => `${prefix}*`)];
  }

  /** The place of a variable that is used at `at`, in a name without its `$`. */
  slot(name: string, at?: Position): VariableSlot<X> {
    const known = name.toLowerCase();
    const use = this.#used.get(known) ?? { slot: { name: known, get: unresolved }, at };
    this.#used.set(known, use);
    return use.slot;
  }

  /**
   * Binds each variable in use to its definition. Those that have none are reported, at the place of their first use.
   * @param pardoned names that may lack one because of a mistake that has been told already
   */
  resolve(pardoned: (name: string) => boolean = () => false): Problem[] {
    for (const [name, assigned] of this.#assigned)
      assigned.set = this.#defined.get(name)?.options.set as Assigned<X>['set'];
    const problems: Problem[] = [];
    for (const { slot, at } of this.#used.values()) {
      const get = this.#find(slot.name);
      if (get !== undefined) slot.get = get;
      else if (!pardoned(slot.name)) problems.push(this.#unknown(slot.name, at));
    }
    return problems;
  }

  #find(name: string): Getter<X> | undefined {
    const base = this.#findDefined(name);
    const assigned = this.#assigned.get(name);
    return assigned === undefined || assigned.set !== undefined ? base : this.#assignedGetter(assigned, base);
  }

  #assignedGetter({ cell, unset }: Assigned<X>, base: Getter<X> | undefined): Getter<X> {
    return (x) => {
      const cells = this.#cellsOf(x);
      const value = cells[cell];
      if (value !== undefined) return value ?? undefined;
      if (base !== undefined) return base(x);
      const made = unset(x);
      cells[cell] = made ?? null;
      return made;
    };
  }

  #findDefined(name: string): Getter<X> | undefined {
    const definition = this.#defined.get(name);
    if (definition === undefined) return this.#findPrefix(name);
    const { cached = false, volatile = false } = definition.options;
    return cached && !volatile ? this.#remember(definition.get) : definition.get;
  }

  #findPrefix(name: string): Getter<X> | undefined {
    const prefixes = [...this.#prefixes.keys()].filter((prefix) => name.startsWith(prefix));
    const longest = prefixes.reduce((best, prefix) => (prefix.length > best.length ? prefix : best), '');
    const get = this.#prefixes.get(longest);
    if (get === undefined) return undefined;
    const rest = name.slice(longest.length);
    return (x) => get(x, rest);
  }

  #remember(get: Getter<X>): Getter<X> {
    const cell = this.#cells++;
    return (x) => {
      const cells = this.#cellsOf(x);
      let value = cells[cell];
      if (value === undefined) {
        value = get(x) ?? null;
        cells[cell] = value;
      }
      return value ?? undefined;
    };
  }

  #unknown(name: string, at: Position | undefined): Problem {
    const nearest = nearestName(name, this.#defined.keys());
    const mend = nearest === undefined ? undefined : `did you mean "$${nearest}"?`;
    return { level: 'emerg', message: `unknown "${name}" variable`, at, mend };
  }
}

function unresolved(): never {
  throw new TypeError('VariableTable.resolve() has not been called');
}

/**
 * A function that fills in the variables; one without a value is ''. The result is a byte string (see source.ts).
 * Strings with one to three variables, which is nearly all of them, are built without a loop.
 */
export function compileTemplate<X>(template: Template, table: VariableTable<X>): (x: X) => string {
  const { texts, getters } = split(template, table);
  const [before = '', after = '', second = '', third = ''] = texts;
  const [a, b, c] = getters;
  if (a === undefined) return () => before;
  if (b === undefined) return before === '' && after === '' ? a : (x) => before + a(x) + after;
  if (c === undefined) return (x) => before + a(x) + after + b(x) + second;
  if (getters.length === 3) return (x) => before + a(x) + after + b(x) + second + c(x) + third;
  return (x) => joined(texts, getters, x);
}

function joined<X>(texts: readonly string[], getters: readonly ((x: X) => string)[], x: X): string {
  let text = texts[0] as string;
  for (let index = 0; index < getters.length; index++) {
    text += (getters[index] as (x: X) => string)(x) + (texts[index + 1] as string);
  }
  return text;
}

/** The variables, and the texts before, between and after them: always one more than there are variables. */
function split<X>(template: Template, table: VariableTable<X>) {
  const texts = [''];
  const getters: ((x: X) => string)[] = [];
  for (const part of template.parts) {
    if (typeof part === 'string') texts[texts.length - 1] = byteString(part);
    else {
      getters.push(
        'capture' in part ? captureGetter(part.capture, table) : slotGetter(table.slot(part.variable, part.at)),
      );
      texts.push('');
    }
  }
  return { texts, getters };
}

function captureGetter<X>(n: number, table: VariableTable<X>): (x: X) => string {
  const { captures } = table;
  return (x) => captures(x, n) ?? '';
}

const slotGetter =
  <X>(slot: VariableSlot<X>) =>
  (x: X): string =>
    slot.get(x) ?? '';
