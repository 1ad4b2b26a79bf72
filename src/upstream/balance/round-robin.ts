// nginx's smooth weighted round robin: over any stretch of requests, each peer gets its share, evenly spread.

import type { Peer } from '../peer.ts';
import { secondsNow } from '../peer.ts';
import type { PeerGroup } from '../peer-group.ts';
import type { Balancer, Selection } from './balancer.ts';

/**
 * In each turn every peer that is fit gains its effective weight, the one that has most is chosen, and loses what all have
 * gained. A peer that fails has its effective weight lowered, and wins it back by one in each turn.
 */
export const roundRobin: Balancer = {
  begin() {},

  pick(selection: Selection): Peer | undefined {
    const { group } = selection;
    const locked = group.lock();
    const peer = group.single ? pickOnly(selection) : pickWeighted(selection);
    group.unlock(locked);
    if (peer !== undefined) return peer;
    return selection.useBackup() ? roundRobin.pick(selection) : undefined;
  },
};

function pickOnly(selection: Selection): Peer | undefined {
  const only = selection.group.peers[0] as Peer;
  if (only.down || only.isFull) return undefined;
  return only.settings.drain && selection.hint !== only.routeId ? undefined : only;
}

function pickWeighted(selection: Selection): Peer | undefined {
  const now = secondsNow();
  const bound = selection.boundPeer(now);
  const owes = bound !== undefined && isFarBehind(bound, selection.group);
  const peer = owes ? bound : weigh(selection, now, undefined, bound);
  if (peer === undefined) return undefined;
  selection.markTried(peer);
  peer.markChosen(now);
  return peer;
}

/** Bound clients use up their peer's turns, but not without end: others must not wait for ever when the bound ones have gone. */
function isFarBehind(bound: Peer, group: PeerGroup): boolean {
  return bound.currentWeight <= -(group.totalWeight - bound.weight);
}

/**
 * One turn among the peers that are fit, the group being locked.
 * @param server only peers of this `server` line take part; undefined: all
 * @param bound is chosen whatever the weights say
 */
export function weigh(selection: Selection, now: number, server?: string, bound?: Peer): Peer | undefined {
  let best: Peer | undefined;
  let bestWeight = 0;
  let total = 0;
  for (const peer of selection.group.peers) {
    if (selection.hasTried(peer) || !peer.isAvailable(now)) continue;
    if (server !== undefined && peer.settings.server !== server) continue;
    total += peer.gainWeight();
    const weight = peer.currentWeight;
    if (best === undefined || weight > bestWeight) {
      best = peer;
      bestWeight = weight;
    }
  }
  const chosen = bound ?? best;
  chosen?.loseWeight(total);
  return chosen;
}
