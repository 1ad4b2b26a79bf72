// Whether a line ends where its first control byte stands.

import { NEED_MORE, REFUSED } from './feed-result.ts';

const LF = 10;
const CR = 13;

/**
 * The index after the line whose first control byte is at `at`, NEED_MORE, or REFUSED when that byte ends no line.
 * @param bareLf whether LF alone does
 */
export function afterLine(bytes: Uint8Array, at: number, end: number, bareLf: boolean): number {
  if (at === end) return NEED_MORE;
  if (bytes[at] === LF) return bareLf ? at + 1 : REFUSED;
  if (bytes[at] !== CR) return REFUSED;
  if (at + 1 === end) return NEED_MORE;
  return bytes[at + 1] === LF ? at + 2 : REFUSED;
}

/** The index after the bytes that one must have seen to know that the one at `at` ends no line. */
export function afterFault(bytes: Uint8Array, at: number): number {
  return bytes[at] === CR ? at + 2 : at + 1;
}
