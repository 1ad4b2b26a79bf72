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

  /** So many bytes have come. @returns false: no more shall be read until `readOn` */
  took(length: number): boolean {
    this.#read += length;
    const seconds = (now() - this.#startedAt) / 1000;
    const excess = this.#read - this.#rate * (seconds + 1);
    if (excess < 0) return true;
    this.#deadline.set((excess * 1000) / this.#rate + 1);
    return false;
  }

  stop(): void {
    this.#deadline.clear();
  }

  deadlineReached(): void {
    this.#reader.readOn();
  }
}
