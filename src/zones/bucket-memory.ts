// Shared memory as a table of buckets, each with a lock of its own: what tables by key are made of.

import { randomInt } from 'node:crypto';
import { KEY_CELLS, keyHash } from './zone-key.ts';

/** Cell 0 is the seed of the hash; the rest keeps buckets where numbers of 64 bits can be. */
const SEED = 0;
const HEAD_CELLS = 2;
/** A bucket begins with its lock, the number of the worker that holds it plus 1; and a cell to keep the rest even. */
const BUCKET_HEAD = 2;

/** How often a lock is tried at once. */
const SPINS = 200;
/** Then so often again, each time after so many ms: a holder that was only interrupted goes on within that time, one that died does not. */
const NAPS = 20;
const NAP_MS = 1;

/**
 * Buckets of entries, each an even number of cells whose first ones are the caller's and then the key. Whoever holds a bucket's lock
 * does so for a few steps; one that died with it is waited for once, and then passed over.
 */
export class BucketMemory {
  readonly cells: Int32Array;
  /** The same memory as numbers of 64 bits: cell `i` is at `i / 2`. */
  readonly numbers: Float64Array;
  readonly #mark: number;
  readonly #seed: number;
  readonly #ways: number;
  readonly #entryCells: number;
  readonly #bucketCells: number;
  readonly #buckets: number;

  /**
   * @param memory zero at first
   * @param worker who uses it
   * @param entryCells cells of an entry: even
   * @param ways entries of a bucket
   */
  constructor(memory: SharedArrayBuffer, worker: number, entryCells: number, ways: number) {
    const cells = Math.floor(memory.byteLength / Float64Array.BYTES_PER_ELEMENT) * 2;
    this.cells = new Int32Array(memory, 0, cells);
    this.numbers = new Float64Array(memory, 0, cells / 2);
    this.#mark = worker + 1;
    this.#ways = ways;
    this.#entryCells = entryCells;
    this.#bucketCells = BUCKET_HEAD + ways * entryCells;
    this.#buckets = Math.floor((cells - HEAD_CELLS) / this.#bucketCells);
    if (this.#buckets === 0) throw new RangeError('too little memory for a table');
    Atomics.compareExchange(this.cells, SEED, 0, randomInt(1, 2 ** 31));
    this.#seed = Atomics.load(this.cells, SEED);
  }

  /** The bucket of a key. */
  bucketOf(key: Int32Array): number {
    return HEAD_CELLS + (keyHash(key, this.#seed) % this.#buckets) * this.#bucketCells;
  }

  firstEntry(bucket: number): number {
    return bucket + BUCKET_HEAD;
  }

  /** Behind the last entry. */
  endOf(bucket: number): number {
    return bucket + this.#bucketCells;
  }

  /** Whether the key at this cell is this one. */
  hasKey(at: number, key: Int32Array): boolean {
    for (let i = 0; i < KEY_CELLS; i++) if (this.cells[at + i] !== key[i]) return false;
    return true;
  }

  lock(bucket: number): void {
    for (let tries = 0; tries < SPINS; tries++) if (this.#tryLock(bucket)) return;
    for (let naps = 0; naps < NAPS; naps++) {
      Atomics.wait(this.cells, bucket, Atomics.load(this.cells, bucket), NAP_MS);
      if (this.#tryLock(bucket)) return;
    }
    Atomics.store(this.cells, bucket, this.#mark);
  }

  unlock(bucket: number): void {
    Atomics.compareExchange(this.cells, bucket, this.#mark, 0);
  }

  #tryLock(bucket: number): boolean {
    return Atomics.compareExchange(this.cells, bucket, 0, this.#mark) === 0;
  }

  /** Each entry there is, for what is done once in a long time. */
  eachEntry(act: (entry: number) => void): void {
    for (let number = 0; number < this.#buckets; number++) {
      const bucket = HEAD_CELLS + number * this.#bucketCells;
      for (let way = 0; way < this.#ways; way++) act(bucket + BUCKET_HEAD + way * this.#entryCells);
    }
  }

  /** Opens the locks of a worker that has died. */
  openLocks(worker: number): void {
    for (let number = 0; number < this.#buckets; number++) {
      Atomics.compareExchange(this.cells, HEAD_CELLS + number * this.#bucketCells, worker + 1, 0);
    }
  }
}
