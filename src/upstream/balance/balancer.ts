// What every balancer answers: which peer next; and the choice of one request, from its first peer to its last.

import type { Exchange } from '../../exchange/exchange.ts';
import { type Peer, secondsNow } from '../peer.ts';
import type { PeerGroup } from '../peer-group.ts';

/** A way to choose. It holds no state of a request: that is in the `Selection`. */
export interface Balancer {
  /** Looks at the request, where the choice depends on it. */
  begin(selection: Selection, exchange: Exchange): void;
  /**
   * The next peer of `selection.group`, or of its backup where it has none; marked as tried.
   * A peer whose `routeId` is `selection.hint` comes first if it is fit.
   */
  pick(selection: Selection): Peer | undefined;
}

/** What binds a client to a peer, around any balancer: nginx's `sticky`. */
export interface Stickiness {
  /** Sets `selection.hint` if the request says where it belongs. */
  begin(selection: Selection, exchange: Exchange): void;
  /** The value of `Set-Cookie` for an answer of this peer, if it needs one. */
  cookie(selection: Selection, peer: Peer): string | undefined;
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
  /** Where peers are taken from now: the primary ones, later perhaps the backup ones. */
  group: PeerGroup;
  /** The `routeId` that the request is bound to; '' where it is not. */
  hint = '';
  /** Of consistent hash: a point of the ring (-1: none), and how many points were passed in vain. */
  point = -1;
  pointsPassed = 0;
  /** Of bare `sticky route`: what the client's cookie says, and whether it came over TLS. */
  cookieSeen = '';
  overTls = false;
  /** The peer taken now. */
  peer: Peer | undefined = undefined;
  /** The peer taken last. */
  #last: Peer | undefined = undefined;
  #tried = 0;
  #triedMore: Set<number> | undefined = undefined;

  constructor(balancer: Balancer, stickiness: Stickiness | undefined, group: PeerGroup, exchange: Exchange) {
    this.#balancer = balancer;
    this.#stickiness = stickiness;
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
    const peer = this.#balancer.pick(this);
    return peer === undefined ? undefined : this.take(peer);
  }

  /** Takes this peer, also a second time. */
  take(peer: Peer): Peer {
    this.release();
    peer.addActive(1);
    this.peer = peer;
    this.#last = peer;
    return peer;
  }

  /** The peer that is taken has failed: nginx's `max_fails`. @returns whether that has disabled it */
  failed(): boolean {
    const { peer, group } = this;
    if (peer === undefined) return false;
    if (group.single) {
      peer.forgetFailures();
      return false;
    }
    const locked = group.lock();
    const disabled = peer.countFailure(secondsNow());
    group.unlock(locked);
    return disabled;
  }

  /** The peer that is taken has answered. */
  succeeded(): void {
    if (this.group.single) this.peer?.forgetFailures();
    else this.peer?.countSuccess();
  }

  /** The peer that is taken is active no more. Safe to call twice. */
  release(): void {
    this.peer?.addActive(-1);
    this.peer = undefined;
  }

  /** The value of `Set-Cookie` that the answer of the peer last taken has to bear, if any: bare `sticky route`. */
  cookie(): string | undefined {
    if (this.#stickiness === undefined || this.#last === undefined) return undefined;
    return this.#stickiness.cookie(this, this.#last);
  }

  hasTried(peer: Peer): boolean {
    if (peer.index < BITS) return (this.#tried & (1 << peer.index)) !== 0;
    return this.#triedMore?.has(peer.index) ?? false;
  }

  markTried(peer: Peer): void {
    if (peer.index < BITS) this.#tried |= 1 << peer.index;
    else {
      this.#triedMore ??= new Set();
      this.#triedMore.add(peer.index);
    }
  }

  /** Goes on with the backup peers. @returns false where there are none */
  useBackup(): boolean {
    if (this.group.backup === undefined) return false;
    this.group = this.group.backup;
    this.#tried = 0;
    this.#triedMore = undefined;
    return true;
  }

  /** The peer of the group that the request is bound to, if it is fit and not yet tried. */
  boundPeer(now: number): Peer | undefined {
    if (this.hint === '') return undefined;
    for (const peer of this.group.peers) {
      if (peer.routeId === this.hint) return this.hasTried(peer) || !peer.isAvailableToBound(now) ? undefined : peer;
    }
    return undefined;
  }
}
