// Heads to text, and the framing of a chunked body. Nothing leaves here that could be read as two messages.

import { type Headers, isFieldValue, isToken } from './headers.ts';
import { unfolded } from './unfolded.ts';

export { reasonPhrase } from './reason-phrases.ts';

/** The last chunk of a body without trailers. */
export const LAST_CHUNK = '0\r\n\r\n';
/** What follows the bytes of each chunk. */
export const CHUNK_END = '\r\n';

/** What may stand in a request line: anything that neither ends nor divides it. */
const UNSAFE_TARGET = /[\0-\x20\x7f\u0100-\uffff]/;

/** Something that was to be written would have been read as more than it is: response splitting (CWE-113). */
export class UnsafeHeadError extends Error {
  override readonly name = 'UnsafeHeadError';
  readonly code = 'UNSAFE_HEAD';
}

/**
 * The text of a request head; each of its characters is one byte.
 * @param version 10 or 11
 * @throws {UnsafeHeadError} when a part could be read as more than one
 */
export function writeRequestHead(method: string, target: string, headers: Headers, version = 11): string {
  if (!isToken(method)) throw new UnsafeHeadError('the method is not a token');
  if (target === '' || UNSAFE_TARGET.test(target))
    throw new UnsafeHeadError('the request target has a space or a control character');
  const line = version === 10 ? ' HTTP/1.0\r\n' : ' HTTP/1.1\r\n';
  return `${method} ${target}${line}${writeFields(headers)}\r\n`;
}

/**
 * The text of a response head; each of its characters is one byte.
 * @param status 100 to 999
 * @throws {UnsafeHeadError} when a part could be read as more than one
 */
export function writeResponseHead(status: number, reason: string, headers: Headers): string {
  if (!(status >= 100 && status <= 999)) throw new UnsafeHeadError('the status has not three digits');
  if (!isFieldValue(reason)) throw new UnsafeHeadError('the reason phrase has a line break');
  return `HTTP/1.1 ${Math.trunc(status)} ${reason}\r\n${writeFields(headers)}\r\n`;
}

/**
 * The field lines alone. Only what no parser has checked is looked at here: on the way through, most fields are as they came.
 * @throws {UnsafeHeadError} when a name or a value could be read as more than one field
 */
function writeFields(headers: Headers): string {
  let text = '';
  for (let i = 0; i < headers.length; i++) {
    const name = headers.nameAt(i);
    const value = headers.valueAt(i);
    text += `${name}: ${headers.isParsedAt(i) ? value : checked(name, value)}\r\n`;
  }
  return text;
}

/** What stands before the bytes of a chunk of `length` bytes, which is more than 0. */
export function chunkHead(length: number): string {
  return `${length.toString(16)}\r\n`;
}

/**
 * The last chunk of a body with its trailers.
 * @throws {UnsafeHeadError} when a trailer could be read as more than one
 */
export function lastChunk(trailers: Headers): string {
  return `0\r\n${writeFields(trailers)}\r\n`;
}

function checked(name: string, value: string): string {
  if (!isToken(name)) throw new UnsafeHeadError(`"${printable(name)}" is no header name`);
  const line = unfolded(value);
  if (line !== undefined) return line;
  throw new UnsafeHeadError(`the value of header "${name}" has a line break, a NUL, or more than one byte a character`);
}

function printable(name: string): string {
  return name.slice(0, 100).replace(/[^\x20-\x7e]/g, '?');
}
