// nginx's `sticky learn`: sessions that the peers make are remembered, with the peer that made each, by all workers together.

import { hash } from 'node:crypto';
import type { Exchange } from '../../exchange/exchange.ts';
import type { Text } from '../../exchange/settings.ts';
import type { SharedCache } from '../../zones/shared-cache.ts';
import type { Peer } from '../peer.ts';
import type { Selection, Stickiness } from './balancer.ts';
import { firstText } from './first-text.ts';

export interface StickyLearnSettings {
  readonly kind: 'learn';
  /** The name of the zone, for the log. */
  readonly zone: string;
  readonly sessions: SharedCache;
  /** What names a new session, in an answer or in the request; the first that is not empty counts. */
  readonly creates: readonly Text[];
  /** What names the session that a request belongs to. */
  readonly lookups: readonly Text[];
  /** ms in which a session is forgotten unless it is used. */
  readonly timeout: number;
  /** A session is learned from the head of an answer, not only when the answer has come whole. */
  readonly header: boolean;
}

export class StickyLearn implements Stickiness {
  readonly #settings: StickyLearnSettings;

  constructor(settings: StickyLearnSettings) {
    this.#settings = settings;
  }

  begin(selection: Selection, exchange: Exchange): void {
    const { sessions, lookups, timeout } = this.#settings;
    const session = firstText(lookups, exchange);
    selection.session = session;
    if (session !== '') selection.hint = sessions.find(keyOf(session), timeout) ?? '';
  }

  cookie(): undefined {}

  answered(selection: Selection, exchange: Exchange, peer: Peer): void {
    if (this.#settings.header) this.#learn(selection, exchange, peer);
  }

  finished(selection: Selection, exchange: Exchange, peer: Peer): void {
    if (!this.#settings.header) this.#learn(selection, exchange, peer);
  }

  /** A session that is only asked for is renewed, and moved to the peer that has answered, but not made. */
  #learn(selection: Selection, exchange: Exchange, peer: Peer): void {
    const { sessions, creates, timeout, zone } = this.#settings;
    const created = firstText(creates, exchange);
    const session = created !== '' ? created : selection.session;
    if (session === '') return;
    const displaced = sessions.store(keyOf(session), peer.routeId, timeout, created !== '');
    if (!displaced) return;
    const where = `in sticky session zone "${zone}"`;
    exchange.log('warn', `could not allocate node ${where}, expiring least recently used session`);
  }
}

/** A session's name is a secret of the client's: memory that all share holds its hash. */
function keyOf(session: string): Buffer {
  return hash('md5', Buffer.from(session, 'latin1'), 'buffer');
}
