// What a peer says to us in `X-Accel-…`: go on elsewhere, buffer or not, at what rate, in which charset.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ignore_headers

import type { Exchange } from '../exchange/exchange.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { parseInternalTarget } from '../route/uri.ts';
import { overrideCharset } from './answer-charset.ts';
import type { ProxySettings } from './proxy-settings.ts';

/** What an answer keeps of its head when it is answered elsewhere: nginx's list. */
const KEPT_ON_REDIRECT: ReadonlySet<string> = new Set([
  'accept-ranges',
  'cache-control',
  'content-disposition',
  'content-type',
  'expires',
  'set-cookie',
]);

/** `X-Accel-Redirect`, where it says where to go on; undefined: the answer is the one to pass on. */
export function accelRedirect(head: ResponseHead, settings: ProxySettings): string | undefined {
  const target = said(head, settings, 'x-accel-redirect');
  return target === '' ? undefined : target;
}

/** Goes on at `target`; the peer's own body is not wanted. Its fields that concern the content stay. */
export function followAccelRedirect(
  exchange: Exchange,
  head: ResponseHead,
  settings: ProxySettings,
  target: string,
): void {
  keepFields(exchange, head, settings);
  if (target.startsWith('@')) {
    exchange.pipeline.redirectToNamed(exchange, target);
    return;
  }
  const uri = parseInternalTarget(target);
  if (uri === undefined) {
    exchange.log('error', `unsafe URI "${target}" was detected`);
    exchange.fail(404);
    return;
  }
  if (exchange.method !== 'HEAD') exchange.method = 'GET';
  exchange.pipeline.redirect(exchange, uri.path, uri.args);
}

function keepFields(exchange: Exchange, { headers }: ResponseHead, settings: ProxySettings): void {
  exchange.answer.remove('content-type');
  const from = exchange.answer.length;
  for (let i = 0; i < headers.length; i++) {
    const lowerName = headers.lowerNameAt(i);
    if (!KEPT_ON_REDIRECT.has(lowerName)) continue;
    exchange.answer.addFrom(headers, i);
  }
  for (const change of settings.changes) change(exchange, from);
}

/** How fast the answer goes to the client, in bytes in a second (0: as fast as it can), and in which charset, where the peer says it. */
export function obeyAccelManners(exchange: Exchange, head: ResponseHead, settings: ProxySettings): void {
  const rate = said(head, settings, 'x-accel-limit-rate');
  if (rate !== undefined && /^\d{1,15}$/.test(rate)) exchange.limitRate = Number(rate);
  const charset = said(head, settings, 'x-accel-charset');
  if (charset !== undefined && charset !== '') overrideCharset(exchange, charset);
}

/** Whether this answer is buffered: what `X-Accel-Buffering` says, else the configuration. */
export function accelBuffering(head: ResponseHead, settings: ProxySettings): boolean {
  const word = said(head, settings, 'x-accel-buffering')?.toLowerCase();
  return word === 'yes' || (word !== 'no' && settings.buffering);
}

function said(head: ResponseHead, { ignoreHeaders }: ProxySettings, lowerName: string): string | undefined {
  return ignoreHeaders.has(lowerName) ? undefined : head.headers.get(lowerName);
}
