// Dials: TCP or a unix socket, and TLS over it where that is wanted.

import { connect, isIP, type NetConnectOpts, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, TLSSocket } from 'node:tls';
import { channelKind, openChannel } from './choose.ts';
import { disconnectedError } from './connection-error.ts';
import { HandleDial } from './dial-handle.ts';
import type { Dialler } from './dialler.ts';
import { reportOwnerFault } from './owner-fault.ts';

/** Where to dial, and how. */
export interface DialOptions {
  /** An IP address: names are resolved elsewhere. Not with `path`. */
  readonly host?: string;
  readonly port?: number;
  /** A unix socket. */
  readonly path?: string;
  /** The IP address to dial from. */
  readonly localAddress?: string;
  /** And the port; 0: any. */
  readonly localPort?: number;
  /**
   * With it, TLS. As for `tls.connect`; in short: `secureContext` (make it once), `servername` (SNI; an IP address is not sent),
   * `host` (the name that the certificate must be for, where that is not `servername`), `session`, `rejectUnauthorized` (default true).
   */
  readonly tls?: ConnectionOptions;
  /** Told of every TLS session that may be resumed later; with TLS 1.3 that is after the handshake, and more than once. */
  readonly onSession?: (session: Buffer) => void;
  /** Told of the keys of the TLS connection, a line at a time, as an SSLKEYLOGFILE has them. */
  readonly onKeyLog?: (line: Buffer) => void;
}

/** A connection being made. How long that may take is the caller's business. */
export interface Dial {
  /** TCP stands, and the TLS handshake is under way. */
  readonly isShakingHands: boolean;
  /** Gives up: the connection is closed, and nobody is told. Does nothing once it was told how it went. */
  cancel(): void;
}

/** A connection made with a socket of Node. */
class SocketDial implements Dial {
  readonly #options: DialOptions;
  #dialler: Dialler | undefined;
  #socket: Socket | undefined = undefined;
  #error: Error | undefined = undefined;

  constructor(options: DialOptions, dialler: Dialler) {
    this.#options = options;
    this.#dialler = dialler;
    try {
      this.#socket = connect(netOptions(options));
      this.#watch(this.#socket);
      this.#socket.on('connect', this.#onConnect);
    } catch (error) {
      process.nextTick(this.#fail, error);
    }
  }

  get isShakingHands(): boolean {
    return this.#dialler !== undefined && this.#socket instanceof TLSSocket;
  }

  cancel(): void {
    if (this.#dialler === undefined) return;
    this.#dialler = undefined;
    this.#socket?.destroy();
  }

  #watch(socket: Socket): void {
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  #unwatch(socket: Socket): void {
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
  }

  readonly #onConnect = (): void => {
    const { tls } = this.#options;
    const socket = this.#socket;
    if (this.#dialler === undefined || socket === undefined) return;
    if (tls === undefined) this.#handOver(socket, false);
    else this.#secure(socket, tls);
  };

  /** TLS takes over the reading at once, so nothing that came in plain before can pass for an answer. */
  #secure(raw: Socket, options: ConnectionOptions): void {
    try {
      const socket = connectTls({ ...options, ...serverName(options), socket: raw });
      this.#unwatch(raw);
      this.#watch(socket);
      this.#socket = socket;
      if (this.#options.onSession !== undefined) socket.on('session', this.#options.onSession);
      if (this.#options.onKeyLog !== undefined) socket.on('keylog', this.#options.onKeyLog);
      socket.on('secureConnect', this.#onSecure);
    } catch (error) {
      this.#onError(error as Error);
    }
  }

  readonly #onSecure = (): void => {
    const socket = this.#socket as TLSSocket;
    if (this.#dialler !== undefined) this.#handOver(socket, socket.isSessionReused());
  };

  #handOver(socket: Socket, sessionReused: boolean): void {
    const dialler = this.#dialler;
    this.#dialler = undefined;
    const channel = openChannel(socket);
    this.#unwatch(socket);
    socket.off('connect', this.#onConnect);
    socket.off('secureConnect', this.#onSecure);
    try {
      dialler?.dialConnected(channel, sessionReused);
    } catch (fault) {
      channel.destroy(reportOwnerFault(fault));
    }
  }

  readonly #onError = (error: Error): void => {
    this.#error ??= error;
    this.#socket?.destroy();
  };

  readonly #onClose = (): void => {
    this.#fail(this.#error ?? disconnectedError('The connection was closed before it stood'));
  };

  readonly #fail = (error: Error): void => {
    const dialler = this.#dialler;
    this.#dialler = undefined;
    try {
      dialler?.dialFailed(error);
    } catch (fault) {
      reportOwnerFault(fault);
    }
  };
}

/** Dials. The channel that comes of it has Nagle's algorithm off. */
export function connectSocket(options: DialOptions, dialler: Dialler): Dial {
  return dialByHandle(options, dialler) ?? new SocketDial(options, dialler);
}

function dialByHandle({ host, port, tls, localAddress }: DialOptions, dialler: Dialler): Dial | undefined {
  if (channelKind() !== 'handle' || tls !== undefined || localAddress !== undefined) return undefined;
  return host === undefined || port === undefined ? undefined : HandleDial.begin(host, port, dialler);
}

function netOptions(options: DialOptions): NetConnectOpts {
  if (options.path !== undefined) return { path: options.path };
  const to = { host: options.host ?? '127.0.0.1', port: options.port ?? 0, noDelay: true, autoSelectFamily: false };
  const { localAddress, localPort = 0 } = options;
  return localAddress === undefined ? to : { ...to, localAddress, localPort };
}

/** SNI carries no IP addresses (RFC 6066 section 3), but a certificate may be for one. */
function serverName(options: ConnectionOptions): ConnectionOptions {
  const { servername } = options;
  if (servername === undefined || isIP(servername) === 0) return {};
  return { servername: '', host: options.host ?? servername };
}
