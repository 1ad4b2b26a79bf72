// The sets of all modules for one block, each made when it is first asked for from that of the level above.

import type { DirectiveTable, SetOf } from '../config/directive.ts';
import { directivesOf, levelSet, placeOf } from '../config/inherit.ts';
import type { Block, Position } from '../config/tree.ts';
import type { Level } from './draft.ts';
import type { Module } from './module.ts';

type AnySet = SetOf<DirectiveTable>;

export class Levels {
  readonly #modules: readonly Module[];
  readonly #block: Block;
  readonly #above: Levels | undefined;
  readonly #isOverlay: boolean;
  readonly #sets: (AnySet | undefined)[] = [];

  private constructor(modules: readonly Module[], block: Block, above: Levels | undefined, isOverlay: boolean) {
    this.#modules = modules;
    this.#block = block;
    this.#above = above;
    this.#isOverlay = isOverlay;
  }

  static top(modules: readonly Module[], block: Block): Levels {
    return new Levels(modules, block, undefined, false);
  }

  below(block: Block): Levels {
    return new Levels(this.#modules, block, this, false);
  }

  /** An `if` or a `limit_except` in the location that this is the level of. */
  overlay(block: Block): Levels {
    return new Levels(this.#modules, block, this, true);
  }

  /** What the block has set of one module's directives. */
  set(index: number): AnySet {
    const known = this.#sets[index];
    if (known !== undefined) return known;
    const { directives } = this.#modules[index] as Module;
    const made = levelSet(directives, this.#block, this.#above?.set(index), this.#isOverlay);
    this.#sets[index] = made;
    return made;
  }

  level(index: number): Level {
    return new ModulesLevel(this.#block, this.set(index));
  }
}

/** A level as one module sees it; there are very many of them, each for a moment. */
class ModulesLevel implements Level {
  readonly block: Block;
  readonly #set: AnySet;

  constructor(block: Block, set: AnySet) {
    this.block = block;
    this.#set = set;
  }

  has(name: string): boolean {
    return placeOf(this.#set, name)?.own ?? false;
  }

  stands(name: string): boolean {
    return this.block.directives.some((directive) => directive.name === name);
  }

  at(name: string): Position | undefined {
    return placeOf(this.#set, name)?.at;
  }

  places(name: string): readonly Position[] {
    return directivesOf(this.#set, name).map(({ at }) => at);
  }
}
