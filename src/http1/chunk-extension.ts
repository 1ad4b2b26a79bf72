// The extensions behind a chunk's size: nobody reads them, but what is no extension may be a chunk to somebody else.

const TAB = 9;
const CR = 13;
const SPACE = 32;
const QUOTE = 34;
const SEMICOLON = 59;
const EQUALS = 61;
const BACKSLASH = 92;
const DELETE = 127;

/** After the semicolon: a name must begin. */
export const NAME_START = 0;
const NAME = 1;
const VALUE_START = 2;
const VALUE = 3;
const QUOTED = 4;
const QUOTED_PAIR = 5;
const QUOTED_END = 6;
/** The CR behind the last one has come. */
export const EXTENSION_ENDED = 7;
export const EXTENSION_BROKEN = 8;

const TOKEN_BYTES = new Uint8Array(256);
for (const byte of Buffer.from("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")) {
  TOKEN_BYTES[byte] = 1;
}

/** The state after `byte` (RFC 9112, 7.1.1, without the white space that it calls bad). */
export function extensionStateAfter(state: number, byte: number): number {
  switch (state) {
    case NAME_START:
      return TOKEN_BYTES[byte] === 1 ? NAME : EXTENSION_BROKEN;
    case NAME:
      if (byte === EQUALS) return VALUE_START;
      return TOKEN_BYTES[byte] === 1 ? NAME : afterExtension(byte);
    case VALUE_START:
      if (byte === QUOTE) return QUOTED;
      return TOKEN_BYTES[byte] === 1 ? VALUE : EXTENSION_BROKEN;
    case VALUE:
      return TOKEN_BYTES[byte] === 1 ? VALUE : afterExtension(byte);
    case QUOTED:
      return insideQuotes(byte);
    case QUOTED_PAIR:
      return isText(byte) ? QUOTED : EXTENSION_BROKEN;
    case QUOTED_END:
      return afterExtension(byte);
    default:
      return EXTENSION_BROKEN;
  }
}

function insideQuotes(byte: number): number {
  if (byte === QUOTE) return QUOTED_END;
  if (byte === BACKSLASH) return QUOTED_PAIR;
  return isText(byte) ? QUOTED : EXTENSION_BROKEN;
}

function afterExtension(byte: number): number {
  if (byte === SEMICOLON) return NAME_START;
  return byte === CR ? EXTENSION_ENDED : EXTENSION_BROKEN;
}

function isText(byte: number): boolean {
  return (byte >= SPACE && byte !== DELETE) || byte === TAB;
}
