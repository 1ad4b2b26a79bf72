// TLS on an accepted connection whose first bytes were looked at: the server's side of the handshake.

import type { Server, Socket } from 'node:net';
import { type SecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { Channel } from './channel.ts';
import { openChannel } from './choose.ts';
import { disconnectedError } from './connection-error.ts';
import { reportOwnerFault } from './owner-fault.ts';

/** Who is told how a handshake ended: one of the two is called, once, and never from inside `acceptTls`. */
export interface TlsAcceptor {
  /**
   * The handshake is done. `channel.tls.authorized` and `.authorizationError` say what came of the client's certificate, as they do
   * on a socket of `tls.Server`.
   */
  tlsAccepted(channel: Channel): void;
  /**
   * Asked first, where it is there: true keeps the TLS socket itself, and no channel is made of it. For HTTP/2, which Node carries;
   * `socket.alpnProtocol` says so.
   */
  tlsSocketTaken?(socket: TLSSocket): boolean;
  /** There is no connection any more. `error.code` is OpenSSL's (ERR_SSL_…) or the connection's (ECONNRESET). */
  tlsRefused(error: Error): void;
}

/** What `tls.Server` does with its own sockets, and we with ours. */
interface ServerSide {
  _handle: { verifyError?(): (Error & { code?: string }) | null | undefined } | null;
  _releaseControl?(): boolean;
  secureConnecting: boolean;
  authorized: boolean;
  authorizationError: string | null;
}

/** What a handshake may ask for, beside the certificate. */
export interface HandshakeAnswers {
  /** Sessions that are kept here rather than in tickets; undefined: none are. */
  readonly sessions: HandshakeSessions | undefined;
  /** The OCSP response (DER) for a client that wants one. */
  readonly staple: Uint8Array | undefined;
}

export interface HandshakeSessions {
  /** The session that the client wants to resume, in OpenSSL's form, if it is there. Asked once. */
  resume(): Buffer | undefined;
  /** A session was made that may be resumed by this id: over TLS 1.3 several, and after the handshake. */
  keep(id: Buffer, session: Buffer): void;
}

/** As for Node's `TLSSocket`. */
export interface AcceptTlsOptions extends TLSSocketOptions {
  readonly answers?: HandshakeAnswers | undefined;
}

/** What Node says of a client that showed no certificate. */
const NO_CERTIFICATE = 'UNABLE_TO_GET_ISSUER_CERT';

/** A handshake under way. How long it may take is the caller's business. */
export class TlsAcceptance {
  readonly #socket: TLSSocket;
  readonly #options: TLSSocketOptions;
  #acceptor: TlsAcceptor | undefined;
  #error: Error | undefined = undefined;

  constructor(raw: Socket, options: AcceptTlsOptions, acceptor: TlsAcceptor) {
    const { answers, ...own } = options;
    this.#options = own;
    this.#acceptor = acceptor;
    this.#socket = new TLSSocket(raw, { ...own, ...asked(answers, own.secureContext), isServer: true });
    this.#socket.disableRenegotiation();
    this.#socket.on('error', this.#onError);
    this.#socket.on('close', this.#onClose);
    this.#socket.on('secure', this.#onSecure);
  }

  get socket(): TLSSocket {
    return this.#socket;
  }

  /** Closes the connection, and nobody is told. Does nothing after the handshake. */
  destroy(): void {
    if (this.#acceptor === undefined) return;
    this.#acceptor = undefined;
    this.#socket.destroy();
  }

  readonly #onSecure = (): void => {
    if (this.#acceptor === undefined) return;
    if (this.#options.requestCert === true) judgeClient(this.#socket);
    const refused = this.#options.rejectUnauthorized === true && !this.#socket.authorized;
    if (refused) this.#socket.destroy(unauthorizedError(this.#socket));
    else this.#handOver(this.#acceptor);
  };

  #handOver(acceptor: TlsAcceptor): void {
    this.#acceptor = undefined;
    const socket = this.#socket;
    const inside = socket as unknown as ServerSide;
    inside.secureConnecting = false;
    // Until then Node keeps TLS errors for a `tls.Server`, which is not there.
    inside._releaseControl?.();
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
    socket.off('secure', this.#onSecure);
    try {
      if (acceptor.tlsSocketTaken?.(socket) !== true) acceptor.tlsAccepted(openChannel(socket));
    } catch (fault) {
      reportOwnerFault(fault);
      socket.destroy();
    }
  }

  readonly #onError = (error: Error): void => {
    this.#error ??= error;
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    const acceptor = this.#acceptor;
    this.#acceptor = undefined;
    tellRefused(acceptor, this.#error ?? disconnectedError('The client left during the TLS handshake'));
  };
}

/**
 * Does the TLS handshake on a plain channel.
 * @param channel the accepted connection; it is detached, and must not be used any more.
 * @param unread what was read from it: the beginning of the handshake.
 * @param options as for Node's `TLSSocket`: `secureContext`, `ALPNProtocols`, `requestCert` … With `rejectUnauthorized` a client without
 *   a good certificate is refused; without it, see `channel.tls.authorized`. Renegotiation is always off.
 */
export function acceptTls(
  channel: Channel,
  unread: Buffer,
  options: AcceptTlsOptions,
  acceptor: TlsAcceptor,
): TlsAcceptance | undefined {
  const raw = channel.detach(unread);
  try {
    return new TlsAcceptance(raw, options, acceptor);
  } catch (error) {
    raw.on('error', () => {});
    raw.destroy();
    process.nextTick(tellRefused, acceptor, error as Error);
    return undefined;
  }
}

/** Node asks by events of the server that a TLS socket belongs to; ours belong to none, so one is put in its place. */
function asked(answers: HandshakeAnswers | undefined, context: SecureContext | undefined): { server?: Server } {
  if (answers === undefined) return {};
  return { server: new AnsweringServer(answers, context) as unknown as Server };
}

class AnsweringServer {
  /** Where Node finds the certificate that an OCSP response is wanted for. */
  readonly _sharedCreds: SecureContext | undefined;
  readonly #answers: HandshakeAnswers;

  constructor(answers: HandshakeAnswers, context: SecureContext | undefined) {
    this.#answers = answers;
    this._sharedCreds = context;
  }

  listenerCount(event: string): number {
    const { sessions, staple } = this.#answers;
    if (event === 'OCSPRequest') return staple === undefined ? 0 : 1;
    return sessions !== undefined && (event === 'resumeSession' || event === 'newSession') ? 1 : 0;
  }

  emit(event: string, first: Buffer, second: unknown, third: unknown): boolean {
    const { sessions, staple } = this.#answers;
    switch (event) {
      case 'resumeSession':
        (second as Answered)(null, sessions?.resume() ?? null);
        return true;
      case 'newSession':
        sessions?.keep(first, second as Buffer);
        (third as () => void)();
        return true;
      case 'OCSPRequest':
        (third as Answered)(null, staple ?? null);
        return true;
      default:
        return false;
    }
  }
}

type Answered = (error: null, answer: Uint8Array | null) => void;

function tellRefused(acceptor: TlsAcceptor | undefined, error: Error): void {
  try {
    acceptor?.tlsRefused(error);
  } catch (fault) {
    reportOwnerFault(fault);
  }
}

/** Sets `authorized` and `authorizationError`, as `tls.Server` does; a resumed session without a certificate proves nothing.
 * Not asked for in the newer way, which takes the chain apart: see `ClientTls`. */
function judgeClient(socket: TLSSocket): void {
  const inside = socket as unknown as ServerSide;
  const error = inside._handle?.verifyError?.();
  if (error !== null && error !== undefined) inside.authorizationError = error.code ?? error.message;
  else if (socket.getPeerCertificate().raw === undefined) inside.authorizationError = NO_CERTIFICATE;
  else inside.authorized = true;
}

function unauthorizedError(socket: TLSSocket): Error {
  const code = String(socket.authorizationError);
  return Object.assign(new Error(`The client's certificate was refused: ${code}`), { code });
}
