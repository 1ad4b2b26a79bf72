// The oldest scheme of crypt(3): 25 times DES, whose expansion the salt disturbs, of a block of zeros. FIPS 46-3 has the tables.

import { CRYPT_LETTERS } from './crypt-base64.ts';

type Bits = number[];

const bytes = (text: string): number[] => text.split(' ').map(Number);

const INITIAL = interleaved([58, 60, 62, 64, 57, 59, 61, 63]);
const FINAL = inverse(INITIAL);
/** Bits 32, 1 … 5, then 4 … 9, and so on. */
const EXPANSION = Array.from({ length: 48 }, (_, i) => ((Math.floor(i / 6) * 4 + (i % 6) + 31) % 32) + 1);
const PERMUTATION = bytes('16 7 20 21 29 12 28 17 1 15 23 26 5 18 31 10 2 8 24 14 32 27 3 9 19 13 30 6 22 11 4 25');
const KEY_CHOICE = bytes(
  '57 49 41 33 25 17 9 1 58 50 42 34 26 18 10 2 59 51 43 35 27 19 11 3 60 52 44 36 63 55 47 39 31 23 15 7 62 54 46 38 30 22 14 6 61 53 45 37 29 21 13 5 28 20 12 4',
);
const SUBKEY_CHOICE = bytes(
  '14 17 11 24 1 5 3 28 15 6 21 10 23 19 12 4 26 8 16 7 27 20 13 2 41 52 31 37 47 55 30 40 51 45 33 48 44 49 39 56 34 53 46 42 50 36 29 32',
);
const SHIFTS = bytes('1 1 2 2 2 2 2 2 1 2 2 2 2 2 2 1');

/** Each box as 64 hexadecimal digits, row by row. */
const BOXES = [
  'e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d',
  'f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9',
  'a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c',
  '7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e',
  '2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453',
  'c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d',
  '4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c',
  'd2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b',
].map((digits) => Array.from(digits, (digit) => Number.parseInt(digit, 16)));

function interleaved(firsts: readonly number[]): number[] {
  return firsts.flatMap((first) => Array.from({ length: 8 }, (_, column) => first - 8 * column));
}

function inverse(table: readonly number[]): number[] {
  return table.map((_, index) => table.indexOf(index + 1) + 1);
}

const chosen = (bits: Bits, table: readonly number[]): Bits => table.map((place) => bits[place - 1] as number);

const FORM = /^[./0-9A-Za-z]{2}/;
const TIMES = 25;

/** @returns the whole text that a right password has; undefined where what is stored has no salt of this scheme */
export function desCrypt(password: Buffer, stored: string): string | undefined {
  if (!FORM.test(stored)) return undefined;
  const salt = stored.slice(0, 2);
  const subkeys = subkeysOf(keyBits(password));
  const expansion = disturbed(salt);
  let block: Bits = new Array<number>(64).fill(0);
  for (let time = 0; time < TIMES; time++) block = encrypted(block, subkeys, expansion);
  return salt + letters(block);
}

/** Seven bits of each of the first eight characters, with a place for parity behind them. */
function keyBits(password: Buffer): Bits {
  return Array.from({ length: 64 }, (_, i) => ((password[i >> 3] ?? 0) >> (6 - (i & 7))) & Number((i & 7) < 7));
}

function subkeysOf(key: Bits): Bits[] {
  let halves = chosen(key, KEY_CHOICE);
  return SHIFTS.map((shift) => {
    halves = [...rotated(halves.slice(0, 28), shift), ...rotated(halves.slice(28), shift)];
    return chosen(halves, SUBKEY_CHOICE);
  });
}

const rotated = (bits: Bits, by: number): Bits => [...bits.slice(by), ...bits.slice(0, by)];

/** Each bit of the salt that is set swaps two places of the expansion. */
function disturbed(salt: string): number[] {
  const table = [...EXPANSION];
  const bits = CRYPT_LETTERS.indexOf(salt.charAt(0)) | (CRYPT_LETTERS.indexOf(salt.charAt(1)) << 6);
  for (let bit = 0; bit < 12; bit++) {
    if (((bits >> bit) & 1) === 0) continue;
    [table[bit], table[bit + 24]] = [table[bit + 24] as number, table[bit] as number];
  }
  return table;
}

function encrypted(block: Bits, subkeys: readonly Bits[], expansion: readonly number[]): Bits {
  const mixed = chosen(block, INITIAL);
  let left = mixed.slice(0, 32);
  let right = mixed.slice(32);
  for (const subkey of subkeys) {
    const changed = scrambled(right, subkey, expansion);
    const before = left;
    left = right;
    right = changed.map((bit, index) => bit ^ (before[index] as number));
  }
  return chosen([...right, ...left], FINAL);
}

function scrambled(half: Bits, subkey: Bits, expansion: readonly number[]): Bits {
  const wide = expansion.map((place, index) => (half[place - 1] as number) ^ (subkey[index] as number));
  const narrow = BOXES.flatMap((box, index) => fourBits(box[boxIndex(wide, index * 6)] as number));
  return chosen(narrow, PERMUTATION);
}

/** The outer two of six bits are the row, the inner four the column. */
function boxIndex(bits: Bits, at: number): number {
  const bit = (offset: number): number => bits[at + offset] as number;
  return bit(0) * 32 + bit(5) * 16 + bit(1) * 8 + bit(2) * 4 + bit(3) * 2 + bit(4);
}

const fourBits = (value: number): Bits => [(value >> 3) & 1, (value >> 2) & 1, (value >> 1) & 1, value & 1];

/** 64 bits and two more as eleven letters, the highest bit first. */
function letters(block: Bits): string {
  const bits = [...block, 0, 0];
  return Array.from({ length: 11 }, (_, i) =>
    CRYPT_LETTERS.charAt(Number.parseInt(bits.slice(i * 6, i * 6 + 6).join(''), 2)),
  ).join('');
}
