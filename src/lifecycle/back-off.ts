// How long to wait before a worker that died is replaced: not at all the first time, longer and longer where it keeps dying.

const FIRST_DELAY = 100;
const LONGEST_DELAY = 30_000;
/** A worker that lived so long, in ms, died of something new. */
const LONG_LIFE = 10_000;

export class BackOff {
  #early = 0;

  /** @param lived ms that the worker had lived. @returns ms to wait */
  next(lived: number): number {
    this.#early = lived >= LONG_LIFE ? 1 : this.#early + 1;
    if (this.#early === 1) return 0;
    return Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (this.#early - 2));
  }
}
