// Whether a client may have an answer compressed, by nginx's rules.
// https://nginx.org/en/docs/http/ngx_http_gzip_module.html

import type { CompressionSettings, Exchange } from '../exchange/exchange.ts';
import type { Headers } from '../http1/headers.ts';
import { parseHttpDate } from '../http1/http-date.ts';

/** `Accept-Encoding`, `gzip_http_version`, `gzip_proxied` and `gzip_disable` agree. The fields of the answer must be there already. */
export function acceptsGzip(exchange: Exchange): boolean {
  const { head, location } = exchange;
  const { compression } = location;
  const accepted = head.headers.get('accept-encoding');
  if (accepted === undefined || !namesGzip(accepted) || head.version < compression.httpVersion) return false;
  if (head.headers.has('via') && !isForProxies(exchange, compression.proxied)) return false;
  const browser = head.headers.get('user-agent');
  return browser === undefined || !compression.disabledFor(browser);
}

/** Tells caches that there are two forms of this answer, where `gzip_vary` says so. */
export function varyByEncoding({ answer, location }: Exchange): void {
  if (!location.compression.vary) return;
  for (let i = 0; i < answer.length; i++) {
    if (answer.lowerNameAt(i) === 'vary' && answer.valueAt(i).toLowerCase() === 'accept-encoding') return;
  }
  answer.add('Vary', 'Accept-Encoding');
}

const GZIP = /(?:^|[, ])gzip(?: *(?:$|,)| *; *(?:$|q=([01](?:\.[0-9]*)?)(?:[, ]|$)))/i;

/** nginx looks for the first `gzip` that stands at the begin of a word, whatever comes behind. `x-gzip` is none. */
export function namesGzip(accepted: string): boolean {
  if (accepted.startsWith('gzip,')) return true;
  const first = /(?:^|[, ])gzip/i.exec(accepted);
  if (first === null) return false;
  const match = GZIP.exec(accepted.slice(first.index));
  return match !== null && match.index === 0 && (match[1] === undefined || isAboveZero(match[1]));
}

/** A quality is 0 to 1 with up to three decimals (RFC 9110 section 12.4.2). */
function isAboveZero(quality: string): boolean {
  return quality.length <= '0.000'.length && Number(quality) > 0 && Number(quality) <= 1;
}

/** The request came through a proxy: what the answer says of caching decides. */
function isForProxies({ head, answer }: Exchange, proxied: CompressionSettings['proxied']): boolean {
  if (proxied.has('off')) return false;
  if (proxied.has('any') || (proxied.has('auth') && head.headers.has('authorization'))) return true;
  const expires = answer.get('expires');
  if (expires !== undefined) return proxied.has('expired') && isPast(expires, answer);
  const control = answer.getJoined('cache-control');
  if (control !== undefined) return directives(control).some((one) => CONTROLS.has(one) && proxied.has(one));
  if (proxied.has('no_last_modified') && answer.has('last-modified')) return false;
  return !(proxied.has('no_etag') && answer.has('etag'));
}

const CONTROLS: ReadonlySet<string> = new Set(['no-cache', 'no-store', 'private']);

function directives(control: string): string[] {
  return control.split(',').map((one) => one.trim().toLowerCase());
}

function isPast(expires: string, answer: Headers): boolean {
  const date = answer.get('date');
  const now = date === undefined ? Date.now() : parseHttpDate(date);
  const then = parseHttpDate(expires);
  return then !== undefined && now !== undefined && then < now;
}
