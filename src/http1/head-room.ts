// How much of a head is taken in: nginx's buffers, reckoned without having them.

/**
 * nginx reads a head into one buffer, and when a line does not end in it, moves that line into a larger one, so many
 * times. What fits depends on where the lines end; this reckons the same, so the same requests are refused.
 */
export class HeadRoom {
  #size = 0;
  #left = 0;
  /** Where the buffer ends that the current line is in, counted from the beginning of the head. */
  #end = 0;

  /**
   * @param first bytes of the first buffer
   * @param count how many larger ones there may be
   * @param size bytes of each of them
   */
  reset(first: number, count: number, size: number): void {
    this.#end = first;
    this.#left = count;
    this.#size = size;
  }

  /** So far the head may grow without asking `takes`. */
  get end(): number {
    return this.#end;
  }

  /** Whether the line that begins at `lineStart` can have all its bytes before `upTo`. Both count from the beginning of the head. */
  takes(lineStart: number, upTo: number): boolean {
    while (upTo > this.#end) {
      if (this.#end - lineStart >= this.#size || this.#left === 0) return false;
      this.#left--;
      this.#end = lineStart + this.#size;
    }
    return true;
  }

  /** As `takes`, for a line of which `upTo` bytes are here and its end is not: it needs one byte more. */
  takesMore(lineStart: number, upTo: number): boolean {
    return this.takes(lineStart, upTo + 1);
  }
}
