// What is known of peers beyond one configuration: the rows that outlive a reload, found by identity.

import { privateRow, type Row, type RowShape } from '../zones/shared-rows.ts';
import type { ZoneDirectory } from '../zones/zone-directory.ts';
import { CLAIM_SHAPE, ClaimedRows } from './claimed-rows.ts';
import { clearPeerRow, isPeerRowBusy, PEER_SHAPE } from './peer.ts';
import { WAITING_CELLS, WaitingLine } from './waiting-line.ts';

/** An upstream's own row: the lock that its peers' weights are moved under, then shared cells; those of each worker are its WaitingLine's. */
const UPSTREAM_SHAPE: RowShape = { shared: 3, perWorker: WAITING_CELLS, lockCell: 0 };
/** How many peers have returned: see PeerReturns. */
export const RETURNS_CELL = 1;
/** The `epoch` of the first configuration that had it; 0: none has begun to serve. */
export const FIRST_EPOCH_CELL = 2;

/** Where an upstream gets the shared state of its peers from. */
export interface PeerTable {
  /** A configuration is being read, and all turns begin anew, as in nginx. */
  readonly isNew: boolean;
  /** Stands for the configuration: the same number in all workers, another one after a reload. At least 1. */
  readonly epoch: number;
  upstreamRow(upstream: string): Row;
  /** @param identity `Peer.identity`: its name, and what tells it apart from others of the same address */
  peerRow(upstream: string, identity: string): Row;
  /** Those who wait for a peer of this upstream. */
  waitingLine(upstream: string): WaitingLine;
  /** Rows for peers that come at run time. @param count so many are shared; what comes beyond them, each worker knows alone */
  claimedRows(upstream: string, count: number): ClaimedRows;
}

const USE = { isBusy: isPeerRowBusy, clear: clearPeerRow };
const spare = (): Row => privateRow(PEER_SHAPE);

/**
 * Peers that all workers share. A peer is the same one after a reload if the name of its upstream and its own address
 * are, whatever else of it has changed.
 */
export function sharedPeers(zones: ZoneDirectory): PeerTable {
  return {
    isNew: zones.leads,
    epoch: zones.configuration + 1,
    upstreamRow: (upstream) => zones.row('upstreams', UPSTREAM_SHAPE, upstream),
    peerRow: (upstream, identity) => zones.row('peers', PEER_SHAPE, `${upstream}\n${identity}`),
    waitingLine: (upstream) => new WaitingLine(zones.row('upstreams', UPSTREAM_SHAPE, upstream)),
    claimedRows: (upstream, count) => {
      const rows = Array.from({ length: count }, (_, index) => ({
        claim: zones.row('claims', CLAIM_SHAPE, `${upstream}\n${index}`),
        row: zones.row('peers', PEER_SHAPE, `${upstream}\n\n${index}`),
      }));
      return new ClaimedRows(zones.row('upstreams', UPSTREAM_SHAPE, upstream), rows, USE, spare);
    },
  };
}

/** Peers that nobody shares: of an address that a variable of `proxy_pass` made up. nginx forgets those after the request too. */
export const unsharedPeers: PeerTable = {
  isNew: false,
  epoch: 1,
  upstreamRow: () => privateRow(UPSTREAM_SHAPE),
  peerRow: spare,
  waitingLine: unsharedLine,
  claimedRows: () => new ClaimedRows(privateRow(UPSTREAM_SHAPE), [], USE, spare),
};

/** So many names have a line of their own at a time; with more, the oldest is forgotten. */
const MOST_LINES = 256;
const lines = new Map<string, WaitingLine>();

/** The peers are made up for each request, but those who wait for the same address must not all try it at once. */
function unsharedLine(upstream: string): WaitingLine {
  const known = lines.get(upstream);
  if (known !== undefined) return known;
  if (lines.size >= MOST_LINES) lines.delete(lines.keys().next().value as string);
  const line = new WaitingLine(privateRow(UPSTREAM_SHAPE));
  lines.set(upstream, line);
  return line;
}
