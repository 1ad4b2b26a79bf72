// The MD5 schemes of crypt(3), `$1$`, and of Apache, `$apr1$`, which differ by their names only.

import { hash } from 'node:crypto';
import { cryptLetters, cryptTriples } from './crypt-base64.ts';
import type { SlowWork } from './slow-work.ts';

const ROUNDS = 1000;
const ROUNDS_AT_ONCE = 100;
const LONGEST_SALT = 8;
const ORDER = [
  [0, 6, 12],
  [1, 7, 13],
  [2, 8, 14],
  [3, 9, 15],
  [4, 10, 5],
] as const;

const md5 = (...pieces: readonly Uint8Array[]): Buffer => hash('md5', Buffer.concat(pieces), 'buffer');

/**
 * @param magic `$1$` or `$apr1$`, with which the stored hash begins
 * @returns the whole text that a right password has: magic, salt and hash
 */
export function* md5Crypt(password: Buffer, stored: string, magic: string): SlowWork<string> {
  const [saltText = ''] = stored.slice(magic.length).split('$', 1);
  const salt = Buffer.from(saltText.slice(0, LONGEST_SALT), 'latin1');
  let digest = firstDigest(password, salt, Buffer.from(magic));
  for (let round = 0; round < ROUNDS; round++) {
    digest = nextDigest(digest, password, salt, round);
    if (round % ROUNDS_AT_ONCE === 0) yield;
  }
  const last = cryptLetters(digest[11] as number, 2);
  return `${magic}${salt.toString('latin1')}$${cryptTriples(digest, ORDER)}${last}`;
}

function firstDigest(password: Buffer, salt: Buffer, magic: Buffer): Buffer {
  const other = md5(password, salt, password);
  const pieces: Uint8Array[] = [password, magic, salt];
  for (let left = password.length; left > 0; left -= 16) pieces.push(other.subarray(0, Math.min(16, left)));
  for (let bits = password.length; bits > 0; bits >>= 1)
    pieces.push((bits & 1) === 1 ? Buffer.alloc(1) : password.subarray(0, 1));
  return md5(...pieces);
}

const NONE = Buffer.alloc(0);

function nextDigest(digest: Buffer, password: Buffer, salt: Buffer, round: number): Buffer {
  const isOdd = round % 2 === 1;
  const first = isOdd ? password : digest;
  const last = isOdd ? digest : password;
  return md5(first, round % 3 === 0 ? NONE : salt, round % 7 === 0 ? NONE : password, last);
}
