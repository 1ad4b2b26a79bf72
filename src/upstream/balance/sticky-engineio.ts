// `sticky engineio`, which is ours: the sessions of Engine.IO, which Socket.IO stands on, stay with the peer that made them, without a cookie.
// https://github.com/socketio/engine.io-protocol

import { hash } from 'node:crypto';
import type { Exchange } from '../../exchange/exchange.ts';
import type { Text } from '../../exchange/settings.ts';
import { Deadline, type DeadlineOwner } from '../../transport/deadlines.ts';
import type { SharedCache } from '../../zones/shared-cache.ts';
import type { Peer } from '../peer.ts';
import type { OpeningReader, Selection, Stickiness } from './balancer.ts';
import { bodyBeginning, EngineioOpening, messageBeginning } from './engineio-opening.ts';

export interface StickyEngineioSettings {
  readonly kind: 'engineio';
  /** The name of the zone, for the log. */
  readonly zone: string;
  readonly sessions: SharedCache;
  /** nginx's `$arg_EIO`: the version of the protocol, which every client tells with every request. */
  readonly version: Text;
  /** nginx's `$arg_sid`, decoded: the session that a request belongs to; '' where it asks for a new one. */
  readonly session: Text;
  /** ms in which a session is forgotten unless it is used. */
  readonly timeout: number;
}

/** A WebSocket on trial says `2probe`, and `5` when the session moves to it; until then the session can go on by polling. */
const MOVED = 2;

export class StickyEngineio implements Stickiness {
  readonly #settings: StickyEngineioSettings;

  constructor(settings: StickyEngineioSettings) {
    this.#settings = settings;
  }

  begin(selection: Selection, exchange: Exchange): void {
    const { sessions, timeout } = this.#settings;
    const session = this.#settings.session(exchange);
    selection.session = session;
    if (session !== '') selection.hint = sessions.use(keyOf(session), timeout) ?? '';
  }

  cookie(): undefined {}

  answered(selection: Selection, exchange: Exchange, peer: Peer): void {
    if (selection.session !== '' && exchange.upstreamHead?.status === 101)
      this.#keep(selection, selection.session, peer, MOVED);
  }

  finished(): void {}

  opening(selection: Selection, exchange: Exchange, peer: Peer): OpeningReader | undefined {
    if (selection.session !== '' || exchange.method !== 'GET' || this.#settings.version(exchange) === '')
      return undefined;
    const head = exchange.upstreamHead;
    if (head?.status === 101)
      return new EngineioOpening(messageBeginning, (session) => {
        this.#learn(exchange, session, peer);
        this.#keep(selection, session, peer, 0);
      });
    const beginning = head?.status === 200 ? bodyBeginning(head.headers.getJoined('content-encoding')) : undefined;
    if (beginning === undefined) return undefined;
    return new EngineioOpening(beginning, (session) => this.#learn(exchange, session, peer));
  }

  #learn(exchange: Exchange, session: string, peer: Peer): void {
    const { sessions, timeout, zone } = this.#settings;
    if (!sessions.store(keyOf(session), peer.routeId, timeout, true)) return;
    const where = `in sticky session zone "${zone}"`;
    exchange.log('warn', `could not allocate node ${where}, expiring least recently used session`);
  }

  /**
   * A session that is a tunnel makes no requests that would renew it.
   * @param moved after so many messages of the client it is nothing but that tunnel
   */
  #keep(selection: Selection, session: string, peer: Peer, moved: number): void {
    const { sessions, timeout } = this.#settings;
    selection.keeper = new SessionKeeper(sessions, keyOf(session), peer.routeId, timeout, moved);
  }
}

/** Renews a session for as long as its tunnel is open, and forgets it with the tunnel that it has become. */
export class SessionKeeper implements DeadlineOwner {
  readonly #sessions: SharedCache;
  readonly #key: Buffer;
  readonly #routeId: string;
  readonly #timeout: number;
  readonly #moved: number;
  readonly #deadline = new Deadline(this);

  /** @param moved after so many messages of its client the session ends with the tunnel */
  constructor(sessions: SharedCache, key: Buffer, routeId: string, timeout: number, moved: number) {
    this.#sessions = sessions;
    this.#key = key;
    this.#routeId = routeId;
    this.#timeout = timeout;
    this.#moved = moved;
    this.#deadline.set(timeout / 2);
  }

  deadlineReached(): void {
    this.#sessions.store(this.#key, this.#routeId, this.#timeout, true);
    this.#deadline.set(this.#timeout / 2);
  }

  end(): void {
    this.#deadline.clear();
  }

  tunnelEnded(messages: number): void {
    this.end();
    if (messages >= this.#moved) this.#sessions.drop(this.#key, this.#timeout);
  }
}

/** A session's name is a secret of the client's: memory that all share holds its hash. */
function keyOf(session: string): Buffer {
  return hash('md5', Buffer.from(session, 'latin1'), 'buffer');
}
