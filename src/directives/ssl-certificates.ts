// Certificates and their keys: read from files, and seen to belong together.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_certificate

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { ConfigError } from '../config/errors.ts';
import { FileError } from '../config/files.ts';
import type { Position } from '../config/tree.ts';
import type { Workshop } from './draft.ts';

/** The name of a file as it was written, and where. */
export interface WrittenFile {
  readonly file: string;
  readonly at: Position | undefined;
}

/** PEM texts, the chain of the first certificate behind it: what `tls` takes. */
export interface CertificatePairs {
  readonly certificates: readonly string[];
  readonly keys: readonly string[];
}

/** @throws ConfigError for what cannot be read, is no certificate or key, or does not fit its partner */
export function readCertificates(
  certificates: readonly WrittenFile[],
  keys: readonly WrittenFile[],
  workshop: Workshop,
): CertificatePairs {
  const last = certificates.at(-1);
  if (last !== undefined && keys.length < certificates.length)
    throw new ConfigError(`no "ssl_certificate_key" is defined for certificate "${last.file}"`, last.at);
  const pairs = certificates.map((certificate, index) => readPair(certificate, keys[index] as WrittenFile, workshop));
  return { certificates: pairs.map(({ certificate }) => certificate), keys: pairs.map(({ key }) => key) };
}

function readPair(
  certificate: WrittenFile,
  key: WrittenFile,
  workshop: Workshop,
): { certificate: string; key: string } {
  const pem = readPem(certificate, 'certificate', workshop);
  const parsed = parseCertificate(pem, certificate);
  const keyPem = readPem(key, 'certificate key', workshop);
  if (parsed.checkPrivateKey(parseKey(keyPem, key))) return { certificate: pem, key: keyPem };
  throw new ConfigError(
    `cannot load certificate key "${key.file}": it is not the key of "${certificate.file}"`,
    key.at,
  );
}

function parseCertificate(pem: string, { file, at }: WrittenFile): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new ConfigError(`cannot load certificate "${file}": no certificate (PEM) was found in it`, at);
  }
}

function parseKey(pem: string, { file, at }: WrittenFile): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // OpenSSL's own words could quote the file.
    const reason = /ENCRYPTED/.test(pem)
      ? 'it is encrypted, and "ssl_password_file" is not supported yet'
      : 'no private key (PEM) could be read from it';
    throw new ConfigError(`cannot load certificate key "${file}": ${reason}`, at);
  }
}

/** Only some forms of the name are files. */
const OTHER_STORES = /^(?:data|engine|store):/;

export function readPem({ file, at }: WrittenFile, what: string, workshop: Workshop): string {
  if (OTHER_STORES.test(file) || file.includes('$')) {
    throw new ConfigError(
      `cannot load ${what} "${file}": only files are supported, and no variables in their names`,
      at,
    );
  }
  const path = workshop.fromConfig(file);
  try {
    return workshop.files.read(path).toString('latin1');
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new ConfigError(`cannot load ${what} "${path}": ${error.message}`, at);
  }
}
