// Lists of media types, as gzip_types and charset_types are: which answers a filter is for.

import { byteString, lowerCase } from '../config/source.ts';
import type { Argument, Position } from '../config/tree.ts';
import { argument } from '../config/values.ts';
import type { Workshop } from './draft.ts';

/** One of them, in lower case; `*`: all. */
export const typeKind = argument('type', 'type', (text, { at }: Argument) => ({
  type: lowerCase(byteString(text)),
  at,
}));

interface WrittenType {
  readonly type: string;
  readonly at: Position;
}

/** One set for each list, however many locations inherit it; what is to be said of it is said once. */
const typeSets = new WeakMap<
  readonly (readonly WrittenType[])[],
  { readonly types: ReadonlySet<string> | undefined }
>();

/**
 * The types that are written, and `text/html`, which always belongs to them.
 * @param usual those where nothing is written
 * @returns undefined: all
 */
export function answerTypes(
  written: readonly (readonly WrittenType[])[],
  usual: ReadonlySet<string>,
  workshop: Workshop,
): ReadonlySet<string> | undefined {
  if (written.length === 0) return usual;
  const known = typeSets.get(written);
  if (known !== undefined) return known.types;
  const types = new Set(['text/html']);
  for (const { type, at } of written.flat()) {
    if (types.has(type)) workshop.warn(`duplicate MIME type "${type}"`, at);
    types.add(type);
  }
  const found = types.has('*') ? undefined : types;
  typeSets.set(written, { types: found });
  return found;
}
