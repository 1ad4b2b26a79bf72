// What a client sends while its tunnel has no peer: kept in order, up to a bound.

/** Bytes from which on the client is not read any more; one read may come on top. */
const MOST_HELD = 64 * 1024;

export class HeldMessages {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  /** The client has to wait. */
  get isFull(): boolean {
    return this.#length >= MOST_HELD;
  }

  /** The bytes are lent for the call only. */
  take(bytes: Buffer, start: number, end: number): void {
    this.#chunks.push(Buffer.from(bytes.subarray(start, end)));
    this.#length += end - start;
  }

  /** In the order in which they came. */
  get chunks(): readonly Buffer[] {
    return this.#chunks;
  }
}
