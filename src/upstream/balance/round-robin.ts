// nginx's smooth weighted round robin: over any stretch of requests, each peer gets its share, evenly spread.

import type { Peer } from '../peer.ts';
import type { PeerGroup } from '../peer-group.ts';
import type { Balancer, Selection } from './balancer.ts';
import { type Chooser, pickOf } from './chooser.ts';

/**
 * In each turn every peer that is fit gains its effective weight, the one that has most is chosen, and loses what all have
 * gained. A peer that fails has its effective weight lowered, and wins it back by one in each turn.
 */
export const roundRobin: Balancer & Chooser = {
  begin() {},

  pick(selection: Selection): Peer | undefined {
    do {
      const peer = pickOf(roundRobin, selection);
      if (peer !== undefined) return peer;
    } while (selection.useBackup());
    return undefined;
  },

  choose(selection: Selection, now: number): number {
    return selection.group.single ? chooseOnly(selection) : chooseWeighted(selection, now);
  },
};

function chooseOnly(selection: Selection): number {
  const only = selection.group.peers[0] as Peer;
  if (only.down || only.isFull || !only.health.isFit) return -1;
  return only.settings.drain && selection.hint !== only.routeId ? -1 : 0;
}

function chooseWeighted(selection: Selection, now: number): number {
  const bound = selection.boundPeer(now);
  const { group } = selection;
  if (bound >= 0 && isFarBehind(group.peers[bound] as Peer, group)) return bound;
  return weigh(selection, now, undefined, bound);
}

/** Bound clients use up their peer's turns, but not without end: others must not wait for ever when the bound ones have gone. */
function isFarBehind(bound: Peer, group: PeerGroup): boolean {
  return bound.currentWeight <= -(group.totalWeight - bound.weight) * group.weightScale;
}

/**
 * One turn among the peers that are fit, the group being locked.
 * @param server only peers of this `server` line take part; undefined: all
 * @param bound the place of a peer that is chosen whatever the weights say; -1: none
 * @returns the place of the chosen peer; -1: none is fit
 */
export function weigh(selection: Selection, now: number, server?: string, bound = -1): number {
  const { peers, weightScale } = selection.group;
  let best = -1;
  let bestWeight = 0;
  let total = 0;
  for (let i = 0; i < peers.length; i++) {
    const peer = peers[i] as Peer;
    if (selection.hasTried(i) || !peer.isAvailable(now)) continue;
    if (server !== undefined && peer.settings.server !== server) continue;
    total += peer.gainWeight(weightScale);
    const weight = peer.currentWeight;
    if (best < 0 || weight > bestWeight) {
      best = i;
      bestWeight = weight;
    }
  }
  const chosen = bound >= 0 ? bound : best;
  peers[chosen]?.loseWeight(total);
  return chosen;
}
