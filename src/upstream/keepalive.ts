// Idle connections to peers, kept for the next request: nginx's keepalive of an upstream.

import type { DialledPeer } from './connect.ts';
import type { ConnectionSettings } from './connection-settings.ts';

/** https://nginx.org/en/docs/http/ngx_http_upstream_module.html#keepalive */
export interface KeepaliveSettings {
  /** The most idle connections that a worker keeps for the upstream; 0: none. Default: 32. */
  readonly connections: number;
  /** A connection serves only the location that opened it: nginx's default, where `keepalive` is not written or says `local`. */
  readonly local: boolean;
  /** Requests after which a connection is closed. Default: 1000. */
  readonly requests: number;
  /** ms that a connection may be idle. Default: 60 s. */
  readonly timeout: number;
  /** ms since its beginning after which a connection serves no further request. Default: 1 h. */
  readonly time: number;
}

/** What is in force where the configuration says nothing (nginx 1.29.7 and later). */
export const DEFAULT_KEEPALIVE: KeepaliveSettings = {
  connections: 32,
  local: true,
  requests: 1000,
  timeout: 60_000,
  time: 3_600_000,
};

/** Each request has its own connection: of peers that a variable of `proxy_pass` made up, as in nginx. */
export const NO_KEEPALIVE: KeepaliveSettings = { ...DEFAULT_KEEPALIVE, connections: 0 };

/** A connection as the pool sees it. The links are the pool's. */
export interface KeptConnection {
  readonly peer: DialledPeer;
  readonly settings: ConnectionSettings;
  readonly tlsName: string;
  /** Where it was made from, as the configuration has it; undefined where that was left to the system. */
  readonly from: string | undefined;
  /** Requests that it has served. */
  readonly requests: number;
  /** When it was made, by `performance.now()`. */
  readonly startedAt: number;
  newer: KeptConnection | undefined;
  older: KeptConnection | undefined;
  /** Closes it; it takes itself out of the pool first. */
  close(): void;
}

export class KeepalivePool<Connection extends KeptConnection = KeptConnection> {
  readonly settings: KeepaliveSettings;
  #newest: Connection | undefined = undefined;
  #oldest: Connection | undefined = undefined;
  #size = 0;
  #closed = false;

  constructor(settings: KeepaliveSettings) {
    this.settings = settings;
  }

  get size(): number {
    return this.#size;
  }

  /** The connection that was used last of those that are fit for such a request; taken out of the pool. */
  take(peer: DialledPeer, settings: ConnectionSettings, tlsName: string, from?: string): Connection | undefined {
    for (let kept = this.#newest; kept !== undefined; kept = kept.older as Connection | undefined) {
      if (
        kept.peer.name === peer.name &&
        kept.tlsName === tlsName &&
        kept.from === from &&
        this.#isFor(kept, settings)
      ) {
        this.remove(kept);
        return kept;
      }
    }
    return undefined;
  }

  /**
   * Keeps a connection that has done its work; where the pool is full, the one idle longest is closed for it.
   * @returns false where it is not to be kept: it has served enough, or is too old
   */
  offer(connection: Connection): boolean {
    const { connections, requests, time } = this.settings;
    if (this.#closed || connections === 0 || connection.requests >= requests) return false;
    if (performance.now() - connection.startedAt > time) return false;
    if (this.#size >= connections) this.#oldest?.close();
    this.#add(connection);
    return true;
  }

  /** Takes an idle connection out. */
  remove(connection: Connection): void {
    const { newer, older } = connection;
    if (newer === undefined) this.#newest = older as Connection | undefined;
    else newer.older = older;
    if (older === undefined) this.#oldest = newer as Connection | undefined;
    else older.newer = newer;
    connection.newer = undefined;
    connection.older = undefined;
    this.#size--;
  }

  /** Closes what is idle of a peer that has gone. */
  closeOf(peerName: string): void {
    let kept = this.#newest;
    while (kept !== undefined) {
      const older = kept.older as Connection | undefined;
      if (kept.peer.name === peerName) kept.close();
      kept = older;
    }
  }

  /** Closes what is idle, and keeps nothing from now on. */
  close(): void {
    this.#closed = true;
    while (this.#oldest !== undefined) this.#oldest.close();
  }

  #isFor(kept: Connection, settings: ConnectionSettings): boolean {
    return kept.settings === settings || (!this.settings.local && kept.settings.tls === settings.tls);
  }

  #add(connection: Connection): void {
    connection.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = connection;
    else this.#newest.newer = connection;
    this.#newest = connection;
    this.#size++;
  }
}
