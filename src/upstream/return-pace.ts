// How many of those who wait for a peer to come back are let go at a time: a trickle while none is there, and no stampede when one is.

/** A second for each peer over all workers, while nobody has got through: so a peer that is back is found within a quarter of one. */
const TRIES_PER_PEER = 4;
/** So many at most, however many peers there are. */
const MOST_TRIES = 40;
/** Nobody has got through for so long, ms: the peers are gone again. */
const QUIET = 1000;
/** ms from the first one that gets through until the full rate. */
const RAMP = 1000;
/** The share of the full rate at the beginning of the ramp. */
const FIRST_SHARE = 0.1;
/** What is saved up in so many ms may be spent at once. */
const BURST = 50;

/** What the pace goes by. */
export interface PaceLimits {
  /** The most in a second over all workers. */
  readonly rate: number;
  readonly peers: number;
  /** Those in which somebody waits: they share the rate. */
  readonly workers: number;
}

/** Times are in ms, by the clock of `now`. */
export class ReturnPace {
  #tokens = 0;
  #countedAt = 0;
  #lastSuccess = Number.NEGATIVE_INFINITY;
  #openSince = 0;

  /** Somebody waits again, after nobody did. */
  begin(time: number): void {
    this.#tokens = 0;
    this.#countedAt = time;
  }

  /** Counts what has been saved up since the last call. */
  refill(time: number, limits: PaceLimits): void {
    const rate = this.#rateAt(time, limits);
    const most = 1 + (rate * BURST) / 1000;
    this.#tokens = Math.min(most, this.#tokens + ((time - this.#countedAt) * rate) / 1000);
    this.#countedAt = time;
  }

  get mayGo(): boolean {
    return this.#tokens >= 1;
  }

  went(): void {
    this.#tokens--;
  }

  /** Somebody who was let go has been answered. */
  succeeded(time: number): void {
    if (time - this.#lastSuccess > QUIET) this.#openSince = time;
    this.#lastSuccess = time;
  }

  #rateAt(time: number, { rate, peers, workers }: PaceLimits): number {
    const isOpen = time - this.#lastSuccess <= QUIET;
    const share = Math.min(1, Math.max(FIRST_SHARE, (time - this.#openSince) / RAMP));
    const whole = isOpen ? rate * share : Math.min(rate, MOST_TRIES, peers * TRIES_PER_PEER);
    return whole / Math.max(1, workers);
  }
}
