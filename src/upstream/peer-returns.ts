// Peers that have come back, or have come: told to whoever waits for one, whichever worker has noticed it.

import { Deadline, type DeadlineOwner } from '../transport/deadlines.ts';
import type { Row } from '../zones/shared-rows.ts';

/** ms between two looks at what other workers have noticed, while anybody waits. */
const LOOK_AGAIN = 20;

/** Counts the returns to one upstream in a shared cell. Nothing runs while nobody waits. */
export class PeerReturns implements DeadlineOwner {
  readonly #row: Row;
  readonly #cell: number;
  readonly #listeners = new Set<() => void>();
  readonly #looking = new Deadline(this);
  #seen = 0;

  constructor(row: Row, cell: number) {
    this.#row = row;
    this.#cell = cell;
  }

  /** A peer can be used again. */
  note(): void {
    this.#row.add(this.#cell, 1);
    this.#look();
  }

  /**
   * Calls `listener` each time, as long as it listens. A peer that has returned need not be there any more when it is told of it.
   * @returns stops that
   */
  listen(listener: () => void): () => void {
    if (this.#listeners.size === 0) {
      this.#seen = this.#row.get(this.#cell);
      this.#looking.set(LOOK_AGAIN);
    }
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#looking.clear();
    };
  }

  deadlineReached(): void {
    this.#looking.set(LOOK_AGAIN);
    this.#look();
  }

  #look(): void {
    const count = this.#row.get(this.#cell);
    if (count === this.#seen || this.#listeners.size === 0) return;
    this.#seen = count;
    for (const listener of [...this.#listeners]) if (this.#listeners.has(listener)) listener();
  }
}
