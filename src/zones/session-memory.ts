// TLS sessions and ticket keys in memory that all workers share: `ssl_session_cache shared:NAME:SIZE`.

import { createHmac, timingSafeEqual } from 'node:crypto';

/** The longest session that is kept, in bytes; the certificate of the client is in it. */
const LONGEST_SESSION = 8 * 1024;
const SHORTEST_ID = 4;
const LONGEST_ID = 32;
/** A place in the index for so many bytes of sessions: one megabyte holds some 4000 small ones. */
const BYTES_FOR_PLACE = 128;
/** Sessions whose ids begin alike share so many places. */
const WAYS = 4;

// The head of the memory: a lock, the number of bytes that were ever written, then what `keys` gives out.
const LOCK = 0;
const WRITTEN_AT = 8;
const KEYS_AT = 16;
const KEYS_BYTES = 1024;
const HEAD = KEYS_AT + KEYS_BYTES;

// A record: the length of the id and of the session, when it expires, a seal over what follows, the id, the session.
const EXPIRES_AT = 4;
const SEAL_AT = 12;
const SEAL_BYTES = 16;
const ID_AT = SEAL_AT + SEAL_BYTES;

/** How often the lock is tried before going on without it; what it guards is sealed, so two at once do no harm. */
const LOCK_TRIES = 2000;

/**
 * A ring of records, the oldest overwritten by the newest, and an index over it. A session may hold bytes that a client chose (its
 * certificate), and memory that several write may be read half written; so a record counts only with its seal, which nobody outside
 * can make.
 */
export class SessionMemory {
  readonly #lock: Int32Array;
  readonly #written: Float64Array;
  readonly #index: Float64Array;
  readonly #ring: Buffer;
  readonly #secret: Buffer;

  /** @param secret what the seals are made with: the same in all workers */
  constructor(memory: SharedArrayBuffer, secret: Buffer) {
    const places = Math.max(WAYS, Math.floor(memory.byteLength / BYTES_FOR_PLACE));
    const indexBytes = places * Float64Array.BYTES_PER_ELEMENT;
    this.#lock = new Int32Array(memory, LOCK, 1);
    this.#written = new Float64Array(memory, WRITTEN_AT, 1);
    this.#index = new Float64Array(memory, HEAD, places);
    this.#ring = Buffer.from(memory, HEAD + indexBytes);
    this.#secret = secret;
  }

  /** A piece of the memory for keys; to be used inside `locked`. */
  get keys(): Buffer {
    return Buffer.from(this.#lock.buffer, KEYS_AT, KEYS_BYTES);
  }

  /** @param expires ms since 1970 */
  keep(id: Buffer, session: Buffer, expires: number): void {
    if (id.length < SHORTEST_ID || id.length > LONGEST_ID || session.length > LONGEST_SESSION) return;
    const record = this.#record(id, session, expires);
    if (record.length > this.#ring.length) return;
    this.locked(() => this.#append(id, record));
  }

  /** @returns a copy of the session, unless it has expired by `now` (ms since 1970) or been overwritten */
  find(id: Buffer, now: number): Buffer | undefined {
    for (const place of this.#placesOf(id)) {
      const record = this.#copyOf(this.#index[place] as number);
      const session = record === undefined ? undefined : this.#sessionIn(record, id, now);
      if (session !== undefined) return session;
    }
    return undefined;
  }

  /** Does something that no other worker shall do meanwhile; short. */
  locked<T>(step: () => T): T {
    let tries = 0;
    while (Atomics.compareExchange(this.#lock, 0, 0, 1) !== 0 && ++tries < LOCK_TRIES);
    try {
      return step();
    } finally {
      Atomics.store(this.#lock, 0, 0);
    }
  }

  #record(id: Buffer, session: Buffer, expires: number): Buffer {
    const record = Buffer.alloc(ID_AT + id.length + session.length);
    record.writeUInt16LE(id.length, 0);
    record.writeUInt16LE(session.length, 2);
    record.writeDoubleLE(expires, EXPIRES_AT);
    id.copy(record, ID_AT);
    session.copy(record, ID_AT + id.length);
    this.#seal(record).copy(record, SEAL_AT);
    return record;
  }

  #seal(record: Buffer): Buffer {
    const seal = createHmac('sha256', this.#secret).update(record.subarray(0, SEAL_AT)).update(record.subarray(ID_AT));
    return seal.digest().subarray(0, SEAL_BYTES);
  }

  /** A record does not go round the end of the ring. Places hold how many bytes had been written before it, and 1. */
  #append(id: Buffer, record: Buffer): void {
    const size = this.#ring.length;
    let at = this.#written[0] as number;
    const left = size - (at % size);
    if (left < record.length) at += left;
    record.copy(this.#ring, at % size);
    this.#written[0] = at + record.length;
    const places = this.#placesOf(id);
    const oldest = places.reduce((a, b) => ((this.#index[b] as number) < (this.#index[a] as number) ? b : a));
    this.#index[oldest] = at + 1;
  }

  #placesOf(id: Buffer): readonly number[] {
    if (id.length < SHORTEST_ID) return [];
    const groups = Math.floor(this.#index.length / WAYS);
    const first = (id.readUInt32LE(0) % groups) * WAYS;
    return [first, first + 1, first + 2, first + 3];
  }

  #copyOf(place: number): Buffer | undefined {
    const size = this.#ring.length;
    const written = this.#written[0] as number;
    const at = (place - 1) % size;
    if (place === 0 || place - 1 < written - size || at + ID_AT > size) return undefined;
    const length = ID_AT + this.#ring.readUInt16LE(at) + this.#ring.readUInt16LE(at + 2);
    return at + length > size ? undefined : Buffer.from(this.#ring.subarray(at, at + length));
  }

  #sessionIn(record: Buffer, id: Buffer, now: number): Buffer | undefined {
    const idEnd = ID_AT + record.readUInt16LE(0);
    if (!record.subarray(ID_AT, idEnd).equals(id) || record.readDoubleLE(EXPIRES_AT) <= now) return undefined;
    const sealed = timingSafeEqual(record.subarray(SEAL_AT, ID_AT), this.#seal(record));
    return sealed ? record.subarray(idEnd) : undefined;
  }
}
