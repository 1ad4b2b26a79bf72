// nginx's consistent hash: the same key goes to the same peer, and most keys still do when peers come or go.

import { crc32 } from 'node:zlib';
import type { Exchange } from '../../exchange/exchange.ts';
import type { Text } from '../../exchange/settings.ts';
import type { Peer } from '../peer.ts';
import type { PeerGroup } from '../peer-group.ts';
import type { Balancer, Selection } from './balancer.ts';
import { type Chooser, pickOf } from './chooser.ts';
import { roundRobin, weigh } from './round-robin.ts';

const POINTS_PER_WEIGHT = 160;
/** Enormous weights are scaled down to so many points: 2 MB of them. nginx has no such bound, so only those places differ. */
const POINT_LIMIT = 1 << 18;
/** A point and its peer in one number, so that sorting many of them is quick. */
const PEERS = 2 ** 20;
/** So many points whose peer is not fit are passed before round robin chooses; nginx's number. */
const POINTS_TO_PASS = 20;

/** The points of a ring, by rising hash, and whose they are. */
interface Ring {
  readonly hashes: Uint32Array;
  /** For each point, an index into `servers`. */
  readonly owners: Uint32Array;
  readonly servers: readonly string[];
}

export class ConsistentHash implements Balancer, Chooser {
  readonly #key: Text;
  readonly #ring: Ring;

  /** @param key what requests with the same peer have in common; where it is empty, round robin chooses */
  constructor(group: PeerGroup, key: Text) {
    this.#key = key;
    this.#ring = makeRing(group);
  }

  begin(selection: Selection, exchange: Exchange): void {
    selection.key = selection.group.single ? '' : this.#key(exchange);
    if (selection.key !== '')
      selection.hash = firstPointFrom(this.#ring.hashes, crc32(Buffer.from(selection.key, 'latin1')));
  }

  pick(selection: Selection): Peer | undefined {
    if (selection.key === '' || selection.passed > POINTS_TO_PASS || this.#ring.servers.length === 0)
      return roundRobin.pick(selection);
    return pickOf(this, selection) ?? roundRobin.pick(selection);
  }

  choose(selection: Selection, now: number): number {
    const bound = selection.boundPeer(now);
    return bound >= 0 ? bound : this.#walk(selection, now);
  }

  #walk(selection: Selection, now: number): number {
    const { owners, servers } = this.#ring;
    while (selection.passed <= POINTS_TO_PASS) {
      const index = weigh(selection, now, servers[owners[selection.hash % owners.length] as number]);
      if (index >= 0) return index;
      selection.hash++;
      selection.passed++;
    }
    return -1;
  }
}

/** As memcached's clients have it: 160 points for each unit of weight, each hashed from the one before. */
function makeRing(group: PeerGroup): Ring {
  const servers = group.peers.map((peer) => peer.settings.server);
  const scale = Math.min(1, POINT_LIMIT / (group.totalWeight * POINTS_PER_WEIGHT));
  const counts = group.peers.map((peer) => Math.max(1, Math.floor(peer.weight * scale)) * POINTS_PER_WEIGHT);
  const points = new Float64Array(counts.reduce((sum, count) => sum + count, 0));
  let at = 0;
  counts.forEach((count, index) => {
    addPoints(points.subarray(at, at + count), servers[index] as string, index);
    at += count;
  });
  return makeDistinct(points.sort(), servers);
}

/** Where two points have the same hash, the peer that stands first in the configuration has it. */
function makeDistinct(sorted: Float64Array, servers: readonly string[]): Ring {
  const hashes = new Uint32Array(sorted.length);
  const owners = new Uint32Array(sorted.length);
  let count = 0;
  for (let i = 0; i < sorted.length; i++) {
    const point = sorted[i] as number;
    const hash = Math.floor(point / PEERS);
    if (count > 0 && hash === hashes[count - 1]) continue;
    hashes[count] = hash;
    owners[count++] = point % PEERS;
  }
  return { hashes: hashes.slice(0, count), owners: owners.slice(0, count), servers };
}

function addPoints(points: Float64Array, server: string, owner: number): void {
  const base = crc32(hostNulPort(server));
  let hash = 0;
  for (let i = 0; i < points.length; i++) {
    hash = crc32OfNumber(hash, base);
    points[i] = hash * PEERS + owner;
  }
}

/** The CRC of each byte alone. */
const BYTE_CRCS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** As `crc32` of the number's four bytes, the lowest first, going on from `crc`; ten times as fast as filling a buffer for it. */
function crc32OfNumber(number: number, crc: number): number {
  let rest = ~crc ^ number;
  for (let i = 0; i < 4; i++) rest = (BYTE_CRCS[rest & 0xff] as number) ^ (rest >>> 8);
  return ~rest >>> 0;
}

function hostNulPort(server: string): Buffer {
  if (/^unix:/i.test(server)) return Buffer.from(`${server.slice(5)}\0`, 'latin1');
  const parts = /^(.*):(\d*)$/s.exec(server);
  return Buffer.from(parts === null ? `${server}\0` : `${parts[1]}\0${parts[2]}`, 'latin1');
}

/** The first point whose hash is not below this one; perhaps one past the last. */
function firstPointFrom(hashes: Uint32Array, hash: number): number {
  let low = 0;
  let high = hashes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((hashes[middle] as number) < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}
