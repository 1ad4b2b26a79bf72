// MurmurHash2 of 32 bits with seed 0, as nginx has it: what `split_clients` goes by.

const FACTOR = 0x5bd1e995;

/** @param text a byte string @returns an unsigned number of 32 bits */
export function murmurHash2(text: string): number {
  const whole = text.length & ~3;
  let hash = text.length;
  for (let at = 0; at < whole; at += 4) {
    let word = Math.imul(
      byteAt(text, at) | (byteAt(text, at + 1) << 8) | (byteAt(text, at + 2) << 16) | (byteAt(text, at + 3) << 24),
      FACTOR,
    );
    word = Math.imul(word ^ (word >>> 24), FACTOR);
    hash = Math.imul(hash, FACTOR) ^ word;
  }
  if (whole < text.length) hash = Math.imul(hash ^ restOf(text, whole), FACTOR);
  hash = Math.imul(hash ^ (hash >>> 13), FACTOR);
  return (hash ^ (hash >>> 15)) >>> 0;
}

const byteAt = (text: string, at: number): number => text.charCodeAt(at) & 0xff;

/** The one to three bytes behind the last whole word. */
function restOf(text: string, from: number): number {
  let rest = 0;
  for (let at = text.length - 1; at >= from; at--) rest = (rest << 8) | byteAt(text, at);
  return rest;
}
