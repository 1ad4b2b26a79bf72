// Leaky buckets by key, in shared memory: how far each key is above its rate; what `limit_req` goes by.

import { BucketMemory } from './bucket-memory.ts';
import { KEY_CELLS, zoneKey } from './zone-key.ts';

// An entry: whether it is in use, the key, the excess and when it was that, as numbers of 64 bits.
const USED = 0;
const KEY = 1;
const EXCESS = KEY + KEY_CELLS;
const LAST = EXCESS + 2;
const ENTRY_CELLS = LAST + 2;
/** Entries that a key can be in: where all are taken, the one that was not used for longest makes room. */
const WAYS = 16;

/** A clock that goes back by more than this was set anew. */
const LARGEST_STEP_BACK_MS = 60_000;

export class SharedRates {
  readonly #memory: BucketMemory;
  readonly #cells: Int32Array;
  readonly #numbers: Float64Array;

  /** @param memory at least 2 KB; zero at first @param worker who uses it */
  constructor(memory: SharedArrayBuffer, worker: number) {
    this.#memory = new BucketMemory(memory, worker, ENTRY_CELLS, WAYS);
    this.#cells = this.#memory.cells;
    this.#numbers = this.#memory.numbers;
  }

  /**
   * The excess that one more request of a key makes, in thousandths of a request; it is not counted.
   * @param text the key: a byte string that is not empty
   * @param rate thousandths of a request per second
   */
  look(text: string, rate: number): number {
    const key = zoneKey(text);
    const bucket = this.#memory.bucketOf(key);
    this.#memory.lock(bucket);
    const entry = this.#find(bucket, key);
    const excess = entry < 0 ? 0 : this.#excess(entry, rate, Date.now());
    this.#memory.unlock(bucket);
    return excess;
  }

  /** As `look`, and counts the request, unless its excess is more than `burst`. */
  take(text: string, rate: number, burst: number): number {
    const key = zoneKey(text);
    const bucket = this.#memory.bucketOf(key);
    const now = Date.now();
    this.#memory.lock(bucket);
    const entry = this.#find(bucket, key);
    const excess = entry < 0 ? 0 : this.#excess(entry, rate, now);
    if (entry < 0) this.#make(bucket, key, now);
    else if (excess <= burst) this.#count(entry, excess, now);
    this.#memory.unlock(bucket);
    return excess;
  }

  openLocks(worker: number): void {
    this.#memory.openLocks(worker);
  }

  #find(bucket: number, key: Int32Array): number {
    const end = this.#memory.endOf(bucket);
    for (let entry = this.#memory.firstEntry(bucket); entry < end; entry += ENTRY_CELLS) {
      if (this.#cells[entry + USED] !== 0 && this.#memory.hasKey(entry + KEY, key)) return entry;
    }
    return -1;
  }

  #excess(entry: number, rate: number, now: number): number {
    const passed = timePassed(now - this.#number(entry + LAST));
    return Math.max(0, this.#number(entry + EXCESS) - Math.trunc((rate * passed) / 1000) + 1000);
  }

  /** Where no time has passed, what is less than a thousandth of a request must not be lost each time. */
  #count(entry: number, excess: number, now: number): void {
    const moves = timePassed(now - this.#number(entry + LAST)) > 0;
    this.#numbers[(entry + EXCESS) >> 1] = excess;
    if (moves) this.#numbers[(entry + LAST) >> 1] = now;
  }

  #make(bucket: number, key: Int32Array, now: number): void {
    const entry = this.#freeEntry(bucket);
    this.#cells[entry + USED] = 1;
    this.#cells.set(key, entry + KEY);
    this.#numbers[(entry + EXCESS) >> 1] = 0;
    this.#numbers[(entry + LAST) >> 1] = now;
  }

  #freeEntry(bucket: number): number {
    const first = this.#memory.firstEntry(bucket);
    let oldest = first;
    for (let entry = first; entry < this.#memory.endOf(bucket); entry += ENTRY_CELLS) {
      if (this.#cells[entry + USED] === 0) return entry;
      if (this.#number(entry + LAST) < this.#number(oldest + LAST)) oldest = entry;
    }
    return oldest;
  }

  #number(cell: number): number {
    return this.#numbers[cell >> 1] as number;
  }
}

/** nginx's: a clock that was put back a little stands still, one that was set anew goes by a millisecond. */
function timePassed(ms: number): number {
  if (ms >= 0) return ms;
  return ms < -LARGEST_STEP_BACK_MS ? 1 : 0;
}
