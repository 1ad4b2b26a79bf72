// How proxy_redirect and proxy_cookie_… make other values of an answer's: the first rewrite that fits counts.

import type { Exchange, Text } from '../exchange/exchange.ts';
import { keepCaptures } from '../route/captures.ts';
import type { Workshop } from './draft.ts';
import { defineCaptures } from './named-captures.ts';

/** Makes another value; undefined where it does not fit. */
export type Rewrite = (exchange: Exchange, value: string) => string | undefined;

/** What the first one that fits makes; undefined: none does. */
export function rewriteValue(exchange: Exchange, value: string, rewrites: readonly Rewrite[]): string | undefined {
  for (const rewrite of rewrites) {
    const made = rewrite(exchange, value);
    if (made !== undefined) return made;
  }
  return undefined;
}

/** Puts another beginning in the place of this one. */
export function prefixRewrite(prefix: Text, replacement: Text): Rewrite {
  return (exchange, value) => {
    const from = prefix(exchange);
    return value.startsWith(from) ? replacement(exchange) + value.slice(from.length) : undefined;
  };
}

/** Puts the replacement in the place of a whole value in which the expression is found. */
export function regexRewrite(regexp: RegExp, replacement: Text, workshop: Workshop): Rewrite {
  defineCaptures(workshop, regexp);
  return (exchange, value) => (fits(exchange, regexp, value) ? replacement(exchange) : undefined);
}

/** Whether the expression is found; its captures are the exchange's then. */
export function fits(exchange: Exchange, regexp: RegExp, value: string): boolean {
  const match = regexp.exec(value);
  if (match === null) return false;
  keepCaptures(exchange, match);
  return true;
}
