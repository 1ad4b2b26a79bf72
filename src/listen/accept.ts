// A connection that was just accepted: plain, or behind a TLS handshake whose first message says which server is meant.

import type { Socket } from 'node:net';
import { unmapAddress } from '../addresses.ts';
import { acceptTls, type TlsAcceptance, type TlsAcceptor } from '../transport/accept-tls.ts';
import type { Channel, ChannelOwner } from '../transport/channel.ts';
import { openChannel } from '../transport/choose.ts';
import { ClientHelloReader } from '../transport/client-hello.ts';
import { Deadline, type DeadlineOwner } from '../transport/deadlines.ts';
import type { ConnectionEnds } from './connection-ends.ts';
import type { Greeting, Opened } from './greeting.ts';
import type { ListenedServer, ListenSettings } from './listen-settings.ts';
import { ProxyGreeting } from './proxy-greeting.ts';

/** @returns the PROXY header or the TLS handshake that is under way, if there is one; `left` is called when it is over */
export function acceptConnection(
  socket: Socket,
  listener: ListenSettings,
  id: number,
  opened: Opened,
  left: (greeting: Greeting) => void,
): Greeting | undefined {
  const channel = openChannel(socket);
  // The client may have gone while its connection waited in the queue.
  if (channel.remoteAddress === '' && listener.address.kind === 'tcp') {
    channel.destroy();
    return undefined;
  }
  applyOptions(channel, listener);
  const ends = endsOf(channel, listener, id);
  if (!listener.proxyProtocol) return goOn(channel, ends, undefined, opened, left);
  return new ProxyGreeting(channel, ends, (told, unread, over) => goOn(channel, told, unread, opened, over), left);
}

/** What follows a PROXY header, or comes first where there is none. */
function goOn(
  channel: Channel,
  ends: ConnectionEnds,
  unread: Buffer | undefined,
  opened: Opened,
  left: (greeting: Greeting) => void,
): Greeting | undefined {
  if (!ends.listener.ssl) {
    opened(channel, ends, unread);
    return undefined;
  }
  const greeting = new TlsGreeting(channel, ends, opened, left);
  if (unread !== undefined) greeting.channelData(unread, 0, unread.length);
  return greeting;
}

function applyOptions(channel: Channel, { address, options }: ListenSettings): void {
  if (address.kind !== 'tcp') return;
  channel.setNoDelay(true);
  const keepalive = options.soKeepalive;
  if (keepalive !== undefined) channel.setKeepAlive(keepalive.on, keepalive.idle);
}

function endsOf(channel: Channel, listener: ListenSettings, id: number): ConnectionEnds {
  const local = listener.address.kind === 'unix';
  return {
    id,
    listener,
    clientAddress: local ? 'unix:' : unmapAddress(channel.remoteAddress),
    clientPort: channel.remotePort,
    ...serverEnd(channel, listener),
    proxyHeader: undefined,
    tlsServer: undefined,
    plainOnTls: false,
  };
}

/** The kernel is asked only where the listener does not know: a wildcard stands for any address of the machine. */
function serverEnd(
  channel: Channel,
  { address }: ListenSettings,
): Pick<ConnectionEnds, 'serverAddress' | 'serverPort'> {
  if (address.kind === 'unix') return { serverAddress: address.key, serverPort: 0 };
  const isWildcard = address.host === '0.0.0.0' || address.host === '::';
  const serverAddress = isWildcard ? unmapAddress(channel.localAddress) : address.host;
  return { serverAddress, serverPort: address.port };
}

/** Reads the ClientHello, finds the server that it names, and does the handshake with that server's certificate and rules. */
class TlsGreeting implements ChannelOwner, DeadlineOwner, TlsAcceptor, Greeting {
  readonly #channel: Channel;
  readonly #ends: ConnectionEnds;
  readonly #opened: Opened;
  readonly #left: (greeting: Greeting) => void;
  readonly #reader = new ClientHelloReader();
  readonly #deadline: Deadline;
  #server: ListenedServer;
  #acceptance: TlsAcceptance | undefined = undefined;
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
    switch (this.#reader.push(bytes, start, end)) {
      case 'more':
        return;
      case 'done':
        this.#shakeHands();
        return;
      case 'not TLS':
        this.#handOn(this.#channel, { ...this.#ends, plainOnTls: true }, Buffer.from(this.#reader.received));
        return;
      default:
        this.#refuse(`client sent a malformed ClientHello: ${this.#reader.fault}`);
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
    this.#log('client timed out (110: Connection timed out) while SSL handshaking');
    this.destroy();
  }

  tlsAccepted(channel: Channel): void {
    if (this.#over) {
      channel.destroy();
      return;
    }
    // OpenSSL forgets the name where a session of TLS 1.2 is resumed; `$ssl_server_name` is what the client has said.
    if (channel.tls !== undefined) Object.assign(channel.tls, { servername: this.#reader.hello?.serverName ?? false });
    this.#handOn(channel, { ...this.#ends, tlsServer: this.#server }, undefined);
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

  #shakeHands(): void {
    const name = this.#reader.hello?.serverName;
    if (name !== undefined) this.#server = this.#ends.listener.find(name);
    const tls = this.#server.tls ?? this.#ends.listener.defaultServer.tls;
    if (tls === undefined) {
      this.#refuse('no "ssl_certificate" is defined in server listening on SSL port while SSL handshaking');
      return;
    }
    this.#channel.pause();
    const unread = Buffer.from(this.#reader.received);
    this.#acceptance = acceptTls(
      this.#channel,
      unread,
      { secureContext: tls.context, ALPNProtocols: ['http/1.1'] },
      this,
    );
  }

  #refuse(reason: string): void {
    this.#log(reason);
    this.destroy();
  }

  #log(message: string): void {
    const { errorLog } = this.#server.settings.outside;
    if (!errorLog.enabled('info')) return;
    errorLog.write(
      'info',
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
