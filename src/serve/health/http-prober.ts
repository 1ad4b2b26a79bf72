// Checks a peer by a request: nginx's own kind of health check.

import type { Exchange, UpstreamTrace } from '../../exchange/exchange.ts';
import type { Headers } from '../../http1/headers.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import { Deadline, type DeadlineOwner } from '../../transport/deadlines.ts';
import type { DialledPeer } from '../../upstream/connect.ts';
import type { ProbeOutcome, Prober, RunningProbe } from '../../upstream/health-check.ts';
import { KeepalivePool, NO_KEEPALIVE } from '../../upstream/keepalive.ts';
import type { Peer } from '../../upstream/peer.ts';
import { UpstreamConnection } from '../../upstream/upstream-connection.ts';
import type { UpstreamFault } from '../../upstream/upstream-fault.ts';
import type { UpstreamWatcher } from '../../upstream/upstream-watcher.ts';
import { NO_BODY, proxyRequestHead } from '../proxy-request.ts';
import { lastAction, MOST_EXAMINED, testBody, testHead, testVariables } from './match-tests.ts';
import {
  connectionOf,
  failedBy,
  failedWith,
  mostTime,
  type ProbeDone,
  type ProbeSettings,
  placeOf,
  probeExchange,
  tlsNameOf,
} from './probe-settings.ts';

/** The most connections that are kept for the checks of one location. */
const MOST_KEPT = 1024;
/** ms that a kept connection may be idle: longer than any reasonable interval. */
const LONGEST_IDLE = 3_600_000;
/** ms that the rest of an answer may take of which nobody wants to know more. */
const REST_WITHIN = 1000;

export class HttpProber implements Prober {
  readonly settings: ProbeSettings;
  readonly pool: KeepalivePool<UpstreamConnection>;
  /** Checks that have ended, whose connections have not. */
  readonly ending = new Set<RunningProbe>();

  constructor(settings: ProbeSettings) {
    this.settings = settings;
    const { keepaliveTime: time } = settings;
    const requests = Number.POSITIVE_INFINITY;
    const kept = { connections: MOST_KEPT, local: true, requests, timeout: LONGEST_IDLE, time };
    this.pool = new KeepalivePool(time === 0 ? NO_KEEPALIVE : kept);
  }

  probe(peer: Peer, done: ProbeDone): RunningProbe {
    const probe = new HttpProbe(this, peer, done);
    probe.start();
    return probe;
  }

  close(): void {
    this.pool.close();
    for (const probe of [...this.ending]) probe.cancel();
  }
}

/** One request and what is looked at of its answer. */
class HttpProbe implements RunningProbe, UpstreamWatcher, DeadlineOwner {
  readonly #prober: HttpProber;
  readonly #peer: Peer;
  readonly #place: DialledPeer;
  readonly #exchange: Exchange;
  readonly #limit = new Deadline(this);
  #done: ProbeDone | undefined;
  #connection: UpstreamConnection | undefined = undefined;
  #trace: UpstreamTrace | undefined = undefined;
  /** The beginning of the body, where somebody wants to know of it. */
  readonly #pieces: string[] = [];
  #bodyLength = 0;

  constructor(prober: HttpProber, peer: Peer, done: ProbeDone) {
    this.#prober = prober;
    this.#peer = peer;
    this.#place = placeOf(peer, prober.settings.port);
    this.#exchange = probeExchange(prober.settings, () => {});
    this.#done = done;
  }

  start(): void {
    this.#limit.set(mostTime(this.#prober.settings));
    this.#dial(false);
  }

  cancel(): void {
    this.#done = undefined;
    this.#limit.clear();
    this.#connection?.close();
    this.#prober.ending.delete(this);
  }

  deadlineReached(): void {
    const action = this.#trace === undefined ? 'reading response header from upstream' : 'reading upstream';
    this.#end(failedWith('upstream timed out (110: Connection timed out)', action));
  }

  #dial(fresh: boolean): void {
    const { settings, pool } = this.#prober;
    const connection = connectionOf(settings, this.#exchange);
    if (typeof connection === 'string') {
      process.nextTick(() => this.#end(failedWith(connection)));
      return;
    }
    const from = settings.proxy.from?.(this.#exchange);
    const tlsName = tlsNameOf(settings, this.#exchange);
    const kept = fresh ? undefined : pool.take(this.#place, connection, tlsName, from?.text);
    kept?.reuse(connection, this);
    this.#connection = kept ?? new UpstreamConnection(pool, this.#place, connection, tlsName, this, from);
    if (kept !== undefined) process.nextTick(() => this.upstreamConnected());
  }

  upstreamConnected(): void {
    if (this.#done === undefined) return;
    const { settings } = this.#prober;
    const head = proxyRequestHead(this.#exchange, settings.proxy, { ...settings.target, uri: undefined }, NO_BODY);
    if (typeof head === 'string') this.#end(failedWith(head, 'sending request to upstream'));
    else this.#connection?.send(settings.keepaliveTime > 0 ? head.text : closing(head.text), head.method, 'none');
  }

  upstreamInformational(): void {}
  upstreamDrain(): void {}

  upstreamHead(head: ResponseHead): void {
    const { tests, keepaliveTime } = this.#prober.settings;
    this.#trace = traceOf(this.#peer, head.status);
    this.#exchange.upstreams = [this.#trace];
    this.#exchange.upstreamHead = head;
    const mismatch = testHead(tests, head) ?? testVariables(tests, this.#exchange);
    if (mismatch !== undefined) this.#end(failedBy(mismatch));
    else if (head.status === 101) this.#examine();
    else if (tests.body.length === 0 && keepaliveTime === 0) this.#endBeforeBody();
  }

  /** Nobody looks at the body, so nobody waits for it; but a connection that were closed before it would look like a fault to the peer. */
  #endBeforeBody(): void {
    const done = this.#done;
    this.#done = undefined;
    this.#limit.set(REST_WITHIN);
    this.#prober.ending.add(this);
    done?.({ passed: true, action: lastAction(this.#prober.settings.tests) });
  }

  upstreamBody(bytes: Buffer, start: number, end: number): void {
    const until = Math.min(end, start + MOST_EXAMINED - this.#bodyLength);
    this.#bodyLength += until - start;
    if (this.#prober.settings.tests.body.length > 0) this.#pieces.push(bytes.toString('latin1', start, until));
    if (this.#bodyLength === MOST_EXAMINED) this.#examine();
  }

  upstreamEnd(_trailers: Headers | undefined): void {
    this.#connection = undefined;
    this.#examine();
  }

  /** A kept connection that its peer has closed says nothing of its health. */
  upstreamFailed(fault: UpstreamFault): void {
    this.#connection = undefined;
    if (fault.stale && this.#done !== undefined) this.#dial(true);
    else this.#end(failedWith(fault.message));
  }

  #examine(): void {
    const { tests } = this.#prober.settings;
    const mismatch = testBody(tests, this.#pieces.join(''));
    this.#end(mismatch === undefined ? { passed: true, action: lastAction(tests) } : failedBy(mismatch));
  }

  #end(outcome: ProbeOutcome): void {
    const done = this.#done;
    this.cancel();
    done?.(outcome);
  }
}

/** What is asked once has a connection of its own, and says so. */
export function closing(head: string): string {
  return /^connection:/im.test(head) ? head : `${head.slice(0, -2)}Connection: close\r\n\r\n`;
}

export function traceOf({ name, settings }: Peer, status: number): UpstreamTrace {
  return {
    address: name,
    server: settings.server,
    status,
    queueTime: -1,
    connectTime: -1,
    headerTime: -1,
    responseTime: -1,
    bytesReceived: 0,
    bytesSent: 0,
    responseLength: 0,
  };
}
