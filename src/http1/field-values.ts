// The few field values that decide how a message is read: strict, for two readers must not read them differently.

/** Options of a Connection field, as bits. */
export const CLOSE = 1;
export const KEEP_ALIVE = 2;
export const UPGRADE_OPTION = 4;

/**
 * The length that a Content-Length value names (RFC 9112, 6.2), or -1 when it is not one number of digits alone that we
 * can count to.
 */
export function contentLengthOf(value: string): number {
  if (value.length === 0) return -1;
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
    if (length > Number.MAX_SAFE_INTEGER) return -1;
  }
  return length;
}

/** Whether a Transfer-Encoding value is `chunked` and nothing else: whoever lists more may be read differently by the next one. */
export function isChunked(value: string): boolean {
  return value === 'chunked' || value.toLowerCase() === 'chunked';
}

/** Which of the options that we act on a Connection value lists (RFC 9110, 7.6.1). */
export function connectionOptionsOf(value: string): number {
  if (value === 'keep-alive') return KEEP_ALIVE;
  if (value === 'close') return CLOSE;
  let options = 0;
  for (const part of value.toLowerCase().split(',')) options |= optionOf(part.trim());
  return options;
}

/** What of a value is shown in a log. */
const LONGEST_SHOWN = 200;

/** A value for a sentence in a log, cut where it is too long for one. */
export function shown(value: string): string {
  return value.length <= LONGEST_SHOWN ? value : `${value.slice(0, LONGEST_SHOWN)}...`;
}

function optionOf(name: string): number {
  if (name === 'close') return CLOSE;
  if (name === 'keep-alive') return KEEP_ALIVE;
  return name === 'upgrade' ? UPGRADE_OPTION : 0;
}
