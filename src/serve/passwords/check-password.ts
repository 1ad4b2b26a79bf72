// Whether a password is the one that a stored text stands for, whichever scheme made it.
// https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html#auth_basic_user_file

import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { bcrypt } from './bcrypt.ts';
import { desCrypt } from './des-crypt.ts';
import { md5Crypt } from './md5-crypt.ts';
import { shaCrypt } from './sha-crypt.ts';
import type { SlowWork } from './slow-work.ts';

const APACHE = '$apr1$';
const MD5 = '$1$';
const PLAIN = '{PLAIN}';
const SHA = '{SHA}';
const SALTED_SHA = '{SSHA}';
const SHA_BYTES = 20;
/** crypt(3) hashes no longer password (libxcrypt's CRYPT_MAX_PASSPHRASE_SIZE): the work of some schemes grows with its square. In bytes. */
const LONGEST_PASSWORD = 511;

/**
 * Passwords that were right a while ago, so that a browser that sends one with every request does not have it hashed every time: a keyed
 * hash of the password and of what is stored, from which neither can be told.
 */
const remembered = new Set<string>();
const MOST_REMEMBERED = 1000;
const KEY = randomBytes(32);

/**
 * @param password, stored byte strings
 * @returns the verdict, or the work that leads to it where that may take long
 */
export function checkPassword(password: string, stored: string): boolean | SlowWork<boolean> {
  if (stored.startsWith(PLAIN)) return isSame(stored.slice(PLAIN.length), password);
  if (stored.startsWith(SHA)) return isSame(stored.slice(SHA.length), sha1(bytesOf(password)).toString('base64'));
  if (stored.startsWith(SALTED_SHA)) return checkSalted(bytesOf(password), stored.slice(SALTED_SHA.length));
  const digest = digestOf(password, stored);
  return remembered.has(digest) || checkSlowly(password, stored, digest);
}

function* checkSlowly(password: string, stored: string, digest: string): SlowWork<boolean> {
  const made = yield* crypt(bytesOf(password), stored);
  if (made === undefined || !isSame(made, stored)) return false;
  if (remembered.size >= MOST_REMEMBERED) remembered.delete(remembered.values().next().value as string);
  remembered.add(digest);
  return true;
}

/** crypt(3): what a right password becomes is the stored text itself. */
function* crypt(password: Buffer, stored: string): SlowWork<string | undefined> {
  // What C takes for the end of a text.
  const nul = password.indexOf(0);
  const key = nul < 0 ? password : password.subarray(0, nul);
  if (key.length > LONGEST_PASSWORD) return undefined;
  if (stored.startsWith(APACHE)) return yield* md5Crypt(key, stored, APACHE);
  if (stored.startsWith(MD5)) return yield* md5Crypt(key, stored, MD5);
  if (stored.startsWith('$5$') || stored.startsWith('$6$')) return yield* shaCrypt(key, stored);
  if (stored.startsWith('$2')) return yield* bcrypt(key, stored);
  return desCrypt(key, stored);
}

function checkSalted(password: Buffer, encoded: string): boolean {
  const decoded = Buffer.from(encoded, 'base64');
  if (decoded.length < SHA_BYTES) return false;
  const salt = decoded.subarray(SHA_BYTES);
  return timingSafeEqual(sha1(Buffer.concat([password, salt])), decoded.subarray(0, SHA_BYTES));
}

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');
const sha1 = (bytes: Buffer): Buffer => createHash('sha1').update(bytes).digest();

/** Takes as long whatever the first difference is. */
function isSame(one: string, other: string): boolean {
  return digestOf(one, '') === digestOf(other, '');
}

function digestOf(password: string, stored: string): string {
  return createHmac('sha256', KEY).update(`${stored}\0${password}`, 'latin1').digest('base64');
}
