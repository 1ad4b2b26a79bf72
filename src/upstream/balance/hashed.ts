// nginx's hash and ip_hash: requests with the same key go to the same peer, as long as it is fit and the peers stay the same.

import { crc32 } from 'node:zlib';
import { addressBytes } from '../../addresses.ts';
import type { Exchange } from '../../exchange/exchange.ts';
import type { Text } from '../../exchange/settings.ts';
import type { Peer } from '../peer.ts';
import type { Balancer, Selection } from './balancer.ts';
import { type Chooser, pickOf } from './chooser.ts';
import { roundRobin } from './round-robin.ts';

/** So many peers that are not fit are passed before turns decide; nginx's number. */
const TO_PASS = 20;

/** What both have in common: a key, a row of numbers made of it, and the peer that a number falls upon. */
abstract class Hashed implements Balancer, Chooser {
  abstract begin(selection: Selection, exchange: Exchange): void;

  /** The next number of the request's row. */
  protected abstract nextHash(selection: Selection): number;

  pick(selection: Selection): Peer | undefined {
    if (selection.passed > TO_PASS || selection.group.peers.length < 2 || selection.key === '')
      return roundRobin.pick(selection);
    return pickOf(this, selection) ?? roundRobin.pick(selection);
  }

  choose(selection: Selection, now: number): number {
    const bound = selection.boundPeer(now);
    if (bound >= 0) return bound;
    while (selection.passed <= TO_PASS) {
      const index = peerAt(selection, this.nextHash(selection));
      if (!selection.hasTried(index) && (selection.group.peers[index] as Peer).isAvailable(now)) return index;
      selection.passed++;
    }
    return -1;
  }
}

/** Peers lie side by side, each as wide as its weight. */
function peerAt({ group }: Selection, hash: number): number {
  let left = hash % group.totalWeight;
  let index = 0;
  for (; index < group.peers.length - 1; index++) {
    left -= (group.peers[index] as Peer).weight;
    if (left < 0) break;
  }
  return index;
}

/** `hash KEY`, as memcached's clients do it: a further number is the one before it and the hash of `1KEY`, `2KEY` … */
export class KeyHash extends Hashed {
  readonly #key: Text;

  constructor(key: Text) {
    super();
    this.#key = key;
  }

  begin(selection: Selection, exchange: Exchange): void {
    selection.key = this.#key(exchange);
  }

  protected nextHash(selection: Selection): number {
    const { key, rehash } = selection;
    const text = rehash === 0 ? key : rehash + key;
    selection.hash += (crc32(Buffer.from(text, 'latin1')) >>> 16) & 0x7fff;
    selection.rehash++;
    return selection.hash;
  }
}

const FIRST_HASH = 89;
/** What a client without an address (`unix:`) counts as. */
const NO_ADDRESS = Uint8Array.of(0, 0, 0);

/** `ip_hash`: the first three bytes of an IPv4 address, all of an IPv6 one. */
export class AddressHash extends Hashed {
  begin(selection: Selection, exchange: Exchange): void {
    selection.key = exchange.link.clientAddress;
    selection.hash = FIRST_HASH;
  }

  protected nextHash(selection: Selection): number {
    const { key } = selection;
    if (key.includes(':')) for (const byte of addressBytes(key) ?? NO_ADDRESS) addByte(selection, byte);
    else addNetwork(selection, key);
    return selection.hash;
  }
}

function addByte(selection: Selection, byte: number): void {
  selection.hash = (selection.hash * 113 + byte) % 6271;
}

const DOT = 0x2e;
const ZERO = 0x30;

/** The numbers before the first three dots: read where they stand, for this is done for each request. */
function addNetwork(selection: Selection, address: string): void {
  let byte = 0;
  let dots = 0;
  for (let i = 0; i < address.length && dots < 3; i++) {
    const code = address.charCodeAt(i);
    if (code !== DOT) {
      byte = byte * 10 + code - ZERO;
      continue;
    }
    addByte(selection, byte);
    byte = 0;
    dots++;
  }
}
