// Shared state of peers that come at run time, of which the master knows nothing: workers claim rows that it has set aside.

import { hash } from 'node:crypto';
import type { Row, RowShape } from '../zones/shared-rows.ts';

/** Shared cells: 64 bits that stand for the identity of who has the row; both 0: nobody. */
const LOW = 0;
const HIGH = 1;
/** A cell of each worker: how many of its peers use the row. */
const HELD = 0;

/** What says who has a row. */
export const CLAIM_SHAPE: RowShape = { shared: 2, perWorker: 1 };

/** A row and the claim to it. */
export interface ClaimableRow {
  readonly claim: Row;
  readonly row: Row;
}

/** What of a row must be known to give it to another peer. */
export interface ClaimedUse {
  /** Whether a former holder still has connections. */
  isBusy(row: Row): boolean;
  clear(row: Row): void;
}

/** The lock is waited for so often; it is held for microseconds. */
const LOCK_WAITS = 100;

/**
 * The rows that are set aside for the run-time peers of one upstream, as one worker sees them. The same identity has the same row
 * in all workers, and in the configuration after a reload.
 */
export class ClaimedRows {
  readonly #lock: Row;
  readonly #rows: readonly ClaimableRow[];
  readonly #use: ClaimedUse;
  readonly #spare: () => Row;
  readonly #held = new Map<string, ClaimableRow>();

  /** @param spare a row that nobody shares, for a peer for which none is left */
  constructor(lock: Row, rows: readonly ClaimableRow[], use: ClaimedUse, spare: () => Row) {
    this.#lock = lock;
    this.#rows = rows;
    this.#use = use;
    this.#spare = spare;
  }

  /** The row of this identity, until `leave`. */
  hold(identity: string): Row {
    return (this.#held.get(identity) ?? this.#holdAnother(identity))?.row ?? this.#spare();
  }

  /** This worker's peer of that identity has gone. Its row can be another's once it has no connections in any worker. */
  leave(identity: string): void {
    this.#held.get(identity)?.claim.addOwn(HELD, -1);
    this.#held.delete(identity);
  }

  leaveAll(): void {
    for (const identity of [...this.#held.keys()]) this.leave(identity);
  }

  #holdAnother(identity: string): ClaimableRow | undefined {
    if (this.#rows.length === 0) return undefined;
    const mark = hash('md5', identity, 'buffer');
    // Never both 0.
    const [low, high] = [mark.readInt32LE(0), mark.readInt32LE(4) | 1];
    const locked = this.#waitForLock();
    const found = this.#find(low, high) ?? this.#claim(low, high);
    found?.claim.addOwn(HELD, 1);
    this.#lock.unlock(locked);
    if (found !== undefined) this.#held.set(identity, found);
    return found;
  }

  #waitForLock(): boolean {
    for (let waits = 0; waits < LOCK_WAITS; waits++) {
      if (this.#lock.lock()) return true;
    }
    return false;
  }

  #find(low: number, high: number): ClaimableRow | undefined {
    return this.#rows.find(({ claim }) => claim.get(LOW) === low && claim.get(HIGH) === high);
  }

  #claim(low: number, high: number): ClaimableRow | undefined {
    const free = this.#rows.find(({ claim, row }) => claim.total(HELD) === 0 && !this.#use.isBusy(row));
    if (free === undefined) return undefined;
    this.#use.clear(free.row);
    free.claim.set(LOW, low);
    free.claim.set(HIGH, high);
    return free;
  }
}
