// How most balancers choose: within one group, while other workers are kept out.

import { type Peer, secondsNow } from '../peer.ts';
import type { Selection } from './balancer.ts';

/** Chooses among the peers of one group, which is locked. */
export interface Chooser {
  /** @returns the place of a peer that is fit and not yet tried; -1: there is none */
  choose(selection: Selection, now: number): number;
}

/**
 * Chooses in the group of the selection, with other workers kept out, and counts the peer as active. A peer that another
 * worker has filled up in the same moment is passed over.
 */
export function pickOf(chooser: Chooser, selection: Selection): Peer | undefined {
  const { group } = selection;
  const now = secondsNow();
  const locked = group.lock();
  let picked: Peer | undefined;
  for (let turn = group.peers.length; turn > 0 && picked === undefined; turn--) {
    const index = chooser.choose(selection, now);
    if (index < 0) break;
    const peer = group.peers[index] as Peer;
    if (peer.reserve()) picked = selection.picked(index, now);
  }
  group.unlock(locked);
  return picked;
}
