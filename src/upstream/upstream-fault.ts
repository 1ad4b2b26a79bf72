// What can go wrong with a peer, in the words of nginx's error log, and which condition of `proxy_next_upstream` it is.

import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import { Fault } from '../exchange/fault.ts';

/**
 * A condition of nginx's `proxy_next_upstream`
 * (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream); `off` is the empty set.
 */
export type NextCondition =
  | 'error'
  | 'timeout'
  | 'invalid_header'
  | 'http_500'
  | 'http_502'
  | 'http_503'
  | 'http_504'
  | 'http_403'
  | 'http_404'
  | 'http_429'
  | 'non_idempotent';

/** What was being done when it went wrong, as nginx's error log has it behind `while`. */
export type UpstreamAction =
  | 'connecting to upstream'
  | 'SSL handshaking to upstream'
  | 'sending request to upstream'
  | 'reading response header from upstream'
  | 'reading upstream';

/** The conditions that a fault of the connection itself can be; the others are statuses of answers. */
export type FaultCondition = Extract<NextCondition, 'error' | 'timeout' | 'invalid_header'>;

/**
 * A fault of a peer. `kind` is the condition, or `no live upstreams` where there was no peer at all; `status` is what
 * nginx answers with (504 for a timeout, else 502); `message` is nginx's own sentence up to the comma before `client:`.
 */
export class UpstreamFault extends Fault {
  /** Undefined where there was no peer: nothing is tried again after that. */
  readonly condition: FaultCondition | undefined;
  /** A kept connection was closed by the peer before a byte of the answer: it says nothing about the peer's health. */
  readonly stale: boolean;

  constructor(condition: FaultCondition | undefined, message: string, stale = false, cause?: Error) {
    super('upstream', condition ?? 'no live upstreams', condition === 'timeout' ? 504 : 502, message, cause);
    this.condition = condition;
    this.stale = stale;
  }
}

/** No peer is left to be tried: all are down, disabled for the moment, or have been tried. */
export function noLiveUpstreams(): UpstreamFault {
  return new UpstreamFault(undefined, 'no live upstreams while connecting to upstream');
}

/** A timeout, as nginx words it. */
export function timedOut(action: UpstreamAction): UpstreamFault {
  return new UpstreamFault('timeout', `upstream timed out (110: Connection timed out) while ${action}`);
}

/** What the system said to a call of `connect()`, `recv()` or `send()`: `connect() failed (111: Connection refused) while connecting to upstream`. */
export function systemFault(error: Error, call: string, action: UpstreamAction, stale = false): UpstreamFault {
  const text = systemErrorText(systemErrorCode(error));
  return new UpstreamFault('error', `${call} failed (${text}) while ${action}`, stale, error);
}
