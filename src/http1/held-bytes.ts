// The beginning of a head that came in pieces: kept until the rest is here, and not a byte longer than it may be.

import { nextControl, wordsOf } from './control-bytes.ts';

const SMALLEST = 1024;

/** A buffer that grows by doubling up to its bound. It exists only while a head is incomplete. */
export class HeldBytes {
  #bytes: Buffer = Buffer.allocUnsafeSlow(SMALLEST);
  #length = 0;
  readonly #most: number;

  /** @param most bytes that are kept at most */
  constructor(most: number) {
    this.#most = most;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  /** Appends of `[start, end)` what there is room for. */
  append(source: Uint8Array, start: number, end: number): void {
    const taken = Math.min(end - start, this.#most - this.#length);
    this.#reserve(this.#length + taken);
    this.#bytes.set(source.subarray(start, start + taken), this.#length);
    this.#length += taken;
  }

  /**
   * Whether something may be known now that was not when only `before` bytes were here: a line ends, or cannot end well. As
   * long as not, there is no need to read again what was read, so a line that trickles in is not read over and over.
   */
  hasNews(before: number): boolean {
    // The last byte from before may be a CR that was waiting for its LF.
    const from = Math.max(0, before - 1);
    return nextControl(this.#bytes, wordsOf(this.#bytes), from, this.#length) < this.#length;
  }

  #reserve(length: number): void {
    let size = this.#bytes.length;
    if (length <= size) return;
    while (size < length) size *= 2;
    const grown = Buffer.allocUnsafeSlow(Math.min(size, Math.max(this.#most, SMALLEST)));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
