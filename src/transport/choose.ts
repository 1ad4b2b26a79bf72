// Which kind of channel a socket gets: the fast one where this runtime is known to carry it, else the one over streams.

import type { Duplex } from 'node:stream';
import type { Channel } from './channel.ts';
import { HandleChannel } from './handle-channel.ts';
import { handlesCarryBytes } from './self-test.ts';
import { StreamChannel } from './stream-channel.ts';
import { handlesAreKnown, takeHandle } from './take-handle.ts';

/** `handle` is the fast one; `stream` uses Node's public API alone. */
export type ChannelKind = 'handle' | 'stream';

/** The switch by hand, an environment variable: `handle` or `stream`. It overrules the self-test. */
const CHANNEL_SWITCH = 'SOCKGATE_CHANNEL';

let kind: ChannelKind = process.env[CHANNEL_SWITCH] === 'stream' || !handlesAreKnown ? 'stream' : 'handle';

/** The kind that new sockets get; a socket that cannot be taken by its handle gets a stream channel all the same. */
export function channelKind(): ChannelKind {
  return kind;
}

/**
 * Makes a channel of a connected TCP, unix or TLS socket (after its handshake), or of any other Duplex. It starts paused, and nothing
 * that was already read is lost. The socket belongs to the channel from now on and is to be forgotten: reading, writing or
 * destroying it elsewhere does nothing good, and its events do not come any more.
 */
export function openChannel(socket: Duplex): Channel {
  const taken = kind === 'handle' ? takeHandle(socket) : undefined;
  return taken === undefined ? new StreamChannel(socket) : new HandleChannel(taken);
}

/**
 * Tries handle channels on this runtime, and goes over to stream channels where they fail. To be called once, before the first
 * connection; takes some ten milliseconds.
 * @returns whether handle channels are used from now on.
 * @throws where the switch has a value that is neither `handle` nor `stream`.
 */
export async function selfTestHandles(): Promise<boolean> {
  const byHand = process.env[CHANNEL_SWITCH] ?? '';
  if (byHand !== '' && byHand !== 'handle' && byHand !== 'stream') {
    throw new Error(`${CHANNEL_SWITCH} must be "handle" or "stream", not "${byHand}"`);
  }
  if (byHand === '' && kind === 'handle' && !(await handlesCarryBytes())) kind = 'stream';
  return kind === 'handle';
}
