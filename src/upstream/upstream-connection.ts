// One connection to a peer, and one HTTP/1.1 request after the other over it.

import { BodyDecoder, type BodyKind, type BodySink, responseBodyKind } from '../http1/body-framing.ts';
import { CHUNK_END, chunkHead, LAST_CHUNK } from '../http1/head-writer.ts';
import type { Headers } from '../http1/headers.ts';
import { NEED_MORE, REFUSED, type ResponseHead, ResponseHeadParser } from '../http1/response-head.ts';
import type { Channel, ChannelOwner } from '../transport/channel.ts';
import { Deadline, type DeadlineOwner } from '../transport/deadlines.ts';
import { nobody } from '../transport/nobody.ts';
import { type ConnectWatcher, type DialledPeer, PeerConnect } from './connect.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import type { KeepalivePool, KeptConnection } from './keepalive.ts';
import type { LocalAddress } from './local-address.ts';
import { type FaultCondition, systemFault, timedOut, type UpstreamAction, UpstreamFault } from './upstream-fault.ts';
import type { UpstreamWatcher } from './upstream-watcher.ts';

/** How a request says where its body ends; `sendBody` frames accordingly. */
export type RequestFraming = Exclude<BodyKind, 'close'>;

/** More interim heads (1xx) than any server has to send before its answer: a peer that sends more is refused. */
export const INFORMATIONAL_LIMIT = 32;

/** The connection is being made. */
const CONNECTING = 0;
/** It stands and is somebody's, but the request has not been sent. */
const READY = 1;
/** The request, or the beginning of it, was sent; the head of the answer is awaited. */
const HEAD = 2;
/** The body of the answer is being read. */
const BODY = 3;
/** A 101 has come: what follows is no HTTP. */
const UPGRADED = 4;
/** In the pool. */
const IDLE = 5;
/** Closed, or given away. */
const OVER = 6;

/** Takes the unread rest of an answer's head away with its channel. */
export interface DetachedChannel {
  /** Paused, and owned by nobody: set its owner, deliver `rest`, resume. */
  readonly channel: Channel;
  /** What the peer sent behind its head; perhaps empty. */
  readonly rest: Buffer;
}

const NOTHING = Buffer.alloc(0);

export class UpstreamConnection implements ChannelOwner, ConnectWatcher, DeadlineOwner, BodySink, KeptConnection {
  readonly peer: DialledPeer;
  readonly tlsName: string;
  readonly from: string | undefined;
  /** By `performance.now()`. */
  readonly startedAt = performance.now();
  /** Requests that were sent over it, the one under way among them. */
  requests = 0;
  newer: KeptConnection | undefined = undefined;
  older: KeptConnection | undefined = undefined;

  readonly #pool: KeepalivePool<UpstreamConnection>;
  #settings: ConnectionSettings;
  #state = CONNECTING;
  #watcher: UpstreamWatcher | undefined;
  #connect: PeerConnect | undefined;
  #channel: Channel | undefined = undefined;
  /** Connecting, then waiting for the peer's bytes; in the pool, for the end of its stay there. */
  readonly #reading = new Deadline(this);
  /** Waiting for the peer to take our bytes. */
  readonly #sending = new Deadline(this);
  #parser: ResponseHeadParser;
  readonly #decoder = new BodyDecoder();

  /** Between `cork` and `uncork`. */
  #corked = false;

  // Of the request under way.
  #begun = false;
  #method = '';
  #framing: RequestFraming = 'none';
  /** All of it was written. */
  #requestSent = false;
  /** The answer came first: what is left of the body is not sent. */
  #sendingStopped = false;
  #informational = 0;
  /** A byte of its answer has come. */
  #answerBegun = false;
  #persistent = false;
  #rest: Buffer = NOTHING;
  #readBefore = 0;
  #writtenBefore = 0;

  /** Connects to `peer`; `watcher` is told. Use `Upstream.acquire`, which looks for a kept one first. */
  constructor(
    pool: KeepalivePool<UpstreamConnection>,
    peer: DialledPeer,
    settings: ConnectionSettings,
    tlsName: string,
    watcher: UpstreamWatcher,
    from?: LocalAddress,
  ) {
    this.#pool = pool;
    this.peer = peer;
    this.#settings = settings;
    this.tlsName = tlsName;
    this.from = from?.text;
    this.#watcher = watcher;
    this.#parser = new ResponseHeadParser(settings.headSize);
    this.#reading.set(settings.connectTimeout);
    this.#connect = new PeerConnect(peer, settings.tls, tlsName, this, from);
  }

  get settings(): ConnectionSettings {
    return this.#settings;
  }

  /** It stands: `send` at once, `upstreamConnected` will not come. */
  get ready(): boolean {
    return this.#state === READY;
  }

  /** It has served a request before this one. */
  get isReused(): boolean {
    return this.requests > 1;
  }

  /** `send` has been called: see `RequestProgress.sent`. */
  get requestBegun(): boolean {
    return this.#begun;
  }

  /** Bytes of this request's answer, heads and framing included; what came behind a 101 is the tunnel's. */
  get bytesReceived(): number {
    return (this.#channel?.bytesRead ?? 0) - this.#readBefore - this.#rest.length;
  }

  /** Bytes of this request that were written, head and framing included. */
  get bytesSent(): number {
    return (this.#channel?.bytesWritten ?? 0) - this.#writtenBefore;
  }

  /** From the pool to its next request. Use `Upstream.acquire`. */
  reuse(settings: ConnectionSettings, watcher: UpstreamWatcher): void {
    this.#reading.clear();
    if (settings.headSize !== this.#settings.headSize) this.#parser = new ResponseHeadParser(settings.headSize);
    this.#settings = settings;
    this.#watcher = watcher;
    this.#begun = false;
    this.#state = READY;
  }

  /**
   * Sends the head of the request, once `ready` or `upstreamConnected` was called.
   * @param head a whole head, the empty line included; each character is a byte
   * @param method what decides whether the answer has a body
   * @param framing what `head` says of the body; with anything but `none`, `sendBody` and `endBody` follow
   */
  send(head: string, method: string, framing: RequestFraming): void {
    const channel = this.#channel;
    if (this.#state !== READY || channel === undefined) return;
    this.requests++;
    this.#begun = true;
    this.#state = HEAD;
    this.#method = method;
    this.#framing = framing;
    this.#requestSent = framing === 'none';
    this.#sendingStopped = false;
    this.#informational = 0;
    this.#answerBegun = false;
    this.#readBefore = channel.bytesRead;
    this.#writtenBefore = channel.bytesWritten;
    this.#written(channel.writeLatin1(head));
    channel.resume();
  }

  /**
   * Sends bytes of the body; they are the caller's again when it returns.
   * @returns false: wait for `upstreamDrain`. Where the answer came before the body was sent, the rest of it is dropped, and this is true.
   */
  sendBody(bytes: Uint8Array, start: number, end: number): boolean {
    const channel = this.#channel;
    if (channel === undefined || !this.#isSending || start === end) return true;
    if (this.#framing !== 'chunked') return this.#written(channel.write(bytes, start, end));
    if (!this.#corked) channel.cork();
    channel.writeLatin1(chunkHead(end - start));
    channel.write(bytes, start, end);
    const flushed = channel.writeLatin1(CHUNK_END);
    return this.#written(this.#corked ? flushed : channel.uncork());
  }

  /** The body is complete. */
  endBody(): void {
    if (!this.#isSending) return;
    this.#requestSent = true;
    const flushed = this.#framing !== 'chunked' || this.#channel?.writeLatin1(LAST_CHUNK) !== false;
    this.#written(flushed && !this.#sending.armed);
  }

  /** Gathers what is written until `uncork`: so the head and the beginning of the body leave as one segment. */
  cork(): void {
    this.#corked = true;
    this.#channel?.cork();
  }

  /** @returns false: wait for `upstreamDrain` before more of the body is sent */
  uncork(): boolean {
    this.#corked = false;
    return this.#state === OVER || this.#channel === undefined || this.#written(this.#channel.uncork());
  }

  /** Stops reading the answer; what has been read already may still come. `proxy_read_timeout` stands still. */
  pause(): void {
    if (this.#state !== BODY) return;
    this.#channel?.pause();
    this.#reading.clear();
  }

  resume(): void {
    if (this.#state !== BODY || this.#channel?.paused !== true) return;
    this.#reading.set(this.#settings.readTimeout);
    this.#channel.resume();
  }

  /** Inside `upstreamHead` of a 101: the channel is the caller's, to be tunnelled. */
  detachForTunnel(): DetachedChannel {
    const channel = this.#channel;
    if (this.#state !== UPGRADED || channel === undefined)
      throw new Error('only a channel that was upgraded can be detached');
    const detached = { channel, rest: this.#rest };
    this.#leave();
    return detached;
  }

  /** Closes it, whatever it is doing; the watcher is told nothing more. Safe to call at any time. */
  close(): void {
    if (this.#state === IDLE) this.#pool.remove(this);
    this.#connect?.cancel();
    this.#leave();
    this.#channel?.destroy();
  }

  connected(channel: Channel): void {
    this.#connect = undefined;
    this.#reading.clear();
    this.#channel = channel;
    channel.owner = this;
    if (this.#settings.socketKeepalive === true) channel.setKeepAlive(true, 0);
    this.#state = READY;
    this.#watcher?.upstreamConnected();
  }

  connectFailed(fault: UpstreamFault): void {
    this.#connect = undefined;
    this.#failWith(fault);
  }

  channelData(bytes: Buffer, start: number, end: number): void {
    this.#reading.touch();
    if (this.#state === BODY) this.#readBody(bytes, start, end);
    else if (this.#state === HEAD) this.#readHeads(bytes, start, end);
    else this.#fail('error', 'upstream sent data that nobody asked for while connecting to upstream');
  }

  channelEnd(): void {
    if (this.#state === BODY && this.#decoder.end()) this.#finish(false);
    else this.#fail('error', `upstream prematurely closed connection while ${this.#action}`);
  }

  channelDrain(): void {
    this.#sending.clear();
    if (this.#requestSent) this.#awaitAnswer();
    this.#watcher?.upstreamDrain();
  }

  channelClose(error: Error | undefined): void {
    if (error === undefined) this.channelEnd();
    else this.#failWith(this.#closedFault(error));
  }

  deadlineReached(deadline: Deadline): void {
    if (this.#state === CONNECTING) this.#failWith(this.#connect?.timeOut() ?? timedOut('connecting to upstream'));
    else this.#failWith(timedOut(deadline === this.#sending ? 'sending request to upstream' : this.#action));
  }

  /** Bytes of the answer's body, from the decoder. */
  bodyBytes(bytes: Buffer, from: number, to: number): void {
    this.#watcher?.upstreamBody(bytes, from, to);
  }

  get #isSending(): boolean {
    return this.#state >= HEAD && this.#state <= BODY && !this.#requestSent && !this.#sendingStopped;
  }

  get #action(): UpstreamAction {
    return this.#state === BODY ? 'reading upstream' : 'reading response header from upstream';
  }

  /** @param flushed nothing waits to be taken by the kernel */
  #written(flushed: boolean): boolean {
    if (!flushed) this.#sending.set(this.#settings.sendTimeout);
    else if (this.#requestSent) this.#awaitAnswer();
    return flushed;
  }

  /** The peer has the whole request: from now on it is its turn. */
  #awaitAnswer(): void {
    if (this.#state === HEAD) this.#reading.set(this.#settings.readTimeout);
  }

  #readHeads(bytes: Buffer, start: number, end: number): void {
    this.#answerBegun = true;
    let at = start;
    while (this.#state === HEAD && at < end) {
      at = this.#parser.feed(bytes, at, end);
      if (at === NEED_MORE) return;
      if (at === REFUSED) {
        this.#fail('invalid_header', `${this.#parser.reason} while ${this.#action}`);
        return;
      }
      this.#takeHead(this.#parser.head);
    }
    if (this.#state === UPGRADED) this.#offerChannel(bytes, at, end);
    else if (this.#state === BODY) this.#readBody(bytes, at, end);
  }

  /** A 101: the watcher takes the channel now, or there is no use for it. */
  #offerChannel(bytes: Buffer, start: number, end: number): void {
    this.#rest = start < end ? Buffer.from(bytes.subarray(start, end)) : NOTHING;
    this.#watcher?.upstreamHead(this.#parser.head);
    if (this.#state === UPGRADED) this.close();
  }

  #takeHead(head: ResponseHead): void {
    if (head.status === 101) this.#upgrade();
    else if (head.status < 200) this.#takeInformational(head);
    else this.#takeFinalHead(head);
  }

  #takeInformational(head: ResponseHead): void {
    if (++this.#informational > INFORMATIONAL_LIMIT) {
      this.#fail('invalid_header', `upstream sent too many informational responses while ${this.#action}`);
    } else this.#watcher?.upstreamInformational(head);
  }

  #upgrade(): void {
    this.#state = UPGRADED;
    this.#reading.clear();
    this.#sending.clear();
    this.#channel?.pause();
  }

  #takeFinalHead(head: ResponseHead): void {
    this.#decoder.reset(responseBodyKind(this.#method, head), head.contentLength);
    this.#persistent = head.version === 11 && !head.connectionClose;
    this.#sendingStopped = !this.#requestSent;
    this.#state = BODY;
    this.#sending.clear();
    if (!this.#reading.armed) this.#reading.set(this.#settings.readTimeout);
    this.#watcher?.upstreamHead(head);
  }

  #readBody(bytes: Buffer, start: number, end: number): void {
    const next = this.#decoder.decode(bytes, start, end, this);
    if (this.#state !== BODY) return; // The watcher has closed it.
    if (next === REFUSED) this.#fail('error', `upstream sent invalid chunked response while ${this.#action}`);
    else if (this.#decoder.done) this.#finish(this.#persistent && this.#requestSent && next === end);
  }

  /** The answer is complete: keeps the connection if it may be used again, then tells. */
  #finish(reusable: boolean): void {
    const watcher = this.#watcher;
    const trailers: Headers | undefined = this.#decoder.trailers;
    this.#watcher = undefined;
    if (reusable && this.#channel?.pendingBytes === 0 && this.#pool.offer(this)) this.#stay();
    else this.close();
    watcher?.upstreamEnd(trailers);
  }

  #stay(): void {
    this.#state = IDLE;
    this.#sending.clear();
    this.#reading.set(this.#pool.settings.timeout);
    if (this.#channel?.paused === true) this.#channel.resume();
  }

  #closedFault(error: Error): UpstreamFault {
    const isWrite = 'syscall' in error && error.syscall === 'write';
    const action = isWrite && this.#state === HEAD ? 'sending request to upstream' : this.#action;
    return systemFault(error, isWrite ? 'send()' : 'recv()', action, this.#isStale);
  }

  get #isStale(): boolean {
    return this.isReused && !this.#answerBegun;
  }

  #fail(condition: FaultCondition, message: string): void {
    this.#failWith(new UpstreamFault(condition, message, condition === 'error' && this.#isStale));
  }

  #failWith(fault: UpstreamFault): void {
    const watcher = this.#watcher;
    this.close();
    watcher?.upstreamFailed(fault);
  }

  /** Whatever happens from now on is nobody's business. */
  #leave(): void {
    if (this.#channel !== undefined) this.#channel.owner = nobody;
    this.#state = OVER;
    this.#watcher = undefined;
    this.#connect = undefined;
    this.#reading.clear();
    this.#sending.clear();
  }
}
