// nginx's least_conn and least_time: the peer with the least to do for its weight; among equals, turns decide.

import type { Peer } from '../peer.ts';
import { nowMs } from '../peer-times.ts';
import type { Balancer, Selection, Timing } from './balancer.ts';
import { type Chooser, pickOf } from './chooser.ts';
import { roundRobin } from './round-robin.ts';

/** What a peer has to do. */
export interface Load {
  readonly timing: Timing | undefined;
  /** Called for each peer that is fit, before the loads are compared. */
  look(peer: Peer): void;
  of(peer: Peer, now: number): number;
}

/** The connections that are in use: tunnels are, until they end. */
export const connections: Load = { timing: undefined, look() {}, of: (peer) => peer.active };

/** Slower than this, ms, all are equally bad, and connections alone decide. */
const SLOWEST = 5000;
/** Times that are as close as this, ms, are the same. */
const CLUSTER = 20;

/** nginx's estimate of how long a peer needs for one more request. */
export function timeNeeded(timing: Timing): Load {
  return {
    timing,
    look: (peer) => peer.times.learnInflight(nowMs()),
    of: (peer, now) => clustered(timeOf(peer, timing, now)) * (1 + peer.active),
  };
}

/** A peer that nobody has asked for longer than `fail_timeout` is given half its time for each such stretch, so that it gets a chance. */
function timeOf(peer: Peer, timing: Timing, now: number): number {
  const { times, settings } = peer;
  const time = timing.measure === 'header' ? times.header : times.response;
  const unchecked = peer.secondsUnchecked(now);
  const halved =
    unchecked > settings.failTimeout ? halve(time, Math.floor(unchecked / (settings.failTimeout + 1))) : time;
  return timing.inflight && times.underWay > 0 ? Math.max(halved, times.inflight) : halved;
}

const halve = (time: number, often: number): number => (often > 31 ? 0 : time >> often);

const clustered = (time: number): number => (time > SLOWEST ? SLOWEST : time + CLUSTER - (time % CLUSTER));

export class LeastLoaded implements Balancer, Chooser {
  readonly timing: Timing | undefined;
  readonly #load: Load;

  constructor(load: Load) {
    this.#load = load;
    this.timing = load.timing;
  }

  begin(): void {}

  pick(selection: Selection): Peer | undefined {
    if (selection.group.single) return roundRobin.pick(selection);
    do {
      const peer = pickOf(this, selection);
      if (peer !== undefined) return peer;
    } while (selection.useBackup());
    return undefined;
  }

  choose(selection: Selection, now: number): number {
    const bound = selection.boundPeer(now);
    return bound >= 0 ? bound : this.#chooseLeast(selection, now);
  }

  #chooseLeast(selection: Selection, now: number): number {
    const { peers } = selection.group;
    let best = -1;
    let bestLoad = 0;
    let bestWeight = 1;
    let several = false;
    for (let i = 0; i < peers.length; i++) {
      const peer = peers[i] as Peer;
      if (selection.hasTried(i) || !peer.isAvailable(now)) continue;
      this.#load.look(peer);
      const load = this.#load.of(peer, now);
      const weight = peer.slowStart === 0 ? peer.weight : peer.weight * peer.grownShare;
      const difference = load * bestWeight - bestLoad * weight;
      if (best >= 0 && difference === 0) several = true;
      if (best >= 0 && difference >= 0) continue;
      best = i;
      bestLoad = load;
      bestWeight = weight;
      several = false;
    }
    return several ? this.#weighEquals(selection, now, best, bestLoad, bestWeight) : best;
  }

  /** One turn among those who have as little to do as the first of them. */
  #weighEquals(selection: Selection, now: number, first: number, load: number, weight: number): number {
    const { peers, weightScale } = selection.group;
    let best = first;
    let total = 0;
    for (let i = first; i < peers.length; i++) {
      const peer = peers[i] as Peer;
      if (selection.hasTried(i) || !peer.isAvailable(now)) continue;
      const own = peer.slowStart === 0 ? peer.weight : peer.weight * peer.grownShare;
      if (i !== first && this.#load.of(peer, now) * weight !== load * own) continue;
      total += peer.gainWeight(weightScale);
      if (peer.currentWeight > (peers[best] as Peer).currentWeight) best = i;
    }
    (peers[best] as Peer).loseWeight(total);
    return best;
  }
}
