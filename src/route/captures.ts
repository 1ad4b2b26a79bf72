// What a matching regular expression leaves behind for `$1` and `$name`.

import type { Exchange } from '../exchange/exchange.ts';

/**
 * Keeps a match for the variables. As in nginx, `$1` … are those of the last expression that matched, while a named
 * capture stays until an expression with the same name matches.
 */
export function keepCaptures(exchange: Exchange, match: RegExpExecArray): void {
  exchange.captures = match;
  if (match.groups === undefined) return;
  const named: Record<string, string> = Object.assign(Object.create(null), exchange.namedCaptures);
  for (const name of Object.keys(match.groups)) named[name] = match.groups[name] ?? '';
  exchange.namedCaptures = named;
}

/** Gives a named capture another value, as `set` does. */
export function nameCapture(exchange: Exchange, name: string, value: string): void {
  exchange.namedCaptures = Object.assign(Object.create(null), exchange.namedCaptures, { [name]: value });
}
