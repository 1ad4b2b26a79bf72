// What a health check needs to know of the location that it stands in, and the connections that it makes.

import type { Exchange } from '../../exchange/exchange.ts';
import { exchangeOfNobody, type Standpoint } from '../../exchange/nobody-asks.ts';
import { RequestHead } from '../../http1/request-head.ts';
import type { DialledPeer } from '../../upstream/connect.ts';
import type { ConnectionSettings } from '../../upstream/connection-settings.ts';
import type { ProbeOutcome } from '../../upstream/health-check.ts';
import type { Peer } from '../../upstream/peer.ts';
import type { ProxySettings, ProxyTarget } from '../proxy-settings.ts';
import type { MatchTests, Mismatch } from './match-tests.ts';

/** Told once how a check has ended. */
export type ProbeDone = (outcome: ProbeOutcome) => void;

export interface ProbeSettings {
  readonly standpoint: Standpoint;
  /** Of the location: what is sent, over what, and how long that may take. */
  readonly proxy: ProxySettings;
  readonly target: ProxyTarget;
  /** What is asked for: the path with its arguments, a byte string. */
  readonly uri: string;
  /** Another port than the server's own. */
  readonly port: number | undefined;
  readonly tests: MatchTests;
  /** Connections are kept for so many ms; 0: they are not. */
  readonly keepaliveTime: number;
}

/** The exchange that stands for one check: as if a client had asked for `uri`. */
export function probeExchange({ standpoint, target, uri }: ProbeSettings, fill: (head: RequestHead) => void): Exchange {
  const head = Object.assign(new RequestHead(), { method: 'GET', target: uri, version: 11 });
  fill(head);
  const exchange = exchangeOfNobody(head, standpoint);
  const mark = uri.indexOf('?');
  exchange.uri = mark < 0 ? uri : uri.slice(0, mark);
  exchange.args = mark < 0 ? '' : uri.slice(mark + 1);
  exchange.proxied = target;
  return exchange;
}

/** Where a peer is checked. */
export function placeOf({ address, name }: Peer, port: number | undefined): DialledPeer {
  if (port === undefined || 'path' in address) return { address, name };
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return { address: { host: address.host, port }, name: `${host}:${port}` };
}

/** By the settings of the location; a string says why there is no connection. */
export function connectionOf({ proxy }: ProbeSettings, exchange: Exchange): ConnectionSettings | string {
  return proxy.chooseConnection?.(exchange) ?? proxy.connection;
}

export function tlsNameOf({ proxy }: ProbeSettings, exchange: Exchange): string {
  return proxy.connection.tls === undefined ? '' : proxy.tlsName(exchange);
}

/** ms that a whole check may take: a peer that says a byte now and then shall not hold it up for ever. */
export function mostTime({ proxy: { connection } }: ProbeSettings): number {
  return connection.connectTimeout + connection.sendTimeout + connection.readTimeout;
}

export const failedBy = (mismatch: Mismatch): ProbeOutcome => ({
  passed: false,
  action: mismatch.action,
  reason: { level: 'info', text: mismatch.text },
});

/** A fault names what was done behind its last `while`. */
export function failedWith(message: string, action?: string): ProbeOutcome {
  const at = message.lastIndexOf(' while ');
  if (action !== undefined || at < 0)
    return { passed: false, action: action ?? 'connecting to upstream', reason: { level: 'error', text: message } };
  const text = message.slice(0, at);
  return { passed: false, action: message.slice(at + ' while '.length), reason: { level: 'error', text } };
}
