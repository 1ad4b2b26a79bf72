// Opening handshakes that were refused by a rule of ours: why, for the access log and for counters.

import type { Exchange } from './exchange.ts';
import type { RefusalCause } from './traces.ts';

const REFUSAL = Symbol('why the handshake was refused');

/** To be called by whoever refuses it, once. */
export function noteRefusal(exchange: Exchange, cause: RefusalCause): void {
  exchange.setNote(REFUSAL, cause);
  exchange.pipeline.handshakeRefused(cause);
}

/** undefined where none was refused. */
export function refusalOf(exchange: Exchange): RefusalCause | undefined {
  return exchange.note<RefusalCause>(REFUSAL);
}
