// A certificate with an intermediate authority between it and its root, for tests of proxy_ssl_verify_depth.

import 'reflect-metadata';
import { KeyObject, type webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  type X509CertificateCreateParams,
  X509CertificateGenerator,
} from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

interface Signer {
  readonly subject: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

export interface CertificateChain {
  /** The root alone: what is trusted. */
  readonly root: string;
  /** The certificate and the intermediate one behind it: what the server sends. */
  readonly cert: string;
  readonly key: string;
}

export async function certificateChain(name: string): Promise<CertificateChain> {
  const root = await newSigner('CN=Root');
  const middle = await newSigner('CN=Middle');
  const leaf = await newSigner(`CN=${name}`);
  const altName = new SubjectAlternativeNameExtension([{ type: 'dns', value: name }]);
  const leafPem = await sign(leaf, middle, [new BasicConstraintsExtension(false), altName]);
  const middlePem = await sign(middle, root, [new BasicConstraintsExtension(true)]);
  const key = KeyObject.from(leaf.keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
  return { root: await sign(root, root, [new BasicConstraintsExtension(true)]), cert: `${leafPem}\n${middlePem}`, key };
}

async function newSigner(subject: string): Promise<Signer> {
  return { subject, keys: await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) };
}

async function sign(who: Signer, by: Signer, extensions: X509CertificateCreateParams['extensions'] = []) {
  const certificate = await X509CertificateGenerator.create({
    subject: who.subject,
    issuer: by.subject,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    publicKey: who.keys.publicKey,
    signingKey: by.keys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions,
  });
  return certificate.toString('pem');
}
