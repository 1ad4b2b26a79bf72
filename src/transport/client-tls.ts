// What is known of a client that speaks TLS: what it said in its ClientHello, and its certificate. Worked out when it is asked for.

import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { type CertificateFault, CHAIN_TOO_LONG, certificateFault, intermediates } from './certificate-verdict.ts';
import type { ClientHello, ClientOffers } from './client-hello.ts';

/** What Node says of a client that showed no certificate. */
const NO_CERTIFICATE = 'UNABLE_TO_GET_ISSUER_CERT';

/** What Node tells of its verification. */
interface Verifier {
  _handle: { verifyError?(): (Error & { code?: string }) | null | undefined } | null;
}

/** How its certificate is verified. */
export interface Verification {
  /** How many certificates may stand between the client's and the one that is trusted. */
  readonly depth: number;
  readonly rules: string;
}

/** A dot at the end of a name only says that it is whole. */
export function hostOf(serverName: string): string {
  return serverName.endsWith('.') ? serverName.slice(0, -1) : serverName;
}

/** One client's side of TLS; it lasts as long as its connection. */
export class ClientTls {
  /** SNI; undefined where the client named nobody. */
  readonly serverName: string | undefined;
  readonly offers: ClientOffers;
  /** By which rules its certificate was verified; undefined: it was not asked for one. */
  readonly rules: string | undefined;
  readonly #depth: number;
  #socket: TLSSocket | undefined = undefined;
  #certificate: X509Certificate | undefined = undefined;
  #fault: CertificateFault | undefined = undefined;
  #looked = false;

  constructor(
    { serverName, offers }: Pick<ClientHello, 'serverName' | 'offers'>,
    verification: Verification | undefined,
  ) {
    this.serverName = serverName;
    this.offers = offers;
    this.rules = verification?.rules;
    this.#depth = verification?.depth ?? 0;
  }

  /** The name that the client wants to speak to, as a request names it. */
  get host(): string | undefined {
    return this.serverName === undefined ? undefined : hostOf(this.serverName);
  }

  /** The TLS socket; undefined as long as the handshake has not begun. */
  get socket(): TLSSocket | undefined {
    return this.#socket;
  }

  /** The handshake begins, or is made. */
  useSocket(socket: TLSSocket): void {
    this.#socket = socket;
  }

  /** The client's certificate, where it was asked for one and showed it, in this handshake or in that of the resumed session. */
  get certificate(): X509Certificate | undefined {
    this.#look();
    return this.#certificate;
  }

  /** What is wrong with the certificate, if there is one; undefined: nothing, or there is none. */
  get fault(): CertificateFault | undefined {
    this.#look();
    return this.#fault;
  }

  /** The chain comes first: some versions of Node take it apart when they are asked for the certificate alone. */
  #look(): void {
    if (this.#looked || this.#socket === undefined) return;
    this.#looked = true;
    if (this.rules === undefined) return;
    const between = this.#socket.isSessionReused() ? 0 : intermediates(this.#socket);
    this.#certificate = this.#socket.getPeerX509Certificate();
    if (this.#certificate !== undefined) this.#fault = faultOf(this.#socket, between > this.#depth);
  }
}

/**
 * OpenSSL has its say first. It does not know our depth, and of a resumed session the chain is not known any more: a session that
 * was refused for its depth is never kept.
 */
function faultOf(socket: TLSSocket, isTooLong: boolean): CertificateFault | undefined {
  const error = (socket as unknown as Verifier)._handle?.verifyError?.();
  if (error !== null && error !== undefined) return certificateFault(error.code ?? NO_CERTIFICATE);
  return isTooLong ? CHAIN_TOO_LONG : undefined;
}
