// How a module declares its directives: where each may stand, what it takes, its default. Types of the values are inferred.

import type { Warn } from './errors.ts';
import type { Argument, Block, Position } from './tree.ts';

/**
 * One kind of argument: how it is written, and what it becomes. The kinds stand in values.ts.
 * `Name` is the key under which the argument's value appears where a directive takes more than one.
 */
export interface Kind<Name extends string = string, T = unknown> {
  readonly name: Name;
  /** As it stands in the syntax line of the documentation: `size`, `on | off`, `name=value`. */
  readonly syntax: string;
  /** One argument, at most one, or all that remain (`rest`: at least one; `any`: perhaps none). */
  readonly takes: 'one' | 'optional' | 'rest' | 'any';
  /**
   * Turns the arguments (exactly one for `one`; one or none for `optional`) into the value; throws ConfigError with the
   * place of the one that is wrong. `warn` takes what is accepted but deserves a word.
   */
  parse(args: readonly Argument[], directive: string, warn?: Warn): T;
}

/**
 * Where a directive may stand. `if` is an `if` inside a location, `server if` one inside a server; a directive allowed in
 * `location` is not by that allowed in `if`.
 */
export type Context =
  | 'main'
  | 'events'
  | 'http'
  | 'server'
  | 'server if'
  | 'location'
  | 'if'
  | 'limit_except'
  | 'upstream'
  | 'any';

export interface DirectiveSpec {
  readonly in: readonly Context[];
  readonly args: readonly Kind[];
  /** The default as it would be written in a configuration (`60s`, `8 4k`); parsed by the same kinds. '' for one without arguments is not a default. */
  readonly default?: string;
  /** May stand several times on one level; the value is then a list, in order; where none stands, empty or the default alone. */
  readonly many?: true;
  /**
   * false: a deeper level does not take it from the one above. 'overlay': only an `if` or a `limit_except` does, which stands
   * for the location that it is in. Default: it does, but for a block of directives (`location` in `server`), which never does; a
   * `raw` block (`types`) does.
   */
  readonly inherit?: false | 'overlay';
  /** The directive opens a block: the context of what stands in it, or `raw` for lines that are no directives (map, types, geo). */
  readonly block?: Context | 'raw';
  /** One or more sentences for docs/directives.md: what it does here, with units. */
  readonly doc: string;
  /** What differs from nginx, for the docs. */
  readonly differs?: string;
  /**
   * 'no effect': accepted and checked so that real configurations load, but it only tunes what nginx has inside.
   * 'notice': it has none either, and its module says so each time. For the docs.
   */
  readonly effect?: 'no effect' | 'notice';
  /** The nginx version it came with, where that is newer than 1.22. */
  readonly since?: string;
}

export type DirectiveTable = Readonly<Record<string, DirectiveSpec>>;

type KindValue<K> = K extends Kind<string, infer T> ? T : never;
type Named<A extends readonly Kind[]> = { readonly [K in A[number] as K['name']]: KindValue<K> };
/** Several arguments, or a block, become an object that also knows its place; one argument is its bare value; none is true. */
export type ValueOf<S extends DirectiveSpec> = S extends { readonly block: string }
  ? Named<S['args']> & { readonly at: Position; readonly block: Block }
  : S['args'] extends readonly []
    ? true
    : S['args'] extends readonly [infer Only]
      ? KindValue<Only>
      : Named<S['args']> & { readonly at: Position };

/** What a level has set, of the directives of one table: own values, else those of the level above, else the defaults. */
export type SetOf<D extends DirectiveTable> = {
  readonly [Name in keyof D]: D[Name] extends { readonly many: true }
    ? readonly ValueOf<D[Name]>[]
    : D[Name] extends { readonly default: string }
      ? ValueOf<D[Name]>
      : ValueOf<D[Name]> | undefined;
};

/** Gives a table its exact type, so that `SetOf` can infer from it. */
export function directives<const D extends DirectiveTable>(table: D): D {
  return table;
}
