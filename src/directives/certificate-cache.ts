// Certificates and keys whose names are made of variables: read while requests are served, and remembered for a while.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ssl_certificate_cache

import { readFileSync, statSync } from 'node:fs';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import { CertificateError, type CertificatePair, parseCertificate, parseKey } from './certificate-pair.ts';

/** `proxy_ssl_certificate_cache`. Times in seconds, as nginx counts them. */
export interface CertificateCacheSettings {
  /** The most certificates and keys together. */
  readonly max: number;
  /** Not used for so long: forgotten when there is a new one. Default: 10. */
  readonly inactive: number;
  /** After so long the file is looked at again, and read if it has changed. Default: 60. */
  readonly valid: number;
}

interface Loaded<T> {
  readonly value: T;
  /** What is not to be kept: a key that was opened with a password would else be there for who has none. */
  readonly secret: boolean;
}

interface Entry {
  value: unknown;
  created: number;
  accessed: number;
  /** Which file it was, and when it was changed; '' where that is not known. */
  mark: string;
}

const secondsNow = (): number => Math.floor(Date.now() / 1000);

/** What was read last, the one used longest ago first. Without settings nothing is kept. */
export class CertificateCache {
  readonly #settings: CertificateCacheSettings | undefined;
  readonly #entries = new Map<string, Entry>();

  constructor(settings: CertificateCacheSettings | undefined) {
    this.#settings = settings;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * The certificate and its key, by absolute paths or `data:` and the PEM itself. Where they do not fit each other, one of them
   * may be old: both are read anew.
   * @throws CertificateError
   */
  pair(certificate: string, key: string, passwords: readonly string[]): CertificatePair {
    return this.#readPair(certificate, key, passwords, false) ?? this.#anew(certificate, key, passwords);
  }

  #anew(certificate: string, key: string, passwords: readonly string[]): CertificatePair {
    const pair = this.#readPair(certificate, key, passwords, true);
    if (pair !== undefined) return pair;
    throw new CertificateError(`cannot load certificate key "${nameOf(key)}": it is not the key of the certificate`);
  }

  #readPair(
    certificate: string,
    key: string,
    passwords: readonly string[],
    invalidate: boolean,
  ): CertificatePair | undefined {
    const chain = this.#fetch(`c:${certificate}`, certificate, invalidate, () => loadCertificate(certificate));
    const read = this.#fetch(`k:${key}`, key, invalidate, () => loadKey(key, passwords));
    return chain.parsed.checkPrivateKey(read.object) ? { certificate: chain.pem, key: read.pem } : undefined;
  }

  #fetch<T>(id: string, path: string, invalidate: boolean, load: () => Loaded<T>): T {
    const settings = this.#settings;
    if (settings === undefined) return load().value;
    const now = secondsNow();
    const entry = this.#entries.get(id);
    if (entry === undefined) return this.#add(id, path, now, settings, load());
    this.#entries.delete(id);
    if (!this.#stands(entry, path, now, invalidate, settings)) {
      const { value, secret } = load();
      if (secret) return value;
      Object.assign(entry, { value, created: now, mark: markOf(path) });
    }
    entry.accessed = now;
    this.#entries.set(id, entry);
    return entry.value as T;
  }

  /** Whether what is remembered still holds. */
  #stands(entry: Entry, path: string, now: number, invalidate: boolean, { valid }: CertificateCacheSettings): boolean {
    if (isData(path)) return true;
    if (invalidate) return false;
    if (now - entry.created <= valid) return true;
    if (entry.mark === '' || markOf(path) !== entry.mark) return false;
    entry.created = now;
    return true;
  }

  #add<T>(id: string, path: string, now: number, settings: CertificateCacheSettings, { value, secret }: Loaded<T>): T {
    if (secret) return value;
    this.#expire(now, settings);
    this.#entries.set(id, { value, created: now, accessed: now, mark: markOf(path) });
    return value;
  }

  #expire(now: number, { inactive, max }: CertificateCacheSettings): void {
    for (const [id, { accessed }] of this.#entries) {
      if (now - accessed <= inactive && this.#entries.size < max) return;
      this.#entries.delete(id);
    }
  }
}

const isData = (name: string): boolean => name.startsWith('data:');
/** A name that may stand in the log. */
const nameOf = (name: string): string => (isData(name) ? 'data:' : name);

function loadCertificate(name: string): Loaded<{ pem: string; parsed: ReturnType<typeof parseCertificate> }> {
  return telling('certificate', name, () => {
    const pem = contentsOf(name);
    return { value: { pem, parsed: parseCertificate(pem) }, secret: false };
  });
}

function loadKey(name: string, passwords: readonly string[]): Loaded<ReturnType<typeof parseKey>> {
  return telling('certificate key', name, () => {
    const key = parseKey(contentsOf(name), passwords);
    return { value: key, secret: key.wasEncrypted };
  });
}

function telling<T>(what: string, name: string, load: () => T): T {
  try {
    return load();
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    throw new CertificateError(`cannot load ${what} "${nameOf(name)}": ${error.message}`);
  }
}

function contentsOf(name: string): string {
  if (isData(name)) return name.slice('data:'.length);
  try {
    return readFileSync(name, 'latin1');
  } catch (error) {
    throw new CertificateError(`open() "${name}" failed (${systemErrorText(systemErrorCode(error))})`);
  }
}

function markOf(path: string): string {
  if (isData(path)) return '';
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? '' : `${found.dev} ${found.ino} ${found.mtimeMs}`;
}
