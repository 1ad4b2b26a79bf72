// The same client to the same peer: `sticky route $variable …` as in nginx, and bare `sticky route`, which needs no help of the peers.

import { createHash, createHmac } from 'node:crypto';
import type { Exchange } from '../../exchange/exchange.ts';
import type { Text } from '../../exchange/settings.ts';
import type { Peer, PeerSettings } from '../peer.ts';
import type { Selection, Stickiness } from './balancer.ts';

/** nginx's: the peers hand out their `route`, in a cookie or in URIs of their own; nothing is set by us. */
export interface StickyRouteSettings {
  readonly kind: 'route';
  /** Where a request's route may stand; the first that is not empty counts. */
  readonly lookups: readonly Text[];
}

/** Ours: the route is a cookie that we set. */
export interface StickyCookieSettings {
  readonly kind: 'cookie';
  /** nginx's `$cookie_route`. */
  readonly cookie: Text;
  /** nginx's `$arg_route`, for clients that keep no cookies. */
  readonly argument: Text;
  /** 32 secret bytes that all workers and all configurations have in common. */
  readonly key: Buffer;
}

export type StickySettings = StickyRouteSettings | StickyCookieSettings;

/** What a cookie may hold (RFC 6265 section 4.1.1). */
const COOKIE_VALUE = /^[!#-+\--:<-[\]-~]+$/;
/** Bytes of the cookie's HMAC: enough that nobody finds an address by trying. */
const TOKEN_BYTES = 16;

/** What identifies a peer in a client's hands. */
export function routeIdOf(peer: PeerSettings, sticky: StickySettings | undefined): string {
  if (sticky === undefined) return '';
  if (sticky.kind === 'route') return peer.route !== '' ? peer.route : md5(peer.name);
  return COOKIE_VALUE.test(peer.route) ? peer.route : token(peer.name, sticky.key);
}

export function makeStickiness(sticky: StickySettings): Stickiness {
  return sticky.kind === 'route' ? new StickyRoute(sticky) : new StickyCookie(sticky);
}

/** nginx's SID of a peer without `route`: its address, hashed. */
function md5(name: string): string {
  return createHash('md5').update(name, 'latin1').digest('hex');
}

/** Tells a client nothing of the address, not even to one who tries them all: that needs the key. */
function token(name: string, key: Buffer): string {
  return createHmac('sha256', key).update(name, 'latin1').digest().subarray(0, TOKEN_BYTES).toString('base64url');
}

class StickyRoute implements Stickiness {
  readonly #lookups: readonly Text[];

  constructor(settings: StickyRouteSettings) {
    this.#lookups = settings.lookups;
  }

  begin(selection: Selection, exchange: Exchange): void {
    for (const lookup of this.#lookups) {
      selection.hint = lookup(exchange);
      if (selection.hint !== '') return;
    }
  }

  cookie(): undefined {}
}

class StickyCookie implements Stickiness {
  readonly #settings: StickyCookieSettings;

  constructor(settings: StickyCookieSettings) {
    this.#settings = settings;
  }

  begin(selection: Selection, exchange: Exchange): void {
    const { cookie, argument } = this.#settings;
    selection.cookieSeen = cookie(exchange);
    selection.hint = selection.cookieSeen !== '' ? selection.cookieSeen : argument(exchange);
    selection.overTls = exchange.link.channel.tls !== undefined;
  }

  cookie(selection: Selection, peer: Peer): string | undefined {
    if (selection.cookieSeen === peer.routeId) return undefined;
    return `route=${peer.routeId}; Path=/; HttpOnly; SameSite=Lax${selection.overTls ? '; Secure' : ''}`;
  }
}
