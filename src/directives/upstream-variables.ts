// $upstream_…: what became of each pass at a peer. Several are joined as in nginx: `, ` between peers of one request.
// https://nginx.org/en/docs/http/ngx_http_upstream_module.html#variables

import type { Exchange, UpstreamTrace } from '../exchange/exchange.ts';
import type { VariableGetter } from './module.ts';

export const upstreamVariables: Readonly<Record<string, VariableGetter>> = {
  upstream_addr: (exchange) => joined(exchange, (trace) => trace.address),
  upstream_status: (exchange) => joined(exchange, (trace) => (trace.status === 0 ? '-' : `${trace.status}`)),
  upstream_connect_time: (exchange) => joined(exchange, (trace) => inSeconds(trace.connectTime)),
  upstream_header_time: (exchange) => joined(exchange, (trace) => inSeconds(trace.headerTime)),
  upstream_response_time: (exchange) => joined(exchange, (trace) => inSeconds(trace.responseTime)),
  upstream_response_length: (exchange) => joined(exchange, (trace) => `${trace.responseLength}`),
  upstream_bytes_received: (exchange) => joined(exchange, (trace) => `${trace.bytesReceived}`),
  upstream_bytes_sent: (exchange) => joined(exchange, (trace) => `${trace.bytesSent}`),
  'upstream_http_*': (exchange, rest) => exchange.upstreamHead?.headers.getJoined(rest.replaceAll('_', '-')),
  'upstream_cookie_*': (exchange, rest) => setCookie(exchange, rest),
  'upstream_trailer_*': (exchange, rest) => exchange.upstreamTrailers?.getJoined(rest.replaceAll('_', '-')),
};

function joined(exchange: Exchange, show: (trace: UpstreamTrace) => string): string | undefined {
  const { upstreams } = exchange;
  if (upstreams === undefined) return undefined;
  if (upstreams.length === 1) return show(upstreams[0] as UpstreamTrace);
  return upstreams.map(show).join(', ');
}

/** `0.123`, or `-` for what did not come to pass. */
function inSeconds(ms: number): string {
  return ms < 0 ? '-' : (ms / 1000).toFixed(3);
}

/** The value of a cookie that the peer set. */
function setCookie(exchange: Exchange, name: string): string | undefined {
  const headers = exchange.upstreamHead?.headers;
  if (headers === undefined) return undefined;
  for (let i = 0; i < headers.length; i++) {
    if (headers.lowerNameAt(i) !== 'set-cookie') continue;
    const [pair = ''] = headers.valueAt(i).split(';', 1);
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}
