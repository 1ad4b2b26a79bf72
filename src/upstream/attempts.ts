// Which peer is tried, and whether another one may be after a failure: nginx's proxy_next_upstream.

import type { Selection } from './balance/balancer.ts';
import type { Peer } from './peer.ts';
import { type NextCondition, noLiveUpstreams, type UpstreamFault } from './upstream-fault.ts';

/** nginx's `proxy_next_upstream`, `proxy_next_upstream_tries`, `proxy_next_upstream_timeout`. */
export interface NextUpstreamSettings {
  /** nginx's default: `error timeout`; empty for `off`. */
  readonly conditions: ReadonlySet<NextCondition>;
  /** The most peers that are tried for a request; 0: no limit but their number. */
  readonly tries: number;
  /** ms since the first attempt within which a further one may begin; 0: no limit. */
  readonly timeout: number;
}

/** What has become of the request when an attempt has failed. */
export interface RequestProgress {
  readonly method: string;
  /** Its head, or a part of it, has been written to the peer that failed. */
  readonly sent: boolean;
  /** Its body is still in memory from the first byte on (or it has none), so that it can be sent again. */
  readonly replayable: boolean;
  /** It is the opening handshake of a WebSocket: that one client fails with it says nothing of the peer. */
  readonly handshake: boolean;
  /** The head of an answer has come, whatever is wrong with it. */
  readonly answered: boolean;
}

/** nginx never sends these a second time unless it is told to (`non_idempotent`). */
const NOT_IDEMPOTENT: ReadonlySet<string> = new Set(['POST', 'LOCK', 'PATCH']);

const STATUS_CONDITIONS: Readonly<Record<number, NextCondition>> = {
  403: 'http_403',
  404: 'http_404',
  429: 'http_429',
  500: 'http_500',
  502: 'http_502',
  503: 'http_503',
  504: 'http_504',
};

/**
 * The attempts of one request, one after the other. Use: `next()` for a peer; when it fails, `retriesAfterFault` or
 * `retriesAfterStatus`, and where they say true `next()` again; else `end()`, whatever happened.
 */
export class Attempts {
  #selection: Selection;
  readonly #settings: NextUpstreamSettings;
  readonly #startedAt = performance.now();
  #triesLeft: number;
  #disabled: Peer | undefined = undefined;
  /** The same peer once more, on a new connection: its kept one had been closed. */
  #again: Peer | undefined = undefined;

  constructor(selection: Selection, settings: NextUpstreamSettings) {
    this.#selection = selection;
    this.#settings = settings;
    this.#triesLeft = settings.tries > 0 ? Math.min(settings.tries, selection.tries) : selection.tries;
  }

  get selection(): Selection {
    return this.#selection;
  }

  /** Nobody could be chosen: chooses anew among those who are there now, within the same tries and time. */
  reselect(selection: Selection): void {
    this.#selection = selection;
    this.#again = undefined;
  }

  /** The peer being tried. */
  get peer(): Peer | undefined {
    return this.selection.peer;
  }

  /** The peer that the last `retriesAfter…` has disabled, if any: nginx warns `upstream server temporarily disabled`. */
  get disabled(): Peer | undefined {
    return this.#disabled;
  }

  /** The next attempt has to be made on a new connection, not on one that was kept: pass it to `acquire`. */
  get needsFresh(): boolean {
    return this.#again !== undefined;
  }

  /**
   * The peer to try now; it counts as active until the attempt ends.
   * @returns a fault where none is left, to be logged and answered with its status.
   */
  next(): Peer | UpstreamFault {
    if (this.#again !== undefined) return this.#again;
    return this.selection.next() ?? noLiveUpstreams();
  }

  /** The answer's head has come and will be passed on: the peer is well. It stays active until `end`. */
  succeeded(): void {
    this.selection.succeeded();
  }

  /** After `succeeded`: the answer was a 101. Whoever has the tunnel calls the peer's `leave` when it ends, and not `end`. */
  becameTunnel(): void {
    this.selection.becameTunnel();
  }

  /** The request is over: the peer is no longer active. Safe to call twice. */
  end(): void {
    this.selection.release();
  }

  /**
   * An attempt has failed before its answer's head was passed on. Counts it against the peer.
   * @returns whether the request is to be sent again: call `next`. Otherwise answer with `fault.status`.
   */
  retriesAfterFault(fault: UpstreamFault, request: RequestProgress): boolean {
    const { peer } = this.selection;
    this.#again = undefined;
    this.#disabled = undefined;
    if (fault.condition === undefined || peer === undefined) return false;
    if (!fault.stale) this.#countFault(peer, fault, request);
    const retries = this.#triesLeft > 0 && this.#allowed(fault.condition, request);
    // Once more the same one: it stays taken, so that nobody else gets its place within `max_conns`.
    if (retries && fault.stale) this.#again = peer;
    else this.selection.release();
    return retries;
  }

  /**
   * The answer's head has come with this status; nothing has been passed on.
   * @returns whether another peer is to be tried instead: `close` the connection and call `next`. Otherwise pass the answer on.
   */
  retriesAfterStatus(status: number, request: RequestProgress): boolean {
    const condition = STATUS_CONDITIONS[status];
    const { peer } = this.selection;
    this.#disabled = undefined;
    if (condition === undefined || peer === undefined || this.#triesLeft <= 1 || !this.#allowed(condition, request))
      return false;
    this.#again = undefined;
    if (condition === 'http_403' || condition === 'http_404' || (condition === 'http_429' && request.handshake))
      this.#countRefusal();
    else this.#countFailure(peer);
    this.selection.release();
    return true;
  }

  /** A peer that has read a handshake and leaves, or agrees to what was not asked, is there; one that is silent may not be. */
  #countFault(peer: Peer, { condition }: UpstreamFault, { handshake, sent, answered }: RequestProgress): void {
    if (!handshake || !(answered || (sent && condition === 'error'))) {
      this.#countFailure(peer);
      return;
    }
    this.selection.turnedAway();
    this.#triesLeft--;
  }

  #countFailure(peer: Peer): void {
    if (this.selection.failed()) this.#disabled = peer;
    this.#triesLeft--;
  }

  /** It answered, if not as wished: nginx counts that as health. */
  #countRefusal(): void {
    this.selection.refused();
    this.#triesLeft--;
  }

  #allowed(condition: NextCondition, request: RequestProgress): boolean {
    const { conditions, timeout } = this.#settings;
    if (!conditions.has(condition)) return false;
    if (request.sent && !request.replayable) return false;
    if (request.sent && NOT_IDEMPOTENT.has(request.method) && !conditions.has('non_idempotent')) return false;
    return timeout === 0 || performance.now() - this.#startedAt < timeout;
  }
}
