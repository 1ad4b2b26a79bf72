// The beginning of a head that came in pieces: kept until the rest is here, and not a byte longer than it may be.

const SMALLEST = 1024;
const LF = 10;

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

  /** Whether a line ends at or after `from`. */
  hasLineEnd(from: number): boolean {
    const bytes = this.#bytes;
    for (let i = from; i < this.#length; i++) {
      if (bytes[i] === LF) return true;
    }
    return false;
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
