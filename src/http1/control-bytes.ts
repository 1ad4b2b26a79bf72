// Where the next control byte stands. A head is read at this function's speed, so it looks at four bytes at a time.

const TAB = 9;
const DELETE = 127;

/** The memory that was looked at last: most heads come in the one read buffer of the transport. */
let lastWords: Int32Array = new Int32Array(0);
let lastMemory: ArrayBufferLike = lastWords.buffer;

/** The memory that `bytes` is a part of, four bytes each: get it once, then use it for all lines. */
export function wordsOf(bytes: Uint8Array): Int32Array {
  const memory = bytes.buffer;
  if (memory !== lastMemory) {
    lastMemory = memory;
    lastWords = new Int32Array(memory, 0, memory.byteLength >> 2);
  }
  return lastWords;
}

/**
 * The index of the first byte in `[at, end)` that no field value may have: below 32, but for HTAB, or 127 (RFC 9110, 5.5);
 * `end` when there is none. `words` are those of `bytes`.
 */
export function nextControl(bytes: Uint8Array, words: Int32Array, at: number, end: number): number {
  const offset = bytes.byteOffset;
  let i = at;
  for (;;) {
    while (i < end && ((i + offset) & 3) !== 0) {
      if (isControl(bytes[i] as number)) return i;
      i++;
    }
    i = nextSuspect(words, (i + offset) >> 2, (end + offset) >> 2, i + offset) - offset;
    if (i >= end) return end;
    if (isControl(bytes[i] as number)) return i;
    i++;
  }
}

/** The position in memory of the first word that may hold a control byte, or from which on bytes must be looked at one by one. */
function nextSuspect(words: Int32Array, from: number, to: number, position: number): number {
  let word = from;
  while (word < to && !mayHaveControl(words[word] as number)) word++;
  return word === from ? position : word << 2;
}

function isControl(byte: number): boolean {
  return (byte < 32 && byte !== TAB) || byte === DELETE;
}

/**
 * Whether one of the four bytes may be below 32 or 127: subtracting 32 from the one, or adding 1 to the other, changes its
 * highest bit. A borrow or a carry can make it true without cause, never false.
 */
function mayHaveControl(word: number): boolean {
  return (((word - 0x20202020) | (word + 0x01010101)) & ~word & 0x80808080) !== 0;
}
