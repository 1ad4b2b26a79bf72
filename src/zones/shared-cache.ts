// A bounded table in shared memory of short texts by 128-bit keys: what was not used for longest makes room.

const KEY_BYTES = 16;
/** The longest text that an entry holds, in bytes. */
export const LONGEST_TEXT = 32;

/** Cells of an entry: when it was used last (0: it is free), how long its text is, then key and text. */
const USED = 0;
const LENGTH = 1;
const KEY = 2;
const TEXT = KEY + KEY_BYTES / 4;
const ENTRY_CELLS = TEXT + LONGEST_TEXT / 4;

/** Entries that a key can be in. An entry makes room within its own bucket, so there are many more places than a zone is for. */
const WAYS = 16;
/** A bucket's first cell is its lock: the worker's number plus 1. */
const BUCKET_CELLS = 1 + WAYS * ENTRY_CELLS;
const BUCKET_BYTES = BUCKET_CELLS * 4;

/** How often a lock is tried before it is taken from its holder, which must have died or been stopped. */
const LOCK_TRIES = 2000;

/** ms of a tick: so that a cell holds more than a year. */
const TICK = 16;

export class SharedCache {
  readonly #cells: Int32Array;
  readonly #bytes: Buffer;
  readonly #buckets: number;
  readonly #mark: number;

  /** @param memory at least 1 KB; all of it zero at first @param worker who uses it */
  constructor(memory: SharedArrayBuffer, worker: number) {
    this.#buckets = Math.floor(memory.byteLength / BUCKET_BYTES);
    if (this.#buckets === 0) throw new RangeError('too little memory for a table');
    this.#cells = new Int32Array(memory, 0, this.#buckets * BUCKET_CELLS);
    this.#bytes = Buffer.from(memory);
    this.#mark = worker + 1;
  }

  /**
   * The text of a key, without counting as a use.
   * @param key 16 bytes, evenly spread (a digest)
   * @param lifetime ms after its last use in which an entry lives
   */
  find(key: Buffer, lifetime: number): string | undefined {
    const bucket = this.#lock(key);
    const entry = this.#entryOf(bucket, key, ticksNow(), lifetime);
    const text = entry < 0 ? undefined : this.#textAt(entry);
    this.#unlock(bucket);
    return text;
  }

  /** The text of a key, of which this is a use: its entry lives on for another lifetime. */
  use(key: Buffer, lifetime: number): string | undefined {
    const bucket = this.#lock(key);
    const now = ticksNow();
    const entry = this.#entryOf(bucket, key, now, lifetime);
    const text = entry < 0 ? undefined : this.#textAt(entry);
    if (entry >= 0) this.#cells[entry + USED] = now;
    this.#unlock(bucket);
    return text;
  }

  /**
   * Renews an entry, and gives it this text; where there is none, it is made if `create` says so.
   * @param text a byte string of up to LONGEST_TEXT
   * @returns whether another entry, which still lived, had to make room
   */
  store(key: Buffer, text: string, lifetime: number, create: boolean): boolean {
    const bucket = this.#lock(key);
    const now = ticksNow();
    let entry = this.#entryOf(bucket, key, now, lifetime);
    let displaced = false;
    if (entry < 0 && create) {
      entry = this.#oldestOf(bucket, now, lifetime);
      displaced = this.#lives(entry, now, lifetime);
      this.#bytes.set(key, (entry + KEY) * 4);
    }
    if (entry >= 0) this.#write(entry, text, now);
    this.#unlock(bucket);
    return displaced;
  }

  /** Forgets a key; where there is none, nothing. */
  drop(key: Buffer, lifetime: number): void {
    const bucket = this.#lock(key);
    const entry = this.#entryOf(bucket, key, ticksNow(), lifetime);
    if (entry >= 0) this.#cells[entry + USED] = 0;
    this.#unlock(bucket);
  }

  #write(entry: number, text: string, now: number): void {
    this.#cells[entry + LENGTH] = this.#bytes.write(text, (entry + TEXT) * 4, LONGEST_TEXT, 'latin1');
    this.#cells[entry + USED] = now;
  }

  /** The place of the entry that lives; -1: there is none. */
  #entryOf(bucket: number, key: Buffer, now: number, lifetime: number): number {
    for (let way = 0; way < WAYS; way++) {
      const entry = bucket + 1 + way * ENTRY_CELLS;
      if (!this.#lives(entry, now, lifetime)) continue;
      const at = (entry + KEY) * 4;
      if (key.compare(this.#bytes, at, at + KEY_BYTES) === 0) return entry;
    }
    return -1;
  }

  /** A free entry, else the one whose last use is the longest ago. */
  #oldestOf(bucket: number, now: number, lifetime: number): number {
    let oldest = bucket + 1;
    let age = -1;
    for (let way = 0; way < WAYS; way++) {
      const entry = bucket + 1 + way * ENTRY_CELLS;
      if (!this.#lives(entry, now, lifetime)) return entry;
      const unused = (now - (this.#cells[entry + USED] as number)) | 0;
      if (unused <= age) continue;
      age = unused;
      oldest = entry;
    }
    return oldest;
  }

  #lives(entry: number, now: number, lifetime: number): boolean {
    const used = this.#cells[entry + USED] as number;
    return used !== 0 && ((now - used) | 0) * TICK < lifetime;
  }

  #textAt(entry: number): string {
    const at = (entry + TEXT) * 4;
    return this.#bytes.toString('latin1', at, at + (this.#cells[entry + LENGTH] as number));
  }

  /** @returns the bucket: the place of its lock */
  #lock(key: Buffer): number {
    const bucket = (key.readUInt32LE(0) % this.#buckets) * BUCKET_CELLS;
    for (let tries = 0; tries < LOCK_TRIES; tries++) {
      if (Atomics.compareExchange(this.#cells, bucket, 0, this.#mark) === 0) return bucket;
    }
    Atomics.store(this.#cells, bucket, this.#mark);
    return bucket;
  }

  #unlock(bucket: number): void {
    Atomics.compareExchange(this.#cells, bucket, this.#mark, 0);
  }
}

/** Wrapped to what a cell holds, and never 0. */
function ticksNow(): number {
  return Math.floor(Date.now() / TICK) | 0 || 1;
}
