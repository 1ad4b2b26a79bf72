// proxy_pass: sends an exchange to a peer of an upstream, to the next one after a failure, and passes the answer on.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html

import type { ClientWatcher } from '../exchange/client-link.ts';
import type { Exchange, UpstreamTrace } from '../exchange/exchange.ts';
import { newUpstreamTrace } from '../exchange/traces.ts';
import { DONE, type Verdict } from '../exchange/verdict.ts';
import type { Headers } from '../http1/headers.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { Attempts, type RequestProgress } from '../upstream/attempts.ts';
import type { Peer } from '../upstream/peer.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { UpstreamConnection } from '../upstream/upstream-connection.ts';
import { noLiveUpstreams, UpstreamFault } from '../upstream/upstream-fault.ts';
import type { UpstreamWatcher } from '../upstream/upstream-watcher.ts';
import type { WaitLimits } from '../upstream/waiting-line.ts';
import { OpeningFilter } from './peer-opening.ts';
import { accelBuffering, accelRedirect, followAccelRedirect, obeyAccelManners } from './proxy-accel.ts';
import { type AnswerOwner, ProxyAnswer } from './proxy-answer.ts';
import { type BodyOwner, lengthOfNone, needsBody, ProxyBody } from './proxy-body.ts';
import { takeHandshake } from './proxy-handshake.ts';
import { framingOf, type PassedHandshake, type ProxyRequestHead, peerUrl, proxyRequestHead } from './proxy-request.ts';
import { passToMadeUp } from './proxy-resolve.ts';
import { informationalFields, takeAnswerHead } from './proxy-response.ts';
import type { ProxySettings, ProxyTarget } from './proxy-settings.ts';
import { PeerWait, retryAfter, standsBehind, type WaitingPass, waitLimits } from './proxy-wait.ts';
import { openTunnel, TunnelEnd } from './proxy-websocket.ts';
import { forceRange } from './ranges.ts';

/** The content handler of a location with proxy_pass. */
export function proxyPass(exchange: Exchange, settings: ProxySettings): Verdict {
  const { target } = settings;
  const handshake = takeHandshake(exchange, settings);
  if (typeof handshake === 'number') return handshake;
  if (typeof target !== 'function') return new ProxyPass(exchange, settings, target, handshake).start();
  const pass = (found: ProxyTarget): Verdict => new ProxyPass(exchange, settings, found, handshake).start();
  return passToMadeUp(exchange, target(exchange), settings.ignoreClientAbort, pass);
}

const NOTHING_DROPPED: readonly string[] = [];

export class ProxyPass implements UpstreamWatcher, ClientWatcher, BodyOwner, AnswerOwner, WaitingPass {
  readonly exchange: Exchange;
  readonly settings: ProxySettings;
  readonly target: ProxyTarget;
  readonly #handshake: PassedHandshake | undefined;
  #attempts: Attempts;
  /** The target's; after a wait perhaps that of a newer configuration. */
  #upstream: Upstream;
  /** Only where there was no peer. */
  #wait: PeerWait | undefined = undefined;
  #queueTime = -1;

  #connection: UpstreamConnection | undefined = undefined;
  #trace: UpstreamTrace | undefined = undefined;
  #head: ProxyRequestHead | undefined = undefined;
  #requestSent = false;
  #answering = false;
  #over = false;
  /** The answer cannot be whole. */
  #fault: UpstreamFault | undefined = undefined;

  /** undefined where there is nothing to send. */
  #body: ProxyBody | undefined = undefined;
  /** Only where the answer's body has to be held back somewhere. */
  #answer: ProxyAnswer | undefined = undefined;
  #attemptStart = 0;
  /** proxy_buffering, or what the peer says of it. */
  #buffering: boolean;

  constructor(
    exchange: Exchange,
    settings: ProxySettings,
    target: ProxyTarget,
    handshake: PassedHandshake | undefined,
  ) {
    this.exchange = exchange;
    this.settings = settings;
    this.target = target;
    this.#handshake = handshake;
    this.#buffering = settings.buffering;
    this.#upstream = target.upstream;
    this.#attempts = new Attempts(target.upstream.select(exchange), settings.next);
  }

  start(): Verdict {
    const { exchange, settings } = this;
    exchange.watcher = this;
    exchange.proxied = this.target;
    // What other groups were asked before, is told apart: `$upstream_addr` has a colon there.
    if (exchange.upstreams !== undefined) this.#newTrace('');
    exchange.link.sendContinue();
    if (!needsBody(exchange, settings)) this.#ask();
    else {
      this.#body = new ProxyBody(exchange, settings, this);
      this.#body.start();
    }
    return DONE;
  }

  bodyReady(): void {
    if (!this.#over) this.#ask();
  }

  bodyFailed(status: number): void {
    if (status !== 0 && !this.#over) this.#fail(status);
  }

  get #bodyLength(): number {
    return this.#body?.length ?? lengthOfNone(this.exchange, this.settings);
  }

  // Attempts.

  #tryNext(): void {
    this.exchange.upstreamHead = undefined;
    const peer = this.#attempts.next();
    if (!(peer instanceof UpstreamFault)) this.#attempt(peer);
    else if (!this.#waits(peer)) this.#giveUpUntried(peer);
  }

  #giveUpUntried(fault: UpstreamFault): void {
    this.#trace = this.#newTrace(this.target.upstream.name);
    this.#giveUp(fault);
  }

  #attempt(peer: Peer): void {
    this.#trace = this.#newTrace(peer.name, peer.settings.server);
    this.#requestSent = false;
    this.#dial(peer);
  }

  #dial(peer: Peer): void {
    const { exchange, settings } = this;
    const tlsName = settings.connection.tls === undefined ? '' : settings.tlsName(exchange);
    const chosen = settings.chooseConnection?.(exchange) ?? settings.connection;
    if (typeof chosen === 'string') {
      this.#refuse(500, chosen);
      return;
    }
    const from = settings.from?.(exchange);
    const connection = this.#upstream.acquire(peer, chosen, tlsName, this, this.#attempts.needsFresh, from);
    this.#connection = connection;
    if (connection.ready) this.upstreamConnected();
  }

  upstreamConnected(): void {
    const trace = this.#trace as UpstreamTrace;
    trace.connectTime = performance.now() - this.#attemptStart;
    const head = this.#head ?? this.#writeHead();
    if (head !== undefined) this.#sendRequest(head);
  }

  #writeHead(): ProxyRequestHead | undefined {
    const { exchange, settings, target } = this;
    const head = proxyRequestHead(exchange, settings, target, this.#bodyLength, this.#handshake);
    if (typeof head !== 'string') return head;
    this.#refuse(500, head);
    return undefined;
  }

  #refuse(status: number, reason: string): void {
    this.exchange.log('error', reason);
    this.#fail(status);
  }

  #sendRequest(head: ProxyRequestHead): void {
    const connection = this.#connection as UpstreamConnection;
    this.#head = head;
    this.#requestSent = true;
    const framing = framingOf(this.#bodyLength);
    if (framing === 'none') {
      connection.send(head.text, head.method, framing);
      return;
    }
    connection.cork();
    connection.send(head.text, head.method, framing);
    this.#body?.sendTo(connection);
  }

  upstreamDrain(): void {
    this.#body?.drained();
  }

  // The peer's answer.

  upstreamInformational(head: ResponseHead): void {
    const { exchange } = this;
    // A 100 answers an `Expect` that we have answered ourselves.
    if (head.status === 100 || exchange.head.version !== 11 || exchange.headSent) return;
    if (exchange.location.earlyHints?.(exchange) !== true) return;
    exchange.sendInformational(head.status, head.reason, informationalFields(head, this.settings));
  }

  upstreamHead(head: ResponseHead): void {
    const trace = this.#trace as UpstreamTrace;
    trace.status = head.status;
    for (const dropped of head.dropped ?? NOTHING_DROPPED)
      this.exchange.log('warn', `${dropped} while reading response header from upstream`, this.#url());
    this.exchange.upstreamHead = head;
    trace.headerTime = performance.now() - this.#attemptStart;
    if (this.#attempts.retriesAfterStatus(head.status, this.#progress())) {
      this.#closeTrace(0);
      this.#dropConnection();
      this.#tryNext();
      return;
    }
    this.#attempts.succeeded();
    if (this.#wait !== undefined) this.#waitSucceeded(this.#wait);
    if (head.status === 101) this.#switchProtocols(head);
    else this.#passHead(head);
  }

  #switchProtocols(head: ResponseHead): void {
    const { exchange } = this;
    const connection = this.#connection as UpstreamConnection;
    const request = this.#head as ProxyRequestHead;
    this.#addCookie();
    takeAnswerHead(exchange, head, this.settings);
    this.#countBytes();
    const { peer, selection } = this.#attempts;
    const sticky = selection.followsTunnel ? selection : undefined;
    const end = new TunnelEnd(exchange, this.settings, this.target, peer as Peer, sticky);
    const opened = openTunnel(end, request, head, connection);
    if (opened === undefined) {
      this.#attempts.becameTunnel();
      this.#connection = undefined;
      this.#head = undefined;
      this.#over = true;
      return;
    }
    exchange.forgetAnswer();
    this.upstreamFailed(new UpstreamFault('invalid_header', opened));
  }

  #passHead(head: ResponseHead): void {
    const { exchange, settings } = this;
    if (settings.interceptErrors && head.status >= 300 && this.#intercepts(head.status)) {
      this.#intercept(head);
      return;
    }
    if (head.hasAccel && this.#obeyAccel(head)) return;
    this.#addCookie();
    takeAnswerHead(exchange, head, settings);
    const opening = this.#attempts.selection.opening();
    if (opening !== undefined) exchange.addBodyFilter(new OpeningFilter(opening));
    if (settings.forceRanges && !forceRange(exchange)) {
      this.#fail(416);
      return;
    }
    if (settings.readRate !== undefined || settings.store !== undefined) this.#holdBack();
    this.#answering = true;
    this.#body?.stopReading();
    exchange.gather();
    exchange.sendHead();
  }

  #holdBack(): ProxyAnswer | undefined {
    if (this.#connection === undefined) return undefined;
    this.#answer ??= new ProxyAnswer(this.exchange, this.settings, this.#buffering, this.#connection, this);
    return this.#answer;
  }

  #intercepts(status: number): boolean {
    return this.exchange.location.errorPages.some(({ statuses }) => statuses.includes(status));
  }

  #intercept({ status, headers }: ResponseHead): void {
    for (let i = 0; status === 401 && i < headers.length; i++)
      if (headers.lowerNameAt(i) === 'www-authenticate') this.exchange.answer.addFrom(headers, i);
    this.#fail(status);
  }

  /** @returns whether the answer is another one */
  #obeyAccel(head: ResponseHead): boolean {
    this.#buffering = accelBuffering(head, this.settings);
    obeyAccelManners(this.exchange, head, this.settings);
    const elsewhere = accelRedirect(head, this.settings);
    if (elsewhere === undefined) return false;
    this.#end();
    this.#dropConnection();
    followAccelRedirect(this.exchange, head, this.settings, elsewhere);
    return true;
  }

  #addCookie(): void {
    const cookie = this.#attempts.selection.cookie();
    if (cookie !== undefined) this.exchange.answer.add('Set-Cookie', cookie);
  }

  upstreamBody(bytes: Buffer, start: number, end: number): void {
    const { exchange } = this;
    (this.#trace as UpstreamTrace).responseLength += end - start;
    if (this.#answer !== undefined) {
      this.#answer.take(bytes, start, end);
      return;
    }
    const left = exchange.send(bytes, start, end);
    if (!this.#buffering) exchange.flush();
    if (!left) this.clientBlocked();
  }

  upstreamEnd(trailers: Headers | undefined): void {
    const { exchange } = this;
    this.#closeTrace(0);
    this.#connection = undefined;
    exchange.upstreamTrailers = trailers;
    if (this.settings.passTrailers) exchange.trailers = trailers;
    this.#end();
    if (this.#answer?.end(true) !== false) exchange.finish();
  }

  answerGiven(): void {
    if (this.#fault === undefined) this.exchange.finish();
    else this.exchange.cutShort();
  }

  answerLost(): void {
    this.#end();
    this.#dropConnection();
    this.exchange.cutShort();
  }

  upstreamFailed(fault: UpstreamFault): void {
    if (this.#over) return;
    this.#closeTrace(fault.status);
    this.#connection = undefined;
    this.#body?.disconnect();
    if (this.#answering) {
      this.#logFault(fault);
      this.#end();
      this.#fault = fault;
      // What has come before that is still given to the client.
      if (this.#answer?.end(false) !== false) this.exchange.cutShort();
      return;
    }
    const retries = this.#attempts.retriesAfterFault(fault, this.#progress());
    if (retries) {
      this.#logTry(fault);
      this.#logDisabled();
      this.#tryNext();
    } else if (!this.#waits(fault)) this.#giveUp(fault);
  }

  #giveUp(fault: UpstreamFault): void {
    this.#logFault(fault);
    this.#logDisabled();
    this.#closeTrace(fault.status);
    this.#fail(fault.status);
  }

  #progress(): RequestProgress {
    return {
      method: this.exchange.method,
      sent: this.#requestSent,
      replayable: this.#body?.isReplayable ?? true,
      handshake: this.#handshake !== undefined,
      answered: this.exchange.upstreamHead !== undefined,
    };
  }

  // No peer is there.

  /** Whoever comes while others wait for a peer waits behind them. */
  #ask(): void {
    const behind = standsBehind(this.exchange, this.target.upstream, this.#handshake !== undefined);
    if (!behind || !this.#waits(noLiveUpstreams())) this.#tryNext();
  }

  /** @returns whether the request waits for a peer, or has been answered because it cannot */
  #waits(fault: UpstreamFault): boolean {
    const limits = waitLimits(this.exchange, this.#upstream, this.#handshake !== undefined);
    if (limits === undefined || this.#wait?.isOver === true) return false;
    const isTried = fault.condition !== undefined;
    if (isTried && (limits.rate === undefined || this.#requestSent)) return false;
    if (isTried) this.#logTry(fault);
    if (this.#wait !== undefined) this.#forgetTries(this.#wait.traces);
    this.#wait ??= new PeerWait(this, this.#upstream, limits, this.#attempts.selection.hint);
    const hindrance = this.#wait.wait();
    if (hindrance !== undefined) this.#refuseToWait(hindrance, limits);
    return true;
  }

  /** What is tried while it waits takes each other's place in `$upstream_…`: there may be very many. */
  #forgetTries(kept: number): void {
    const { upstreams } = this.exchange;
    if (upstreams !== undefined && upstreams.length > kept) upstreams.length = kept;
  }

  #waitSucceeded(wait: PeerWait): void {
    if (wait.isProbing) this.exchange.log('info', `${wait.summary} while connecting to upstream`, this.#url());
    wait.succeeded();
  }

  #refuseToWait(hindrance: string, limits: WaitLimits): void {
    const fault = new UpstreamFault(undefined, `no live upstreams while connecting to upstream: ${hindrance}`);
    if (limits.rate === undefined) {
      this.#giveUpUntried(fault);
      return;
    }
    this.#trace = this.#newTrace(this.target.upstream.name);
    this.#logFault(fault);
    this.#closeTrace(503);
    this.exchange.answer.add('Retry-After', retryAfter(limits));
    this.#fail(503);
  }

  takePeer(upstream: Upstream, probe: number): boolean {
    const selection = upstream.select(this.exchange);
    const peer = probe < 0 ? selection.next() : selection.probe(probe);
    if (peer === undefined) return false;
    // A handshake that has waited for peers to come back begins anew; from the queue, the request has the tries that are left.
    if (this.#wait?.limits.rate === undefined) this.#attempts.reselect(selection);
    else this.#attempts = new Attempts(selection, this.settings.next);
    this.#upstream = upstream;
    return true;
  }

  goOn(waited: number): void {
    this.exchange.upstreamHead = undefined;
    this.#queueTime = waited;
    this.#attempt(this.#attempts.peer as Peer);
  }

  waitEnded(waited: number, hindrance: string, limits: WaitLimits): void {
    this.#queueTime = waited;
    this.#refuseToWait(hindrance, limits);
  }

  // The client while it is answered.

  clientBlocked(): void {
    const held = this.#buffering ? this.settings.buffersSize : 0;
    if (this.#answer !== undefined) this.#answer.blocked();
    else if (this.exchange.pendingBytes > held) this.#holdBack()?.blocked();
  }

  clientDrain(): void {
    this.#answer?.drained();
  }

  clientEnded(): void {
    if (this.settings.ignoreClientAbort) return;
    this.#clientLeft();
    if (!this.exchange.headSent) this.exchange.status = 499;
    this.exchange.cutShort();
  }

  /** What has been asked of a peer is done to its end, and an answer that is stored comes to its end. */
  get outlivesClient(): boolean {
    return this.#answering ? this.#answer?.isStoring === true : this.settings.ignoreClientAbort;
  }

  clientGone(): void {
    this.#clientLeft();
  }

  #clientLeft(): void {
    this.exchange.log(
      'info',
      'client prematurely closed connection, so upstream connection is closed too',
      this.#url(),
    );
    this.#end();
    this.#dropConnection();
  }

  // The end.

  #dropConnection(): void {
    this.#answer?.close();
    this.#body?.disconnect();
    this.#connection?.close();
    this.#connection = undefined;
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#wait?.leave();
    this.#closeTrace(0);
    this.#attempts.end();
    this.#body?.disconnect();
  }

  #fail(status: number): void {
    this.#end();
    this.#dropConnection();
    this.#addCookie();
    this.exchange.fail(status);
  }

  #newTrace(address: string, server = ''): UpstreamTrace {
    this.#attemptStart = performance.now();
    const trace = newUpstreamTrace(address, server);
    trace.queueTime = this.#queueTime;
    this.#queueTime = -1;
    this.exchange.upstreams ??= [];
    this.exchange.upstreams.push(trace);
    return trace;
  }

  #closeTrace(status: number): void {
    const trace = this.#trace;
    if (trace === undefined || trace.responseTime >= 0) return;
    this.#countBytes();
    if (trace.status === 0) trace.status = status;
    trace.responseTime = performance.now() - this.#attemptStart;
  }

  #countBytes(): void {
    const trace = this.#trace as UpstreamTrace;
    trace.bytesReceived = this.#connection?.bytesReceived ?? 0;
    trace.bytesSent = this.#connection?.bytesSent ?? 0;
  }

  #logFault(fault: UpstreamFault): void {
    this.exchange.log('error', fault.message, this.#url());
  }

  /** While it waits for peers to come back, what is tried is told in the end: there may be very many who do. */
  #logTry(fault: UpstreamFault): void {
    const wait = this.#wait?.isProbing === true ? this.#wait : undefined;
    if (wait !== undefined) wait.tries++;
    this.exchange.log(wait === undefined ? 'error' : 'debug', fault.message, this.#url());
  }

  #logDisabled(): void {
    if (this.#attempts.disabled === undefined) return;
    this.exchange.log(
      'warn',
      'upstream server temporarily disabled while reading response header from upstream',
      this.#url(),
    );
  }

  #url(): string {
    return peerUrl(this.exchange, this.settings, this.target, this.#trace?.address ?? this.target.host);
  }
}
