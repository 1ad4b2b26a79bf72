// The greeting of a client that speaks TLS: its first message says which server it means, and that server shakes hands.

import {
  type AcceptTlsOptions,
  acceptTls,
  type HandshakeSessions,
  type TlsAcceptance,
  type TlsAcceptor,
} from '../transport/accept-tls.ts';
import type { Channel, ChannelOwner } from '../transport/channel.ts';
import { type ClientHello, ClientHelloReader } from '../transport/client-hello.ts';
import { ClientTls, hostOf } from '../transport/client-tls.ts';
import { Deadline, type DeadlineOwner } from '../transport/deadlines.ts';
import type { ConnectionEnds } from './connection-ends.ts';
import type { Greeting, Opened } from './greeting.ts';
import type { ListenedServer } from './listen-settings.ts';
import type { SessionCache, TlsSettings } from './tls-settings.ts';
import { isRealFault } from './verify-client.ts';

const TLS_1_3 = 0x0304;
/** Ids of sessions that are kept by us have this many bytes in TLS 1.3. */
const STATEFUL_ID = 32;
/** OpenSSL's own longest record: nothing has to be said. */
const LONGEST_RECORD = 16_384;

/** Descriptions of fatal alerts (RFC 8446 section 6.2). */
const ALERT = { internalError: 80, unrecognizedName: 112 } as const;

/** Reads the ClientHello, finds the server that it names, and does the handshake with that server's certificate and rules. */
export class TlsGreeting implements ChannelOwner, DeadlineOwner, TlsAcceptor, Greeting {
  readonly #channel: Channel;
  readonly #ends: ConnectionEnds;
  readonly #opened: Opened;
  readonly #left: (greeting: Greeting) => void;
  readonly #reader = new ClientHelloReader();
  readonly #deadline: Deadline;
  #server: ListenedServer;
  #client: ClientTls | undefined = undefined;
  #acceptance: TlsAcceptance | undefined = undefined;
  /** An alert was sent: whatever else comes is thrown away. */
  #refused = false;
  #over = false;

  constructor(channel: Channel, ends: ConnectionEnds, opened: Opened, left: (greeting: Greeting) => void) {
    this.#channel = channel;
    this.#ends = ends;
    this.#opened = opened;
    this.#left = left;
    this.#server = ends.listener.defaultServer;
    this.#deadline = new Deadline(this);
    this.#deadline.set(this.#server.settings.clientHeaderTimeout);
    channel.owner = this;
    channel.resume();
  }

  channelData(bytes: Buffer, start: number, end: number): void {
    if (this.#refused) return;
    switch (this.#reader.push(bytes, start, end)) {
      case 'more':
        return;
      case 'done':
        this.#greet(this.#reader.hello as ClientHello);
        return;
      case 'not TLS':
        this.#handOn(this.#channel, { ...this.#ends, plainOnTls: true }, Buffer.from(this.#reader.received));
        return;
      default:
        this.#log(`client sent a malformed ClientHello: ${this.#reader.fault}`);
        this.destroy();
    }
  }

  channelEnd(): void {
    this.destroy();
  }

  channelDrain(): void {}

  channelClose(): void {
    this.#leave();
  }

  deadlineReached(): void {
    if (!this.#refused) this.#log('client timed out (110: Connection timed out) while SSL handshaking');
    this.destroy();
  }

  tlsAccepted(channel: Channel): void {
    if (this.#over) channel.destroy();
    else this.#handOn(channel, { ...this.#ends, tlsServer: this.#server, tls: this.#client }, undefined);
  }

  tlsRefused(error: Error): void {
    if (this.#over) return;
    this.#log(`SSL_do_handshake() failed (${error.message.trim()}) while SSL handshaking`);
    this.#leave();
  }

  destroy(): void {
    this.#leave();
    if (this.#acceptance === undefined) this.#channel.destroy();
    else this.#acceptance.destroy();
  }

  #greet(hello: ClientHello): void {
    const { listener } = this.#ends;
    if (hello.serverName !== undefined) this.#server = listener.find(hostOf(hello.serverName));
    const tls = this.#server.tls ?? listener.defaultServer.tls;
    if (this.#server.rejectsHandshake) {
      this.#refuse(ALERT.unrecognizedName, 'handshake rejected while SSL handshaking');
    } else if (tls === undefined) {
      const reason = 'no "ssl_certificate" is defined in server listening on SSL port while SSL handshaking';
      this.#refuse(ALERT.internalError, reason);
    } else this.#shakeHands(hello, tls);
  }

  #shakeHands(hello: ClientHello, tls: TlsSettings): void {
    const client = new ClientTls(hello, tls.verifyClient);
    const options = this.#handshakeOptions(hello, tls, client);
    if (options === undefined) return;
    this.#client = client;
    this.#channel.pause();
    this.#acceptance = acceptTls(this.#channel, Buffer.from(this.#reader.received), options, this);
    if (this.#acceptance === undefined) return;
    const { socket } = this.#acceptance;
    client.useSocket(socket);
    if (tls.recordSize < LONGEST_RECORD) socket.setMaxSendFragment(tls.recordSize);
  }

  #handshakeOptions(hello: ClientHello, tls: TlsSettings, client: ClientTls): AcceptTlsOptions | undefined {
    try {
      return {
        secureContext: tls.context(client, this.#ends),
        ALPNProtocols: ['http/1.1'],
        requestCert: tls.verifyClient !== undefined,
        answers: answersTo(hello, tls, client),
      };
    } catch (error) {
      this.#refuse(ALERT.internalError, `${(error as Error).message} while SSL handshaking`, 'error');
      return undefined;
    }
  }

  /** Says why in an alert, which leaves before the connection closes. */
  #refuse(alert: number, reason: string, level: 'info' | 'error' = 'info'): void {
    this.#log(reason, level);
    this.#refused = true;
    const record = Uint8Array.of(21, 3, 1, 0, 2, 2, alert);
    this.#channel.write(record, 0, record.length);
    this.#channel.end();
    this.#deadline.set(this.#server.settings.outside.lingeringTimeout);
  }

  #log(message: string, level: 'info' | 'error' = 'info'): void {
    const { errorLog } = this.#server.settings.outside;
    if (!errorLog.enabled(level)) return;
    errorLog.write(
      level,
      `${message}, client: ${this.#ends.clientAddress}, server: ${this.#ends.listener.address.key}`,
      this.#ends.id,
    );
  }

  /** It is counted as a connection before it is no longer counted as a greeting: a gateway that leaves must not find none. */
  #handOn(channel: Channel, ends: ConnectionEnds, unread: Buffer | undefined): void {
    this.#over = true;
    this.#deadline.clear();
    this.#opened(channel, ends, unread);
    this.#left(this);
  }

  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#deadline.clear();
    this.#left(this);
  }
}

/** undefined where Node need not ask: that spares it looking into the ClientHello itself. */
function answersTo(hello: ClientHello, tls: TlsSettings, client: ClientTls): AcceptTlsOptions['answers'] {
  const cache = usesTickets(hello, tls) ? undefined : tls.sessions;
  if (cache === undefined && tls.staple === undefined) return undefined;
  return {
    sessions: cache === undefined ? undefined : new KeptSessions(hello, tls, client, cache),
    staple: tls.staple,
  };
}

function usesTickets(hello: ClientHello, tls: TlsSettings): boolean {
  return tls.sessionTickets && (hello.sessionTicket !== undefined || hello.versions.includes(TLS_1_3));
}

/** What one handshake has to do with the sessions that we keep. */
class KeptSessions implements HandshakeSessions {
  readonly #wanted: Buffer;
  readonly #tls: TlsSettings;
  readonly #client: ClientTls;
  readonly #cache: SessionCache;

  constructor(hello: ClientHello, tls: TlsSettings, client: ClientTls, cache: SessionCache) {
    this.#wanted = wantedId(hello);
    this.#tls = tls;
    this.#client = client;
    this.#cache = cache;
  }

  resume(): Buffer | undefined {
    return this.#wanted.length === 0 ? undefined : this.#cache.find(this.#wanted);
  }

  /** A client that will be refused for its certificate shall show it anew next time. */
  keep(id: Buffer, session: Buffer): void {
    const { verifyClient } = this.#tls;
    const { certificate, fault } = this.#client;
    if (fault !== undefined && (verifyClient?.anyAuthority !== true || isRealFault(fault))) return;
    if (certificate !== undefined || verifyClient?.required !== true) this.#cache.keep(id, session);
  }
}

/** OpenSSL takes what it is given for the first pre-shared key that has the form of an id, whichever that is. */
function wantedId({ preSharedKeys, sessionId }: ClientHello): Buffer {
  return preSharedKeys.find(({ length }) => length === STATEFUL_ID) ?? sessionId;
}
