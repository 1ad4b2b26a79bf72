// Whether a text is UTF-8, byte by byte as it comes, however it is cut (RFC 3629 section 4).

export class Utf8Check {
  /** Bytes of the character that has begun, still to come. */
  #left = 0;
  /** What the next of them may be. */
  #lowest = 0x80;
  #highest = 0xbf;

  /** No character is cut here. */
  get whole(): boolean {
    return this.#left === 0;
  }

  /** A new text begins. */
  reset(): void {
    this.#left = 0;
  }

  /** @returns whether the text can go on so */
  takes(byte: number): boolean {
    if (this.#left > 0) return this.#takesNext(byte);
    return byte < 0x80 || this.#begins(byte);
  }

  #takesNext(byte: number): boolean {
    if (byte < this.#lowest || byte > this.#highest) return false;
    this.#lowest = 0x80;
    this.#highest = 0xbf;
    this.#left--;
    return true;
  }

  /** Neither a longer form than needed, nor a surrogate, nor what is above U+10FFFF. */
  #begins(byte: number): boolean {
    if (byte >= 0xc2 && byte <= 0xdf) return this.#expect(1, 0x80, 0xbf);
    if (byte >= 0xe0 && byte <= 0xef) return this.#expect(2, byte === 0xe0 ? 0xa0 : 0x80, byte === 0xed ? 0x9f : 0xbf);
    if (byte >= 0xf0 && byte <= 0xf4) return this.#expect(3, byte === 0xf0 ? 0x90 : 0x80, byte === 0xf4 ? 0x8f : 0xbf);
    return false;
  }

  #expect(left: number, lowest: number, highest: number): true {
    this.#left = left;
    this.#lowest = lowest;
    this.#highest = highest;
    return true;
  }
}
