// A request for which there is no peer, and which waits for one: by `queue`, or, as an opening handshake, by `websocket_connect_wait`.

import type { Exchange } from '../exchange/exchange.ts';
import { type Peer, secondsNow } from '../upstream/peer.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { PlaceInLine, WaitLimits, WaitOwner } from '../upstream/waiting-line.ts';
import { answerSafely } from './answer.ts';

/** What waits. */
export interface WaitingPass {
  readonly exchange: Exchange;
  /**
   * Takes a peer if one can be had.
   * @param probe one that has been found failing, too; the number says with which to begin. -1: no such
   * @returns whether it has one
   */
  takePeer(upstream: Upstream, probe: number): boolean;
  /** Goes on with the peer that it has taken. @param waited ms */
  goOn(waited: number): void;
  /** The time is over. @param waited ms @param hindrance for the error log */
  waitEnded(waited: number, hindrance: string, limits: WaitLimits): void;
}

/** How a request may wait for a peer; undefined: not at all. A handshake that may wait for peers to come back never stands in the queue. */
export function waitLimits({ location }: Exchange, upstream: Upstream, isHandshake: boolean): WaitLimits | undefined {
  const { connectWait } = location.websocket;
  return connectWait !== undefined && isHandshake ? connectWait : upstream.queue;
}

/** Whether others wait already, behind whom a request that comes now has its place. */
export function standsBehind(exchange: Exchange, upstream: Upstream, isHandshake: boolean): boolean {
  if (upstream.queue === undefined && exchange.location.websocket.connectWait === undefined) return false;
  const limits = waitLimits(exchange, upstream, isHandshake);
  if (limits === undefined) return false;
  const { line } = upstream.current;
  return limits.rate === undefined ? line.hasQueue : line.hasReturning;
}

/** The seconds of `Retry-After`: about as long as was waited, and by chance up to half as much more, so that not all come back at once. */
export function retryAfter({ timeout }: WaitLimits): string {
  const least = Math.min(MOST_RETRY_AFTER, Math.max(1, Math.ceil(timeout / 1000)));
  return `${least + Math.floor((Math.random() * (least + 1)) / 2)}`;
}

const MOST_RETRY_AFTER = 60;

export class PeerWait implements WaitOwner {
  readonly limits: WaitLimits;
  /** What was told of before it waited: what is tried meanwhile takes each other's place. */
  readonly traces: number;
  readonly isBound: boolean;
  /** How often a peer has been tried in vain while it waits. */
  tries = 0;
  readonly #pass: WaitingPass;
  readonly #upstream: Upstream;
  #place: PlaceInLine | undefined = undefined;
  #probes = 0;
  #over = false;

  /** @param hint the `routeId` of the peer that the request is bound to; '' where it is not */
  constructor(pass: WaitingPass, upstream: Upstream, limits: WaitLimits, hint: string) {
    this.#pass = pass;
    this.#upstream = upstream;
    this.isBound = hint !== '' && upstream.peers.some(({ settings, routeId }) => settings.drain && routeId === hint);
    this.limits = limits;
    this.traces = pass.exchange.upstreams?.length ?? 0;
  }

  /** A peer has answered: from now on it is a request like any other. */
  get isOver(): boolean {
    return this.#over;
  }

  /** It waits for peers to come back, and none has answered yet: what it tries meanwhile is no news. */
  get isProbing(): boolean {
    return this.limits.rate !== undefined && !this.#over;
  }

  /** For the error log: how it went. */
  get summary(): string {
    return `waited ${Math.round(this.waited)} ms for a peer${this.#triedAgain}`;
  }

  /** For the error log: it has waited for as long as it may. */
  get #tooLong(): string {
    return `no peer within ${this.limits.timeout} ms${this.#triedAgain}`;
  }

  get #triedAgain(): string {
    return this.tries === 0 ? '' : `, tried again ${this.tries === 1 ? 'once' : `${this.tries} times`}`;
  }

  /** Waits, or waits on. @returns undefined: it waits; else what keeps it from waiting */
  wait(): string | undefined {
    if (this.#place !== undefined) return this.#place.again() ? undefined : this.#tooLong;
    this.#place = this.#upstream.current.line.join(this, this.limits);
    return this.#place === undefined ? 'too many wait already' : undefined;
  }

  /** ms. */
  get waited(): number {
    return this.#place?.waited ?? 0;
  }

  /** The peer has answered. */
  succeeded(): void {
    this.#place?.succeeded();
    this.#place = undefined;
    this.#over = true;
  }

  /** Safe to call at any time. */
  leave(): void {
    this.#place?.leave();
    this.#place = undefined;
  }

  // For the line.

  get peerCount(): number {
    return this.#upstream.current.peers.length;
  }

  hasPeer(): boolean {
    const time = secondsNow();
    return this.#upstream.current.peers.some((peer: Peer) => peer.isAvailable(time));
  }

  takePeer(probe: boolean): boolean {
    let taken = false;
    answerSafely(this.#pass.exchange, () => {
      taken = this.#pass.takePeer(this.#upstream.current, probe ? this.#probes++ : -1);
    });
    if (this.#pass.exchange.finished) this.leave();
    return taken;
  }

  goOn(): void {
    const { waited } = this;
    if (this.limits.rate === undefined) this.leave();
    answerSafely(this.#pass.exchange, () => this.#pass.goOn(waited));
  }

  waitEnded(): void {
    const { waited } = this;
    this.#place = undefined;
    answerSafely(this.#pass.exchange, () => this.#pass.waitEnded(waited, this.#tooLong, this.limits));
  }
}
