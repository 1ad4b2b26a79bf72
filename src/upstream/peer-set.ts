// The peers that an upstream has at one time, and who chooses among them. A change of peers is a new set in the place of the old one.

import type { Row } from '../zones/shared-rows.ts';
import type { Balancer } from './balance/balancer.ts';
import { type BalancerSettings, makeBalancer } from './balance/make-balancer.ts';
import type { ClaimedRows } from './claimed-rows.ts';
import { Peer, type PeerFrame, type PeerSettings } from './peer.ts';
import { PeerGroup } from './peer-group.ts';
import type { PeerTable } from './peer-table.ts';

/** What of an upstream stays the same whoever its peers are. */
export interface PeerSetFrame extends PeerFrame {
  /** The upstream's: part of its peers' identity. */
  readonly name: string;
  readonly balancer: BalancerSettings;
  readonly routeId: (server: PeerSettings) => string;
  readonly table: PeerTable;
  /** The upstream's own. */
  readonly row: Row;
  /** For peers that are not those of the configuration. */
  readonly claimedRows: ClaimedRows;
  /** The identities of those. */
  readonly configured: Set<string>;
}

/** Frozen: a selection that has begun goes on with the set that it began with. */
export interface PeerSet {
  /** Counts the changes of peers; 0: those of the configuration. */
  readonly version: number;
  /** The peers that are no backup, perhaps none; `primary.backup` are those. */
  readonly primary: PeerGroup;
  /** All of them, the backup ones last. */
  readonly peers: readonly Peer[];
  readonly balancer: Balancer;
}

/**
 * @param before the set whose place it takes: peers that stay as they are, and so their kept connections, are taken over
 */
export function makePeerSet(frame: PeerSetFrame, servers: readonly PeerSettings[], before?: PeerSet): PeerSet {
  const known = new Map(before?.peers.map((peer) => [peer.identity, peer]));
  const seen = new Map<string, number>();
  const makePeer = (server: PeerSettings): Peer => {
    const ordinal = seen.get(server.name) ?? 0;
    seen.set(server.name, ordinal + 1);
    const identity = `${server.name}\n${ordinal}`;
    const former = known.get(identity);
    if (former !== undefined && isSame(former.settings, server)) return former;
    return new Peer(server, identity, frame.routeId(server), rowOf(frame, identity, before !== undefined), frame);
  };
  const { row } = frame;
  const primary = servers.filter((server) => !server.backup).map(makePeer);
  const backup = servers.filter((server) => server.backup).map(makePeer);
  const backupGroup = backup.length === 0 ? undefined : new PeerGroup(backup, undefined, true, row);
  const group = new PeerGroup(primary, backupGroup, false, row);
  const balancer = makeBalancer(frame.balancer, group);
  return Object.freeze({
    version: (before?.version ?? -1) + 1,
    primary: group,
    peers: [...primary, ...backup],
    balancer,
  });
}

function rowOf({ name, table, claimedRows, configured }: PeerSetFrame, identity: string, atRunTime: boolean): Row {
  if (!atRunTime) configured.add(identity);
  return configured.has(identity) ? table.peerRow(name, identity) : claimedRows.hold(identity);
}

/** Gives back what those have claimed that are in the set before and not in the one after it, or have another row there. */
export function leaveClaims({ claimedRows }: PeerSetFrame, before: PeerSet, after: PeerSet): void {
  const stay = new Set(after.peers.map(({ identity }) => identity));
  for (const { identity } of before.peers) if (!stay.has(identity)) claimedRows.leave(identity);
}

/** All of a peer's settings are plain values, but for the address, which its name stands for. */
function isSame(one: PeerSettings, other: PeerSettings): boolean {
  const keys = Object.keys(one) as (keyof PeerSettings)[];
  return keys.every((key) => key === 'address' || one[key] === other[key]);
}
