// The body of a request on its way to a peer: gathered first, passed on as it comes, or another one in its place.

import type { BodySink } from '../exchange/client-link.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { KeptBody } from '../exchange/kept-body.ts';
import type { UpstreamConnection } from '../upstream/upstream-connection.ts';
import { answerSafely } from './answer.ts';
import { BodyReading, type BodyTaker, type BodyWaiter, gatherBody } from './gather-body.ts';
import { type BodyLength, CHUNKED, NO_BODY } from './proxy-request.ts';
import type { ProxySettings } from './proxy-settings.ts';

/** Who sends the request. */
export interface BodyOwner {
  /** The request may be sent now. Called once. */
  bodyReady(): void;
  /** It cannot be, or not to its end. @param status what to answer, unless something is answered already; 0: the client has gone */
  bodyFailed(status: number): void;
}

const NO_PIECES: readonly Buffer[] = [];

/** What the request says of its body, where it has none of its own to send. */
export function lengthOfNone({ head }: Exchange, { passRequestBody }: ProxySettings): BodyLength {
  return passRequestBody && head.contentLength === 0 ? 0 : NO_BODY;
}

/** Only a request that has something to send, or to wait for, has one of these. */
export function needsBody({ head, location, requestBody }: Exchange, { body }: ProxySettings): boolean {
  if (head.hasBody || body !== undefined || requestBody !== undefined) return true;
  return head.contentLength === 0 && location.clientBodyInFile !== 'off';
}

export class ProxyBody implements BodySink, BodyWaiter, BodyTaker {
  readonly #exchange: Exchange;
  readonly #settings: ProxySettings;
  readonly #owner: BodyOwner;
  #connection: UpstreamConnection | undefined = undefined;
  /** Passed on as it comes. */
  #streams = false;
  /** A part of what came has been sent, and is nowhere else. */
  #lost = false;
  /** What has come before there was anyone to send it to. */
  #early: Buffer[] = [];
  #earlyLength = 0;
  /** proxy_set_body. */
  #own: Buffer | undefined = undefined;
  /** It is being read from its file. */
  #reading: BodyReading | undefined = undefined;

  constructor(exchange: Exchange, settings: ProxySettings, owner: BodyOwner) {
    this.#exchange = exchange;
    this.#settings = settings;
    this.#owner = owner;
  }

  /** Waits for what must be there before a peer is asked. */
  start(): void {
    const exchange = this.#exchange;
    if (exchange.requestBody !== undefined || !this.#isToCome) this.bodyGathered();
    else if (this.#mustGather()) gatherBody(exchange, this);
    else this.#takeWhatIsThere();
  }

  /** What has come with the head leaves with the head; and a body that has come whole is as good as gathered. */
  #takeWhatIsThere(): void {
    this.#streams = true;
    this.#exchange.link.readBody(this);
    queueMicrotask(() => answerSafely(this.#exchange, () => this.#owner.bodyReady()));
  }

  get #isToCome(): boolean {
    const { head, location } = this.#exchange;
    return head.hasBody || (head.contentLength === 0 && location.clientBodyInFile !== 'off');
  }

  /** Only what is passed on as it is can be passed on as it comes; and HTTP/1.0 must know its length. */
  #mustGather(): boolean {
    const { requestBuffering, passRequestBody, body, httpVersion } = this.#settings;
    if (requestBuffering || !passRequestBody || body !== undefined) return true;
    return this.#exchange.head.chunked && httpVersion === 10;
  }

  /** All of it can be sent once more. */
  get isReplayable(): boolean {
    return !this.#lost;
  }

  /** What the request says of it; a gathered one has a known length, however it came. */
  get length(): BodyLength {
    const { head, requestBody } = this.#exchange;
    if (this.#own !== undefined) return this.#own.length;
    if (!this.#settings.passRequestBody) return NO_BODY;
    if (requestBody !== undefined) return requestBody.length;
    if (!head.hasBody) return lengthOfNone(this.#exchange, this.#settings);
    return head.contentLength >= 0 ? head.contentLength : CHUNKED;
  }

  /** Sends what is in memory, and sees to the rest. The head has been written, and the connection is corked: this ends that. */
  sendTo(connection: UpstreamConnection): void {
    this.#connection = connection;
    this.stopReading();
    const { requestBody } = this.#exchange;
    if (this.#own !== undefined) this.#sendPieces(connection, [this.#own]);
    else if (requestBody !== undefined && requestBody.file === undefined)
      this.#sendPieces(connection, requestBody.pieces);
    else if (requestBody !== undefined) this.#reading = new BodyReading(this.#exchange, requestBody, this);
    else this.#sendEarly(connection);
    connection.uncork();
    this.#reading?.resume();
  }

  #sendPieces(connection: UpstreamConnection, pieces: readonly Buffer[] = NO_PIECES): void {
    for (const piece of pieces) connection.sendBody(piece, 0, piece.length);
    connection.endBody();
  }

  #sendEarly(connection: UpstreamConnection): void {
    this.#lost = true;
    let left = true;
    for (const piece of this.#early) left = connection.sendBody(piece, 0, piece.length);
    this.#early = [];
    if (left) this.#exchange.link.resumeBody();
  }

  /** The peer has taken what was written. */
  drained(): void {
    if (this.#streams) this.#exchange.link.resumeBody();
    else this.#reading?.resume();
  }

  /** What is left in the file is not sent. */
  stopReading(): void {
    this.#reading?.stop();
    this.#reading = undefined;
  }

  /** The connection is no longer ours. */
  disconnect(): void {
    this.#connection = undefined;
    this.stopReading();
  }

  // It is being gathered.

  bodyGathered(): void {
    const { body } = this.#settings;
    if (body !== undefined) this.#own = Buffer.from(body(this.#exchange), 'latin1');
    this.#owner.bodyReady();
  }

  bodyRefused(status: number): void {
    this.#owner.bodyFailed(status);
  }

  // It comes, and is passed on.

  bodyBytes(bytes: Buffer, start: number, end: number): void {
    const connection = this.#connection;
    if (connection === undefined) this.#keepEarly(bytes, start, end);
    else if (!connection.sendBody(bytes, start, end)) this.#exchange.link.pauseBody();
  }

  #keepEarly(bytes: Buffer, start: number, end: number): void {
    if (this.#lost) return;
    this.#early.push(Buffer.from(bytes.subarray(start, end)));
    this.#earlyLength += end - start;
    if (this.#earlyLength > this.#exchange.location.clientBodyBufferSize) this.#exchange.link.pauseBody();
  }

  bodyEnd(): void {
    if (this.#lost) this.#connection?.endBody();
    else this.#exchange.requestBody = bodyInMemory(this.#early, this.#earlyLength);
  }

  bodyFault(status: number): void {
    this.#owner.bodyFailed(status);
  }

  // It is read from its file.

  takeBody(bytes: Buffer, start: number, end: number): boolean {
    return this.#connection === undefined || this.#connection.sendBody(bytes, start, end);
  }

  bodyTaken(): void {
    this.#reading = undefined;
    this.#connection?.endBody();
  }

  bodyUnreadable(error: Error): void {
    this.#exchange.log('crit', error.message);
    this.#owner.bodyFailed(500);
  }
}

function bodyInMemory(pieces: readonly Buffer[], length: number): KeptBody {
  return { pieces, length, file: undefined, close() {} };
}
