// A size with variables, such as `limit_rate $rate`: what is fixed is checked where it stands, the rest for each exchange.

import type { Kind } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseSize } from '../config/quantities.ts';
import type { Template } from '../config/template.ts';
import { argument, template } from '../config/values.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Workshop } from './draft.ts';

/** Bytes, with `k` or `m`, or variables. */
export function sizeValue<const Name extends string>(name: Name): Kind<Name, Template> {
  return argument(name, name, (_text, given, directive) => {
    const value = template(name).parse([given], directive);
    if (value.constant === undefined || parseSize(value.constant, 'km') !== undefined) return value;
    throw new ConfigError(`"${directive}" directive invalid value`, undefined, {
      mend: 'a number of bytes, or with k or m',
    });
  });
}

/** The size for an exchange in bytes; 0, and a line in the error log, where the variables make no size. Nothing said, or nothing at all, is 0. */
export function compileSize(
  value: Template | undefined,
  workshop: Workshop,
): ((exchange: Exchange) => number) | undefined {
  if (value === undefined) return undefined;
  if (value.constant !== undefined) {
    const fixed = parseSize(value.constant, 'km') ?? 0;
    return fixed === 0 ? undefined : () => fixed;
  }
  const text = workshop.text(value);
  return (exchange) => sizeOf(exchange, text(exchange));
}

function sizeOf(exchange: Exchange, text: string): number {
  if (text === '') return 0;
  const size = parseSize(text, 'km');
  if (size === undefined) exchange.log('error', `invalid size "${text}"`);
  return size ?? 0;
}
