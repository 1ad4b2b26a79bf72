// $upstream_…: what became of each pass at a peer. Several are joined as in nginx: `, ` between peers of one group, ` : ` between groups.
// https://nginx.org/en/docs/http/ngx_http_upstream_module.html#variables

import type { Exchange, UpstreamTrace } from '../exchange/exchange.ts';
import { answerCookie } from './cookies.ts';
import type { VariableGetter } from './module.ts';

export const upstreamVariables: Readonly<Record<string, VariableGetter>> = {
  upstream_addr: (exchange) => joined(exchange, (trace) => trace.address),
  upstream_status: (exchange) => joined(exchange, (trace) => (trace.status === 0 ? '-' : `${trace.status}`)),
  upstream_queue_time: (exchange) => joined(exchange, (trace) => inSeconds(trace.queueTime)),
  upstream_connect_time: (exchange) => joined(exchange, (trace) => inSeconds(trace.connectTime)),
  upstream_header_time: (exchange) => joined(exchange, (trace) => inSeconds(trace.headerTime)),
  upstream_response_time: (exchange) => joined(exchange, (trace) => inSeconds(trace.responseTime)),
  upstream_response_length: (exchange) => joined(exchange, (trace) => `${trace.responseLength}`),
  upstream_bytes_received: (exchange) => joined(exchange, (trace) => `${trace.bytesReceived}`),
  upstream_bytes_sent: (exchange) => joined(exchange, (trace) => `${trace.bytesSent}`),
  upstream_last_addr: ({ upstreams }) => upstreams?.at(-1)?.address,
  upstream_last_server_name: ({ upstreams }) => hostOf(upstreams?.at(-1)?.server),
  // There is no cache.
  upstream_cache_status: () => undefined,
  upstream_cache_last_modified: () => undefined,
  upstream_cache_etag: () => undefined,
  'upstream_http_*': ({ upstreamHead }, name) => upstreamHead?.headers.getJoined(name.replaceAll('_', '-')),
  'upstream_cookie_*': ({ upstreamHead }, name) => {
    return upstreamHead === undefined ? undefined : answerCookie(upstreamHead.headers, name);
  },
  'upstream_trailer_*': ({ upstreamTrailers }, name) => upstreamTrailers?.getJoined(name.replaceAll('_', '-')),
};

/** Without its port: it is meant for `proxy_ssl_name`. */
function hostOf(server: string | undefined): string | undefined {
  return server === undefined || server.startsWith('unix:') ? server : server.replace(/:\d+$/, '');
}

function joined({ upstreams }: Exchange, show: (trace: UpstreamTrace) => string): string | undefined {
  if (upstreams === undefined) return undefined;
  if (upstreams.length === 1) return show(upstreams[0] as UpstreamTrace);
  return joinGroups(upstreams, show);
}

/** A trace without an address stands between the peers of one group and those of the next one, where `error_page` has led there. */
function joinGroups(traces: readonly UpstreamTrace[], show: (trace: UpstreamTrace) => string): string {
  let text = '';
  let separator = '';
  for (const trace of traces) {
    if (trace.address === '') {
      separator = ' : ';
      continue;
    }
    text += separator + show(trace);
    separator = ', ';
  }
  return text;
}

/** `0.123`, or `-` for what did not come to pass. */
function inSeconds(ms: number): string {
  return ms < 0 ? '-' : (ms / 1000).toFixed(3);
}
