// nginx's `sticky cookie`: each answer sets a cookie that names the peer.

import type { Exchange } from '../../exchange/exchange.ts';
import type { Text } from '../../exchange/settings.ts';
import type { Peer } from '../peer.ts';
import type { Selection, Stickiness } from './balancer.ts';

export interface StickyCookieSettings {
  readonly kind: 'cookie';
  readonly name: string;
  /** nginx's `$cookie_NAME`. */
  readonly lookup: Text;
  /** Seconds, or `max`: the end of 2037. Default: the cookie lasts as long as the browser's session. */
  readonly expires?: number | 'max' | undefined;
  /** Left out where it says nothing. */
  readonly domain?: Text | undefined;
  readonly path?: string | undefined;
  readonly httpOnly: boolean;
  readonly secure: boolean;
  /** Left out where it says nothing; `strict` where it says none of strict, lax, none. */
  readonly sameSite?: Text | undefined;
}

export const SAME_SITE = /^(?:strict|lax|none)$/i;

const MAX_EXPIRES = '; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000';
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** Years from here on have four figures; before, as Netscape had it, two. */
const LAST_SHORT_YEAR = 2037;

/** `Thu, 31-Dec-37 23:55:55 GMT` */
function cookieTime(date: Date): string {
  const two = (number: number): string => `${number}`.padStart(2, '0');
  const year = date.getUTCFullYear();
  const day = `${two(date.getUTCDate())}-${MONTHS[date.getUTCMonth()]}-${year > LAST_SHORT_YEAR ? year : two(year % 100)}`;
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':');
  return `${DAYS[date.getUTCDay()]}, ${day} ${time} GMT`;
}

export class StickyCookie implements Stickiness {
  readonly #settings: StickyCookieSettings;
  /** What is the same for all answers. */
  readonly #flags: string;

  constructor(settings: StickyCookieSettings) {
    this.#settings = settings;
    this.#flags = `${settings.httpOnly ? '; httponly' : ''}${settings.secure ? '; secure' : ''}`;
  }

  begin(selection: Selection, exchange: Exchange): void {
    selection.hint = this.#settings.lookup(exchange);
  }

  cookie(_: Selection, exchange: Exchange, peer: Peer): string {
    const { name, path } = this.#settings;
    const where = path === undefined ? '' : `; path=${path}`;
    const until = this.#expires() + this.#domain(exchange);
    return `${name}=${peer.routeId}${until}${this.#flags}${this.#sameSite(exchange)}${where}`;
  }

  answered(): void {}
  finished(): void {}

  #expires(): string {
    const { expires } = this.#settings;
    if (expires === undefined) return '';
    if (expires === 'max') return MAX_EXPIRES;
    return `; expires=${cookieTime(new Date(Date.now() + expires * 1000))}; max-age=${expires}`;
  }

  #domain(exchange: Exchange): string {
    const domain = this.#settings.domain?.(exchange) ?? '';
    return domain === '' ? '' : `; domain=${domain}`;
  }

  #sameSite(exchange: Exchange): string {
    const said = this.#settings.sameSite?.(exchange) ?? '';
    if (said === '') return '';
    return `; samesite=${SAME_SITE.test(said) ? said : 'strict'}`;
  }
}
