// One upstream: its peers, who chooses among them, and the connections to them that are kept.

import type { Exchange } from '../exchange/exchange.ts';
import type { Text } from '../exchange/settings.ts';
import { type Balancer, Selection, type Stickiness } from './balance/balancer.ts';
import { ConsistentHash } from './balance/consistent-hash.ts';
import { roundRobin } from './balance/round-robin.ts';
import { makeStickiness, routeIdOf, type StickySettings } from './balance/sticky-route.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { KeepalivePool, type KeepaliveSettings } from './keepalive.ts';
import { Peer, type PeerSettings } from './peer.ts';
import { PeerGroup } from './peer-group.ts';
import type { PeerTable } from './peer-table.ts';
import { UpstreamConnection } from './upstream-connection.ts';
import type { UpstreamWatcher } from './upstream-watcher.ts';

export type BalancerSettings =
  | { readonly kind: 'round-robin' }
  /** nginx's `hash KEY consistent`. */
  | { readonly kind: 'consistent-hash'; readonly key: Text };

/** https://nginx.org/en/docs/http/ngx_http_upstream_module.html */
export interface UpstreamSettings {
  /** The name of the block, or `host:port` where `proxy_pass` names the server itself: part of its peers' identity. */
  readonly name: string;
  /** At least one that is no backup. */
  readonly servers: readonly PeerSettings[];
  /** Default: round robin; with a `sticky` of kind `cookie`, consistent hash of the client's address. */
  readonly balancer?: BalancerSettings | undefined;
  readonly keepalive: KeepaliveSettings;
  readonly sticky?: StickySettings | undefined;
}

export class Upstream {
  readonly name: string;
  readonly keepalive: KeepalivePool<UpstreamConnection>;
  /** The peers that are no backup; `primary.backup` are those. */
  readonly primary: PeerGroup;
  readonly #balancer: Balancer;
  readonly #stickiness: Stickiness | undefined;

  constructor(settings: UpstreamSettings, table: PeerTable) {
    this.name = settings.name;
    this.keepalive = new KeepalivePool(settings.keepalive);
    this.primary = makeGroups(settings, table);
    this.#balancer = makeBalancer(settings, this.primary);
    this.#stickiness = settings.sticky === undefined ? undefined : makeStickiness(settings.sticky);
  }

  /** The choice of peers for one request; see attempts.ts for what to do with it. */
  select(exchange: Exchange): Selection {
    return new Selection(this.#balancer, this.#stickiness, this.primary, exchange);
  }

  /**
   * A connection to a peer, for one request: a kept one, which is `ready`, or a new one, for which `upstreamConnected` will come.
   * `watcher` is not called from inside this call.
   * @param tlsName whom we want to speak to over TLS (`proxy_ssl_name`, without port); '' without TLS
   * @param fresh no kept one: see `Attempts.needsFresh`
   */
  acquire(
    peer: Peer,
    settings: ConnectionSettings,
    tlsName: string,
    watcher: UpstreamWatcher,
    fresh = false,
  ): UpstreamConnection {
    const kept = fresh ? undefined : this.keepalive.take(peer, settings, tlsName);
    if (kept === undefined) return new UpstreamConnection(this.keepalive, peer, settings, tlsName, watcher);
    kept.reuse(settings, watcher);
    return kept;
  }

  /** All peers, the backup ones last. */
  get peers(): readonly Peer[] {
    return [...this.primary.peers, ...(this.primary.backup?.peers ?? [])];
  }

  /** Its configuration serves no new requests: kept connections are closed, and none is kept any more. */
  retire(): void {
    this.keepalive.close();
  }
}

function makeGroups(settings: UpstreamSettings, table: PeerTable): PeerGroup {
  const row = table.upstreamRow(settings.name);
  const primary = settings.servers.filter((server) => !server.backup);
  const backup = settings.servers.filter((server) => server.backup);
  if (primary.length === 0) throw new RangeError(`no servers in upstream "${settings.name}"`);
  const seen = new Map<string, number>();
  const makePeer = (server: PeerSettings, index: number) => {
    const ordinal = seen.get(server.name) ?? 0;
    seen.set(server.name, ordinal + 1);
    const peerRow = table.peerRow(settings.name, server.name, ordinal);
    return new Peer(server, index, routeIdOf(server, settings.sticky), peerRow);
  };
  const primaryPeers = primary.map(makePeer);
  const backupGroup = backup.length === 0 ? undefined : new PeerGroup(backup.map(makePeer), undefined, true, row);
  return new PeerGroup(primaryPeers, backupGroup, false, row);
}

function makeBalancer(settings: UpstreamSettings, group: PeerGroup): Balancer {
  if (settings.balancer?.kind === 'consistent-hash') return new ConsistentHash(group, settings.balancer.key);
  const byAddress = settings.balancer === undefined && settings.sticky?.kind === 'cookie';
  return byAddress ? new ConsistentHash(group, (exchange) => exchange.link.clientAddress) : roundRobin;
}
