// nginx's rules for a location inside another one.

import { ConfigError } from '../config/errors.ts';
import type { LocationDraft } from './draft.ts';

/** @throws ConfigError for a location that must not stand where it stands */
export function checkNesting({ pattern, parent, at }: LocationDraft): void {
  const outer = parent?.pattern;
  if (pattern === undefined || outer === undefined) return;
  if (outer.kind === 'exact')
    throw new ConfigError(`location "${pattern.text}" cannot be inside the exact location "${outer.text}"`, at);
  if (outer.kind === 'named')
    throw new ConfigError(`location "${pattern.text}" cannot be inside the named location "${outer.text}"`, at);
  if (pattern.kind === 'named')
    throw new ConfigError(`named location "${pattern.text}" can be on the server level only`, at);
  // Of a location with an expression nginx looks at the text of the expression, as if it were a prefix.
  if (pattern.kind !== 'regex' && !pattern.text.startsWith(outer.text))
    throw new ConfigError(`location "${pattern.text}" is outside location "${outer.text}"`, at);
}
