// Whether a tunnel may stay when another configuration begins to serve: its listener, its location and its peer must still be there.

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

/**
 * @param listenerKey the address that its client has connected to
 * @param former the upstreams of the configuration before
 */
export function isKept(
  { exchange, target: { upstream }, peer }: TunnelPlace,
  listenerKey: string,
  { listeners, upstreams, proxied }: Places,
  former: ReadonlyMap<string, Upstream>,
): boolean {
  const listener = listeners.get(listenerKey);
  if (listener === undefined) return false;
  const targets = proxied.get(serverOf(listener, exchange.head.host).settings)?.get(locationKey(exchange.location));
  if (targets === undefined) return false;
  const target = targets.find((one) => one?.name === upstream.name);
  if (target !== undefined) return target.keeps(peer);
  if (!targets.includes(undefined)) return false;
  // Variables have named it, perhaps a group.
  const group = upstreams.get(upstream.name);
  return group === undefined ? !former.has(upstream.name) : group.keeps(peer);
}

function serverOf(listener: ListenSettings, host: string): ListenedServer {
  try {
    return listener.find(host);
  } catch (error) {
    if (!(error instanceof MatchTimeout)) throw error;
    return listener.defaultServer;
  }
}
