// What each level takes from the one above: http to server to location, by nginx's rule.

import { defaultOf } from './arguments.ts';
import type { DirectiveSpec, DirectiveTable, SetOf } from './directive.ts';
import type { Block, Directive, Position } from './tree.ts';

/** Where the value of a directive was set. */
export interface SetPlace {
  /** Of the directive, or of the first of several. */
  readonly at: Position;
  /** On this very level, not on one above. */
  readonly own: boolean;
}

/** Where the values of a level come from: kept beside them, with the same chain of prototypes. */
const places = new WeakMap<object, Record<string, readonly Directive[]>>();

/**
 * What a block has set, of the directives of one table: own values, else those of the level above, else the defaults. Read it
 * by name only: what is inherited stands in the prototype. The configuration must have been checked.
 * @param isOverlay the block is an `if` or a `limit_except`: it takes from the location around it what no other location would
 */
export function levelSet<D extends DirectiveTable>(
  table: D,
  block: Block,
  above?: SetOf<D>,
  isOverlay = false,
): SetOf<D> {
  return above !== undefined && !hasOwn(table, block)
    ? emptyBelow(table, above, isOverlay)
    : makeSet(table, block, above, isOverlay);
}

function hasOwn(table: DirectiveTable, block: Block): boolean {
  for (const [name, given] of grouped(block)) {
    const spec = table[name];
    if (spec !== undefined && given.some((directive) => directive.declaredBy === spec)) return true;
  }
  return false;
}

/** The set of all levels right below one that have nothing of their own: thousands of locations share a few. */
const emptyPlain = new WeakMap<object, object>();
const emptyOverlays = new WeakMap<object, object>();

function emptyBelow<D extends DirectiveTable>(table: D, above: SetOf<D>, isOverlay: boolean): SetOf<D> {
  const empties = isOverlay ? emptyOverlays : emptyPlain;
  const known = empties.get(above);
  if (known !== undefined) return known as SetOf<D>;
  const made = makeSet(table, NOTHING_WRITTEN, above, isOverlay);
  empties.set(above, made);
  // Below an empty one nothing changes any more.
  if (!isOverlay) empties.set(made, made);
  return made;
}

function makeSet<D extends DirectiveTable>(
  table: D,
  block: Pick<Block, 'directives'>,
  above: SetOf<D> | undefined,
  isOverlay: boolean,
): SetOf<D> {
  const { defaults, notInherited, neverInherited } = tableFacts(table);
  const parent: object = above ?? defaults;
  const values: Record<string, unknown> = Object.create(parent);
  const own: Record<string, readonly Directive[]> = Object.create(places.get(parent) ?? null);
  if (above !== undefined) forget(isOverlay ? neverInherited : notInherited, defaults, values, own);
  for (const [name, given] of grouped(block)) {
    const spec = table[name];
    const mine = spec === undefined ? NONE : given.filter((directive) => directive.declaredBy === spec);
    if (spec === undefined || mine.length === 0) continue;
    put(values, name, spec.many ? Object.freeze(mine.map(({ value }) => value)) : mine[0]?.value);
    own[name] = mine;
  }
  places.set(values, own);
  return Object.freeze(values) as SetOf<D>;
}

const NONE: readonly Directive[] = [];
const NOTHING_WRITTEN = { directives: NONE };

/** Where a value was set; undefined where it is the default. */
export function placeOf<D extends DirectiveTable>(set: SetOf<D>, name: keyof D & string): SetPlace | undefined {
  const known = places.get(set);
  const first = known?.[name]?.[0];
  if (known === undefined || first === undefined) return undefined;
  return { at: first.at, own: Object.hasOwn(known, name) };
}

/** The directives that set a value, each with its own place; on this level or the one that it was taken from. */
export function directivesOf<D extends DirectiveTable>(set: SetOf<D>, name: keyof D & string): readonly Directive[] {
  return places.get(set)?.[name] ?? NONE;
}

function forget(
  names: readonly string[],
  defaults: Readonly<Record<string, unknown>>,
  values: Record<string, unknown>,
  own: Record<string, readonly Directive[]>,
): void {
  for (const name of names) {
    put(values, name, defaults[name]);
    own[name] = NONE;
  }
}

/** An assignment would fail where the level above, which is frozen, has set the same. */
function put(values: object, name: string, value: unknown): void {
  Object.defineProperty(values, name, { value, enumerable: true, configurable: true });
}

interface TableFacts {
  readonly defaults: Readonly<Record<string, unknown>>;
  readonly notInherited: readonly string[];
  /** Not even by an overlay. */
  readonly neverInherited: readonly string[];
}

const facts = new WeakMap<DirectiveTable, TableFacts>();

function tableFacts(table: DirectiveTable): TableFacts {
  const known = facts.get(table);
  if (known !== undefined) return known;
  const defaults: Record<string, unknown> = Object.create(null);
  for (const [name, spec] of Object.entries(table)) defaults[name] = unset(spec, name);
  const notInherited = Object.keys(table).filter((name) => !isInherited(table[name] as DirectiveSpec));
  const neverInherited = notInherited.filter((name) => table[name]?.inherit !== 'overlay');
  const found = { defaults: Object.freeze(defaults), notInherited, neverInherited };
  facts.set(table, found);
  return found;
}

function unset(spec: DirectiveSpec, name: string): unknown {
  const value = defaultOf(spec, name);
  if (!spec.many) return value;
  return Object.freeze(value === undefined ? [] : [value]);
}

/** A `location` of a server is no `location` of its locations; the lines of `types` hold below as well. */
function isInherited(spec: DirectiveSpec): boolean {
  return spec.inherit === undefined && (spec.block === undefined || spec.block === 'raw');
}

const groups = new WeakMap<Pick<Block, 'directives'>, ReadonlyMap<string, Directive[]>>();

/** A block's directives by name: grouped once, whatever the number of tables that ask. */
function grouped(block: Pick<Block, 'directives'>): ReadonlyMap<string, Directive[]> {
  const known = groups.get(block);
  if (known !== undefined) return known;
  const byName = new Map<string, Directive[]>();
  for (const directive of block.directives) {
    const same = byName.get(directive.name);
    if (same === undefined) byName.set(directive.name, [directive]);
    else same.push(directive);
  }
  groups.set(block, byName);
  return byName;
}
