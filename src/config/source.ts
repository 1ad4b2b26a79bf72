// A configuration file's text and the places in it; how bytes become text and text becomes bytes again.

import { isUtf8 } from 'node:buffer';

/** A place in a file: lines and columns count from 1, `offset` is in the file's text; `length` in characters is what a caret marks. */
export interface Position {
  readonly source: Source;
  readonly line: number;
  readonly column: number;
  readonly offset: number;
  readonly length: number;
}

export interface Source {
  /** The name as it was opened, for messages: `/etc/nginx/nginx.conf`. */
  readonly file: string;
  readonly text: string;
  /** Where the `include` stands that read it. */
  readonly includedFrom?: Position;
  /** The text of `-g`: messages say `in command line`, without a line. */
  readonly commandLine?: true;
}

/** A position that knows its line and column; `offset` and `length` count UTF-16 units of the source's text. */
export function placeAt(source: Source, offset: number, length = 1): Position {
  const before = source.text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  let line = 1;
  for (let at = before.indexOf('\n'); at !== -1; at = before.indexOf('\n', at + 1)) line++;
  return { source, line, column: offset - lineStart + 1, offset, length };
}

/** The line of the source in which `offset` stands, without its end. */
export function lineAround(source: Source, offset: number): string {
  const start = source.text.lastIndexOf('\n', offset - 1) + 1;
  const end = source.text.indexOf('\n', offset);
  const line = source.text.slice(start, end === -1 ? undefined : end);
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

/**
 * The place of a part of an argument: characters `index` to `index + length` of `text`. Where escapes make the text differ
 * from what stands in the file, it is the place of the whole argument.
 */
export function placeWithin(at: Position, text: string, index: number, length: number): Position {
  const raw = at.source.text;
  const start = raw.startsWith(text, at.offset) ? at.offset : raw.startsWith(text, at.offset + 1) ? at.offset + 1 : -1;
  if (start === -1 || raw.slice(at.offset, start + index).includes('\n')) return at;
  return { ...at, offset: start + index, column: at.column + (start - at.offset) + index, length: Math.max(1, length) };
}

/**
 * A file's bytes as text: UTF-8; a byte that is none becomes the lone surrogate U+DC80 … U+DCFF, so that
 * `byteString` gives back exactly the bytes of the file.
 */
export function decodeText(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer) ? buffer.toString('utf8') : decodeBroken(buffer);
}

function decodeBroken(buffer: Buffer): string {
  let text = '';
  let index = 0;
  while (index < buffer.length) {
    const length = sequenceLength(buffer, index);
    text += length === 0 ? strayByte(buffer[index] as number) : buffer.toString('utf8', index, index + length);
    index += length || 1;
  }
  return text;
}

const strayByte = (byte: number): string => String.fromCharCode(0xdc00 + byte);

/** The length of the valid UTF-8 sequence that begins at `index`; 0 where there is none. */
function sequenceLength(buffer: Buffer, index: number): number {
  const first = buffer[index] as number;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  return index + length <= buffer.length && isUtf8(buffer.subarray(index, index + length)) ? length : 0;
}

const NON_ASCII = /[^\0-\x7f]/;

/**
 * Text as a byte string, one character a byte, as it stands in the file. What comes from a request is such a string too
 * (heads are read as latin1), so the two can be compared and joined, and are written as latin1.
 */
export function byteString(text: string): string {
  if (!NON_ASCII.test(text)) return text;
  let bytes = '';
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    bytes += code >= 0xdc80 && code <= 0xdcff ? String.fromCharCode(code - 0xdc00) : utf8Bytes(character);
  }
  return bytes;
}

const utf8Bytes = (character: string): string => Buffer.from(character, 'utf8').toString('latin1');

const UPPER_CASE = /[A-Z]+/g;

/** ASCII letters in lower case, all else as it is: in a byte string JavaScript would take bytes above 0x7F for letters. */
export function lowerCase(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(UPPER_CASE, (letters) => letters.toLowerCase()) : text;
}

/** The line in which it ends: a word may go on over several. */
export function lastLineOf({ source, line, offset, length }: Position): number {
  return line + source.text.slice(offset, offset + length).split('\n').length - 1;
}
