// Bytes that wait to be written to a temporary file, or to be sent after all.

import { givePiece, PIECE_SIZE, takePiece } from './read-pieces.ts';

/**
 * What is soon written goes through memory that is used again: left to the garbage collector, the chunks of a large body would be
 * tens of megabytes before it came to them. What may wait for long takes no more memory than it has bytes.
 */
export class Pile {
  /** Bytes that were added. */
  length = 0;
  readonly #small: number;
  /** In order: first those of their own size, then the reused ones. */
  readonly #own: Buffer[] = [];
  readonly #reused: Buffer[] = [];
  /** Bytes of the last reused piece that are filled. */
  #filled = PIECE_SIZE;

  /** @param small bytes up to which it may wait for long */
  constructor(small: number) {
    this.#small = small;
  }

  /** Copies `bytes` from `start` to `end`. */
  add(bytes: Buffer, start: number, end: number): void {
    this.length += end - start;
    if (this.length <= this.#small) this.#own.push(Buffer.from(bytes.subarray(start, end)));
    else this.#fill(bytes, start, end);
  }

  /** All bytes in order. They stay as they are until `clear`. */
  get pieces(): Buffer[] {
    const pieces = [...this.#own, ...this.#reused];
    const last = this.#reused.at(-1);
    if (last !== undefined) pieces[pieces.length - 1] = last.subarray(0, this.#filled);
    return pieces;
  }

  /** Empties it: nobody needs its pieces any more. */
  clear(): void {
    for (const piece of this.#reused) givePiece(piece);
    this.#own.length = 0;
    this.#reused.length = 0;
    this.#filled = PIECE_SIZE;
    this.length = 0;
  }

  #fill(bytes: Buffer, start: number, end: number): void {
    for (let at = start; at < end; ) {
      if (this.#filled === PIECE_SIZE) {
        this.#reused.push(takePiece());
        this.#filled = 0;
      }
      const copied = bytes.copy(this.#reused.at(-1) as Buffer, this.#filled, at, end);
      this.#filled += copied;
      at += copied;
    }
  }
}
