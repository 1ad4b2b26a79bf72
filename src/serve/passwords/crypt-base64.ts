// The letters that crypt(3) writes its hashes with: six bits each, the lowest first.

export const CRYPT_LETTERS = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Writes the low `6 * letters` bits of a number. */
export function cryptLetters(value: number, letters: number): string {
  let text = '';
  let rest = value;
  for (let i = 0; i < letters; i++) {
    text += CRYPT_LETTERS.charAt(rest & 63);
    rest >>>= 6;
  }
  return text;
}

/** Writes bytes of a hash three by three, in the order that the scheme gives, the highest byte first. */
export function cryptTriples(hash: Buffer, order: readonly (readonly [number, number, number])[]): string {
  return order.map(([a, b, c]) => cryptLetters(wordOf(hash, a, b, c), 4)).join('');
}

function wordOf(hash: Buffer, a: number, b: number, c: number): number {
  return ((hash[a] as number) << 16) | ((hash[b] as number) << 8) | (hash[c] as number);
}
