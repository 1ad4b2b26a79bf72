// What every balancer answers: which peer next; and the choice of one request, from its first peer to its last.

import type { Exchange } from '../../exchange/exchange.ts';
import { type Peer, secondsNow } from '../peer.ts';
import type { PeerGroup } from '../peer-group.ts';
import { nowMs } from '../peer-times.ts';

/** A way to choose. It holds no state of a request: that is in the `Selection`. */
export interface Balancer {
  /** What it has to learn of each request; undefined: nothing. */
  readonly timing?: Timing | undefined;
  /** Looks at the request, where the choice depends on it. */
  begin(selection: Selection, exchange: Exchange): void;
  /**
   * The next peer of `selection.group`, or of its backup where it has none: marked as tried, and counted as active.
   * A peer whose `routeId` is `selection.hint` comes first if it is fit.
   */
  pick(selection: Selection): Peer | undefined;
}

/** What `least_time` measures. */
export interface Timing {
  /** What decides: the time until the head of an answer has come, or until all of it has. */
  readonly measure: 'header' | 'last byte';
  /** Requests under way count too. */
  readonly inflight: boolean;
}

/** What binds a client to a peer, around any balancer: nginx's `sticky`. */
export interface Stickiness {
  /** Sets `selection.hint` if the request says where it belongs. */
  begin(selection: Selection, exchange: Exchange): void;
  /** The value of `Set-Cookie` for an answer of this peer, if it needs one. */
  cookie(selection: Selection, exchange: Exchange, peer: Peer): string | undefined;
  /** The answer's head has come and is passed on. */
  answered(selection: Selection, exchange: Exchange, peer: Peer): void;
  /** It has done its work, without a fault; or it is a tunnel from now on. */
  finished(selection: Selection, exchange: Exchange, peer: Peer): void;
  /** Who learns from what stands behind the answer's head; undefined: nobody. */
  opening?(selection: Selection, exchange: Exchange, peer: Peer): OpeningReader | undefined;
}

/** Reads what a peer says first behind its answer's head, before that is passed on. It must not throw. */
export interface OpeningReader {
  /** The bytes are lent for the call only. @returns whether it wants to see what comes behind them; false is the last call */
  read(bytes: Uint8Array, start: number, end: number): boolean;
}

/** What is to be ended with a tunnel. */
interface Keeper {
  end(): void;
  /** The tunnel has ended, and so many messages of its client have passed. */
  tunnelEnded(messages: number): void;
}

/** Peers with a higher index are remembered in a set. */
const BITS = 31;

/**
 * The peers chosen for one request, one after the other; none twice unless asked. At most one is taken at a time, and each
 * that is taken has to be released.
 */
export class Selection {
  readonly #balancer: Balancer;
  readonly #stickiness: Stickiness | undefined;
  readonly #exchange: Exchange;
  /** Where peers are taken from now: the primary ones, later perhaps the backup ones. */
  group: PeerGroup;
  /** The `routeId` that the request is bound to; '' where it is not. */
  hint = '';
  /** Of the hashes: the key, '' where there is none, in which case turns decide. */
  key = '';
  /** Of the hashes: the last one, or a point of a ring; how often it was hashed anew; how many peers were passed in vain. */
  hash = 0;
  rehash = 0;
  passed = 0;
  /** Of `sticky learn` and `sticky engineio`: the session that the request belongs to. */
  session = '';
  /** Of `sticky engineio`: keeps the session of a tunnel alive. */
  keeper: Keeper | undefined = undefined;
  /** Of bare `sticky route`: what the client's cookie says, and whether it came over TLS. */
  cookieSeen = '';
  overTls = false;
  /** The peer taken now. */
  peer: Peer | undefined = undefined;
  /** The peer taken last. */
  #last: Peer | undefined = undefined;
  #tried = 0;
  #triedMore: Set<number> | undefined = undefined;
  /** When the peer was taken, and how long it took to the answer's head (-1: there is none), in ms: for `least_time`. */
  #takenAt = 0;
  #headTime = -1;
  #inflight = false;
  /** What is known of the peer has been learned. */
  #settled = false;
  /** The peer was taken though `max_fails` had disabled it. */
  #probing = false;

  constructor(balancer: Balancer, stickiness: Stickiness | undefined, group: PeerGroup, exchange: Exchange) {
    this.#balancer = balancer;
    this.#stickiness = stickiness;
    this.#exchange = exchange;
    this.group = group;
    balancer.begin(this, exchange);
    stickiness?.begin(this, exchange);
  }

  /** How many attempts are worth making: nginx's `peer.tries`. */
  get tries(): number {
    return this.group.tries;
  }

  /** Takes the next peer to try: it counts as active until `release`. @returns undefined: no live upstreams */
  next(): Peer | undefined {
    this.release();
    return this.#balancer.pick(this);
  }

  /**
   * Takes a peer that `max_fails` may have disabled, to see whether it is back. That it is not counts no further against it.
   * @param turn peers are looked at from this one on, so that each has its turn
   * @returns undefined: there is none
   */
  probe(turn: number): Peer | undefined {
    this.release();
    do {
      const { peers } = this.group;
      for (let i = 0; i < peers.length; i++) {
        const index = (turn + i) % peers.length;
        const peer = peers[index] as Peer;
        if (!peer.mayBeBack || !peer.reserve()) continue;
        this.picked(index, secondsNow());
        this.#probing = true;
        return peer;
      }
    } while (this.useBackup());
    return undefined;
  }

  /** For balancers, the group being locked: this peer was reserved. */
  picked(index: number, now: number): Peer {
    const peer = this.group.peers[index] as Peer;
    this.#markTried(index);
    peer.markChosen(now);
    this.peer = peer;
    this.#last = peer;
    this.#settled = false;
    this.#probing = false;
    if (this.#balancer.timing !== undefined) this.#beginTiming(peer, this.#balancer.timing.inflight);
    return peer;
  }

  /** The peer that is taken has failed: nginx's `max_fails`. @returns whether that has disabled it */
  failed(): boolean {
    const { peer, group } = this;
    if (peer === undefined) return false;
    this.#settled = true;
    if (this.#probing) return false;
    if (group.single) {
      peer.forgetFailures();
      return false;
    }
    const locked = group.lock();
    const disabled = peer.countFailure(secondsNow());
    group.unlock(locked);
    return disabled;
  }

  /** The peer that is taken has answered, if not as wished: nginx counts that as health. */
  refused(): void {
    this.#settled = true;
    this.#countSuccess();
  }

  /** The peer that is taken has ended it without an answer, which says nothing of the peer. */
  turnedAway(): void {
    this.#settled = true;
  }

  /** The head of the answer of the peer that is taken has come, and is passed on. */
  succeeded(): void {
    const { peer } = this;
    if (peer === undefined) return;
    this.#countSuccess();
    if (this.#balancer.timing !== undefined) this.#timeHead(peer);
    this.#stickiness?.answered(this, this.#exchange, peer);
  }

  /**
   * The answer was a 101 and the peer is half of a tunnel now. What there is to learn is learned now, not when the tunnel ends. The
   * peer is the tunnel's to release.
   */
  becameTunnel(): void {
    if (this.peer !== undefined) this.#settle(this.peer, this.#headTime);
    this.peer = undefined;
  }

  /** The peer that is taken is active no more. Safe to call twice. */
  release(): void {
    const { peer } = this;
    if (peer === undefined) return;
    const time = this.#balancer.timing === undefined ? 0 : this.#timeTaken();
    if (!this.#settled) this.#settle(peer, time);
    this.#endInflight(peer, time);
    this.keeper?.end();
    peer.leave();
    this.peer = undefined;
  }

  /** The value of `Set-Cookie` that the answer of the peer last taken has to bear, if any. */
  cookie(): string | undefined {
    if (this.#stickiness === undefined || this.#last === undefined) return undefined;
    return this.#stickiness.cookie(this, this.#exchange, this.#last);
  }

  /** What its peer says first in a tunnel is to be seen, and when the tunnel has ended is to be told. */
  get followsTunnel(): boolean {
    return this.#stickiness?.opening !== undefined;
  }

  /** After `becameTunnel`, where `followsTunnel` says so. @param messages how many of the client's have passed */
  tunnelEnded(messages: number): void {
    this.keeper?.tunnelEnded(messages);
  }

  /** After `succeeded`: who has to see what comes behind the answer's head, if anybody. */
  opening(): OpeningReader | undefined {
    const { peer } = this;
    if (this.#stickiness?.opening === undefined || peer === undefined) return undefined;
    return this.#stickiness.opening(this, this.#exchange, peer);
  }

  hasTried(index: number): boolean {
    if (index < BITS) return (this.#tried & (1 << index)) !== 0;
    return this.#triedMore?.has(index) ?? false;
  }

  /** Goes on with the backup peers. @returns false where there are none */
  useBackup(): boolean {
    if (this.group.backup === undefined) return false;
    this.group = this.group.backup;
    this.#tried = 0;
    this.#triedMore = undefined;
    return true;
  }

  /** The place of the peer of the group that the request is bound to, if it is fit and not yet tried; -1: there is none. */
  boundPeer(now: number): number {
    if (this.hint === '') return -1;
    const { peers } = this.group;
    for (let i = 0; i < peers.length; i++) {
      const peer = peers[i] as Peer;
      if (peer.routeId === this.hint) return this.hasTried(i) || !peer.isAvailableToBound(now) ? -1 : i;
    }
    return -1;
  }

  #markTried(index: number): void {
    if (index < BITS) this.#tried |= 1 << index;
    else {
      this.#triedMore ??= new Set();
      this.#triedMore.add(index);
    }
  }

  #countSuccess(): void {
    if (this.group.single) this.peer?.forgetFailures();
    else if (this.#probing) this.peer?.recover();
    else this.peer?.countSuccess();
  }

  // What is learned of the peer.

  #beginTiming(peer: Peer, inflight: boolean): void {
    this.#takenAt = nowMs();
    this.#headTime = -1;
    this.#inflight = inflight;
    if (inflight) peer.times.beginRequest(this.#takenAt);
  }

  #timeTaken(): number {
    return Math.max(0, (nowMs() - this.#takenAt) | 0);
  }

  /** Where heads decide and requests under way count, this is the end of being under way. */
  #timeHead(peer: Peer): void {
    this.#headTime = this.#timeTaken();
    if (!this.#inflight || this.#balancer.timing?.measure !== 'header') return;
    peer.times.learnHeader(this.#headTime);
    this.#endInflight(peer, this.#headTime);
  }

  #settle(peer: Peer, time: number): void {
    this.#settled = true;
    const { timing } = this.#balancer;
    if (timing !== undefined && this.#headTime >= 0) {
      peer.times.learnResponse(time);
      if (!timing.inflight || timing.measure !== 'header') peer.times.learnHeader(this.#headTime);
    }
    this.#endInflight(peer, time);
    this.#stickiness?.finished(this, this.#exchange, peer);
  }

  #endInflight(peer: Peer, took: number): void {
    if (!this.#inflight) return;
    this.#inflight = false;
    peer.times.endRequest(nowMs(), took);
  }
}
