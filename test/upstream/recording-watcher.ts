// A watcher of an upstream connection that keeps what it is told, for tests to wait for and look at.

import type { Headers } from '../../src/http1/headers.ts';
import type { ResponseHead } from '../../src/http1/response-head.ts';
import type { UpstreamFault } from '../../src/upstream/upstream-fault.ts';
import type { UpstreamWatcher } from '../../src/upstream/upstream-watcher.ts';

export class RecordingWatcher implements UpstreamWatcher {
  /** The calls in order: `connected`, `103`, `200`, `body`, `end`, `failed`; bodies in a row are one. */
  readonly calls: string[] = [];
  head: ResponseHead | undefined = undefined;
  body = '';
  bodyLength = 0;
  trailers: Headers | undefined = undefined;
  fault: UpstreamFault | undefined = undefined;
  drains = 0;
  onConnected: () => void = () => {};
  onHead: (head: ResponseHead) => void = () => {};
  onBody: (bytes: Buffer, start: number, end: number) => void = () => {};
  onEnd: () => void = () => {};
  #waiting: { readonly met: () => boolean; readonly resolve: () => void }[] = [];

  /** Resolves when a call of this name has come; rejects nothing, so give the test its timeout. */
  until(call: string): Promise<void> {
    return this.untilMet(() => this.calls.includes(call));
  }

  untilMet(met: () => boolean): Promise<void> {
    if (met()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ met, resolve }));
  }

  /** Resolves when the request is over, well or not. */
  untilOver(): Promise<void> {
    return this.untilMet(() => this.calls.includes('end') || this.calls.includes('failed'));
  }

  upstreamConnected(): void {
    this.#note('connected');
    this.onConnected();
    this.#wake();
  }

  upstreamInformational(head: ResponseHead): void {
    this.#note(String(head.status));
    this.#wake();
  }

  upstreamHead(head: ResponseHead): void {
    this.head = head;
    this.#note(String(head.status));
    this.onHead(head);
    this.#wake();
  }

  upstreamBody(bytes: Buffer, start: number, end: number): void {
    if (this.calls.at(-1) !== 'body') this.#note('body');
    if (this.bodyLength < 1_000_000) this.body += bytes.toString('latin1', start, end);
    this.bodyLength += end - start;
    this.onBody(bytes, start, end);
    this.#wake();
  }

  upstreamEnd(trailers: Headers | undefined): void {
    this.trailers = trailers;
    this.#note('end');
    this.onEnd();
    this.#wake();
  }

  upstreamDrain(): void {
    this.drains++;
    this.#wake();
  }

  upstreamFailed(fault: UpstreamFault): void {
    this.fault = fault;
    this.#note('failed');
    this.#wake();
  }

  #note(call: string): void {
    this.calls.push(call);
  }

  #wake(): void {
    const met = this.#waiting.filter((waiting) => waiting.met());
    this.#waiting = this.#waiting.filter((waiting) => !met.includes(waiting));
    for (const { resolve } of met) resolve();
  }
}
