// A certificate for localhost that is signed by itself, made once and kept. As a command: node examples/make-certificate.ts FOLDER

import 'reflect-metadata';
import { createPrivateKey, KeyObject, randomBytes, type webcrypto, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
  /** Whether it was made just now. */
  readonly isNew: boolean;
}

const DAY_MS = 86_400_000;
const VALID_DAYS = 365;
/** One that is about to expire is made anew. */
const LEAST_DAYS = 7;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const NAMES = [
  { type: 'dns', value: 'localhost' },
  { type: 'ip', value: '127.0.0.1' },
  { type: 'ip', value: '::1' },
] as const;

/** Makes sure that the folder has `localhost.crt` and `localhost.key`, which only their owner can read. */
export async function makeCertificate(folder: string): Promise<CertificateFiles> {
  const files = { certificate: join(folder, 'localhost.crt'), key: join(folder, 'localhost.key') };
  if (isUsable(files.certificate, files.key)) return { ...files, isNew: false };
  mkdirSync(folder, { recursive: true });
  const { certificate, key } = await signItself();
  replace(files.key, key, 0o600);
  replace(files.certificate, certificate, 0o644);
  return { ...files, isNew: true };
}

/** A pair that belongs together and is valid for some days more. */
function isUsable(certificateFile: string, keyFile: string): boolean {
  if (!existsSync(certificateFile) || !existsSync(keyFile)) return false;
  try {
    const certificate = new X509Certificate(readFileSync(certificateFile));
    const isOurs = certificate.checkPrivateKey(createPrivateKey(readFileSync(keyFile)));
    return isOurs && Date.parse(certificate.validTo) > Date.now() + LEAST_DAYS * DAY_MS;
  } catch (error) {
    // What is there and may not be read is somebody else's; what is no certificate can be replaced.
    if ((error as NodeJS.ErrnoException).code === 'EACCES') throw error;
    return false;
  }
}

async function signItself(): Promise<{ certificate: string; key: string }> {
  const keys = (await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const certificate = await X509CertificateGenerator.createSelfSigned({
    // Positive, and new each time: browsers refuse a second certificate with the same number.
    serialNumber: `01${randomBytes(15).toString('hex')}`,
    name: 'CN=localhost',
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + VALID_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([...NAMES]),
    ],
  });
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
  return { certificate: `${certificate.toString('pem')}\n`, key };
}

/** All at once: who reads it meanwhile reads the old one or the new one. */
function replace(file: string, text: string, mode: number): void {
  const passing = `${file}.new`;
  writeFileSync(passing, text, { mode });
  renameSync(passing, file);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { certificate, key } = await makeCertificate(process.argv[2] ?? '.sockgate');
  console.log(`${certificate}\n${key}`);
}
