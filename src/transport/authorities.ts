// Contexts that trust some authorities and tell clients of a part of them only: Node itself tells of all.

import * as tls from 'node:tls';

/** PEM, one certificate each. */
export interface Authorities {
  /** Those whose names are sent to clients with the wish for a certificate. */
  readonly told: readonly string[];
  /** Those that are trusted, and not spoken of. */
  readonly quiet: readonly string[];
}

/** What newer versions of Node have: the authorities that a context trusts where none are given, which are never told. */
interface DefaultAuthorities {
  getCACertificates?(type: 'default'): string[];
  setDefaultCACertificates?(certificates: readonly string[]): void;
}

/**
 * A context that trusts these and nobody else. Where Node is older than 22.19 and 24.5, all of them are told.
 * @throws {Error} OpenSSL's
 */
export function contextTrusting({ told, quiet }: Authorities, options: tls.SecureContextOptions): tls.SecureContext {
  const { getCACertificates, setDefaultCACertificates } = tls as DefaultAuthorities;
  if (quiet.length === 0 || getCACertificates === undefined || setDefaultCACertificates === undefined)
    return tls.createSecureContext({ ...options, ca: [...told, ...quiet] });
  const before = getCACertificates('default');
  setDefaultCACertificates(quiet);
  try {
    const context = tls.createSecureContext(options);
    for (const pem of told) (context.context as { addCACert(pem: string): void }).addCACert(pem);
    return context;
  } finally {
    setDefaultCACertificates(before);
  }
}
