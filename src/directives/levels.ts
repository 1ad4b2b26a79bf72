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
  readonly #sets: (AnySet | undefined)[] = [];

  private constructor(modules: readonly Module[], block: Block, above: Levels | undefined) {
    this.#modules = modules;
    this.#block = block;
    this.#above = above;
  }

  static top(modules: readonly Module[], block: Block): Levels {
    return new Levels(modules, block, undefined);
  }

  below(block: Block): Levels {
    return new Levels(this.#modules, block, this);
  }

  /** What the block has set of one module's directives. */
  set(index: number): AnySet {
    const known = this.#sets[index];
    if (known !== undefined) return known;
    const made = levelSet((this.#modules[index] as Module).directives, this.#block, this.#above?.set(index));
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
