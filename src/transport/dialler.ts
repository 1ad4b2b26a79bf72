// Who is told how a dial went.

import type { Channel } from './channel.ts';

/** One of the two is called, once, and never from inside the call that begins the dial. */
export interface Dialler {
  /** The connection stands, with TLS where that was wanted. */
  dialConnected(channel: Channel, sessionReused: boolean): void;
  /** It does not. `error.code` is Node's: ECONNREFUSED, ERR_TLS_CERT_ALTNAME_INVALID … */
  dialFailed(error: Error): void;
}
