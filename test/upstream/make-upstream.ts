// Upstreams for unit tests: peers from a few words, and an exchange that only says who the client is.

import type { Exchange } from '../../src/exchange/exchange.ts';
import { Headers } from '../../src/http1/headers.ts';
import { NO_KEEPALIVE } from '../../src/upstream/keepalive.ts';
import type { PeerSettings } from '../../src/upstream/peer.ts';
import { unsharedPeers } from '../../src/upstream/peer-table.ts';
import { Upstream, type UpstreamSettings } from '../../src/upstream/upstream.ts';

/** A server of an upstream with nginx's defaults. @param server `127.0.0.1:8080` */
export function peerSettings(server: string, settings: Partial<PeerSettings> = {}): PeerSettings {
  const port = Number(server.slice(server.lastIndexOf(':') + 1));
  const address = server.startsWith('unix:') ? { path: server.slice(5) } : { host: '127.0.0.1', port };
  return {
    address,
    name: server,
    server,
    weight: 1,
    maxFails: 1,
    failTimeout: 10,
    maxConns: 0,
    backup: false,
    down: false,
    drain: false,
    route: '',
    ...settings,
  };
}

/** An upstream of such servers whose state nobody shares. */
export function makeUpstream(servers: PeerSettings[], settings: Partial<UpstreamSettings> = {}): Upstream {
  return new Upstream({ name: 'test', servers, keepalive: NO_KEEPALIVE, ...settings }, unsharedPeers);
}

/** What balancing looks at: the client's address, its header fields, whether it came by TLS. */
export function fakeExchange(client = '127.0.0.1', fields: Record<string, string> = {}, tls = false): Exchange {
  const headers = new Headers();
  for (const [name, value] of Object.entries(fields)) headers.add(name, value);
  const channel = { tls: tls ? {} : undefined };
  return { head: { headers }, link: { clientAddress: client, channel } } as unknown as Exchange;
}
