// websocket_resume: when a tunnel has lost its peer, another one is asked to take its place, as the first one was.

import type { Exchange } from '../exchange/exchange.ts';
import { newUpstreamTrace } from '../exchange/traces.ts';
import type { WebSocketResume } from '../exchange/websocket-settings.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { Deadline, now } from '../transport/deadlines.ts';
import { reportOwnerFault } from '../transport/owner-fault.ts';
import type { Selection } from '../upstream/balance/balancer.ts';
import type { Peer } from '../upstream/peer.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { UpstreamConnection } from '../upstream/upstream-connection.ts';
import type { UpstreamFault } from '../upstream/upstream-fault.ts';
import type { UpstreamWatcher } from '../upstream/upstream-watcher.ts';
import { agreesWith, answerWithoutContext, outlivesPeer } from '../websocket/context-free-deflate.ts';
import { checkHandshakeAnswer } from '../websocket/handshake.ts';
import type { Tunnel } from '../websocket/tunnel.ts';
import { complaintOf } from '../websocket/tunnel-complaint.ts';
import { type ProxyRequestHead, RESUME_FIELD } from './proxy-request.ts';
import type { ProxySettings, ProxyTarget } from './proxy-settings.ts';

/** The tunnel's owner, as far as it concerns us. Fulfilled by `TunnelEnd`. */
export interface ResumedTunnel {
  readonly exchange: Exchange;
  readonly settings: ProxySettings;
  readonly target: ProxyTarget;
  peer: Peer;
  log(level: 'error' | 'warn' | 'notice' | 'info', message: string): void;
  leavePeer(tunnel: Tunnel, received: number, sent: number): void;
}

/** All that lose a peer at once do not come to the next one at once: each waits up to so many ms. */
const JITTER = 100;
/** ms between two rounds over all peers, at first and at most. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 2000;
/** In the first round one server may take such a part of the whole time. */
const SHARE_OF_ONE = 4;
/** A peer that takes tunnels and loses them again is not fed for ever: so many within a minute, then the client goes. */
const MOST_IN_A_MINUTE = 10;
const MINUTE = 60_000;
/** Of a tunnel that lasts, so many passes are told in `$upstream_addr` and its like: the last ones. */
const MOST_TRACES = 32;

/** What the first peer was asked and has agreed to. */
interface Agreement {
  /** The head of the request, without the line that ends it. */
  readonly head: string;
  readonly key: string;
  readonly protocol: string | undefined;
  /** What the client was told of extensions. */
  readonly extensions: readonly string[];
  readonly offeredProtocols: readonly string[];
  readonly offeredExtensions: readonly string[];
}

/**
 * Before the client's 101 is written.
 * @returns undefined: when its peer is lost, the client goes
 */
export function makeResumption(
  tunnel: ResumedTunnel,
  request: ProxyRequestHead,
  { headers }: ResponseHead,
): TunnelResumption | undefined {
  const { exchange } = tunnel;
  const settings = exchange.location.websocket.resume;
  if (settings === undefined || request.handshake === undefined) return undefined;
  const extensions = answerWithoutContext(headers.getJoined('sec-websocket-extensions'));
  if (!outlivesPeer(extensions)) {
    tunnel.log('info', `upstream agreed to "${extensions.join(', ')}", which no other server could go on with`);
    return undefined;
  }
  if (extensions.length > 0 && exchange.answer.has('sec-websocket-extensions')) {
    exchange.answer.remove('sec-websocket-extensions');
    exchange.answer.add('Sec-WebSocket-Extensions', extensions.join(', '));
  }
  const agreement: Agreement = {
    head: request.text.slice(0, -2),
    key: exchange.head.headers.get('sec-websocket-key') ?? '',
    protocol: headers.getJoined('sec-websocket-protocol'),
    extensions,
    offeredProtocols: request.handshake.protocols,
    offeredExtensions: request.handshake.extensions,
  };
  return new TunnelResumption(tunnel, agreement, settings);
}

export class TunnelResumption implements UpstreamWatcher {
  /** The loss that the tunnel ends by has been told in the error log. */
  hasTold = false;
  /** The configuration has all of the tunnel's place but its peer: it could go on with another one. */
  onlyPeerGone = false;
  #hasPeer = true;
  /** Bytes that the passes before the last one were told of. */
  #received = 0;
  #sent = 0;
  readonly #owner: ResumedTunnel;
  readonly #agreement: Agreement;
  readonly #settings: WebSocketResume;
  /** Of the tunnel whose peer is lost; undefined while it has one. */
  #tunnel: Tunnel | undefined = undefined;
  #lostAt = 0;
  #tries = 0;
  #pause = FIRST_PAUSE;
  /** Whom `#selection` chooses among. */
  #asked: Upstream | undefined = undefined;
  #selection: Selection | undefined = undefined;
  #connection: UpstreamConnection | undefined = undefined;
  #requestSent = false;
  #attemptStart = 0;
  #connectTime = -1;
  readonly #nextTry = new Deadline({ deadlineReached: () => this.#try() });
  readonly #latest = new Deadline({ deadlineReached: () => this.#giveUp(`none within ${this.#settings.timeout} ms`) });
  /** Who does not answer keeps the others waiting no longer than that; from the second round on it may take its time. */
  readonly #answerTime = new Deadline({ deadlineReached: () => this.#passOver() });
  /** When the last minute with a resumption began, and how many there were in it. */
  #minuteBegan = Number.NEGATIVE_INFINITY;
  #inMinute = 0;

  constructor(owner: ResumedTunnel, agreement: Agreement, settings: WebSocketResume) {
    this.#owner = owner;
    this.#agreement = agreement;
    this.#settings = settings;
  }

  /** The upstream of the configuration that serves now. */
  get #upstream(): Upstream {
    return this.#owner.target.upstream.current;
  }

  /** Its peer is to be left, and another one may take its place. */
  get mayMove(): boolean {
    return this.onlyPeerGone && this.#isPossible;
  }

  /** There are others who could take the tunnel, and it has not used up its chances. */
  get #isPossible(): boolean {
    return !this.#upstream.isRetired && (this.#inMinute < MOST_IN_A_MINUTE || now() - this.#minuteBegan >= MINUTE);
  }

  /** The peer of the tunnel is lost. @returns whether another one is looked for */
  begin(tunnel: Tunnel): boolean {
    const isPossible = this.#isPossible;
    const complaint = complaintOf(tunnel);
    this.hasTold = isPossible;
    if (!isPossible) return false;
    if (complaint !== undefined) this.#owner.log('warn', `${complaint.message}: its client stays`);
    this.#countInMinute();
    this.leavePeer(tunnel);
    this.#tunnel = tunnel;
    this.#lostAt = now();
    this.#tries = 0;
    this.#pause = FIRST_PAUSE;
    this.#latest.set(this.#settings.timeout);
    this.#nextTry.set(Math.random() * Math.min(JITTER, this.#settings.timeout / 2));
    return true;
  }

  /** Safe to call twice. */
  leavePeer(tunnel: Tunnel): void {
    if (!this.#hasPeer) return;
    this.#hasPeer = false;
    this.#owner.leavePeer(tunnel, this.#received, this.#sent);
    this.#received = tunnel.peer.bytes;
    this.#sent = tunnel.client.bytes;
  }

  #takePeer(peer: Peer): void {
    this.#hasPeer = true;
    this.onlyPeerGone = false;
    this.#owner.peer = peer;
  }

  #countInMinute(): void {
    const time = now();
    if (time - this.#minuteBegan >= MINUTE) {
      this.#minuteBegan = time;
      this.#inMinute = 0;
    }
    this.#inMinute++;
  }

  /** Nobody is looked for any more. Safe to call at any time. */
  cancel(): void {
    this.#tunnel = undefined;
    this.#nextTry.clear();
    this.#latest.clear();
    this.#answerTime.clear();
    this.#connection?.close();
    this.#connection = undefined;
    this.#forgetSelection();
  }

  #giveUp(reason: string): void {
    const tunnel = this.#tunnel;
    this.cancel();
    this.#owner.log('error', `no other upstream for a client whose own was lost: ${reason}`);
    tunnel?.giveUp();
  }

  /** What is thrown while a server is chosen or dialled would be thrown the next time as well. */
  #try(): void {
    try {
      this.#ask();
    } catch (fault) {
      this.#giveUp(reportOwnerFault(fault).message);
    }
  }

  #ask(): void {
    // A reload may have put others in the place of those who were to be asked.
    if (this.#asked !== this.#upstream) this.#forgetSelection();
    this.#selection ??= this.#select();
    const peer = this.#selection.next();
    if (peer === undefined) this.#pauseTries();
    else this.#dial(peer);
  }

  /** A server that is being drained still takes those that are bound to it, but not again. */
  #select(): Selection {
    this.#asked = this.#upstream;
    const selection = this.#upstream.select(this.#owner.exchange);
    const isBoundTo = ({ routeId }: Peer): boolean => routeId !== '' && routeId === selection.hint;
    if (this.#upstream.peers.some((peer) => peer.settings.drain && isBoundTo(peer))) selection.hint = '';
    return selection;
  }

  /** All have been asked: in a moment they are asked again. */
  #pauseTries(): void {
    this.#forgetSelection();
    this.#nextTry.set(this.#pause * (0.5 + Math.random() / 2));
    this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 2);
  }

  #forgetSelection(): void {
    this.#selection?.release();
    this.#selection = undefined;
  }

  #dial(peer: Peer): void {
    const { exchange, settings } = this.#owner;
    const chosen = settings.chooseConnection?.(exchange) ?? settings.connection;
    if (typeof chosen === 'string') {
      this.#giveUp(chosen);
      return;
    }
    const tlsName = settings.connection.tls === undefined ? '' : settings.tlsName(exchange);
    this.#tries++;
    this.#requestSent = false;
    this.#connectTime = -1;
    this.#attemptStart = performance.now();
    if (this.#pause === FIRST_PAUSE) this.#answerTime.set(this.#settings.timeout / SHARE_OF_ONE);
    this.#connection = this.#upstream.acquire(peer, chosen, tlsName, this, true, settings.from?.(exchange));
  }

  upstreamConnected(): void {
    this.#connectTime = performance.now() - this.#attemptStart;
    this.#requestSent = true;
    const nth = (this.#tunnel?.resumes ?? 0) + 1;
    this.#connection?.send(`${this.#agreement.head}${RESUME_FIELD}: ${nth}\r\n\r\n`, 'GET', 'none');
  }

  upstreamHead(head: ResponseHead): void {
    this.#answerTime.clear();
    const fault = this.#faultIn(head);
    if (fault === undefined) this.#resume();
    else {
      this.#connection?.close();
      this.#connection = undefined;
      this.#selection?.refused();
      // An application that does not know the client any more, or will not have it, says so to all its servers.
      if (head.status >= 400 && head.status < 500) this.#giveUp(fault);
      else this.#tryNext(fault);
    }
  }

  #faultIn({ status, headers }: ResponseHead): string | undefined {
    const agreement = this.#agreement;
    const checked = checkHandshakeAnswer({
      ...agreement,
      status,
      headers: (lowerName) => headers.getJoined(lowerName),
    });
    if (status !== 101) return `upstream answered ${status}`;
    if (!this.#isStillThere) return 'a reload has removed the upstream that answered';
    if (!checked.ok) return `upstream sent invalid answer to the upgrade: ${checked.fault}`;
    if (checked.protocol !== agreement.protocol) return 'upstream chose another subprotocol than the one before';
    const extensions = answerWithoutContext(headers.getJoined('sec-websocket-extensions'));
    return agreesWith(agreement.extensions, extensions)
      ? undefined
      : 'upstream agreed to other extensions than the one before';
  }

  get #isStillThere(): boolean {
    const peer = this.#selection?.peer;
    return peer !== undefined && (this.#asked === this.#upstream || this.#upstream.keeps(peer));
  }

  #resume(): void {
    const connection = this.#connection as UpstreamConnection;
    const selection = this.#selection as Selection;
    const tunnel = this.#tunnel as Tunnel;
    const peer = selection.peer as Peer;
    selection.succeeded();
    selection.becameTunnel();
    const { channel, rest } = connection.detachForTunnel();
    this.#connection = undefined;
    this.#selection = undefined;
    this.cancel();
    this.hasTold = false;
    this.#takePeer(peer);
    this.#trace(peer);
    const summary = this.#summary;
    if (!tunnel.resume(channel, rest)) return;
    this.#owner.exchange.pipeline.tunnelResumed(tunnel);
    this.#owner.log('notice', summary);
  }

  get #summary(): string {
    const ms = Math.round(now() - this.#lostAt);
    return `upstream took a client whose own was lost, after ${ms} ms${this.#tries > 1 ? ` and ${this.#tries} tries` : ''}`;
  }

  #trace({ name, settings }: Peer): void {
    const { exchange } = this.#owner;
    const trace = newUpstreamTrace(name, settings.server);
    trace.status = 101;
    trace.connectTime = this.#connectTime;
    trace.headerTime = performance.now() - this.#attemptStart;
    trace.responseTime = trace.headerTime;
    exchange.upstreams ??= [];
    if (exchange.upstreams.length >= MOST_TRACES) exchange.upstreams.shift();
    exchange.upstreams.push(trace);
  }

  #tryNext(fault: string): void {
    this.#owner.log('info', `${fault}, for a client whose own was lost`);
    this.#try();
  }

  /** A server that has read the handshake and leaves is there: that says nothing of it. */
  upstreamFailed(fault: UpstreamFault): void {
    this.#answerTime.clear();
    this.#connection = undefined;
    if (this.#requestSent && fault.condition === 'error') this.#selection?.turnedAway();
    else this.#selection?.failed();
    this.#tryNext(fault.message);
  }

  #passOver(): void {
    this.#connection?.close();
    this.#connection = undefined;
    this.#selection?.failed();
    this.#tryNext('upstream did not answer in time');
  }

  upstreamInformational(): void {}

  upstreamBody(): void {}

  upstreamEnd(): void {}

  upstreamDrain(): void {}
}
