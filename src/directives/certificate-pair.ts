// A certificate and its private key as PEM: the key decrypted with one of several passphrases, and seen to be the certificate's.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { ConfigError } from '../config/errors.ts';
import type { Level, Workshop } from './draft.ts';
import { readPem, type WrittenFile } from './written-file.ts';

/** PEM: the certificate with its chain behind it, and its key, not encrypted any more. It is a secret: never log it. */
export interface CertificatePair {
  readonly certificate: string;
  readonly key: string;
}

/** A private key that was read. */
export interface ReadKey {
  /** PEM, not encrypted. */
  readonly pem: string;
  readonly object: KeyObject;
  /** A passphrase was needed. */
  readonly wasEncrypted: boolean;
}

/** What is wrong with a certificate or a key, without a word of what stands in it. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
}

/** @throws CertificateError */
export function parseCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new CertificateError('no certificate (PEM) was found in it');
  }
}

/** @param passwords tried in turn where the key is encrypted. @throws CertificateError */
export function parseKey(pem: string, passwords: readonly string[]): ReadKey {
  if (!/ENCRYPTED/.test(pem)) return readKey(pem, undefined) ?? refuse('no private key (PEM) could be read from it');
  if (passwords.length === 0) refuse('it is encrypted, and there is no password file');
  for (const password of passwords) {
    const key = readKey(pem, password);
    if (key !== undefined) return key;
  }
  return refuse('it is encrypted, and no password of the file opens it');
}

/** undefined where that does not work. OpenSSL's own words could quote the file. */
function readKey(pem: string, passphrase: string | undefined): ReadKey | undefined {
  try {
    if (passphrase === undefined) return { pem, object: createPrivateKey(pem), wasEncrypted: false };
    const object = createPrivateKey({ key: pem, passphrase: Buffer.from(passphrase, 'latin1') });
    return { pem: object.export({ type: 'pkcs8', format: 'pem' }).toString(), object, wasEncrypted: true };
  } catch {
    return undefined;
  }
}

function refuse(reason: string): never {
  throw new CertificateError(reason);
}

/** One passphrase on each line; empty lines are none. */
function parsePasswords(text: string): readonly string[] {
  return text.split(/\r?\n/).filter((line) => line !== '');
}

/** The passphrases in the file that a directive names; none where it names none. @throws ConfigError */
export function readPasswords(
  file: string | undefined,
  directive: string,
  { files, fromConfig }: Workshop,
  level: Level,
): readonly string[] {
  if (file === undefined) return [];
  try {
    return parsePasswords(files.read(fromConfig(file)).toString('latin1'));
  } catch (error) {
    throw new ConfigError((error as Error).message, level.at(directive));
  }
}

/** While a configuration is read: a file, or `data:` and the PEM itself. @throws ConfigError */
export function loadPair(
  certificate: WrittenFile,
  key: WrittenFile,
  passwords: readonly string[],
  workshop: Workshop,
): CertificatePair {
  const pem = pemOf(certificate, 'certificate', workshop);
  const parsed = placed(certificate, 'certificate', () => parseCertificate(pem));
  const keyPem = pemOf(key, 'certificate key', workshop);
  const read = placed(key, 'certificate key', () => parseKey(keyPem, passwords));
  if (parsed.checkPrivateKey(read.object)) return { certificate: pem, key: read.pem };
  const message = `cannot load certificate key "${nameOf(key)}": it is not the key of "${nameOf(certificate)}"`;
  throw new ConfigError(message, key.at);
}

const DATA = 'data:';
const nameOf = ({ file }: WrittenFile): string => (file.startsWith(DATA) ? DATA : file);

function pemOf(written: WrittenFile, what: string, workshop: Workshop): string {
  return written.file.startsWith(DATA) ? written.file.slice(DATA.length) : readPem(written, what, workshop);
}

function placed<T>(written: WrittenFile, what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    throw new ConfigError(`cannot load ${what} "${nameOf(written)}": ${error.message}`, written.at);
  }
}
