// Servers that say different things of what is spoken on one address: all of it is spoken there, and nginx's warning tells them.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#listen

import type { DraftListen, Workshop } from './draft.ts';

const PROXY_PROTOCOL = 1;
const SSL = 2;
const HTTP2 = 4;

function protocolsOf({ proxyProtocol, ssl, http2 }: DraftListen): number {
  return (proxyProtocol ? PROXY_PROTOCOL : 0) | (ssl ? SSL : 0) | (http2 ? HTTP2 : 0);
}

/**
 * The rule is nginx's: one server may have the protocols that the others leave out, be it the first one or the one with the
 * options of the socket. Whoever goes on to say something else is told.
 * @param listens of one address, in the order of the configuration
 */
export function warnOfProtocols(listens: readonly DraftListen[], workshop: Workshop): void {
  const [first, ...others] = listens;
  if (first === undefined) return;
  let all = protocolsOf(first);
  let { hasOptions } = first;
  /** What those after the one with more are to say; undefined until it is known. */
  let usual: number | undefined;
  let changed = false;
  for (const listen of others) {
    const own = protocolsOf(listen);
    hasOptions ||= listen.hasOptions;
    const isUnusual = usual !== undefined && own !== usual;
    const adds = (own & ~all) !== 0;
    const lacks = (all & ~own) !== 0;
    let redefined: boolean;
    if (adds) redefined = (hasOptions && !listen.hasOptions) || changed || lacks;
    else if (lacks) redefined = listen.hasOptions || isUnusual;
    else redefined = (listen.hasOptions && changed) || isUnusual;
    if (redefined) workshop.warn(`protocol options redefined for ${listen.address.key}`, listen.at);
    usual = adds ? all : own;
    changed ||= adds || lacks;
    all |= own;
  }
}
