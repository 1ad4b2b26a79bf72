// nginx's `sticky` in its kinds, as settings, and what identifies a peer for each of them.

import { createHash } from 'node:crypto';
import type { PeerSettings } from '../peer.ts';
import type { Stickiness } from './balancer.ts';
import { StickyCookie, type StickyCookieSettings } from './sticky-cookie.ts';
import { StickyEngineio, type StickyEngineioSettings } from './sticky-engineio.ts';
import { StickyLearn, type StickyLearnSettings } from './sticky-learn.ts';
import { ownRouteId, StickyOwnCookie, type StickyOwnCookieSettings } from './sticky-own-cookie.ts';
import { StickyRoute, type StickyRouteSettings } from './sticky-route.ts';

/** https://nginx.org/en/docs/http/ngx_http_upstream_module.html#sticky */
export type StickySettings =
  | StickyRouteSettings
  | StickyCookieSettings
  | StickyLearnSettings
  | StickyOwnCookieSettings
  | StickyEngineioSettings;

/** What identifies a peer in a client's hands; '' where nothing is sticky. */
export function routeIdOf(peer: PeerSettings, sticky: StickySettings | undefined): string {
  if (sticky === undefined) return '';
  if (sticky.kind === 'own cookie') return ownRouteId(peer, sticky.key);
  return peer.route !== '' ? peer.route : md5(peer.name);
}

export function makeStickiness(sticky: StickySettings): Stickiness {
  switch (sticky.kind) {
    case 'route':
      return new StickyRoute(sticky);
    case 'cookie':
      return new StickyCookie(sticky);
    case 'learn':
      return new StickyLearn(sticky);
    case 'own cookie':
      return new StickyOwnCookie(sticky);
    case 'engineio':
      return new StickyEngineio(sticky);
  }
}

/** nginx's SID of a peer without `route`: its address, hashed. */
function md5(name: string): string {
  return createHash('md5').update(name, 'latin1').digest('hex');
}
