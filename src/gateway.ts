// The path of one connection, wired on one page: accept → route → serve → upstream → websocket. One gateway runs in each worker.

import type { Socket } from 'node:net';
import { MatchTimeout } from './config/bounded-regexp.ts';
import type { Exchange } from './exchange/exchange.ts';
import { acceptConnection } from './listen/accept.ts';
import type { Greeting, Opened } from './listen/greeting.ts';
import { ClientConnection, type ConnectionHost } from './listen/http1.ts';
import type { ListenedServer, ListenSettings } from './listen/listen-settings.ts';
import { isVerified } from './listen/verify-client.ts';
import { Phases } from './route/phases.ts';
import { parseTarget } from './route/uri.ts';
import { sendErrorPage, sendRedirect } from './serve/answer.ts';
import { TunnelEnd } from './serve/proxy-websocket.ts';
import { hasNewPeer, type RebalancedTunnels, Rebalancer } from './serve/rebalancer.ts';
import { fateOf } from './serve/tunnel-place.ts';
import type { Snapshot } from './snapshot.ts';
import type { Upstream } from './upstream/upstream.ts';
import { DrainPacer } from './websocket/drain-pacer.ts';
import { LiveTunnels } from './websocket/live-tunnels.ts';
import type { Tunnel } from './websocket/tunnel.ts';
import type { GatewayCause } from './websocket/tunnel-cause.ts';
import { TunnelCounts } from './websocket/tunnel-counts.ts';

export interface GatewayOptions {
  /** Numbers connections over all workers: one cell, shared. */
  readonly connectionNumbers: Int32Array;
  /** Writes the log lines that wait for the end of the turn: they are on disk before their client sees its connection close. */
  readonly flushLogs?: () => void;
}

/** A snapshot with what this gateway must do once nothing uses it any more. */
interface Running {
  readonly snapshot: Snapshot;
  readonly listeners: ReadonlyMap<string, ListenSettings>;
  readonly retired: () => void;
}

export class Gateway implements ConnectionHost {
  readonly pipeline: Phases;
  readonly liveTunnels = new LiveTunnels();
  leaving = false;

  readonly flushLogs: () => void;
  readonly #connectionNumbers: Int32Array;
  #running: Running | undefined = undefined;
  #firstConnection: ClientConnection | undefined = undefined;
  #connectionCount = 0;
  #tunnelCounts = TunnelCounts.alone();
  /** So many of them have been told to `connectionCounts`. */
  #countedActive = 0;
  /** PROXY headers and TLS handshakes under way. */
  readonly #greetings = new Set<Greeting>();
  readonly #drainPacer = new DrainPacer();
  #rebalancers: ReadonlyMap<string, Rebalancer> = new Map();
  #left: (() => void) | undefined = undefined;
  #patience: NodeJS.Timeout | undefined = undefined;

  constructor(options: GatewayOptions) {
    this.#connectionNumbers = options.connectionNumbers;
    this.flushLogs = options.flushLogs ?? (() => {});
    this.pipeline = new Phases({
      answerStatus: sendErrorPage,
      answerRedirect: sendRedirect,
      handedOver: (exchange, tunnel) => {
        const isOfBefore = exchange.use !== this.#running?.snapshot.use;
        this.#release(exchange);
        this.liveTunnels.add(tunnel as Tunnel);
        this.#tunnelCounts.tunnelOpened();
        if (this.leaving) this.#drain([tunnel as Tunnel], 'drain');
        else if (isOfBefore && this.#isRemoved(tunnel as Tunnel)) this.#drain([tunnel as Tunnel], 'removed by reload');
        this.#countActive();
        if (exchange.location.websocket.log !== 'close') this.#logOpening(exchange);
      },
      ended: (exchange, tunnel) => {
        this.#countEnd(tunnel as Tunnel);
        this.exchangeEnded(exchange);
        this.#drainPacer.remove(tunnel as Tunnel);
        this.liveTunnels.remove(tunnel as Tunnel);
        this.#countActive();
      },
      tunnelResumed: (tunnel) => {
        this.#tunnelCounts.tunnelResumed();
        this.#stayWhereMoved(tunnel as Tunnel);
      },
      handshakeRefused: (cause) => this.#tunnelCounts.handshakeRefused(cause),
    });
    this.liveTunnels.whenEmpty = () => this.#checkLeft();
  }

  get connections(): number {
    return this.#connectionCount + this.#greetings.size;
  }

  get tunnels(): number {
    return this.liveTunnels.count;
  }

  /**
   * Serves by `snapshot` from now on. Exchanges that have begun go on with the old one; `retired` is called when the last of the new
   * one's own exchanges has ended after it was itself replaced. Connections and tunnels notice nothing, but for WebSockets whose
   * listener, location or peer has gone, which are asked to go, and for those tunnels in which we see only opaque bytes: nobody could ever ask them to end, so they have the old one's `worker_shutdown_timeout`, as all have in nginx.
   */
  apply(snapshot: Snapshot, retired: () => void): void {
    const old = this.#running;
    const listeners = new Map(snapshot.listeners.map((listener) => [listener.address.key, listener]));
    this.#running = { snapshot, listeners, retired };
    // Before its upstreams begin: who makes a check lets go of it for the new one.
    for (const check of old?.snapshot.healthChecks ?? []) check.stop();
    for (const [name, upstream] of snapshot.upstreams ?? []) upstream.begin(old?.snapshot.upstreams?.get(name));
    for (const check of snapshot.healthChecks ?? []) check.start();
    this.pipeline.connectionCounts = snapshot.connectionCounts;
    this.#tunnelCounts = snapshot.tunnelCounts;
    for (const upstream of old?.snapshot.upstreams?.values() ?? []) upstream.retire();
    const patience = old?.snapshot.core.workerShutdownTimeout ?? 0;
    if (old !== undefined) this.#drainRemoved(old.snapshot.upstreams, patience);
    this.#rebalance(snapshot, old?.snapshot);
    if (patience > 0) this.liveTunnels.closeForeignWithin(patience, 'worker shutdown');
    if (old !== undefined && old.snapshot.use.count === 0) old.retired();
    else if (old !== undefined) old.snapshot.use.retired = old.retired;
  }

  /** A connection that the listening socket with this key has accepted. */
  accept(addressKey: string, socket: Socket): void {
    const listener = this.#running?.listeners.get(addressKey);
    if (listener === undefined) socket.destroy();
    else {
      const greeting = acceptConnection(socket, listener, this.#nextNumber(), this.#open, this.#greeted);
      if (greeting !== undefined) this.#greetings.add(greeting);
      this.pipeline.connectionCounts.accept();
      this.#countActive();
    }
  }

  /**
   * Leaves gently: idle connections are closed, running exchanges finish, WebSockets are asked to go at the pace of
   * `websocket_drain_rate`. Tunnels of other protocols go on: nobody could ask them.
   * @param shutdownTimeout ms after which all that is left is closed (tunnels with 1001), and before which all have been asked; 0: never
   * @param left called once nothing is left
   */
  quit(shutdownTimeout: number, left: () => void): void {
    this.leaving = true;
    this.#left = left;
    this.#stopChecks();
    this.#eachConnection((connection) => connection.closeIfIdle());
    if (shutdownTimeout > 0) this.#patience = setTimeout(() => this.#closeAll('worker shutdown'), shutdownTimeout);
    this.#drain(this.liveTunnels, 'drain', timeToAsk(shutdownTimeout));
    this.#checkLeft();
  }

  /**
   * Closes everything now.
   * @param left called when all of it is closed, and each exchange and tunnel that was cut is in the log
   */
  stop(left: () => void = () => {}): void {
    this.leaving = true;
    const before = this.#left;
    this.#left = () => {
      before?.();
      left();
    };
    this.#stopChecks();
    this.#eachConnection((connection) => connection.destroy());
    for (const greeting of [...this.#greetings]) greeting.destroy();
    this.#drainPacer.stop();
    this.liveTunnels.destroyAll('worker stop');
    this.#retireUpstreams();
    this.#checkLeft();
  }

  // What a connection asks of the gateway.

  serverOf(connection: ClientConnection, host: string, exchange?: Exchange): ListenedServer {
    const listener = this.#listener(connection);
    try {
      return listener.find(host, exchange);
    } catch (error) {
      // A name that keeps an expression busy for too long is nobody's.
      if (!(error instanceof MatchTimeout)) throw error;
      exchange?.log('error', error.message);
      return listener.defaultServer;
    }
  }

  defaultServer(connection: ClientConnection): ListenedServer {
    return connection.ends.tlsServer ?? this.#listener(connection).defaultServer;
  }

  headBegins(): void {
    this.pipeline.connectionCounts.headBegins();
  }

  headEnds(): void {
    this.pipeline.connectionCounts.headEnds();
  }

  exchangeBegins(exchange: Exchange): void {
    this.pipeline.connectionCounts.requestBegins();
    this.#hold(exchange);
    if (!takeTarget(exchange)) {
      exchange.log('info', `client sent invalid request while reading client request line`);
      exchange.fail(400);
      return;
    }
    if (exchange.link.ends.plainOnTls) {
      exchange.log('info', 'client sent plain HTTP request to HTTPS port while reading client request headers');
      exchange.fail(497);
      return;
    }
    if (exchange.server.verifyClient === undefined || isVerified(exchange, exchange.server.verifyClient))
      this.pipeline.start(exchange);
  }

  refuse(connection: ClientConnection, exchange: Exchange, status: number, reason: string): void {
    // Who could not say a name is with the default server: the server without a name is for those that have none.
    if (exchange.head.host === '') exchange.enterServer(this.defaultServer(connection).settings);
    this.pipeline.connectionCounts.requestBegins();
    this.#hold(exchange);
    takeTarget(exchange);
    exchange.log('info', `${reason} while reading client request headers`);
    exchange.fail(status);
  }

  exchangeEnded(exchange: Exchange): void {
    try {
      if (exchange.tunnel === undefined || exchange.location.websocket.log !== 'open') this.#log(exchange);
    } finally {
      exchange.requestBody?.close();
      exchange.over();
      this.pipeline.connectionCounts.requestEnds();
      this.#release(exchange);
    }
  }

  connectionClosed(connection: ClientConnection): void {
    if (connection.previous !== undefined) connection.previous.next = connection.next;
    else if (this.#firstConnection === connection) this.#firstConnection = connection.next;
    else return;
    if (connection.next !== undefined) connection.next.previous = connection.previous;
    connection.previous = undefined;
    connection.next = undefined;
    this.#connectionCount--;
    this.#countActive();
    // What hands its channel over to a tunnel is closed before that is there.
    if (this.#left !== undefined) queueMicrotask(() => this.#checkLeft());
  }

  readonly #greeted = (greeting: Greeting): void => {
    this.#greetings.delete(greeting);
    this.#countActive();
    this.#checkLeft();
  };

  readonly #open: Opened = (channel, ends, unread): void => {
    const connection = new ClientConnection(this, channel, ends);
    connection.next = this.#firstConnection;
    if (connection.next !== undefined) connection.next.previous = connection;
    this.#firstConnection = connection;
    this.#connectionCount++;
    this.#countActive();
    if (unread !== undefined) connection.channelData(unread, 0, unread.length);
  };

  #listener(connection: ClientConnection): ListenSettings {
    return this.#running?.listeners.get(connection.ends.listener.address.key) ?? connection.ends.listener;
  }

  #countActive(): void {
    const active = this.connections + this.tunnels;
    if (active === this.#countedActive) return;
    this.pipeline.connectionCounts.change(active - this.#countedActive);
    this.#countedActive = active;
  }

  #nextNumber(): number {
    return Atomics.add(this.#connectionNumbers, 0, 1) + 1;
  }

  #hold(exchange: Exchange): void {
    const use = this.#running?.snapshot.use;
    if (use === undefined) return;
    use.count++;
    exchange.use = use;
  }

  /** The exchange no longer needs its snapshot: it has ended, or become a tunnel, which no reload touches. */
  #release(exchange: Exchange): void {
    const { use } = exchange;
    if (use === undefined) return;
    exchange.use = undefined;
    use.count--;
    if (use.count === 0) use.retired?.();
  }

  #log(exchange: Exchange): void {
    for (const log of exchange.location.log) log(exchange);
  }

  /** What maps make of the opening is forgotten: the end of the tunnel is asked about anew. */
  #logOpening(exchange: Exchange): void {
    const remembered = exchange.variableCache?.slice();
    this.#log(exchange);
    exchange.variableCache = remembered;
  }

  #countEnd({ endCause, lostMessages }: Tunnel): void {
    if (endCause !== '') this.#tunnelCounts.tunnelEnded(endCause);
    this.#tunnelCounts.messagesLost(lostMessages);
  }

  #eachConnection(act: (connection: ClientConnection) => void): void {
    let connection = this.#firstConnection;
    while (connection !== undefined) {
      const { next } = connection;
      act(connection);
      connection = next;
    }
  }

  /** Asks those to go whose place is no more; whoever an earlier reload has asked for, but not yet reached, may be welcome again. */
  #drainRemoved(former: ReadonlyMap<string, Upstream>, patience: number): void {
    if (this.liveTunnels.count === 0) return;
    this.#drainPacer.stop();
    const removed = [...this.liveTunnels].filter((tunnel) => this.#isRemoved(tunnel, former));
    this.#drain(removed, 'removed by reload', timeToAsk(patience));
  }

  /** Its listener, its location or its peer is not part of the configuration any more. */
  #isRemoved({ owner }: Tunnel, former: ReadonlyMap<string, Upstream> = new Map()): boolean {
    if (this.#running === undefined || !(owner instanceof TunnelEnd)) return false;
    const { listeners, snapshot } = this.#running;
    const { listener } = (owner.exchange.link as ClientConnection).ends;
    const { upstreams, proxied } = snapshot;
    const fate = fateOf(owner, listener.address.key, { listeners, upstreams, proxied }, former);
    if (owner.resumption !== undefined) owner.resumption.onlyPeerGone = fate === 'peer gone';
    return fate !== 'kept';
  }

  /** Its peer was removed, and lost before it was asked to leave it: where it is now it may stay. */
  #stayWhereMoved(tunnel: Tunnel): void {
    if (this.leaving || this.#drainPacer.causeFor(tunnel) !== 'removed by reload') return;
    if (!this.#isRemoved(tunnel)) this.#drainPacer.remove(tunnel);
  }

  /** Asks the WebSockets among them to go. @param within ms; undefined: as long as it takes at the rate of the configuration */
  #drain(tunnels: Iterable<Tunnel>, cause: GatewayCause, within?: number): void {
    const snapshot = this.#running?.snapshot;
    const webSockets = [...tunnels].filter(({ followsFrames }) => followsFrames);
    if (snapshot === undefined || webSockets.length === 0) return;
    this.#drainPacer.drain(webSockets, cause, { rate: shareOfRate(snapshot), within });
  }

  #closeAll(cause: 'worker shutdown'): void {
    this.#drainPacer.stop();
    this.liveTunnels.closeAll(cause);
    for (const greeting of [...this.#greetings]) greeting.destroy();
    this.#eachConnection((connection) => connection.destroy());
  }

  #rebalance({ upstreams }: Snapshot, old: Snapshot | undefined): void {
    const before = this.#rebalancers;
    for (const rebalancer of before.values()) rebalancer.stop();
    const tunnels = this.#rebalancedTunnels();
    const after = new Map<string, Rebalancer>();
    for (const [name, upstream] of upstreams ?? []) {
      if (!upstream.rebalances) continue;
      const former = old?.upstreams.get(name);
      const rebalancer = new Rebalancer(upstream, tunnels);
      after.set(name, rebalancer);
      rebalancer.start(before.get(name)?.isActive === true || (former !== undefined && hasNewPeer(upstream, former)));
    }
    this.#rebalancers = after;
  }

  #rebalancedTunnels(): RebalancedTunnels {
    const { liveTunnels } = this;
    const pacer = this.#drainPacer;
    return {
      get webSockets() {
        return [...liveTunnels].filter(({ followsFrames }) => followsFrames);
      },
      get areLeaving() {
        return pacer.count > 0;
      },
      ask: (tunnels) => this.#drain(tunnels, 'rebalance'),
    };
  }

  /** Other workers go on with them. */
  #stopChecks(): void {
    for (const rebalancer of this.#rebalancers.values()) rebalancer.stop();
    for (const check of this.#running?.snapshot.healthChecks ?? []) check.stop();
  }

  #retireUpstreams(): void {
    for (const upstream of this.#running?.snapshot.upstreams?.values() ?? []) upstream.retire();
  }

  #checkLeft(): void {
    if (this.#left === undefined || this.#connectionCount > 0 || this.#greetings.size > 0 || this.liveTunnels.count > 0)
      return;
    const left = this.#left;
    this.#left = undefined;
    clearTimeout(this.#patience);
    this.#retireUpstreams();
    left();
  }
}

/** Each worker takes an equal part of the rate. */
function shareOfRate({ drainRate, core }: Snapshot): number {
  return drainRate / (core.masterProcess ? core.workerProcesses : 1);
}

/** So much of a shutdown timeout is left for those that were asked last to answer, at most, in ms. */
const TIME_TO_ANSWER = 5000;

/** ms in which tunnels are asked to go, so that they can answer within the timeout; undefined: there is none. */
function timeToAsk(shutdownTimeout: number): number | undefined {
  return shutdownTimeout === 0 ? undefined : shutdownTimeout - Math.min(shutdownTimeout / 4, TIME_TO_ANSWER);
}

/** Reads the target that the client has sent; one that is no URI is forgotten, so that `$request_uri` has no value, as in nginx. */
function takeTarget(exchange: Exchange): boolean {
  const { head, server } = exchange;
  const target = parseTarget(head.target, server.mergeSlashes);
  if (target === undefined) {
    head.target = '';
    return false;
  }
  exchange.uri = target.path;
  exchange.args = target.args;
  return true;
}
