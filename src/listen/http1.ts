// One client's connection: HTTP/1.1 requests become exchanges, one after the other, until it closes or becomes a tunnel.

import type { BodySink, ClientLink } from '../exchange/client-link.ts';
import { Exchange, type Pipeline } from '../exchange/exchange.ts';
import type { LocationSettings } from '../exchange/settings.ts';
import { DEFAULT_HEAD_LIMITS, NEED_MORE, REFUSED, type RequestHead, RequestHeadParser } from '../http1/request-head.ts';
import type { Channel, ChannelOwner } from '../transport/channel.ts';
import { Deadline, type DeadlineOwner, now } from '../transport/deadlines.ts';
import { reportOwnerFault } from '../transport/owner-fault.ts';
import type { ConnectionEnds } from './connection-ends.ts';
import type { ConnectionState } from './connection-state.ts';
import { misbehaves, wantsKeepAlive } from './keep-alive.ts';
import { LingeringClose } from './lingering-close.ts';
import type { ListenedServer } from './listen-settings.ts';
import { RequestBody } from './request-body.ts';

/** What a connection needs of the gateway that it belongs to. */
export interface ConnectionHost {
  readonly pipeline: Pipeline;
  /** The gateway is leaving: every answer is the last of its connection. */
  readonly leaving: boolean;
  /** The server of a host name on this connection's listener. Sets the exchange's captures for a regex name. */
  serverOf(connection: ClientConnection, host: string, exchange: Exchange): ListenedServer;
  /** The listener's default server, or the one that the TLS handshake was for: what holds before a request is known. */
  defaultServer(connection: ClientConnection): ListenedServer;
  /** A head has begun to come that is not whole; and is now, or will never be. */
  headBegins(): void;
  headEnds(): void;
  exchangeBegins(exchange: Exchange): void;
  /** A head that is no request: `status` is what to answer. */
  refuse(connection: ClientConnection, exchange: Exchange, status: number, reason: string): void;
  /** The exchange's log phase. */
  exchangeEnded(exchange: Exchange): void;
  connectionClosed(connection: ClientConnection): void;
  /** Writes log lines that wait: called before a client sees its connection close. */
  readonly flushLogs: () => void;
}

/** So much of a body is thrown away to keep a connection for its next request; more, and it is closed. */
const DISCARD_LIMIT = 1024 * 1024;
const NOTHING = Buffer.alloc(0);

/**
 * Bytes come in by `channelData`, or from `#stash` where they had to wait, and are taken in by `#step`, which asks the state. One deadline
 * serves for all waiting: what it means depends on the state. Whatever an exchange does from inside `#consume` (it may be over, and the
 * next one may have begun, before its first call returns) only changes the state; `#consume` goes on with what it finds.
 */
export class ClientConnection implements ChannelOwner, ClientLink, DeadlineOwner {
  readonly channel: Channel;
  readonly ends: ConnectionEnds;
  readonly acceptedAt = Date.now();
  readonly id: number;
  clientAddress: string;
  clientPort: number;
  keepAlive = true;
  requests = 0;
  pipelined = false;
  /** Neighbours in the gateway's list of connections. */
  next: ClientConnection | undefined = undefined;
  previous: ClientConnection | undefined = undefined;

  readonly #host: ConnectionHost;
  #deadline: Deadline;
  #parser: RequestHeadParser;
  #body = new RequestBody();
  #state: ConnectionState = 'idle';
  #exchange: Exchange | undefined = undefined;
  /** Of the last exchange, whose timeouts hold until the next one begins; before the first, the default server's own. */
  #location: LocationSettings;
  /** When the head began to come that is incomplete, in ms since 1970. */
  #headBegan = 0;
  #continueSent = false;
  /** Bytes that nobody can take yet: of a body that is not being read, or of the next request. Nothing is read meanwhile. */
  #stash: Buffer | undefined = undefined;
  /** `#consume` is running further up. */
  #consuming = false;
  /** Whether what it goes over had waited; and how many requests began in it. */
  #fromStash = false;
  #begunInPiece = 0;
  /** The client has ended its half. */
  #clientEnded = false;
  /** The head was no request: what follows it cannot be read. */
  #refused = false;
  #mayOutlive = true; // Whoever answers may go on without the client, but not without the gateway.
  /** A write has not left; `channelDrain` will tell. */
  #sendBlocked = false;
  /** What had left of all that was written, when it was last looked at. */
  #sentBefore = 0;
  /** Bytes that were thrown away of the body in `discard`. */
  #discarded = 0;
  /** Until when an idle connection stays even if the gateway leaves, by `now()`; 0: it need not stay. */
  #keptUntil = 0;
  /** Until when `discard` may last, by `now()`. */
  #patienceEnds = 0;

  constructor(host: ConnectionHost, channel: Channel, ends: ConnectionEnds) {
    this.#host = host;
    this.channel = channel;
    this.ends = ends;
    this.id = ends.id;
    this.clientAddress = ends.clientAddress;
    this.clientPort = ends.clientPort;
    this.#deadline = new Deadline(this);
    const { settings } = host.defaultServer(this);
    this.#location = settings.outside;
    this.#parser = new RequestHeadParser(settings);
    channel.owner = this;
    this.#deadline.set(settings.clientHeaderTimeout);
    channel.resume();
  }

  // From the channel.

  channelData(bytes: Buffer, start: number, end: number): void {
    this.#fromStash = false;
    this.#consume(bytes, start, end);
    this.#settle();
  }

  channelEnd(): void {
    this.#clientEnded = true;
    switch (this.#state) {
      case 'idle':
        this.#closeIdle();
        return;
      case 'head':
        this.#refuseHead(400, 'client prematurely closed connection');
        return;
      case 'exchange':
        this.#endDuringExchange();
        return;
      case 'discard':
        this.#closeGently();
        return;
      default:
      // What was answered is on its way; then it closes.
    }
  }

  channelDrain(): void {
    this.#sendBlocked = false;
    switch (this.#state) {
      case 'exchange':
        this.#awaitBody();
        this.#exchange?.clientDrained();
        return;
      case 'flush':
        this.#goOn();
        return;
      default:
    }
  }

  channelClose(): void {
    const exchange = this.#exchange;
    this.#leave();
    if (exchange !== undefined) this.#clientGone(exchange, false);
    if (this.#exchange === undefined) this.#host.connectionClosed(this);
  }

  deadlineReached(): void {
    switch (this.#state) {
      case 'head':
        this.#refuseHead(408, 'client timed out (110: Connection timed out)');
        return;
      case 'exchange':
        this.#exchangeTooSlow();
        return;
      case 'flush':
        this.#flushTooSlow();
        return;
      default:
        this.#closeIdle();
    }
  }

  // From the exchange.

  readBody(sink: BodySink): void {
    this.sendContinue();
    this.#body.readBy(sink);
    this.#awaitBody();
    this.#unstash();
    if (this.#clientEnded && this.#body.flows && this.#stash === undefined) this.#body.fail(400);
  }

  pauseBody(): void {
    this.#body.pause();
    if (!this.#body.paused) return;
    this.channel.pause();
    this.#awaitBody();
  }

  resumeBody(): void {
    if (!this.#body.paused) return;
    this.#body.resume();
    this.#awaitBody();
    this.#unstash();
  }

  sendContinue(): void {
    const exchange = this.#exchange;
    if (this.#continueSent || exchange === undefined || !exchange.head.expectContinue) return;
    this.#continueSent = true;
    // One that announced an empty body waits all the same.
    const mayWait = !this.#body.complete || exchange.head.contentLength === 0;
    if (!exchange.headSent && mayWait) this.channel.writeLatin1('HTTP/1.1 100 Continue\r\n\r\n');
  }

  actFor(clientAddress: string, clientPort: number): void {
    this.clientAddress = clientAddress;
    this.clientPort = clientPort;
  }

  settleKeepAlive(): void {
    if (this.#exchange !== undefined && !this.#mayGoOn(this.#exchange)) this.keepAlive = false;
  }

  /** Whether another request may follow this one, as far as that can be known before its answer. */
  #mayGoOn({ location, head }: Exchange): boolean {
    if (this.#host.leaving || (this.#clientEnded && this.#stash === undefined)) return false;
    // Whether the body comes is the client's secret where it waits to be told.
    if (head.expectContinue && !this.#continueSent && !this.#body.complete) return false;
    if (location.keepaliveTimeout === 0 || this.requests >= location.keepaliveRequests) return false;
    if (Date.now() - this.acceptedAt > location.keepaliveTime) return false;
    if (location.keepaliveDisable !== 0 && misbehaves(head, location.keepaliveDisable)) return false;
    return head.chunked || this.#body.left <= DISCARD_LIMIT;
  }

  /** A write to the client did not leave at once: `send_timeout` runs as long as nothing of it does. */
  sendIsBlocked(): void {
    const exchange = this.#exchange;
    if (this.#sendBlocked || exchange === undefined) return;
    this.#sendBlocked = true;
    this.#awaitSending(exchange.location.sendTimeout);
  }

  exchangeDone(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#endExchange(exchange);
    if (this.#state !== 'exchange') return;
    this.#deadline.clear();
    if (!this.keepAlive) this.#closeGently();
    else if (this.#sendBlocked) this.#awaitFlush();
    else this.#goOn();
  }

  abort(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#endExchange(exchange);
    if (this.#state === 'gone') return;
    if (!exchange.headSent) this.#close();
    // An orderly end would be the end of such an answer.
    else if (exchange.framing === 'close') this.#reset();
    else this.#closeGently();
  }

  handOver(): Buffer {
    const early = this.#stash ?? NOTHING;
    this.#leave();
    this.#deadline = NO_DEADLINE;
    this.#host.connectionClosed(this);
    return early;
  }

  #endExchange(exchange: Exchange): void {
    this.#exchange = undefined;
    this.#location = exchange.location;
    this.#body.forget();
    this.#host.exchangeEnded(exchange);
    this.actFor(this.ends.clientAddress, this.ends.clientPort);
    if (exchange.aborted) this.#host.connectionClosed(this); // It has outlived its client.
  }

  // From the gateway.

  /** Closes a connection on which nothing is asked or answered, once `keepalive_min_timeout` lets it: nobody loses anything by it. */
  closeIfIdle(): void {
    if (this.#state !== 'idle') return;
    const left = this.#keptUntil === 0 ? 0 : this.#keptUntil - now();
    if (left > 0) this.#deadline.set(left);
    else this.#closeIdle();
  }

  /** Closes now, whatever is going on. */
  destroy(): void {
    this.#mayOutlive = false;
    if (this.#exchange?.aborted === true) this.channelClose();
    else this.#close();
  }

  // Taking in bytes.

  #consume(bytes: Buffer, start: number, end: number): void {
    this.#consuming = true;
    this.#begunInPiece = 0;
    let at = start;
    while (at < end) at = this.#step(bytes, at, end);
    this.#consuming = false;
  }

  /** @returns the index from which on to go on */
  #step(bytes: Buffer, start: number, end: number): number {
    switch (this.#state) {
      case 'idle':
      case 'head':
        return this.#takeHead(bytes, start, end);
      case 'exchange':
        return this.#body.flows ? this.#takeBody(bytes, start, end) : this.#keep(bytes, start, end);
      case 'flush':
        return this.#keep(bytes, start, end);
      case 'discard':
        return this.#discard(bytes, start, end);
      default:
        return end;
    }
  }

  /** What was to be taken in has been. Reads on, unless something waits; closes where nothing more is to come. */
  #settle(): void {
    if (this.#state === 'gone') return;
    if (this.#stash !== undefined || this.#body.paused) this.channel.pause();
    else if (this.#state === 'idle' && this.#clientEnded) this.#closeIdle();
    else this.#readOn();
  }

  /** Nothing more will be asked where the gateway began to leave after it had said that the connection stays. */
  #readOn(): void {
    if (this.#host.leaving && this.requests > 0) this.closeIfIdle();
    if (this.#state !== 'gone') this.channel.resume();
  }

  /** Keeps what nobody can take yet, and reads no more: one read's worth is the bound. */
  #keep(bytes: Buffer, start: number, end: number): number {
    const piece = bytes.subarray(start, end);
    this.#stash = this.#stash === undefined ? Buffer.from(piece) : Buffer.concat([this.#stash, piece]);
    this.channel.pause();
    return end;
  }

  /** Goes on with what was kept. What fails is a fault of ours, and costs this connection alone, not the one whose event brought us here. */
  #unstash(): void {
    if (this.#consuming) return;
    const stash = this.#stash;
    this.#stash = undefined;
    this.#fromStash = true;
    try {
      if (stash !== undefined) this.#consume(stash, 0, stash.length);
      this.#settle();
    } catch (fault) {
      this.channel.destroy(reportOwnerFault(fault));
    }
  }

  #takeHead(bytes: Buffer, start: number, end: number): number {
    const at = this.#parser.feed(bytes, start, end);
    if (at === NEED_MORE) {
      if (this.#state === 'idle' && this.#parser.isInsideHead) this.#awaitHead();
      return end;
    }
    if (at !== REFUSED) {
      this.#begin(this.#parser.head);
      return at;
    }
    this.#refuse(this.#parser.refusal.status, this.#parser.refusal.reason);
    return end;
  }

  /** The first head has the time since the connection was accepted: who says nothing for a while gets no more of it. */
  #awaitHead(): void {
    this.#state = 'head';
    this.#host.headBegins();
    this.#headBegan = Date.now();
    if (this.requests > 0) this.#deadline.set(this.#host.defaultServer(this).settings.clientHeaderTimeout);
  }

  #begin(head: RequestHead): void {
    const exchange = this.#newExchange(head);
    this.#body.begin(exchange);
    this.keepAlive = wantsKeepAlive(head) && !this.#host.leaving;
    this.#host.exchangeBegins(exchange);
  }

  #newExchange(head: RequestHead): Exchange {
    const startedAt = this.#state === 'head' ? this.#headBegan : Date.now();
    if (this.#state === 'head') this.#host.headEnds();
    this.#state = 'exchange';
    this.#deadline.clear();
    this.#continueSent = false;
    this.pipelined = ++this.#begunInPiece > 1 || this.#fromStash;
    this.requests++;
    const { settings } = this.ends.listener.defaultServer;
    const exchange = new Exchange(this, head, settings, this.#host.pipeline, startedAt);
    exchange.enterServer(this.#host.serverOf(this, head.host, exchange).settings);
    this.#exchange = exchange;
    return exchange;
  }

  /** The parser has refused a head; its `head` is what could be read of it. */
  #refuse(status: number, reason: string): void {
    const exchange = this.#newExchange(this.#parser.head);
    this.#body.beginNone();
    this.keepAlive = false;
    this.#refused = true;
    this.#host.refuse(this, exchange, status, reason);
  }

  /** The rest of a head will not come, or not in time. */
  #refuseHead(status: number, reason: string): void {
    this.#parser.abandon();
    this.#refuse(status, reason);
  }

  #takeBody(bytes: Buffer, start: number, end: number): number {
    const at = this.#body.take(bytes, start, end);
    // Whoever reads it may have answered, and the body may have ended after that.
    if (this.#state === 'exchange') this.#awaitBody();
    else if (this.#state === 'discard' && this.#body.complete) this.#awaitRequest();
    return at;
  }

  // During an exchange.

  /** `client_body_timeout` runs while somebody waits for more of the body; but a client that does not listen is not expected to speak. */
  #awaitBody(): void {
    const exchange = this.#exchange;
    if (exchange === undefined || this.#sendBlocked) return;
    if (this.#body.flows) this.#deadline.set(exchange.location.clientBodyTimeout);
    else this.#deadline.clear();
  }

  #awaitSending(within: number): void {
    this.#sentBefore = this.#sent;
    this.#deadline.set(within);
  }

  /** Of all that was ever written, so much has been taken by the kernel. */
  get #sent(): number {
    return this.channel.bytesWritten - this.channel.pendingBytes;
  }

  #exchangeTooSlow(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (!this.#sendBlocked) {
      exchange.log('info', 'client timed out (110: Connection timed out) while reading client request body');
      this.#body.fail(408);
    } else if (this.#sent > this.#sentBefore) this.#awaitSending(exchange.location.sendTimeout);
    else this.#giveUpSending(exchange);
  }

  #giveUpSending(exchange: Exchange): void {
    exchange.log('info', 'client timed out (110: Connection timed out) while sending to client');
    this.#location = exchange.location;
    this.#clientGone(exchange, true);
    this.#closeTimedOut();
  }

  /** A client that has sent all it wanted may still listen; one that stops in the middle of a body does not know what it wants. */
  #endDuringExchange(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (this.#body.flows) {
      exchange.log('info', 'client prematurely closed connection while reading client request body');
      this.#body.fail(400);
    } else exchange.watcher?.clientEnded();
  }

  #clientGone(exchange: Exchange, timedOut: boolean): void {
    if (exchange.finished) return;
    exchange.aborted = true;
    if (!exchange.headSent) exchange.status = timedOut ? 408 : 499;
    this.#body.abandon();
    if (exchange.watcher?.outlivesClient === true && this.#body.complete && this.#mayOutlive) {
      this.#exchange = exchange;
      exchange.goOnAlone();
      return;
    }
    this.#exchange = undefined;
    exchange.finished = true;
    exchange.clientLeft();
    this.#host.exchangeEnded(exchange);
  }

  // Between requests.

  #awaitFlush(): void {
    this.#state = 'flush';
    this.#awaitSending(this.#location.sendTimeout);
  }

  #flushTooSlow(): void {
    if (this.#sent > this.#sentBefore) this.#awaitSending(this.#location.sendTimeout);
    else this.#closeTimedOut();
  }

  /** The answer has left. */
  #goOn(): void {
    if (this.#body.complete) this.#awaitRequest();
    else this.#discardBody();
  }

  #awaitRequest(): void {
    const { keepaliveTimeout, keepaliveMinTimeout } = this.#location;
    this.#state = 'idle';
    this.#keptUntil = keepaliveMinTimeout === 0 ? 0 : now() + Math.min(keepaliveMinTimeout, keepaliveTimeout);
    this.#deadline.set(keepaliveTimeout);
    this.#unstash();
  }

  #discardBody(): void {
    this.#state = 'discard';
    this.#discarded = 0;
    this.#patienceEnds = now() + this.#location.lingeringTime;
    this.#awaitRest();
    this.#unstash();
  }

  #discard(bytes: Buffer, start: number, end: number): number {
    const at = this.#body.discard(bytes, start, end);
    this.#discarded += at - start;
    if (at === REFUSED || (this.#discarded > DISCARD_LIMIT && !this.#body.complete)) {
      this.#closeGently();
      return end;
    }
    if (this.#body.complete) this.#awaitRequest();
    else this.#awaitRest();
    return at;
  }

  /** `lingering_timeout` from one read to the next, `lingering_time` for all of them. */
  #awaitRest(): void {
    this.#deadline.set(Math.max(0, Math.min(this.#patienceEnds - now(), this.#location.lingeringTimeout)));
  }

  // The end.

  /** Ends our half when all is sent; a client that may still be sending is listened to for a while. */
  #closeGently(): void {
    const isSending = !this.#body.complete || this.#refused || this.#stash !== undefined || this.channel.paused;
    this.#sayGoodbye();
    new LingeringClose(this.channel, this.#location, { isSending, hasEnded: this.#clientEnded }).start();
  }

  #closeIdle(): void {
    if (this.channel.pendingBytes > 0) this.#closeGently();
    else this.#close();
  }

  #closeTimedOut(): void {
    if (this.#location.resetTimedoutConnection) this.#reset();
    else this.#close();
  }

  #reset(): void {
    this.#sayGoodbye();
    this.channel.reset();
  }

  #close(): void {
    this.#sayGoodbye();
    this.channel.destroy();
  }

  #sayGoodbye(): void {
    if (this.#state === 'head') this.#host.headEnds();
    this.#state = 'gone';
    this.#stash = undefined;
    this.#deadline.clear();
    this.#host.flushLogs();
  }

  /** A tunnel keeps this object for its log line, but not what only requests need. */
  #leave(): void {
    if (this.#state === 'head') this.#host.headEnds();
    this.#state = 'gone';
    this.#deadline.clear();
    this.#exchange = undefined;
    this.#stash = undefined;
    this.#parser = NO_PARSER;
    if (this.#body.complete) this.#body = NO_BODY;
  }
}

const NO_PARSER = new RequestHeadParser(DEFAULT_HEAD_LIMITS);
const NO_BODY = new RequestBody();
/** A tunnel has its own. */
const NO_DEADLINE = new Deadline({ deadlineReached() {} });
