// Keys of shared tables: texts of any length as 17 bytes, short ones as they are, longer ones as their digest.

import { hash } from 'node:crypto';

const BYTES = 16;
/** In the place of a length: what follows is a digest. */
const DIGEST = 0xff;

/** A key as cells: its length or DIGEST, then 16 bytes. */
export const KEY_CELLS = 5;

const scratch = new Int32Array(KEY_CELLS);
const scratchBytes = Buffer.from(scratch.buffer);

/** @param text a byte string that is not empty @returns its cells, to be used before the next call: there is one such array */
export function zoneKey(text: string): Int32Array {
  scratch.fill(0);
  if (text.length <= BYTES) {
    scratch[0] = text.length;
    scratchBytes.write(text, 4, 'latin1');
  } else {
    scratch[0] = DIGEST;
    hash('sha256', Buffer.from(text, 'latin1'), 'buffer').copy(scratchBytes, 4, 0, BYTES);
  }
  return scratch;
}

/** Where a key belongs: nobody outside knows `seed`, so nobody can choose keys that all belong to one place. */
export function keyHash(key: Int32Array, seed: number): number {
  let mixed = seed;
  for (let i = 0; i < KEY_CELLS; i++) {
    mixed = Math.imul(mixed ^ (key[i] as number), 0x9e3779b1);
    mixed ^= mixed >>> 15;
  }
  mixed = Math.imul(mixed, 0x85ebca77);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}
