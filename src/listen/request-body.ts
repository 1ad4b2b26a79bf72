// The body of the request that is being answered: taken out of its framing, held against its limit, given to whoever reads it.

import type { BodySink } from '../exchange/client-link.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { BodyDecoder, requestBodyKind } from '../http1/body-framing.ts';
import { REFUSED } from '../http1/feed-result.ts';

/** The client has left before its body was complete: who reads it has nobody to answer any more. */
const CLIENT_GONE = 0;

/** One for each connection, used for one request after the other. */
export class RequestBody {
  readonly #decoder = new BodyDecoder();
  #exchange: Exchange | undefined = undefined;
  /** Who reads it; undefined before anybody does, and once it has ended. */
  #sink: BodySink | undefined = undefined;
  #paused = false;

  /** A request has begun, with or without a body. */
  begin(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#sink = undefined;
    this.#paused = false;
    this.#decoder.reset(requestBodyKind(exchange.head), exchange.head.contentLength);
  }

  /** A head was refused: what follows it is no body that could be read. */
  beginNone(): void {
    this.#exchange = undefined;
    this.#sink = undefined;
    this.#paused = false;
    this.#decoder.reset('none');
  }

  /** The answer is complete: what still comes of the body is nobody's. */
  forget(): void {
    this.#exchange = undefined;
    this.#sink = undefined;
    this.#paused = false;
  }

  /** All of it has come, or there is none. */
  get complete(): boolean {
    return this.#decoder.done;
  }

  /** Somebody reads it, and more of it is awaited. */
  get flows(): boolean {
    return this.#sink !== undefined && !this.#paused && !this.#decoder.done;
  }

  /** Whoever reads it can take no more for now. */
  get paused(): boolean {
    return this.#paused;
  }

  /** So much of it has not come yet; `Infinity` where only its end will tell. */
  get left(): number {
    if (this.#decoder.done || this.#exchange === undefined) return 0;
    const { head, bodyBytesReceived } = this.#exchange;
    return head.chunked ? Number.POSITIVE_INFINITY : head.contentLength - bodyBytesReceived;
  }

  /** Gives it to `sink` from now on, whose `bodyEnd` is called at once where all has come already. */
  readBy(sink: BodySink): void {
    this.#paused = false;
    this.#sink = sink;
    if (this.#decoder.done) this.#finish();
  }

  pause(): void {
    this.#paused = !this.#decoder.done;
  }

  resume(): void {
    this.#paused = false;
  }

  /** Takes of `[start, end)` what belongs to it, while it flows. @returns the index after that */
  take(bytes: Buffer, start: number, end: number): number {
    const exchange = this.#exchange;
    const before = exchange?.bodyBytesReceived ?? 0;
    const at = this.#decoder.decode(bytes, start, end, this);
    if (exchange?.head.chunked === true && at > start)
      exchange.framingBytesReceived += at - start - (exchange.bodyBytesReceived - before);
    if (at === REFUSED) {
      this.#exchange?.log('info', `client sent invalid chunked body: ${this.#decoder.fault}`);
      this.fail(400);
      return end;
    }
    if (this.#decoder.done) this.#finish();
    return at;
  }

  /** Takes of `[start, end)` what belongs to it, for nobody. @returns the index after that, or REFUSED */
  discard(bytes: Buffer, start: number, end: number): number {
    return this.#decoder.decode(bytes, start, end, NOBODY);
  }

  /** From the decoder: a piece of the payload. */
  bodyBytes(bytes: Buffer, from: number, to: number): void {
    const exchange = this.#exchange;
    const sink = this.#sink;
    if (exchange === undefined || sink === undefined) return;
    exchange.bodyBytesReceived += to - from;
    const most = exchange.location.clientMaxBodySize;
    if (most > 0 && exchange.bodyBytesReceived > most) this.#refuseSize(exchange);
    else sink.bodyBytes(bytes, from, to);
  }

  #refuseSize(exchange: Exchange): void {
    exchange.log('error', `client intended to send too large chunked body: ${exchange.bodyBytesReceived} bytes`);
    this.fail(413);
  }

  /** It will not be read to its end: tells whoever reads it, and no further request can follow. */
  fail(status: number): void {
    const sink = this.#sink;
    this.#sink = undefined;
    if (this.#exchange !== undefined) this.#exchange.link.keepAlive = false;
    sink?.bodyFault(status);
  }

  /** The connection is gone. */
  abandon(): void {
    this.fail(CLIENT_GONE);
    this.forget();
  }

  #finish(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.bodyEnd();
  }
}

const NOBODY = { bodyBytes(): void {} };
