// Values by network: of those that an address lies in, the one with the longest prefix counts.

import type { Network } from '../addresses.ts';

/** The networks of one family with prefixes of one length, by their own bits as text. */
type OneLength = Map<string, string>;

export class NetworkTable {
  /** By the size of an address in bytes; each by the length of the prefix. */
  readonly #families: Readonly<Record<number, Map<number, OneLength>>> = { 4: new Map(), 16: new Map() };
  /** The lengths in use, the longest first. */
  readonly #lengths: Readonly<Record<number, number[]>> = { 4: [], 16: [] };

  /** @returns the value that the network had before */
  set({ bytes, bits }: Network, value: string): string | undefined {
    const networks = this.#ofLength(bytes.length, bits);
    const key = prefixKey(bytes, bits);
    const before = networks.get(key);
    networks.set(key, value);
    return before;
  }

  /** @returns whether it was there */
  delete({ bytes, bits }: Network): boolean {
    return this.#families[bytes.length]?.get(bits)?.delete(prefixKey(bytes, bits)) ?? false;
  }

  find(address: Uint8Array): string | undefined {
    const family = this.#families[address.length];
    for (const bits of this.#lengths[address.length] ?? []) {
      const value = family?.get(bits)?.get(prefixKey(address, bits));
      if (value !== undefined) return value;
    }
    return undefined;
  }

  #ofLength(size: number, bits: number): OneLength {
    const family = this.#families[size] as Map<number, OneLength>;
    const known = family.get(bits);
    if (known !== undefined) return known;
    const made: OneLength = new Map();
    family.set(bits, made);
    (this.#lengths[size] as number[]).push(bits);
    (this.#lengths[size] as number[]).sort((a, b) => b - a);
    return made;
  }
}

/** The first `bits` of an address, one character for 8 of them. */
function prefixKey(bytes: Uint8Array, bits: number): string {
  let key = '';
  for (let index = 0; index * 8 < bits; index++) {
    const spare = Math.max(0, (index + 1) * 8 - bits);
    key += String.fromCharCode((bytes[index] as number) & (0xff << spare));
  }
  return key;
}
