// A directive that has taken the next line for its arguments: where its semicolon is missing.

import type { Registry } from './registry.ts';
import { lastLineOf } from './source.ts';
import type { Directive } from './tree.ts';

/**
 * For a directive with which something is wrong: a first word on a later line that is the name of a directive is likely to be one.
 * @returns the mend; undefined where there is no such word
 */
export function missingSemicolon({ at, args }: Directive, registry: Registry): string | undefined {
  let line = lastLineOf(at);
  for (const argument of args) {
    const begins = argument.at.line > line && !argument.quoted;
    if (begins && registry.declarations(argument.text).length > 0)
      return `is a ";" missing at the end of line ${line}?`;
    line = lastLineOf(argument.at);
  }
  return undefined;
}
