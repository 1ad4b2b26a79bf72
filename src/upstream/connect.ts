// A new connection to a peer: TCP or a unix socket, and TLS over it, verified before anything is sent.

import { systemErrorCode } from '../diagnostics/system-error.ts';
import type { Channel } from '../transport/channel.ts';
import { connectSocket, type Dial, type DialOptions } from '../transport/connect-socket.ts';
import type { Dialler } from '../transport/dialler.ts';
import type { LocalAddress } from './local-address.ts';
import type { PeerAddress } from './peer.ts';
import { systemFault, timedOut, UpstreamFault } from './upstream-fault.ts';
import type { UpstreamTls } from './upstream-tls.ts';

/** Who is told how it went: one of the two is called, once, and never from inside `connectToPeer`. */
export interface ConnectWatcher {
  connected(channel: Channel): void;
  connectFailed(fault: UpstreamFault): void;
}

/** What of a peer a connection needs to know. */
export interface DialledPeer {
  readonly address: PeerAddress;
  /** As it is shown; connections are kept, and TLS sessions resumed, by it. */
  readonly name: string;
}

/** A connection to a peer being made. */
export class PeerConnect implements Dialler {
  readonly #peer: DialledPeer;
  readonly #tls: UpstreamTls | undefined;
  readonly #tlsName: string;
  readonly #watcher: ConnectWatcher;
  readonly #from: LocalAddress | undefined;
  readonly #dial: Dial;
  /** Sessions that came before the certificate was verified; the last one counts. */
  #session: Buffer | undefined = undefined;
  #verified = false;

  constructor(
    peer: DialledPeer,
    tls: UpstreamTls | undefined,
    tlsName: string,
    watcher: ConnectWatcher,
    from?: LocalAddress,
  ) {
    this.#peer = peer;
    this.#tls = tls;
    this.#tlsName = tlsName;
    this.#watcher = watcher;
    this.#from = from;
    this.#dial = connectSocket(this.#options(), this);
  }

  /** Gives up; nobody is told. */
  cancel(): void {
    this.#dial.cancel();
  }

  /** `proxy_connect_timeout` has passed: gives up. @returns the fault to tell */
  timeOut(): UpstreamFault {
    const action = this.#dial.isShakingHands ? 'SSL handshaking to upstream' : 'connecting to upstream';
    this.cancel();
    return timedOut(action);
  }

  dialConnected(channel: Channel): void {
    const refusal = channel.tls === undefined ? undefined : this.#tls?.verify(channel.tls, this.#tlsName);
    if (refusal !== undefined) {
      channel.destroy();
      this.#watcher.connectFailed(new UpstreamFault('error', `${refusal} while SSL handshaking to upstream`));
      return;
    }
    this.#verified = true;
    if (this.#session !== undefined) this.#keepSession(this.#session);
    this.#watcher.connected(channel);
  }

  dialFailed(error: Error): void {
    this.#watcher.connectFailed(this.#isTlsFailure(error) ? tlsFault(error) : connectFault(error, this.#peer));
  }

  #options(): DialOptions {
    const address = this.#address();
    const tls = this.#tls;
    if (tls === undefined) return address;
    return {
      ...address,
      tls: tls.connectionOptions(this.#peer.name, this.#tlsName),
      onSession: (session) => {
        if (this.#verified) this.#keepSession(session);
        else this.#session = session;
      },
      ...(tls.settings.keyLog === undefined ? {} : { onKeyLog: tls.settings.keyLog }),
    };
  }

  #address(): DialOptions {
    const { address } = this.#peer;
    const from = this.#from;
    return from === undefined || 'path' in address
      ? address
      : { ...address, localAddress: from.host, localPort: from.port };
  }

  #keepSession(session: Buffer): void {
    this.#tls?.keepSession(this.#peer.name, this.#tlsName, session);
  }

  #isTlsFailure(error: Error): boolean {
    return this.#tls !== undefined && (error as NodeJS.ErrnoException).syscall !== 'connect';
  }
}

/** What the kernel says at once, and not when an answer has come or failed to come: nginx then names the address. */
const SAID_AT_ONCE: ReadonlySet<string> = new Set(['ENETUNREACH', 'EADDRNOTAVAIL', 'EINVAL', 'EACCES', 'EMFILE']);

function connectFault(error: Error, peer: DialledPeer): UpstreamFault {
  const atOnce = 'path' in peer.address || SAID_AT_ONCE.has(systemErrorCode(error));
  return systemFault(error, atOnce ? `connect() to ${peer.name}` : 'connect()', 'connecting to upstream');
}

/** nginx's `SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number)`. */
function tlsFault(error: Error): UpstreamFault {
  const action = 'SSL handshaking to upstream';
  const code = 'code' in error ? String(error.code) : '';
  if (code === 'ECONNRESET') {
    return new UpstreamFault('error', `peer closed connection in SSL handshake while ${action}`, false, error);
  }
  const text = /error:[^\n]*/.exec(error.message)?.[0] ?? error.message;
  return new UpstreamFault('error', `SSL_do_handshake() failed (SSL: ${text}) while ${action}`, false, error);
}
