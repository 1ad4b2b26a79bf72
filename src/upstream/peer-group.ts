// The peers of an upstream that stand in for each other: the primary ones, or the backup ones.

import type { Row } from '../zones/shared-rows.ts';
import type { Peer } from './peer.ts';

/** Parts of a weight of 1. */
const FINEST_SCALE = 1000;
/** What all weights together may come to: the current weight of a peer must stay within a cell. */
const MOST_SCALED = 2 ** 24;

function scaleOf(peers: readonly Peer[], totalWeight: number): number {
  if (!peers.some(({ slowStart }) => slowStart > 0)) return 1;
  return Math.max(1, Math.min(FINEST_SCALE, Math.floor(MOST_SCALED / totalWeight)));
}

/** Never changes: where peers come and go, the upstream gets a new set of groups (peer-set.ts), and requests under way keep theirs. */
export class PeerGroup {
  readonly peers: readonly Peer[];
  /** Who is asked when none of these can be. */
  readonly backup: PeerGroup | undefined;
  /** The only peer of its upstream: nginx never disables it, for there would be nobody else. */
  readonly single: boolean;
  readonly totalWeight: number;
  /** Weights are counted in so many parts, where one of the peers may start slowly and have but a part of its own; else 1. */
  readonly weightScale: number;
  /** nginx's `tries`: the peers that are not `down`, the backup ones too. */
  readonly tries: number;
  readonly #row: Row;

  constructor(peers: readonly Peer[], backup: PeerGroup | undefined, isBackup: boolean, row: Row) {
    this.peers = peers;
    this.backup = backup;
    this.single = peers.length === 1 && backup === undefined && !isBackup;
    this.totalWeight = peers.reduce((sum, peer) => sum + peer.weight, 0);
    this.weightScale = scaleOf(peers, this.totalWeight);
    this.tries = peers.filter((peer) => !peer.down).length + (backup?.tries ?? 0);
    this.#row = row;
  }

  /** Keeps other workers from moving weights until `unlock`, to which what this returns is passed. */
  lock(): boolean {
    return this.#row.lock();
  }

  unlock(locked: boolean): void {
    this.#row.unlock(locked);
  }
}
