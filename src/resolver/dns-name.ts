// Names as DNS messages have them: labels with their lengths, perhaps ending in a pointer to an earlier place (RFC 1035 section 4.1.4).

/** Characters of a name, its dots included. DNS has 253; nginx takes 255, and so do we. */
const LONGEST_NAME = 255;
const LONGEST_LABEL = 63;
const POINTER = 0xc0;
/** Pointers that one name may follow; nginx's. A message has room for thousands in a row, and for thousands of names that begin with them. */
const MOST_POINTERS = 128;

/** The name on the wire; undefined where it cannot be asked for: an empty or too long label, too long a whole. */
export function encodeName(name: string): Buffer | undefined {
  if (name.length === 0 || name.length > LONGEST_NAME) return undefined;
  const bytes = Buffer.alloc(name.length + 2);
  let at = 0;
  for (const label of name.split('.')) {
    if (label.length === 0 || label.length > LONGEST_LABEL) return undefined;
    bytes[at] = label.length;
    at += 1 + bytes.write(label, at + 1, 'latin1');
  }
  return bytes;
}

/** A name that was read. */
export interface ReadName {
  /** In lower case, without a dot at its end: DNS knows no case. */
  readonly name: string;
  /** Where what follows it begins. */
  readonly end: number;
}

/**
 * Reads a name. A pointer must lead to what stands before the piece that it ends, so no name goes in circles.
 * @returns undefined where it is cut short, has too many pointers, is longer than allowed, or nobody could write it as text
 */
export function readName(message: Uint8Array, start: number): ReadName | undefined {
  let name = '';
  let at = start;
  let piece = start;
  let end = -1;
  let pointers = 0;
  for (;;) {
    const length = message[at];
    if (length === undefined) return undefined;
    if (length === 0) return { name, end: end < 0 ? at + 1 : end };
    if ((length & POINTER) === POINTER) {
      const low = message[at + 1];
      if (low === undefined) return undefined;
      if (end < 0) end = at + 2;
      const target = ((length & ~POINTER) << 8) | low;
      if (target >= piece || ++pointers > MOST_POINTERS) return undefined;
      at = target;
      piece = target;
      continue;
    }
    const label = readLabel(message, at, length);
    if (label === undefined) return undefined;
    name = name === '' ? label : `${name}.${label}`;
    if (name.length > LONGEST_NAME) return undefined;
    at += 1 + length;
  }
}

const DOT = 0x2e;

function readLabel(message: Uint8Array, at: number, length: number): string | undefined {
  if (length > LONGEST_LABEL || at + 1 + length > message.length) return undefined;
  let label = '';
  for (let index = at + 1; index <= at + length; index++) {
    const byte = message[index] as number;
    // A dot within a label, or a control byte, could pass for something else where names are text.
    if (byte === DOT || byte <= 0x20 || byte === 0x7f) return undefined;
    label += String.fromCharCode(byte);
  }
  return label.toLowerCase();
}
