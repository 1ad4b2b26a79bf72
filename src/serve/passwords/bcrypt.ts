// bcrypt, `$2y$`, `$2b$` and `$2a$`: Provos and Mazières, "A Future-Adaptable Password Scheme", 1999.

import type { SlowWork } from './slow-work.ts';

const LETTERS = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const FORM = /^(\$2[aby]\$)(\d\d)\$([./A-Za-z0-9]{22})/;
const LONGEST_PASSWORD = 72;
const HASH_BYTES = 23;
const SUBKEYS = 18;
const BOXES = 4 * 256;

/** @returns the whole text that a right password has; undefined where what is stored is no such hash */
export function* bcrypt(password: Buffer, stored: string): SlowWork<string | undefined> {
  const [, prefix = '', costText = '', saltText = ''] = FORM.exec(stored) ?? [];
  const cost = Number(costText);
  if (prefix === '' || cost < 4 || cost > 31) return undefined;
  const salt = wordsOf(decode(saltText, 16), 4);
  const key = wordsOf(Buffer.concat([password, Buffer.alloc(1)]).subarray(0, LONGEST_PASSWORD), SUBKEYS);
  const digits = initial ?? (yield* piWords());
  initial = digits;
  const cipher = new Blowfish(digits);
  cipher.expand(key, salt);
  const saltAsKey = Uint32Array.from({ length: SUBKEYS }, (_, i) => salt[i % 4] as number);
  for (let round = 0; round < 2 ** cost; round++) {
    cipher.expand(key, NO_SALT);
    cipher.expand(saltAsKey, NO_SALT);
    yield;
  }
  const digest = hashText(cipher);
  return `${prefix}${costText}$${saltText.slice(0, -1)}${lastOfSalt(saltText)}${encode(digest.subarray(0, HASH_BYTES))}`;
}

const NO_SALT = new Uint32Array(4);
/** What Blowfish begins with: made once, when it is first needed. */
let initial: Uint32Array | undefined;

/** Only two bits of the last letter of the salt count: crypt(3) writes it with the others cleared. */
function lastOfSalt(salt: string): string {
  return LETTERS.charAt(LETTERS.indexOf(salt.charAt(salt.length - 1)) & 0x30);
}

/** Bytes as words, over and over until there are enough. */
function wordsOf(bytes: Buffer, count: number): Uint32Array {
  let at = 0;
  const next = (): number => bytes[at++ % bytes.length] as number;
  return Uint32Array.from({ length: count }, () => ((next() << 24) | (next() << 16) | (next() << 8) | next()) >>> 0);
}

function decode(text: string, bytes: number): Buffer {
  let bits = '';
  for (const letter of text) bits += LETTERS.indexOf(letter).toString(2).padStart(6, '0');
  return Buffer.from(Array.from({ length: bytes }, (_, i) => Number.parseInt(bits.slice(i * 8, i * 8 + 8), 2)));
}

function encode(bytes: Buffer): string {
  let bits = '';
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0');
  const letters = Math.ceil(bits.length / 6);
  return Array.from({ length: letters }, (_, i) =>
    LETTERS.charAt(Number.parseInt(bits.slice(i * 6, i * 6 + 6).padEnd(6, '0'), 2)),
  ).join('');
}

const TEXT = Buffer.from('OrpheanBeholderScryDoubt', 'latin1');
const TEXT_ROUNDS = 64;

function hashText(cipher: Blowfish): Buffer {
  const digest = Buffer.alloc(TEXT.length);
  for (let at = 0; at < TEXT.length; at += 8) {
    cipher.left = TEXT.readUInt32BE(at);
    cipher.right = TEXT.readUInt32BE(at + 4);
    for (let round = 0; round < TEXT_ROUNDS; round++) cipher.encrypt();
    digest.writeUInt32BE(cipher.left >>> 0, at);
    digest.writeUInt32BE(cipher.right >>> 0, at + 4);
  }
  return digest;
}

/** The cipher with its state laid open, as bcrypt needs it: a block is encrypted where it stands. */
class Blowfish {
  left = 0;
  right = 0;
  readonly #subkeys: Int32Array;
  readonly #boxes: Int32Array;

  constructor(digits: Uint32Array) {
    const state = Int32Array.from(digits, (word) => word | 0);
    this.#subkeys = state.slice(0, SUBKEYS);
    this.#boxes = state.slice(SUBKEYS);
  }

  encrypt(): void {
    const subkeys = this.#subkeys;
    const boxes = this.#boxes;
    let left = this.left;
    let right = this.right;
    for (let round = 0; round < 16; round++) {
      left ^= subkeys[round] as number;
      const sum = ((boxes[left >>> 24] as number) + (boxes[256 + ((left >>> 16) & 255)] as number)) | 0;
      const mixed = sum ^ (boxes[512 + ((left >>> 8) & 255)] as number);
      right ^= (mixed + (boxes[768 + (left & 255)] as number)) | 0;
      const swapped = left;
      left = right;
      right = swapped;
    }
    this.left = right ^ (subkeys[17] as number);
    this.right = left ^ (subkeys[16] as number);
  }

  /** bcrypt's ExpandKey. */
  expand(key: Uint32Array, salt: Uint32Array): void {
    for (let i = 0; i < SUBKEYS; i++) (this.#subkeys[i] as number) ^= key[i] as number;
    this.left = 0;
    this.right = 0;
    this.#refill(this.#subkeys, salt, 0);
    this.#refill(this.#boxes, salt, SUBKEYS);
  }

  #refill(words: Int32Array, salt: Uint32Array, before: number): void {
    for (let i = 0; i < words.length; i += 2) {
      this.left ^= salt[(before + i) & 3] as number;
      this.right ^= salt[(before + i + 1) & 3] as number;
      this.encrypt();
      words[i] = this.left;
      words[i + 1] = this.right;
    }
  }
}

// Blowfish begins with the digits of pi behind its point: they are computed rather than written here.

const DIGITS = (SUBKEYS + BOXES) * 32;
/** Bits beyond those that are wanted, for what is lost in the divisions. */
const GUARD = 64;
const TERMS_AT_ONCE = 50;

/** Machin's formula: pi is 16 arctan(1/5) - 4 arctan(1/239). */
function* piWords(): SlowWork<Uint32Array> {
  const pi = 16n * (yield* arcTangent(5n)) - 4n * (yield* arcTangent(239n));
  const hex = (pi >> BigInt(GUARD)).toString(16).slice(1);
  return Uint32Array.from({ length: SUBKEYS + BOXES }, (_, i) => Number.parseInt(hex.slice(i * 8, i * 8 + 8), 16));
}

/** The arc tangent of 1/x, in fixed point. */
function* arcTangent(x: bigint): SlowWork<bigint> {
  let power = (1n << BigInt(DIGITS + GUARD)) / x;
  let sum = power;
  for (let divisor = 3n, sign = -1n; power > 0n; divisor += 2n, sign = -sign) {
    power /= x * x;
    sum += (sign * power) / divisor;
    if (divisor % BigInt(2 * TERMS_AT_ONCE) === 1n) yield;
  }
  return sum;
}
