// The SHA-2 schemes of crypt(3): `$5$` (SHA-256) and `$6$` (SHA-512). https://www.akkadia.org/drepper/SHA-crypt.txt

import { hash } from 'node:crypto';
import { cryptLetters, cryptTriples } from './crypt-base64.ts';
import type { SlowWork } from './slow-work.ts';

const USUAL_ROUNDS = 5000;
const FEWEST_ROUNDS = 1000;
const MOST_ROUNDS = 999_999_999;
const ROUNDS_AT_ONCE = 100;
const LONGEST_SALT = 16;

interface Scheme {
  readonly algorithm: 'sha256' | 'sha512';
  readonly write: (digest: Buffer) => string;
}

type Triple = readonly [number, number, number];

/** Bytes `i`, `i + third` and `i + 2 * third`, turned by one place from row to row; the schemes turn in opposite directions. */
function turned(third: number, direction: 1 | 2): readonly Triple[] {
  return Array.from({ length: third }, (_, i) => {
    const columns = [i, i + third, i + 2 * third];
    const shift = (i * direction) % 3;
    return [columns[shift], columns[(shift + 1) % 3], columns[(shift + 2) % 3]] as unknown as Triple;
  });
}

const ORDER_256 = turned(10, 2);
const ORDER_512 = turned(21, 1);

const SHA256: Scheme = {
  algorithm: 'sha256',
  write: (digest) =>
    cryptTriples(digest, ORDER_256) + cryptLetters(((digest[31] as number) << 8) | (digest[30] as number), 3),
};

const SHA512: Scheme = {
  algorithm: 'sha512',
  write: (digest) => cryptTriples(digest, ORDER_512) + cryptLetters(digest[63] as number, 2),
};

/**
 * @param stored what begins with `$5$` or `$6$`, perhaps with `rounds=N$` behind that
 * @returns the whole text that a right password has
 */
export function* shaCrypt(password: Buffer, stored: string): SlowWork<string> {
  const scheme = stored.startsWith('$5$') ? SHA256 : SHA512;
  const { rounds, roundsText, salt } = readSetting(stored);
  const sha = (pieces: readonly Uint8Array[]): Buffer => hash(scheme.algorithm, Buffer.concat(pieces), 'buffer');
  let digest = sha(firstPieces(password, salt, sha([password, salt, password])));
  const p = repeated(sha(times(password, password.length)), password.length);
  const s = repeated(sha(times(salt, 16 + (digest[0] as number))), salt.length);
  for (let round = 0; round < rounds; round++) {
    digest = sha(roundPieces(digest, p, s, round));
    if (round % ROUNDS_AT_ONCE === 0) yield;
  }
  return `${stored.slice(0, 3)}${roundsText}${salt.toString('latin1')}$${scheme.write(digest)}`;
}

function readSetting(stored: string): { rounds: number; roundsText: string; salt: Buffer } {
  const [, written] = /^rounds=(\d{1,15})\$/.exec(stored.slice(3)) ?? [];
  const rounds = Math.min(MOST_ROUNDS, Math.max(FEWEST_ROUNDS, Number(written ?? USUAL_ROUNDS)));
  const rest = written === undefined ? stored.slice(3) : stored.slice(3 + 'rounds=$'.length + written.length);
  const [salt = ''] = rest.split('$', 1);
  const roundsText = written === undefined ? '' : `rounds=${rounds}$`;
  return { rounds, roundsText, salt: Buffer.from(salt.slice(0, LONGEST_SALT), 'latin1') };
}

function firstPieces(password: Buffer, salt: Buffer, other: Buffer): Uint8Array[] {
  const pieces: Uint8Array[] = [password, salt, repeated(other, password.length)];
  for (let bits = password.length; bits > 0; bits >>= 1) pieces.push((bits & 1) === 1 ? other : password);
  return pieces;
}

function roundPieces(digest: Buffer, p: Buffer, s: Buffer, round: number): Uint8Array[] {
  const isOdd = round % 2 === 1;
  const pieces: Uint8Array[] = [isOdd ? p : digest];
  if (round % 3 !== 0) pieces.push(s);
  if (round % 7 !== 0) pieces.push(p);
  pieces.push(isOdd ? digest : p);
  return pieces;
}

const times = (bytes: Buffer, count: number): Buffer[] => new Array<Buffer>(count).fill(bytes);

/** The bytes over and over, to a length. */
function repeated(bytes: Buffer, length: number): Buffer {
  return length === 0 ? Buffer.alloc(0) : Buffer.alloc(length, bytes);
}
