// How many there are of each key, counted over all workers in shared memory: what `limit_conn` goes by.

import { BucketMemory } from './bucket-memory.ts';
import { KEY_CELLS, zoneKey } from './zone-key.ts';

// An entry: whose it is (the worker's number plus 1; 0: it is free), its count, the key.
const OWNER = 0;
const COUNT = 1;
const KEY = 2;
const ENTRY_CELLS = 8;
/** Entries that a key can be in. Each worker has one of its own for a key, so that what a dead worker counted can be forgotten. */
const WAYS = 64;

/** What `enter` says where it did not count. */
export const OVER_LIMIT = -1;
export const NO_ROOM = -2;

export class SharedCounts {
  readonly #memory: BucketMemory;
  readonly #cells: Int32Array;
  readonly #mark: number;

  /** @param memory at least 4 KB; zero at first @param worker who counts */
  constructor(memory: SharedArrayBuffer, worker: number) {
    if (KEY + KEY_CELLS > ENTRY_CELLS) throw new RangeError('an entry is too short for its key');
    this.#memory = new BucketMemory(memory, worker, ENTRY_CELLS, WAYS);
    this.#cells = this.#memory.cells;
    this.#mark = worker + 1;
  }

  /**
   * Counts one more of a key, unless there are `limit` of them already.
   * @param text the key: a byte string that is not empty
   * @returns what `leave` takes; or OVER_LIMIT, or NO_ROOM: there are too many other keys
   */
  enter(text: string, limit: number): number {
    const key = zoneKey(text);
    const bucket = this.#memory.bucketOf(key);
    this.#memory.lock(bucket);
    const entered = this.#enter(bucket, key, limit);
    this.#memory.unlock(bucket);
    return entered;
  }

  /** One less: of what this worker has entered. */
  leave(entry: number): void {
    if (Atomics.sub(this.#cells, entry + COUNT, 1) > 1) return;
    Atomics.store(this.#cells, entry + OWNER, 0);
  }

  /** How many there are of a key. */
  count(text: string): number {
    const key = zoneKey(text);
    return this.#total(this.#memory.bucketOf(key), key);
  }

  /** A worker has died: what it counted has gone. */
  forget(worker: number): void {
    this.#memory.eachEntry((entry) => {
      if (Atomics.load(this.#cells, entry + OWNER) !== worker + 1) return;
      Atomics.store(this.#cells, entry + COUNT, 0);
      Atomics.store(this.#cells, entry + OWNER, 0);
    });
    this.#memory.openLocks(worker);
  }

  #enter(bucket: number, key: Int32Array, limit: number): number {
    if (this.#total(bucket, key) >= limit) return OVER_LIMIT;
    const own = this.#ownEntry(bucket, key);
    if (own < 0) return this.#claim(bucket, key);
    Atomics.add(this.#cells, own + COUNT, 1);
    return own;
  }

  #total(bucket: number, key: Int32Array): number {
    let total = 0;
    const end = this.#memory.endOf(bucket);
    for (let entry = this.#memory.firstEntry(bucket); entry < end; entry += ENTRY_CELLS) {
      if (Atomics.load(this.#cells, entry + OWNER) === 0 || !this.#memory.hasKey(entry + KEY, key)) continue;
      total += Atomics.load(this.#cells, entry + COUNT);
    }
    return total;
  }

  #ownEntry(bucket: number, key: Int32Array): number {
    const end = this.#memory.endOf(bucket);
    for (let entry = this.#memory.firstEntry(bucket); entry < end; entry += ENTRY_CELLS) {
      const isOwn = Atomics.load(this.#cells, entry + OWNER) === this.#mark;
      if (isOwn && this.#memory.hasKey(entry + KEY, key)) return entry;
    }
    return NO_ROOM;
  }

  /** Makes an entry with a count of 1. */
  #claim(bucket: number, key: Int32Array): number {
    const end = this.#memory.endOf(bucket);
    for (let entry = this.#memory.firstEntry(bucket); entry < end; entry += ENTRY_CELLS) {
      if (Atomics.compareExchange(this.#cells, entry + OWNER, 0, this.#mark) !== 0) continue;
      this.#cells.set(key, entry + KEY);
      Atomics.store(this.#cells, entry + COUNT, 1);
      return entry;
    }
    return NO_ROOM;
  }
}
