// Certificates for tests: self-signed and signed by an authority, RSA and ECDSA, made once a process.

import 'reflect-metadata';
import { KeyObject, type webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
} from '@peculiar/x509';

/** A certificate and its private key, both as PEM text: what `tls` takes. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateWish {
  /** Host names and IP addresses; the first is the subject. Default: localhost, 127.0.0.1 and ::1. */
  readonly names?: readonly string[];
  /** Default: ecdsa (P-256). RSA has 2048 bits. */
  readonly kind?: 'ecdsa' | 'rsa';
  /** Default: from an hour ago until a day from now. */
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** A number of one's own makes a certificate of one's own, otherwise equal. */
  readonly serial?: number;
}

const HOUR_MS = 3_600_000;
const ALGORITHMS = {
  ecdsa: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  rsa: {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    publicExponent: new Uint8Array([1, 0, 1]),
    modulusLength: 2048,
  },
} as const;

/** What was made, with its keys as WebCrypto has them, to sign others. */
interface Made extends Certificate {
  readonly subject: string;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly kind: 'ecdsa' | 'rsa';
}

const made = new Map<string, Promise<Made>>();
let lastSerial = 1000;

/** A certificate that nobody but itself vouches for. */
export function selfSignedCertificate(wish: CertificateWish = {}): Promise<Certificate> {
  return once(`self ${JSON.stringify(wish)}`, () => make(wish, undefined, leafExtensions(wish)));
}

/** A certificate that may sign others. */
export function certificateAuthority(name = 'Test authority', kind: 'ecdsa' | 'rsa' = 'ecdsa'): Promise<Certificate> {
  return authority(name, kind);
}

/** An authority of this name whose certificate another one has signed: `signedCertificate` takes its name. */
export function intermediateAuthority(name: string, by = 'Test authority'): Promise<Certificate> {
  return once(`authority ${name} ecdsa`, async () =>
    make({ names: [name] }, await authority(by, 'ecdsa'), authorityExtensions()),
  );
}

/** A certificate that the authority of this name and kind has signed. */
export function signedCertificate(
  wish: CertificateWish = {},
  name = 'Test authority',
  kind: 'ecdsa' | 'rsa' = 'ecdsa',
) {
  return once(`by ${name} ${kind} ${JSON.stringify(wish)}`, async (): Promise<Made> => {
    return make(wish, await authority(name, kind), leafExtensions(wish));
  });
}

/** A list of revoked certificates by the authority of this name and kind, PEM. @param serials of `CertificateWish` */
export async function revocationList(
  serials: readonly number[],
  name = 'Test authority',
  kind: 'ecdsa' | 'rsa' = 'ecdsa',
): Promise<string> {
  const { subject, keys } = await authority(name, kind);
  const list = await X509CrlGenerator.create({
    issuer: subject,
    thisUpdate: new Date(Date.now() - HOUR_MS),
    nextUpdate: new Date(Date.now() + 24 * HOUR_MS),
    entries: serials.map((serial) => ({ serialNumber: serialNumber(serial), revocationDate: new Date() })),
    signingKey: keys.privateKey,
    signingAlgorithm: ALGORITHMS[kind],
  });
  // OpenSSL knows it by no other label.
  return list.toString('pem').replaceAll(' CRL-', ' X509 CRL-');
}

const serialNumber = (serial: number): string => serial.toString(16).padStart(16, '0');

function authority(name: string, kind: 'ecdsa' | 'rsa'): Promise<Made> {
  return once(`authority ${name} ${kind}`, () => make({ names: [name], kind }, undefined, authorityExtensions()));
}

function authorityExtensions(): Extension[] {
  return [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ];
}

function once(key: string, create: () => Promise<Made>): Promise<Made> {
  const known = made.get(key);
  if (known !== undefined) return known;
  const creating = create();
  made.set(key, creating);
  return creating;
}

const DEFAULT_NAMES = ['localhost', '127.0.0.1', '::1'];

function leafExtensions(wish: CertificateWish): Extension[] {
  const names = (wish.names ?? DEFAULT_NAMES).map(
    (value) => ({ type: isAddress(value) ? 'ip' : 'dns', value }) as const,
  );
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    new SubjectAlternativeNameExtension(names),
  ];
}

function isAddress(name: string): boolean {
  return name.includes(':') || /^[0-9.]+$/.test(name);
}

async function make(wish: CertificateWish, issuer: Made | undefined, extensions: Extension[]): Promise<Made> {
  const kind = wish.kind ?? 'ecdsa';
  const algorithm = ALGORITHMS[kind];
  const keys = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const subject = `CN=${(wish.names ?? DEFAULT_NAMES)[0]}`;
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(wish.serial ?? ++lastSerial),
    subject,
    issuer: issuer?.subject ?? subject,
    notBefore: wish.notBefore ?? new Date(Date.now() - HOUR_MS),
    notAfter: wish.notAfter ?? new Date(Date.now() + 24 * HOUR_MS),
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    signingAlgorithm: ALGORITHMS[issuer?.kind ?? kind],
    extensions,
  });
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
  return { cert: certificate.toString('pem'), key, subject, keys, kind };
}
