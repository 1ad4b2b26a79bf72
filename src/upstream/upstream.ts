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
import type { CheckRule } from './peer-health.ts';
import { PeerReturns } from './peer-returns.ts';
import { leaveClaims, makePeerSet, type PeerSet, type PeerSetFrame } from './peer-set.ts';
import { FIRST_EPOCH_CELL, type PeerTable, RETURNS_CELL } from './peer-table.ts';
import { UpstreamConnection } from './upstream-connection.ts';
import type { UpstreamWatcher } from './upstream-watcher.ts';
import type { WaitingLine, WaitLimits } from './waiting-line.ts';
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
  /** `websocket_rebalance`: after a peer has come, tunnels of the others are asked to connect again. */
  readonly rebalances?: boolean | undefined;
  /** So many peers that come at run time (`replaceServers`) all workers know together. Default: 0, each worker knows its own. */
  readonly runTimePeers?: number | undefined;
  /** How requests wait for which no peer can be chosen at once; undefined: they do not. */
  readonly queue?: WaitLimits | undefined;
  /** Names whose addresses are peers as well, and change while it runs: from `begin` until `retire`. */
  readonly names?: WatchedNames | undefined;
}

export class Upstream {
  readonly name: string;
  readonly rebalances: boolean;
  readonly keepalive: KeepalivePool<UpstreamConnection>;
  readonly queue: WaitLimits | undefined;
  /** Those who wait for a peer, in this worker. */
  readonly line: WaitingLine;
  readonly #frame: PeerSetFrame;
  readonly #stickiness: Stickiness | undefined;
  readonly #names: WatchedNames | undefined;
  readonly #checks: CheckRule[] = [];
  readonly #returns: PeerReturns;
  #peerSet: PeerSet;
  #hasBegun = false;
  #isRetired = false;
  /** The upstream of this name in the configuration that serves now. */
  #successor: Upstream | undefined = undefined;
  /** Told when its peers have become others, before those that have gone lose what is known of them. */
  readonly #replaced = new Set<() => void>();

  constructor(settings: UpstreamSettings, table: PeerTable) {
    const { name, servers, sticky } = settings;
    this.name = name;
    this.rebalances = settings.rebalances ?? false;
    this.keepalive = new KeepalivePool(settings.keepalive);
    this.queue = settings.queue;
    this.line = table.waitingLine(name);
    const balancer = settings.balancer ?? defaultBalancer(sticky);
    const row = table.upstreamRow(name);
    this.#returns = new PeerReturns(row, RETURNS_CELL);
    this.#frame = {
      name,
      row,
      checks: this.#checks,
      returns: this.#returns,
      line: this.line,
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
    const { row, table } = this.#frame;
    row.swap(FIRST_EPOCH_CELL, 0, table.epoch);
    this.#hasBegun = true;
    this.#enter(row.get(FIRST_EPOCH_CELL) !== table.epoch);
    if (former !== undefined) former.#leaveTo(this);
    const names = former === undefined ? undefined : former.#names;
    this.#names?.start(names, (servers, areAdded) => this.replaceServers(servers, areAdded));
  }

  /** Whoever still waits for a peer waits for one of the new configuration. */
  #leaveTo(successor: Upstream): void {
    this.#successor = successor;
    successor.line.takeOver(this.line);
  }

  /** The upstream of this name in the configuration that serves now; itself, where that has none. */
  get current(): Upstream {
    let current: Upstream = this;
    while (current.#successor !== undefined) current = current.#successor;
    return current;
  }

  #enter(areAdded: boolean): void {
    for (const peer of this.peers) peer.enter(this.#frame.table.epoch, areAdded);
  }

  /**
   * One more health check of its peers; only before `begin`. Who makes it tells `peer.checked` what came of it.
   * @returns its number
   */
  addCheck(rule: CheckRule): number {
    return this.#checks.push(rule) - 1;
  }

  /** Its health checks, by their numbers. */
  get checks(): readonly CheckRule[] {
    return this.#checks;
  }

  /**
   * Calls `listener` each time that a peer may be used again: it has become healthy, a request to it has succeeded after `max_fails` had
   * disabled it, or it has been added. It is told in every worker, within some tens of ms. Not told: that `fail_timeout` has passed,
   * and that a connection has ended where `max_conns` were reached.
   * @returns stops that; whoever listens must call it at last
   */
  whenPeerReturns(listener: () => void): () => void {
    return this.#returns.listen(listener);
  }

  /** How often a peer has returned: see `whenPeerReturns`. For who looks at it now and then. */
  get returns(): number {
    return this.#frame.row.get(RETURNS_CELL);
  }

  /** Calls `listener` when its peers have become others (`replaceServers`). @returns stops that */
  whenPeersChange(listener: () => void): () => void {
    this.#replaced.add(listener);
    return () => this.#replaced.delete(listener);
  }

  /**
   * Other peers from now on: where names are resolved anew, for example. Peers that stay as they are keep what is known of
   * them and their connections; those that have gone lose their idle ones. Requests under way go on among the peers that
   * they began with. Workers need not do it at the same moment: a peer is the same one for all of them by its name.
   * @param areAdded new ones come beside others, and start slowly where they shall
   */
  replaceServers(servers: readonly PeerSettings[], areAdded = true): void {
    const before = this.#peerSet;
    this.#peerSet = makePeerSet(this.#frame, servers, before);
    if (this.#hasBegun) this.#enter(areAdded && before.peers.length > 0);
    for (const listener of [...this.#replaced]) listener();
    leaveClaims(this.#frame, before, this.#peerSet);
    const stay = new Set(this.#peerSet.peers.map((peer) => peer.name));
    for (const peer of before.peers) if (!stay.has(peer.name)) this.keepalive.closeOf(peer.name);
    this.#returns.note();
  }

  /**
   * Whether who is connected to a peer of this upstream, as a configuration before had it, may stay there: its address is still one of
   * a server, and is neither `down` nor to be drained where it was not. What a name is resolved to comes and goes, and is no reason.
   */
  keeps({ name, settings, down }: Peer): boolean {
    const same = this.peers.filter((peer) => peer.name === name);
    if (same.length === 0) return this.#names?.watches(settings.server) ?? false;
    return same.some((peer) => (down || !peer.down) && (settings.drain || !peer.settings.drain));
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

  /** Nothing is asked of it any more, but by what began before. */
  get isRetired(): boolean {
    return this.#isRetired;
  }

  /** Its configuration serves no new requests: kept connections are closed, none is kept and no name is watched any more. */
  retire(): void {
    this.#isRetired = true;
    this.#names?.stop();
    this.keepalive.close();
    this.#frame.claimedRows.leaveAll();
  }
}

function defaultBalancer(sticky: StickySettings | undefined): BalancerSettings {
  if (sticky?.kind !== 'own cookie') return { kind: 'round-robin' };
  return { kind: 'consistent-hash', key: (exchange) => exchange.link.clientAddress };
}
