// Bodies from one charset into another, by the tables of `charset_map`.
// https://nginx.org/en/docs/http/ngx_http_charset_module.html#charset_map

/** Takes the next piece of a body, and gives what it is in the other charset. What it gives is its own, what it takes it does not keep. */
export type Recode = (bytes: Uint8Array) => Uint8Array;

/** How the bodies of one charset become those of another. */
export interface Conversion {
  /** For one body, piece by piece. */
  start(): Recode;
  /** One byte stays one byte. */
  readonly keepsLength: boolean;
  /** Bytes below 128 stay what they are. */
  readonly keepsAscii: boolean;
}

const UNKNOWN = 0x3f; // ?
const ASCII = 128;

/** @param bytes of each byte, the other; what it does not name and is no ASCII becomes `?` */
export function betweenBytes(bytes: ReadonlyMap<number, number>): Conversion {
  const table = new Uint8Array(256).map((_, byte) => bytes.get(byte) ?? (byte < ASCII ? byte : UNKNOWN));
  const keepsAscii = table.subarray(0, ASCII).every((to, from) => to === from);
  return { start: () => (piece) => piece.map((byte) => table[byte] as number), keepsLength: true, keepsAscii };
}

/** @param characters of each byte, the character in UTF-8, of 3 bytes at most; what it does not name and is no ASCII becomes `?` */
export function intoUtf8(characters: ReadonlyMap<number, Uint8Array>): Conversion {
  const table = Array.from({ length: 256 }, (_, byte) => {
    return characters.get(byte) ?? Uint8Array.of(byte < ASCII ? byte : UNKNOWN);
  });
  return { start: () => (piece) => writeUtf8(piece, table), keepsLength: false, keepsAscii: false };
}

const LONGEST = 3;

function writeUtf8(piece: Uint8Array, table: readonly Uint8Array[]): Uint8Array {
  const written = Buffer.allocUnsafe(piece.length * LONGEST);
  let at = 0;
  for (const byte of piece) for (const one of table[byte] as Uint8Array) written[at++] = one;
  return written.subarray(0, at);
}

/** @param bytes of each code point, its byte; ASCII stays as it is, and what has no byte becomes `&#1234;` */
export function fromUtf8(bytes: ReadonlyMap<number, number>): Conversion {
  return { start: () => startUtf8(bytes), keepsLength: false, keepsAscii: true };
}

/** What may come of a body's byte at the most: `&#2047;` of two. */
const GROWTH = 4;

function startUtf8(bytes: ReadonlyMap<number, number>): Recode {
  /** The beginning of a character whose end has not come. */
  let rest: Uint8Array = new Uint8Array();
  return (piece) => {
    const text = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    const written = Buffer.allocUnsafe(text.length * GROWTH);
    let at = 0;
    let index = 0;
    for (let next: number; index < text.length; index = next) {
      const first = text[index] as number;
      next = first < ASCII ? index + 1 : endOfCharacter(text, index);
      if (next === INCOMPLETE) break;
      if (first < ASCII) written[at++] = first;
      else at = writeCharacter(written, at, codePoint(text, index, next), bytes);
    }
    rest = Uint8Array.from(text.subarray(index));
    return written.subarray(0, at);
  };
}

/** @returns the index behind what was written */
function writeCharacter(to: Buffer, at: number, code: number, bytes: ReadonlyMap<number, number>): number {
  const byte = code === INVALID ? UNKNOWN : bytes.get(code);
  if (byte === undefined) return at + to.write(`&#${code};`, at, 'latin1');
  to[at] = byte;
  return at + 1;
}

const INCOMPLETE = -1;
const INVALID = -1;

/** How long a character is that begins with this byte; 1: none begins so. */
function lengthBy(first: number): number {
  if (first < 0xc2 || first > 0xf4) return 1;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/** Behind the character, or behind what there is of it where it breaks off. */
function endOfCharacter(text: Uint8Array, start: number): number {
  const end = start + lengthBy(text[start] as number);
  for (let index = start + 1; index < end; index++) {
    if (index === text.length) return INCOMPLETE;
    if (((text[index] as number) & 0xc0) !== 0x80) return index;
  }
  return end;
}

/** The least code point that may be written in so many bytes. */
const LEAST = [0, 0, 0x80, 0x800, 0x10000];
const MOST = 0x10ffff;

function codePoint(text: Uint8Array, start: number, end: number): number {
  const first = text[start] as number;
  const length = lengthBy(first);
  if (length === 1 || end - start < length) return INVALID;
  let code = first & (0x7f >> length);
  for (let index = start + 1; index < end; index++) code = (code << 6) | ((text[index] as number) & 0x3f);
  return code < (LEAST[length] as number) || code > MOST ? INVALID : code;
}
