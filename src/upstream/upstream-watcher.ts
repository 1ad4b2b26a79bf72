// What whoever sends a request to a peer is told of it.

import type { Headers } from '../http1/headers.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { UpstreamFault } from './upstream-fault.ts';

/**
 * Told by one `UpstreamConnection` about one request. The order is: `upstreamConnected` (unless the connection was ready at
 * once), any number of `upstreamInformational`, one `upstreamHead`, any number of `upstreamBody`, one `upstreamEnd`.
 * `upstreamFailed` may come instead of any of these, and is then the last call. Nothing is called from inside `acquire`.
 */
export interface UpstreamWatcher {
  /** The connection stands (over TLS: the handshake is done and verified): `send` the request now. */
  upstreamConnected(): void;
  /** A head of 1xx other than 101: `100 Continue`, `103 Early Hints`. The final head follows. The head is the watcher's. */
  upstreamInformational(head: ResponseHead): void;
  /**
   * The head of the answer; the head object is the watcher's to keep. On a 101 nothing more is read: `detachForTunnel` before
   * returning, or the connection is closed. To refuse any answer, and perhaps try another peer, `close`.
   */
  upstreamHead(head: ResponseHead): void;
  /** Bytes of the body, without framing. Lent for the call only. `pause` for backpressure. */
  upstreamBody(bytes: Buffer, start: number, end: number): void;
  /** The answer is complete. The connection is no longer the watcher's: it was closed or kept for somebody else. */
  upstreamEnd(trailers: Headers | undefined): void;
  /** `sendBody` said false, and all has left since: send on. */
  upstreamDrain(): void;
  /** It went wrong; the connection is closed. Before `upstreamHead` another peer may be tried: see attempts.ts. */
  upstreamFailed(fault: UpstreamFault): void;
}
