// A value over several lines, as `$ssl_client_cert` has it, for one line: folding is forbidden (RFC 9112 section 5.2).

import { isFieldValue } from './headers.ts';

/** A line break with white space behind it only goes on with the same value; as nobody shall send that, it becomes one space. */
const FOLD = /\r?\n[ \t]+/g;

/** @returns the value as it may stand in a field line; undefined where it has a line break or a NUL all the same */
export function unfolded(value: string): string | undefined {
  if (isFieldValue(value)) return value;
  const line = value.replace(FOLD, ' ');
  return isFieldValue(line) ? line : undefined;
}
