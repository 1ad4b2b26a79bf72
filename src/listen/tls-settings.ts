// What TLS is towards clients, for one server; secrets are read when the snapshot is built and live in the context alone.

import type { SecureContext } from 'node:tls';
import type { ClientEnd } from '../exchange/client-link.ts';
import type { ClientVerification } from '../exchange/exchange.ts';
import type { ClientTls } from '../transport/client-tls.ts';

/** Sessions that are kept by us: `ssl_session_cache`. */
export interface SessionCache {
  find(id: Buffer): Buffer | undefined;
  keep(id: Buffer, session: Buffer): void;
}

/** Between whom a handshake is made. */
export interface HandshakeEnds extends ClientEnd {
  readonly id: number;
  readonly serverAddress: string;
  readonly serverPort: number;
}

export interface TlsSettings {
  /**
   * Certificates, keys, protocols, ciphers, curves, for this handshake: names of certificates may have variables.
   * @throws {Error} where a certificate cannot be had; its message is for the log
   */
  context(client: ClientTls, ends: HandshakeEnds): SecureContext;
  /** What clients have to show; undefined: they are not asked. */
  readonly verifyClient: ClientVerification | undefined;
  readonly sessionTickets: boolean;
  /** Undefined: sessions are resumed by tickets or not at all. */
  readonly sessions: SessionCache | undefined;
  /** The longest TLS record in bytes: `ssl_buffer_size`, from 512 to 16384. */
  readonly recordSize: number;
  /** The OCSP response (DER) for clients that want one: `ssl_stapling_file`. */
  readonly staple: Uint8Array | undefined;
}
