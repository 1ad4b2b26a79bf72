// proxy_limit_rate: how long a peer is not read, so that no more than so many bytes come in a second.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_limit_rate

import { Deadline, type DeadlineOwner, now } from '../transport/deadlines.ts';

export interface RatedReader {
  /** It is read again from now on. */
  readOn(): void;
}

export class ReadRate implements DeadlineOwner {
  /** Bytes in a second. */
  readonly #rate: number;
  readonly #reader: RatedReader;
  readonly #startedAt = now();
  readonly #deadline = new Deadline(this);
  #read = 0;

  constructor(rate: number, reader: RatedReader) {
    this.#rate = rate;
    this.#reader = reader;
  }

  /** So many bytes have come. @returns how many of them may go on; where that is not all, `readOn` will come */
  allowed(length: number): number {
    const seconds = (now() - this.#startedAt) / 1000;
    const room = Math.max(0, Math.floor(this.#rate * (seconds + 1)) - this.#read);
    const allowed = Math.min(length, room);
    this.#read += allowed;
    // A tenth of a second's worth at once: no timer for each byte.
    if (allowed < length) this.#deadline.set(Math.min(100, ((length - allowed) * 1000) / this.#rate + 1));
    return allowed;
  }

  stop(): void {
    this.#deadline.clear();
  }

  deadlineReached(): void {
    this.#reader.readOn();
  }
}
