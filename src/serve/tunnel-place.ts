// What of a tunnel's place is left when another configuration begins to serve: its listener, its location and its peer must still be there.

import { MatchTimeout } from '../config/bounded-regexp.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ListenedServer, ListenSettings } from '../listen/listen-settings.ts';
import type { Peer } from '../upstream/peer.ts';
import { locationKey, type ProxiedLocations } from '../upstream/proxied-locations.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** Where a tunnel has come in, and where it leads. */
export interface TunnelPlace {
  /** What it began as. */
  readonly exchange: Exchange;
  readonly target: { readonly upstream: Upstream };
  readonly peer: Peer;
}

/** What of a configuration counts. */
export interface Places {
  readonly listeners: ReadonlyMap<string, ListenSettings>;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly proxied: ProxiedLocations;
}

/** It may stay where it is; all but its peer is there; or not even that. */
export type Fate = 'kept' | 'peer gone' | 'gone';

/**
 * @param listenerKey the address that its client has connected to
 * @param former the upstreams of the configuration before
 */
export function fateOf(
  { exchange, target: { upstream }, peer }: TunnelPlace,
  listenerKey: string,
  { listeners, upstreams, proxied }: Places,
  former: ReadonlyMap<string, Upstream>,
): Fate {
  const listener = listeners.get(listenerKey);
  if (listener === undefined) return 'gone';
  const targets = proxied.get(serverOf(listener, exchange.head.host).settings)?.get(locationKey(exchange.location));
  if (targets === undefined) return 'gone';
  const target = targets.find((one) => one?.name === upstream.name);
  if (target !== undefined) return fateIn(target, peer);
  if (!targets.includes(undefined)) return 'gone';
  // Variables have named it, perhaps a group.
  const group = upstreams.get(upstream.name);
  if (group !== undefined) return fateIn(group, peer);
  return former.has(upstream.name) ? 'gone' : 'kept';
}

const fateIn = (upstream: Upstream, peer: Peer): Fate => (upstream.keeps(peer) ? 'kept' : 'peer gone');

function serverOf(listener: ListenSettings, host: string): ListenedServer {
  try {
    return listener.find(host);
  } catch (error) {
    if (!(error instanceof MatchTimeout)) throw error;
    return listener.defaultServer;
  }
}
