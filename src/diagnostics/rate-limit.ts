// Says now and then what happens all the time: lets one of many events through in each interval, and counts the others.

/** Lets at most one event through in `interval` ms. Events that were held back are counted. */
export class RateLimit {
  readonly #interval: number;
  readonly #now: () => number;
  #openAt = Number.NEGATIVE_INFINITY;
  #held = 0;

  /** @param interval ms */
  constructor(interval: number, now: () => number = Date.now) {
    this.#interval = interval;
    this.#now = now;
  }

  /** @returns how many events this one stands for, itself included; 0 where it is held back */
  pass(): number {
    const now = this.#now();
    if (now < this.#openAt) {
      this.#held++;
      return 0;
    }
    this.#openAt = now + this.#interval;
    const passed = this.#held + 1;
    this.#held = 0;
    return passed;
  }
}
