// One upstream: its peers, who chooses among them, and the connections to them that are kept.

import type { Exchange } from '../exchange/exchange.ts';
import type { Stickiness } from './balance/balancer.ts';
import { Selection } from './balance/balancer.ts';
import type { BalancerSettings } from './balance/make-balancer.ts';
import { makeStickiness, routeIdOf, type StickySettings } from './balance/stickiness.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { KeepalivePool, type KeepaliveSettings } from './keepalive.ts';
import type { LocalAddress } from './local-address.ts';
import type { Peer, PeerSettings } from './peer.ts';
import type { PeerGroup } from './peer-group.ts';
import { leaveClaims, makePeerSet, type PeerSet, type PeerSetFrame } from './peer-set.ts';
import type { PeerTable } from './peer-table.ts';
import { UpstreamConnection } from './upstream-connection.ts';
import type { UpstreamWatcher } from './upstream-watcher.ts';
import type { WatchedNames } from './watched-names.ts';

/** https://nginx.org/en/docs/http/ngx_http_upstream_module.html */
export interface UpstreamSettings {
  /** The name of the block, or `host:port` where `proxy_pass` names the server itself: part of its peers' identity. */
  readonly name: string;
  /** At least one that is no backup, unless they may come later (`replaceServers`). */
  readonly servers: readonly PeerSettings[];
  /** Default: round robin; with a `sticky` of kind `own cookie`, consistent hash of the client's address. */
  readonly balancer?: BalancerSettings | undefined;
  readonly keepalive: KeepaliveSettings;
  readonly sticky?: StickySettings | undefined;
  /** So many peers that come at run time (`replaceServers`) all workers know together. Default: 0, each worker knows its own. */
  readonly runTimePeers?: number | undefined;
  /** Names whose addresses are peers as well, and change while it runs: from `begin` until `retire`. */
  readonly names?: WatchedNames | undefined;
}

export class Upstream {
  readonly name: string;
  readonly keepalive: KeepalivePool<UpstreamConnection>;
  readonly #frame: PeerSetFrame;
  readonly #stickiness: Stickiness | undefined;
  readonly #names: WatchedNames | undefined;
  #peerSet: PeerSet;

  constructor(settings: UpstreamSettings, table: PeerTable) {
    const { name, servers, sticky } = settings;
    this.name = name;
    this.keepalive = new KeepalivePool(settings.keepalive);
    const balancer = settings.balancer ?? defaultBalancer(sticky);
    this.#frame = {
      name,
      balancer,
      routeId: (server) => routeIdOf(server, sticky),
      table,
      claimedRows: table.claimedRows(name, settings.runTimePeers ?? 0),
      configured: new Set(),
    };
    this.#stickiness = sticky === undefined ? undefined : makeStickiness(sticky);
    this.#names = settings.names;
    this.#peerSet = makePeerSet(this.#frame, servers);
    if (table.isNew) for (const peer of this.peers) peer.beginTurns();
  }

  /** The choice of peers for one request; see attempts.ts for what to do with it. */
  select(exchange: Exchange): Selection {
    const { balancer, primary } = this.#peerSet;
    return new Selection(balancer, this.#stickiness, primary, exchange);
  }

  /**
   * Its configuration serves from now on: names of its servers are watched.
   * @param former the upstream of this name in the configuration before, which is still in use
   */
  begin(former: Upstream | undefined): void {
    const names = former === undefined ? undefined : former.#names;
    this.#names?.start(names, (servers) => this.replaceServers(servers));
  }

  /**
   * Other peers from now on: where names are resolved anew, for example. Peers that stay as they are keep what is known of
   * them and their connections; those that have gone lose their idle ones. Requests under way go on among the peers that
   * they began with. Workers need not do it at the same moment: a peer is the same one for all of them by its name.
   */
  replaceServers(servers: readonly PeerSettings[]): void {
    const before = this.#peerSet;
    this.#peerSet = makePeerSet(this.#frame, servers, before);
    leaveClaims(this.#frame, before, this.#peerSet);
    const stay = new Set(this.#peerSet.peers.map((peer) => peer.name));
    for (const peer of before.peers) if (!stay.has(peer.name)) this.keepalive.closeOf(peer.name);
  }

  /** How often its peers have been replaced. */
  get version(): number {
    return this.#peerSet.version;
  }

  /** The peers that are no backup; `primary.backup` are those. */
  get primary(): PeerGroup {
    return this.#peerSet.primary;
  }

  /**
   * A connection to a peer, for one request: a kept one, which is `ready`, or a new one, for which `upstreamConnected` will come.
   * `watcher` is not called from inside this call.
   * @param tlsName whom we want to speak to over TLS (`proxy_ssl_name`, without port); '' without TLS
   * @param fresh no kept one: see `Attempts.needsFresh`
   * @param from where the connection is to be made from; undefined: wherever the system likes
   */
  acquire(
    peer: Peer,
    settings: ConnectionSettings,
    tlsName: string,
    watcher: UpstreamWatcher,
    fresh = false,
    from?: LocalAddress,
  ): UpstreamConnection {
    const kept = fresh ? undefined : this.keepalive.take(peer, settings, tlsName, from?.text);
    if (kept === undefined) return new UpstreamConnection(this.keepalive, peer, settings, tlsName, watcher, from);
    kept.reuse(settings, watcher);
    return kept;
  }

  /** All peers, the backup ones last. */
  get peers(): readonly Peer[] {
    return this.#peerSet.peers;
  }

  /** Its configuration serves no new requests: kept connections are closed, none is kept and no name is watched any more. */
  retire(): void {
    this.#names?.stop();
    this.keepalive.close();
    this.#frame.claimedRows.leaveAll();
  }
}

function defaultBalancer(sticky: StickySettings | undefined): BalancerSettings {
  if (sticky?.kind !== 'own cookie') return { kind: 'round-robin' };
  return { kind: 'consistent-hash', key: (exchange) => exchange.link.clientAddress };
}
