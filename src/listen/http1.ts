// One client's connection: HTTP/1.1 requests become exchanges, one after the other, until it closes or becomes a tunnel.

import type { BodySink, ClientLink } from '../exchange/client-link.ts';
import { Exchange, type Pipeline } from '../exchange/exchange.ts';
import type { LocationSettings, ServerSettings } from '../exchange/settings.ts';
import { BodyDecoder } from '../http1/body-framing.ts';
import { DEFAULT_HEAD_LIMITS, NEED_MORE, REFUSED, type RequestHead, RequestHeadParser } from '../http1/request-head.ts';
import type { Channel, ChannelOwner } from '../transport/channel.ts';
import { Deadline, type DeadlineOwner } from '../transport/deadlines.ts';
import type { ListenedServer, ListenSettings } from './listen-settings.ts';

/** What a connection needs of the gateway that it belongs to. */
export interface ConnectionHost {
  readonly pipeline: Pipeline;
  /** The gateway is leaving: every answer is the last of its connection. */
  readonly leaving: boolean;
  /** The server of a host name on this connection's listener; under TLS the one that the handshake was for checks it. */
  serverOf(connection: ClientConnection, host: string): ListenedServer;
  /** The listener's default server, for what happens before a request is known. */
  defaultServer(connection: ClientConnection): ListenedServer;
  exchangeBegins(exchange: Exchange): void;
  /** A head that is no request: `status` is what to answer. */
  refuse(exchange: Exchange, status: number, reason: string): void;
  /** The exchange's log phase. */
  exchangeEnded(exchange: Exchange): void;
  connectionClosed(connection: ClientConnection): void;
  /** Writes log lines that wait: called before a client sees its connection close. */
  readonly flushLogs: () => void;
}

/** Where the client came from and came to; all text is as nginx's variables show it. */
export interface ConnectionEnds {
  readonly id: number;
  /** The listener that accepted it; after a reload the one of the same address counts. */
  readonly listener: ListenSettings;
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly serverAddress: string;
  readonly serverPort: number;
  /** The server that the TLS handshake was made for; undefined without TLS. */
  readonly tlsServer: ListenedServer | undefined;
  /** Plain HTTP came to a port that speaks TLS: every request is answered with 400 (nginx's 497). */
  readonly plainOnTls: boolean;
}

type State =
  /** Between requests, or before the first: nothing of a head has come. */
  | 'idle'
  /** Some of a head has come. */
  | 'head'
  /** A request is being answered; its body may still be coming. */
  | 'exchange'
  /** The answer is complete; the rest of the body is read and thrown away before the next request. */
  | 'discard'
  /** The answer is complete but has not all left: the next request waits until it has, or a client that never reads would fill our memory. */
  | 'flush'
  /** The last answer has been sent; what the client still sends is thrown away, so that a reset does not destroy the answer. */
  | 'linger'
  /** A tunnel has the channel, or the channel is gone. */
  | 'gone';

/** So much of a body is thrown away to keep a connection for its next request; more, and it is closed. */
const DISCARD_LIMIT = 1024 * 1024;
const NOTHING = Buffer.alloc(0);

export class ClientConnection implements ChannelOwner, ClientLink, DeadlineOwner, BodySink {
  readonly channel: Channel;
  readonly ends: ConnectionEnds;
  readonly acceptedAt = Date.now();
  keepAlive = true;
  requests = 0;
  pipelined = false;
  /** Neighbours in the gateway's list of connections. */
  next: ClientConnection | undefined = undefined;
  previous: ClientConnection | undefined = undefined;

  readonly #host: ConnectionHost;
  #parser: RequestHeadParser;
  #body = new BodyDecoder();
  readonly #deadline: Deadline;
  #state: State = 'idle';
  #exchange: Exchange | undefined = undefined;
  #sink: BodySink | undefined = undefined;
  #bodyPaused = false;
  #continueSent = false;
  #discarded = 0;
  #lingerUntil = 0;
  /** Bytes that came before anyone could take them: of a body that nobody reads yet, or of the next request. */
  #stash: Buffer | undefined = undefined;
  /** `#consume` is running further up: whoever ends an exchange now need not start it. */
  #consuming = false;
  #clientEnded = false;
  #readsStash = false;
  #sendBlocked = false;
  /** The location of the last exchange: its timeouts hold until the next one begins. */
  #lastLocation: LocationSettings | undefined = undefined;
  /** The head was no request: what follows it cannot be read. */
  #refused = false;
  #tooLarge = false;

  constructor(host: ConnectionHost, channel: Channel, ends: ConnectionEnds) {
    this.#host = host;
    this.channel = channel;
    this.ends = ends;
    this.#deadline = new Deadline(this);
    const { settings } = host.defaultServer(this);
    this.#parser = new RequestHeadParser({
      clientHeaderBufferSize: settings.clientHeaderBufferSize,
      largeClientHeaderBuffers: settings.largeClientHeaderBuffers,
      ignoreInvalidHeaders: settings.ignoreInvalidHeaders,
      underscoresInHeaders: settings.underscoresInHeaders,
    });
    channel.owner = this;
    this.#deadline.set(settings.clientHeaderTimeout);
    channel.resume();
  }

  get id(): number {
    return this.ends.id;
  }
  get clientAddress(): string {
    return this.ends.clientAddress;
  }
  get clientPort(): number {
    return this.ends.clientPort;
  }
  get serverAddress(): string {
    return this.ends.serverAddress;
  }
  get serverPort(): number {
    return this.ends.serverPort;
  }
  get plainOnTls(): boolean {
    return this.ends.plainOnTls;
  }
  /** Nothing is being asked or answered: such a connection may be closed without anybody losing anything. */
  get idle(): boolean {
    return this.#state === 'idle';
  }

  // From the channel.

  channelData(bytes: Buffer, start: number, end: number): void {
    this.#consume(bytes, start, end);
  }

  channelEnd(): void {
    this.#clientEnded = true;
    this.keepAlive = false;
    switch (this.#state) {
      case 'idle':
      case 'head':
      case 'linger':
      case 'discard':
      case 'flush':
        this.#close();
        return;
      default:
        this.#endDuringExchange();
    }
  }

  channelDrain(): void {
    this.#sendBlocked = false;
    if (this.#state === 'linger') {
      this.#linger();
      return;
    }
    if (this.#state === 'flush') {
      this.#goOn(this.#lastLocation as LocationSettings);
      return;
    }
    if (this.#state === 'exchange') this.#deadline.clear();
    this.#exchange?.watcher?.clientDrain();
  }

  channelClose(): void {
    const exchange = this.#exchange;
    this.#leave();
    if (exchange !== undefined) this.#clientGone(exchange, false);
    this.#host.connectionClosed(this);
  }

  deadlineReached(): void {
    switch (this.#state) {
      case 'head':
        this.#refuseSlowHead();
        return;
      case 'exchange':
        this.#exchangeTooSlow();
        return;
      default:
        this.#close();
    }
  }

  // From the exchange.

  readBody(sink: BodySink): void {
    this.#sink = sink;
    this.#bodyPaused = false;
    if (this.#body.done) {
      sink.bodyEnd();
      return;
    }
    this.sendContinue();
    this.#armBodyTimeout();
    this.#unstash();
  }

  pauseBody(): void {
    this.#bodyPaused = true;
    if (!this.#body.done) this.channel.pause();
  }

  resumeBody(): void {
    if (!this.#bodyPaused) return;
    this.#bodyPaused = false;
    this.#armBodyTimeout();
    this.#unstash();
  }

  sendContinue(): void {
    const exchange = this.#exchange;
    if (this.#continueSent || exchange === undefined || !exchange.head.expectContinue) return;
    this.#continueSent = true;
    if (exchange.head.version === 11 && !exchange.headSent) this.channel.writeLatin1('HTTP/1.1 100 Continue\r\n\r\n');
  }

  settleKeepAlive(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    const { location, head } = exchange;
    const waitsForContinue = head.expectContinue && !this.#continueSent && !this.#body.done;
    if (
      waitsForContinue ||
      this.#clientEnded ||
      this.#host.leaving ||
      location.keepaliveTimeout === 0 ||
      this.requests >= location.keepaliveRequests ||
      Date.now() - this.acceptedAt > location.keepaliveTime
    ) {
      this.keepAlive = false;
    }
  }

  exchangeDone(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#host.exchangeEnded(exchange);
    this.#exchange = undefined;
    this.#sink = undefined;
    this.#deadline.clear();
    if (this.#state !== 'exchange') return;
    if (!this.keepAlive) {
      this.#closeGently(exchange.location);
      return;
    }
    this.#lastLocation = exchange.location;
    if (this.#sendBlocked) this.#awaitFlush(exchange.location);
    else this.#goOn(exchange.location);
  }

  abort(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (exchange !== undefined) this.#host.exchangeEnded(exchange);
    this.#close();
  }

  handOver(): Buffer {
    const early = this.#stash ?? NOTHING;
    this.#stash = undefined;
    this.#leave();
    this.#host.connectionClosed(this);
    return early;
  }

  /** Closes a connection that is idle, for the gateway is leaving. */
  closeIfIdle(): void {
    if (this.idle) this.#close();
  }

  /** Closes now, whatever is going on. */
  destroy(): void {
    this.#close();
  }

  // Taking in bytes.

  #consume(bytes: Buffer, from: number, end: number): void {
    let start = from;
    this.#consuming = true;
    while (start < end) {
      const state: State = this.#state;
      if (state === 'idle' || state === 'head') start = this.#takeHead(bytes, start, end);
      else if (state === 'exchange' && this.#takesBody()) start = this.#takeBody(bytes, start, end);
      else if (state === 'discard') start = this.#discard(bytes, start, end);
      else if (state === 'exchange' || state === 'flush') {
        this.#keep(bytes, start, end);
        break;
      } else break;
    }
    this.#consuming = false;
  }

  #takesBody(): boolean {
    return this.#sink !== undefined && !this.#bodyPaused && !this.#body.done;
  }

  #takeHead(bytes: Buffer, start: number, end: number): number {
    if (this.#state === 'idle') this.#beginHead();
    const index = this.#parser.feed(bytes, start, end);
    if (index === NEED_MORE) return end;
    if (index === REFUSED) {
      this.#refuse(this.#parser.head, this.#parser.refusal.status, this.#parser.refusal.reason);
      return end;
    }
    this.#begin(this.#parser.head);
    return index;
  }

  #beginHead(): void {
    this.#state = 'head';
    this.#deadline.set(this.#host.defaultServer(this).settings.clientHeaderTimeout);
  }

  #begin(head: RequestHead): void {
    const server = this.#host.serverOf(this, head.host);
    const exchange = this.#newExchange(head, server.settings);
    this.#body.reset(head.chunked ? 'chunked' : head.contentLength > 0 ? 'length' : 'none', head.contentLength);
    this.keepAlive = wantsKeepAlive(head) && !this.#host.leaving;
    this.#host.exchangeBegins(exchange);
  }

  #newExchange(head: RequestHead, server: ServerSettings): Exchange {
    this.#state = 'exchange';
    this.#deadline.clear();
    this.#continueSent = false;
    this.pipelined = this.#readsStash;
    this.requests++;
    const exchange = new Exchange(this, head, server, this.#host.pipeline, Date.now());
    this.#exchange = exchange;
    return exchange;
  }

  #refuse(head: RequestHead, status: number, reason: string): void {
    const exchange = this.#newExchange(head, this.#host.defaultServer(this).settings);
    this.#body.reset('none', 0);
    this.keepAlive = false;
    this.#refused = true;
    this.#host.refuse(exchange, status, reason);
  }

  #refuseSlowHead(): void {
    this.#refuse(this.#parser.head, 408, 'client timed out');
  }

  #takeBody(bytes: Buffer, start: number, end: number): number {
    const index = this.#body.decode(bytes, start, end, this);
    if (index < 0) {
      this.#failBody(400);
      return end;
    }
    if (this.#body.done) this.#finishBody();
    else if (!this.#bodyPaused) this.#armBodyTimeout();
    return index;
  }

  /** A piece of the request's body, from the decoder: counted, held against `client_max_body_size`, handed on. */
  bodyBytes(bytes: Buffer, start: number, end: number): void {
    const exchange = this.#exchange;
    const sink = this.#sink;
    if (exchange === undefined || sink === undefined) return;
    exchange.bodyBytesReceived += end - start;
    const most = exchange.location.clientMaxBodySize;
    if (most > 0 && exchange.bodyBytesReceived > most && !this.#tooLarge) {
      this.#tooLarge = true;
      exchange.log('error', 'client intended to send too large chunked body');
      this.#failBody(413);
      return;
    }
    sink.bodyBytes(bytes, start, end);
  }

  /** From the decoder's side of `BodySink`; the connection itself notices the end by `done`. */
  bodyEnd(): void {}
  bodyFault(): void {}

  #finishBody(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#deadline.clear();
    sink?.bodyEnd();
  }

  #failBody(status: number): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.keepAlive = false;
    this.#deadline.clear();
    sink?.bodyFault(status);
  }

  /** Keeps what nobody can take yet, and reads no more: one read's worth is the bound. */
  #keep(bytes: Buffer, start: number, end: number): void {
    const piece = bytes.subarray(start, end);
    this.#stash = this.#stash === undefined ? Buffer.from(piece) : Buffer.concat([this.#stash, piece]);
    this.channel.pause();
  }

  #unstash(): void {
    if (this.#consuming) return;
    const stash = this.#stash;
    this.#stash = undefined;
    this.#readsStash = true;
    if (stash !== undefined) this.#consume(stash, 0, stash.length);
    this.#readsStash = false;
    if (this.#stash === undefined && this.#state !== 'gone' && !this.#bodyPaused) this.channel.resume();
    if (this.#clientEnded && this.#stash === undefined) this.#endDuringExchange();
  }

  // Between requests, and the end.

  #awaitFlush(location: LocationSettings): void {
    this.#state = 'flush';
    this.#deadline.set(location.sendTimeout);
  }

  #goOn(location: LocationSettings): void {
    if (this.#body.done) this.#awaitRequest();
    else this.#discardBody(location);
  }

  #awaitRequest(): void {
    this.#state = 'idle';
    this.#tooLarge = false;
    const location = this.#lastLocation as LocationSettings;
    this.#deadline.set(location.keepaliveTimeout);
    this.#unstash();
  }

  #discardBody(location: LocationSettings): void {
    this.#state = 'discard';
    this.#discarded = 0;
    this.#deadline.set(location.lingeringTimeout);
    this.#unstash();
  }

  #discard(bytes: Buffer, start: number, end: number): number {
    const index = this.#body.decode(bytes, start, end, NO_SINK);
    this.#discarded += end - start;
    if (index < 0 || this.#discarded > DISCARD_LIMIT) {
      this.#closeGently(this.#lastLocation as LocationSettings);
      return end;
    }
    if (this.#body.done) this.#awaitRequest();
    else this.#deadline.set((this.#lastLocation as LocationSettings).lingeringTimeout);
    return index;
  }

  /** Ends our half when all is sent, and waits, within `lingering_time`, for the client to end its own where it may still be sending. */
  #closeGently(location: LocationSettings): void {
    this.#state = 'linger';
    this.#lastLocation = location;
    this.#stash = undefined;
    this.#host.flushLogs();
    this.channel.end();
    const unread = !this.#body.done || this.#refused;
    const lingers = location.lingeringClose === 'always' || (location.lingeringClose === 'on' && unread);
    this.#lingerUntil = lingers ? Date.now() + location.lingeringTime : 0;
    if (this.channel.pendingBytes > 0) this.#deadline.set(location.sendTimeout);
    else this.#linger();
  }

  /** All is sent. */
  #linger(): void {
    const left = this.#lingerUntil - Date.now();
    if (left <= 0 || this.#clientEnded) {
      this.#close();
      return;
    }
    this.#deadline.set(Math.min(left, (this.#lastLocation as LocationSettings).lingeringTimeout));
    this.channel.resume();
  }

  #endDuringExchange(): void {
    if (this.#state !== 'exchange' || this.#stash !== undefined) return;
    if (!this.#body.done && this.#sink !== undefined) this.#failBody(0);
    const exchange = this.#exchange;
    if (exchange !== undefined && !exchange.finished) exchange.watcher?.clientEnded();
  }

  #exchangeTooSlow(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (this.#sendBlocked) {
      exchange.log('info', 'client timed out (110: Connection timed out) while sending to client');
      this.#clientGone(exchange, true);
      if (exchange.location.resetTimedoutConnection) this.channel.reset();
      else this.#close();
      return;
    }
    this.#failBody(408);
  }

  /** A write to the client did not leave at once: `send_timeout` runs until it has. */
  sendIsBlocked(): void {
    const exchange = this.#exchange;
    if (this.#sendBlocked || exchange === undefined) return;
    this.#sendBlocked = true;
    this.#deadline.set(exchange.location.sendTimeout);
  }

  #armBodyTimeout(): void {
    if (this.#exchange !== undefined && !this.#sendBlocked)
      this.#deadline.set(this.#exchange.location.clientBodyTimeout);
  }

  #clientGone(exchange: Exchange, timedOut: boolean): void {
    if (exchange.finished) return;
    exchange.aborted = true;
    exchange.finished = true;
    const sink = this.#sink;
    this.#sink = undefined;
    this.#exchange = undefined;
    sink?.bodyFault(0);
    exchange.watcher?.clientGone(timedOut);
    this.#host.exchangeEnded(exchange);
  }

  #close(): void {
    this.#deadline.clear();
    this.#host.flushLogs();
    this.channel.destroy();
  }

  #leave(): void {
    this.#state = 'gone';
    this.#deadline.clear();
    this.#exchange = undefined;
    this.#stash = undefined;
    // A tunnel keeps this object for its log line, but not what only requests need.
    this.#parser = NO_PARSER;
    this.#body = NO_BODY;
  }
}

const NO_PARSER = new RequestHeadParser(DEFAULT_HEAD_LIMITS);
const NO_BODY = new BodyDecoder();
const NO_SINK = { bodyBytes(): void {} };

/** RFC 9112 9.3, and nginx: HTTP/1.0 must ask for it. */
function wantsKeepAlive(head: RequestHead): boolean {
  if (head.version === 11) return !head.connectionClose;
  return head.version === 10 && head.connectionKeepAlive;
}
