// After a peer has come, the surplus of the fullest peers of its upstream is asked to connect again, until each has its share.

import { Deadline, type DeadlineOwner, now } from '../transport/deadlines.ts';
import { type Peer, secondsNow } from '../upstream/peer.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { bySilence } from '../websocket/drain-pacer.ts';
import type { Tunnel } from '../websocket/tunnel.ts';
import { TunnelEnd } from './proxy-websocket.ts';

/** What a rebalancer is told of the gateway, and asks of it. */
export interface RebalancedTunnels {
  /** All WebSockets of this worker. */
  readonly webSockets: Iterable<Tunnel>;
  /** Tunnels that are to be asked to go have not been asked yet. */
  readonly areLeaving: boolean;
  /** Asks them to go, at its pace. */
  ask(tunnels: readonly Tunnel[]): void;
}

/** ms between two looks. */
const LOOK_AGAIN = 1000;
/** A peer may have so much more than its share, and one tunnel in any case. */
const SPREAD = 0.05;
/** Clients that are to come back elsewhere are waited for so long, in ms, before those that are there are taken for all. */
const COME_BACK = 15_000;
/** However things stand, one peer that comes is the cause of so many rounds at most. */
const MOST_ROUNDS = 16;

/** What is too much at a peer. */
interface Surplus {
  readonly peer: Peer;
  readonly count: number;
}

/** Each worker asks of its own tunnels the part that they are of all: the counts of peers are those of all workers. */
export class Rebalancer implements DeadlineOwner {
  readonly #upstream: Upstream;
  readonly #tunnels: RebalancedTunnels;
  readonly #looking = new Deadline(this);
  #seen: number;
  #rounds = 0;
  /** How many there were when the last ones were asked, and when that was. */
  #expected = 0;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(upstream: Upstream, tunnels: RebalancedTunnels) {
    this.#upstream = upstream;
    this.#tunnels = tunnels;
    this.#seen = upstream.returns;
  }

  /** A peer has come, and not all that follows from it has been done. */
  get isActive(): boolean {
    return this.#rounds > 0;
  }

  /** @param hasCome a peer is new in this configuration */
  start(hasCome: boolean): void {
    if (hasCome) this.#rounds = MOST_ROUNDS;
    this.#looking.set(LOOK_AGAIN);
  }

  stop(): void {
    this.#looking.clear();
  }

  deadlineReached(): void {
    this.#looking.set(LOOK_AGAIN);
    const { returns } = this.#upstream;
    if (returns !== this.#seen) this.#rounds = MOST_ROUNDS;
    this.#seen = returns;
    if (this.#rounds > 0 && !this.#tunnels.areLeaving) this.#look();
  }

  #look(): void {
    const peers = fitPeers(this.#upstream);
    const total = peers.reduce((sum, { active }) => sum + active, 0);
    const time = now();
    if (total < this.#expected * (1 - SPREAD) && time - this.#askedAt < COME_BACK) return;
    const surplus = surplusOf(peers, total);
    if (surplus.length > 0) {
      this.#rounds--;
      this.#expected = total;
      this.#askedAt = time;
      this.#tunnels.ask(surplus.flatMap((one) => this.#shareOf(one)));
    } else if (peers.every(({ grownShare }) => grownShare === 1)) this.#rounds = 0;
  }

  /** Those that have been silent longest. Where the part is no whole number, chance makes it one. */
  #shareOf({ peer, count }: Surplus): readonly Tunnel[] {
    const own = [...this.#tunnels.webSockets].filter(({ owner }) => this.#leadsTo(owner, peer));
    const part = Math.floor((count * own.length) / peer.active + Math.random());
    return own.sort(bySilence).slice(0, part);
  }

  #leadsTo(owner: Tunnel['owner'], { identity }: Peer): boolean {
    return (
      owner instanceof TunnelEnd &&
      owner.peer.identity === identity &&
      owner.target.upstream.name === this.#upstream.name
    );
  }
}

/** Those that a new tunnel could lead to, however full they are. */
function fitPeers({ primary }: Upstream): readonly Peer[] {
  const time = secondsNow();
  return primary.peers.filter(
    (peer) => !peer.down && !peer.settings.drain && !peer.isDisabled(time) && peer.health.isFit,
  );
}

function surplusOf(peers: readonly Peer[], total: number): readonly Surplus[] {
  const weightOf = (peer: Peer): number => peer.weight * peer.grownShare;
  const weights = peers.reduce((sum, peer) => sum + weightOf(peer), 0);
  return peers.flatMap((peer) => {
    const share = (total * weightOf(peer)) / weights;
    const isTooMuch = peer.active > Math.max(share * (1 + SPREAD), share + 1);
    return isTooMuch ? [{ peer, count: peer.active - Math.ceil(share) }] : [];
  });
}

/** Whether an upstream has a peer to connect to that it did not have before. */
export function hasNewPeer(upstream: Upstream, former: Upstream): boolean {
  const takesNew = (peer: Peer): boolean => !peer.down && !peer.settings.drain;
  const known = new Set(former.peers.filter(takesNew).map(({ name }) => name));
  return upstream.peers.some((peer) => takesNew(peer) && !known.has(peer.name));
}
