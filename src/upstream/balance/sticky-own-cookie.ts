// Bare `sticky route`, which is ours and needs no help of the peers: the route is a cookie that we set.

import { createHmac } from 'node:crypto';
import type { Exchange } from '../../exchange/exchange.ts';
import type { Text } from '../../exchange/settings.ts';
import type { Peer, PeerSettings } from '../peer.ts';
import type { Selection, Stickiness } from './balancer.ts';

export interface StickyOwnCookieSettings {
  readonly kind: 'own cookie';
  /** nginx's `$cookie_route`. */
  readonly cookie: Text;
  /** nginx's `$arg_route`, for clients that keep no cookies. */
  readonly argument: Text;
  /** 32 secret bytes that all workers and all configurations have in common. */
  readonly key: Buffer;
}

/** What a cookie may hold (RFC 6265 section 4.1.1). */
const COOKIE_VALUE = /^[!#-+\--:<-[\]-~]+$/;
/** Bytes of the cookie's HMAC: enough that nobody finds an address by trying. */
const TOKEN_BYTES = 16;

/** A peer's `route` where a cookie can hold it; else what tells a client nothing of its address, not even one who tries them all. */
export function ownRouteId(peer: PeerSettings, key: Buffer): string {
  if (COOKIE_VALUE.test(peer.route)) return peer.route;
  return createHmac('sha256', key).update(peer.name, 'latin1').digest().subarray(0, TOKEN_BYTES).toString('base64url');
}

export class StickyOwnCookie implements Stickiness {
  readonly #settings: StickyOwnCookieSettings;

  constructor(settings: StickyOwnCookieSettings) {
    this.#settings = settings;
  }

  begin(selection: Selection, exchange: Exchange): void {
    const { cookie, argument } = this.#settings;
    selection.cookieSeen = cookie(exchange);
    selection.hint = selection.cookieSeen !== '' ? selection.cookieSeen : argument(exchange);
    selection.overTls = exchange.link.channel.tls !== undefined;
  }

  cookie(selection: Selection, _: Exchange, peer: Peer): string | undefined {
    if (selection.cookieSeen === peer.routeId) return undefined;
    return `route=${peer.routeId}; Path=/; HttpOnly; SameSite=Lax${selection.overTls ? '; Secure' : ''}`;
  }

  answered(): void {}
  finished(): void {}
}
