// Bytes to text, one character below 256 for each byte: nothing is decoded, so nothing can be decoded differently.

/** `Buffer` has this method on every Node, but its types leave it out; it skips what `toString` looks at first. */
interface Latin1Source {
  latin1Slice(start: number, end: number): string;
}

/** The bytes `[start, end)` as a string of its own. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return (bytes as unknown as Latin1Source).latin1Slice(start, end);
}
