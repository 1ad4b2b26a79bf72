// The peers of an upstream that stand in for each other: the primary ones, or the backup ones.

import type { Row } from '../zones/shared-rows.ts';
import type { Peer } from './peer.ts';

/** Never changes: where peers come and go, the upstream gets a new set of groups (peer-set.ts), and requests under way keep theirs. */
export class PeerGroup {
  readonly peers: readonly Peer[];
  /** Who is asked when none of these can be. */
  readonly backup: PeerGroup | undefined;
  /** The only peer of its upstream: nginx never disables it, for there would be nobody else. */
  readonly single: boolean;
  readonly totalWeight: number;
  /** nginx's `tries`: the peers that are not `down`, the backup ones too. */
  readonly tries: number;
  readonly #row: Row;

  constructor(peers: readonly Peer[], backup: PeerGroup | undefined, isBackup: boolean, row: Row) {
    this.peers = peers;
    this.backup = backup;
    this.single = peers.length === 1 && backup === undefined && !isBackup;
    this.totalWeight = peers.reduce((sum, peer) => sum + peer.weight, 0);
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
