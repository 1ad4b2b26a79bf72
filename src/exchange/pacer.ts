// limit_rate: lets a body through so many bytes in a second.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#limit_rate

import { Deadline, type DeadlineOwner, now } from '../transport/deadlines.ts';
import { BodyFilter } from './body-filter.ts';

/** What the pacer must know of its exchange. */
export interface PacedAnswer {
  /** ms since 1970. */
  readonly startedAt: number;
  /** What has been sent, head and framing included. */
  readonly bytesSent: number;
  /** Sends a part of the head. @returns false: the client takes no more for now, and `drain` will come */
  sendText(text: string): boolean;
}

/**
 * nginx's rule: at any time what has been sent is no more than a second's worth ahead of the rate, and what has just been sent is
 * waited for. So the first second's worth leaves at once, and then each as its time has come. What was waited too long, for a timer
 * is never exact, is made up for. The first `after` bytes are free.
 */
export class Pacer extends BodyFilter implements DeadlineOwner {
  readonly #answer: PacedAnswer;
  /** Bytes in a second. */
  readonly #rate: number;
  readonly #after: number;
  readonly #deadline = new Deadline(this);
  /** When what was sent so far has had its time, by `now()`. */
  #dueAt = now();
  /** One write's worth at most, where the source heeds what it is told. */
  #queue: Buffer[] = [];
  #pending = 0;
  /** What is left of a long head. */
  #head = '';
  /** The client takes nothing at the moment. */
  #blocked = false;
  #ending = false;
  /** It may be closed from inside of whom it calls: nothing comes after that. */
  #closed = false;

  constructor(answer: PacedAnswer, rate: number, after: number) {
    super();
    this.#answer = answer;
    this.#rate = rate;
    this.#after = after;
  }

  /** A head that is longer than what may leave at once leaves bit by bit, too. @returns false: it is not; send it */
  takeHead(text: string): boolean {
    if (text.length <= this.#rate + this.#after) return false;
    this.#head = text;
    this.#pending += text.length;
    this.#goOn();
    return true;
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    const from = this.#pending > 0 || this.#blocked ? start : start + this.#pass(bytes, start, end);
    if (from < end && !this.#closed) this.#keep(bytes, from, end);
    return this.#pending === 0 && !this.#blocked;
  }

  end(): void {
    this.#ending = true;
    if (this.#pending === 0) this.outlet.end();
  }

  get pendingBytes(): number {
    return this.#pending;
  }

  override drain(): void {
    this.#blocked = false;
    this.#goOn();
  }

  deadlineReached(): void {
    this.#goOn();
  }

  override close(): void {
    this.#closed = true;
    this.#deadline.clear();
    this.#queue = [];
    this.#head = '';
    this.#pending = 0;
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    this.#queue.push(Buffer.from(bytes.subarray(start, end)));
    this.#pending += end - start;
  }

  #goOn(): void {
    if (this.#head !== '' && !this.#passHead()) return;
    while (this.#pending > 0 && !this.#blocked) {
      const first = this.#queue[0] as Buffer;
      const passed = this.#pass(first, 0, first.length);
      if (passed === 0 || this.#closed) return;
      this.#pending -= passed;
      if (passed === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(passed);
    }
    if (this.#pending > 0 || this.#blocked || this.#closed) return;
    if (this.#ending) this.outlet.end();
    else this.source.drain();
  }

  /** @returns whether all of it has left */
  #passHead(): boolean {
    if (this.#blocked) return false;
    const allowed = this.#allowedOf(this.#head.length);
    if (allowed > 0) {
      const part = this.#head.slice(0, allowed);
      this.#head = this.#head.slice(allowed);
      this.#pending -= allowed;
      this.#account(allowed);
      if (!this.#answer.sendText(part)) this.#blocked = true;
    }
    if (this.#head !== '') this.#await();
    return this.#head === '' && !this.#closed;
  }

  /** Lets through what may leave now, and sees to it that the rest has its turn. @returns how much that was */
  #pass(bytes: Uint8Array, start: number, end: number): number {
    const allowed = this.#allowedOf(end - start);
    if (allowed > 0) {
      this.#account(allowed);
      if (!this.outlet.write(bytes, start, start + allowed)) this.#blocked = true;
    }
    if (allowed < end - start && !this.#closed) this.#await();
    return allowed;
  }

  #allowedOf(length: number): number {
    return this.#dueAt > now() ? 0 : Math.max(0, Math.min(length, this.#allowance()));
  }

  /** Before it leaves: so much will have to be waited for. */
  #account(count: number): void {
    const free = Math.max(0, this.#after - this.#answer.bytesSent);
    this.#dueAt += (Math.max(0, count - free) * 1000) / this.#rate;
  }

  /** How much may leave now; what is not above 0 says how much too much has left. */
  #allowance(): number {
    const seconds = Math.max(0, Date.now() - this.#answer.startedAt) / 1000;
    return Math.floor(this.#rate * (seconds + 1)) - (this.#answer.bytesSent - this.#after);
  }

  #await(): void {
    const ahead = this.#dueAt - now();
    const excess = 1 - Math.min(1, this.#allowance());
    this.#deadline.set(Math.max(ahead, (excess * 1000) / this.#rate));
  }
}
