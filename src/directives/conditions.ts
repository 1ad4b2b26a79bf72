// Conditions made of strings with variables: `early_hints $a $b`.

import type { Template } from '../config/template.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Workshop } from './draft.ts';

/** Whether one of the conditions has a value that is not `0`; undefined where there are none. */
export function anyOf(
  conditions: readonly Template[],
  workshop: Workshop,
): ((exchange: Exchange) => boolean) | undefined {
  if (conditions.length === 0) return undefined;
  const texts = conditions.map((condition) => workshop.text(condition));
  return (exchange) => texts.some((text) => !['', '0'].includes(text(exchange)));
}
