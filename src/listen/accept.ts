// A connection that was just accepted: plain, or behind a TLS handshake whose first message says which server is meant.

import type { Socket } from 'node:net';
import { unmapAddress } from '../addresses.ts';
import type { Channel } from '../transport/channel.ts';
import { openChannel } from '../transport/choose.ts';
import type { ConnectionEnds } from './connection-ends.ts';
import type { Greeting, Opened } from './greeting.ts';
import type { ListenSettings } from './listen-settings.ts';
import { ProxyGreeting } from './proxy-greeting.ts';
import { TlsGreeting } from './tls-greeting.ts';

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
    tls: undefined,
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
