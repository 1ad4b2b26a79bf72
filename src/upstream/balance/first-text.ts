// Several variables of which the first that says anything counts.

import type { Exchange } from '../../exchange/exchange.ts';
import type { Text } from '../../exchange/settings.ts';

/** @returns '' where none of them says anything */
export function firstText(texts: readonly Text[], exchange: Exchange): string {
  for (const text of texts) {
    const said = text(exchange);
    if (said !== '') return said;
  }
  return '';
}
