// The named groups of the configuration's regular expressions, as variables.

import type { Exchange } from '../exchange/exchange.ts';
import { nameCapture } from '../route/captures.ts';
import type { Workshop } from './draft.ts';

/** `(?<name>…)` defines `$name`, in a location, a server name or a map. */
export function defineCaptures(workshop: Workshop, regexp: RegExp): void {
  for (const name of groupNames(regexp)) {
    workshop.variables.define(name, (exchange) => exchange.namedCaptures?.[name], {
      changeable: true,
      set: (exchange: Exchange, value: string) => nameCapture(exchange, name, value),
    });
  }
}

/** An expression that may also be empty fits the empty text, and its match names all groups. */
function groupNames(regexp: RegExp): readonly string[] {
  return Object.keys(new RegExp(`${regexp.source}|`, regexp.flags).exec('')?.groups ?? {});
}
