// What TLS is towards clients, for one server; secrets are read when the snapshot is built and live in the context alone.

import type { SecureContext } from 'node:tls';

export interface TlsSettings {
  /** Certificates, keys, protocols, ciphers, curves: ready for use. */
  readonly context: SecureContext;
  /** ms a session may be resumed for: `ssl_session_timeout`. */
  readonly sessionTimeout: number;
  readonly sessionTickets: boolean;
}
