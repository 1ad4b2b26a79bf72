// What greets before a connection can speak HTTP: a PROXY header, a TLS handshake.

import type { Channel } from '../transport/channel.ts';
import type { ConnectionEnds } from './connection-ends.ts';

/** Who takes the connection when it is ready for HTTP. `unread`: what came already. */
export type Opened = (channel: Channel, ends: ConnectionEnds, unread: Buffer | undefined) => void;

/** What greets on the way there: to be counted and, when the gateway stops, to be ended. */
export interface Greeting {
  destroy(): void;
}
