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
    const set = this.set(index);
    return {
      block: this.#block,
      has: (name: string): boolean => placeOf(set, name)?.own ?? false,
      stands: (name: string): boolean => this.#block.directives.some((directive) => directive.name === name),
      at: (name: string): Position | undefined => placeOf(set, name)?.at,
      places: (name: string): readonly Position[] => directivesOf(set, name).map(({ at }) => at),
    };
  }
}
