// The body of a peer's answer on its way to the client: as fast as both allow, and what waits waits in memory, in a file, or at the peer.

import type { Exchange } from '../exchange/exchange.ts';
import type { UpstreamConnection } from '../upstream/upstream-connection.ts';
import { AnswerSpool, type SpoolOwner } from './answer-spool.ts';
import { AnswerStore, type StoreOwner } from './answer-store.ts';
import { methodFor } from './proxy-request.ts';
import type { ProxySettings } from './proxy-settings.ts';
import { type RatedReader, ReadRate } from './read-rate.ts';

/** Who is told that the answer is over. */
export interface AnswerOwner {
  /** What waited has been given to the client, to the end. */
  answerGiven(): void;
  /** What waited is lost. */
  answerLost(): void;
}

// Why the peer is not read.
const CLIENT_IS_SLOW = 1;
const SPOOL_IS_FULL = 2;
const RATE_IS_REACHED = 4;
const STORE_IS_BEHIND = 8;

export class ProxyAnswer implements SpoolOwner, StoreOwner, RatedReader {
  readonly #exchange: Exchange;
  readonly #settings: ProxySettings;
  readonly #owner: AnswerOwner;
  /** proxy_buffering, or what the peer says of it. */
  readonly #buffering: boolean;
  #connection: UpstreamConnection | undefined;
  /** Only while something waits there. */
  #spool: AnswerSpool | undefined = undefined;
  /** Until the file is in its place, or will never be. */
  #store: AnswerStore | undefined = undefined;
  #rate: ReadRate | undefined = undefined;
  #held = 0;
  /** What has come too fast for proxy_limit_rate. */
  #late: Buffer[] = [];
  #ended = false;

  constructor(
    exchange: Exchange,
    settings: ProxySettings,
    buffering: boolean,
    connection: UpstreamConnection,
    owner: AnswerOwner,
  ) {
    this.#exchange = exchange;
    this.#settings = settings;
    this.#buffering = buffering;
    this.#connection = connection;
    this.#owner = owner;
    const rate = buffering ? (settings.readRate?.(exchange) ?? 0) : 0;
    if (rate > 0) this.#rate = new ReadRate(rate, this);
    if (buffering && settings.store !== undefined && this.#makesFile)
      this.#store = new AnswerStore(exchange, settings.store, this);
  }

  /** Any status but 200 makes none, nor does what has no body because it was asked with HEAD. */
  get #makesFile(): boolean {
    return this.#exchange.upstreamHead?.status === 200 && methodFor(this.#exchange, this.#settings) !== 'HEAD';
  }

  /** All of it is wanted, though the client may have gone. */
  get isStoring(): boolean {
    return this.#store !== undefined;
  }

  take(bytes: Buffer, start: number, end: number): void {
    this.#store?.take(bytes, start, end);
    this.#give(bytes, start, end);
  }

  #give(bytes: Buffer, start: number, end: number): void {
    const now = this.#rate === undefined ? end : start + this.#allowed(bytes, start, end);
    if (start < now) this.#pass(bytes, start, now);
  }

  /** What must not go on yet is kept: no more than one read's worth, for the peer is not read meanwhile. */
  #allowed(bytes: Buffer, start: number, end: number): number {
    const length = end - start;
    const allowed = this.#late.length > 0 ? 0 : (this.#rate?.allowed(length) ?? length);
    if (allowed < length) {
      this.#late.push(Buffer.from(bytes.subarray(start + allowed, end)));
      this.#hold(RATE_IS_REACHED);
    }
    return allowed;
  }

  #pass(bytes: Buffer, start: number, end: number): void {
    const exchange = this.#exchange;
    if (this.#spool !== undefined) {
      this.#spool.take(bytes, start, end);
      return;
    }
    const left = exchange.send(bytes, start, end);
    if (!this.#buffering) exchange.flush();
    if (!left) this.blocked();
  }

  /**
   * The peer gives no more.
   * @param whole it has given all
   * @returns whether that has gone on; else `answerGiven` will tell
   */
  end(whole: boolean): boolean {
    this.#connection = undefined;
    this.#ended = true;
    if (!whole) this.#dropStore();
    if (this.#isGiven) {
      this.#rate?.stop();
      return true;
    }
    if (this.#late.length === 0) {
      this.#rate?.stop();
      this.#spool?.end();
    }
    this.#store?.end();
    return false;
  }

  get #isGiven(): boolean {
    return this.#late.length === 0 && this.#spool === undefined && this.#store === undefined;
  }

  #checkGiven(): void {
    if (this.#ended && this.#isGiven) this.#owner.answerGiven();
  }

  /** The client takes no more for now. */
  blocked(): void {
    if (this.#spool !== undefined) {
      this.#spool.block();
      return;
    }
    const { buffersSize, spool } = this.#settings;
    if (this.#exchange.pendingBytes <= (this.#buffering ? buffersSize : 0)) return;
    if (this.#buffering && spool !== undefined && !this.#exchange.bodiless)
      this.#spool = new AnswerSpool(this.#exchange, spool, this);
    else this.#hold(CLIENT_IS_SLOW);
  }

  /** The client takes on; or it has gone, and nothing waits for it. */
  drained(): void {
    this.#letGo(CLIENT_IS_SLOW);
    if (this.#exchange.aborted) this.#dropSpool();
    else this.#spool?.drained();
  }

  #dropSpool(): void {
    if (this.#spool === undefined) return;
    this.#spool.close();
    this.#letGo(SPOOL_IS_FULL);
    this.spoolDone();
  }

  #dropStore(): void {
    this.#store?.close();
    this.#store = undefined;
  }

  /** It is over, given or not. */
  close(): void {
    this.#connection = undefined;
    this.#rate?.stop();
    this.#late = [];
    this.#spool?.close();
    this.#dropStore();
  }

  #hold(reason: number): void {
    this.#held |= reason;
    this.#connection?.pause();
  }

  #letGo(reason: number): void {
    this.#held &= ~reason;
    if (this.#held === 0) this.#connection?.resume();
  }

  readOn(): void {
    const late = this.#late;
    this.#late = [];
    for (const piece of late) this.#give(piece, 0, piece.length);
    if (this.#late.length > 0) return;
    if (!this.#ended) this.#letGo(RATE_IS_REACHED);
    else if (this.#spool === undefined) this.#checkGiven();
    else this.#spool.end();
  }

  spoolFull(): void {
    this.#hold(SPOOL_IS_FULL);
  }

  spoolHasRoom(): void {
    this.#letGo(SPOOL_IS_FULL);
  }

  spoolDone(): void {
    this.#spool = undefined;
    this.#checkGiven();
  }

  spoolLost(): void {
    this.#owner.answerLost();
  }

  storeFull(): void {
    this.#hold(STORE_IS_BEHIND);
  }

  storeHasRoom(): void {
    this.#letGo(STORE_IS_BEHIND);
  }

  storeDone(): void {
    this.#store = undefined;
    // It was for the file alone that the peer was still read.
    if (this.#exchange.aborted && !this.#ended) this.#owner.answerLost();
    else this.#checkGiven();
  }
}
