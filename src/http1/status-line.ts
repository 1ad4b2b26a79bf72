// The first line of a response: where its parts stand, or what is wrong with it.

import { NEED_MORE, REFUSED } from './feed-result.ts';
import type { HeadRoom } from './head-room.ts';

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const DELETE = 127;
const HTTP_1 = Buffer.from('HTTP/1.');
/** So many bytes are looked at as they come; the rest of the line when it is complete. */
export const VERSION_LENGTH = HTTP_1.length;

/** nginx's words; nginx then takes the bytes for an HTTP/0.9 body, which would let any protocol through as a page. */
const NOT_HTTP = 'upstream sent no valid HTTP/1.0 header';
const TOO_LONG = 'upstream sent too big header';

/** `HTTP/1.1 200 OK`; positions count from the beginning of the line. */
export class StatusLine {
  /** 10 or 11. */
  version = 0;
  status = 0;
  phraseStart = 0;
  phraseEnd = 0;
  reason = '';

  reset(): void {
    this.version = 0;
    this.status = 0;
    this.phraseStart = 0;
    this.phraseEnd = 0;
    this.reason = '';
  }

  /**
   * Reads the line that begins at `start`.
   * @returns the index after the line, NEED_MORE, or REFUSED (`reason` says why)
   */
  scan(bytes: Uint8Array, start: number, end: number, room: HeadRoom): number {
    if (!isHttp1(bytes, start, end)) return this.#refuse(NOT_HTTP);
    let lf = start;
    while (lf < end && bytes[lf] !== LF) lf++;
    const isComplete = lf < end;
    const isInRoom = isComplete ? room.takes(0, lf + 1 - start) : room.takesMore(0, end - start);
    if (!isInRoom) return this.#refuse(TOO_LONG);
    if (!isComplete) return NEED_MORE;
    return this.#parts(bytes, start, bytes[lf - 1] === CR ? lf - 1 : lf) ? lf + 1 : this.#refuse(NOT_HTTP);
  }

  #parts(bytes: Uint8Array, start: number, lineEnd: number): boolean {
    let at = this.#minor(bytes, start + HTTP_1.length, lineEnd);
    if (at < 0) return false;
    while (at < lineEnd && bytes[at] === SPACE) at++;
    return this.#statusAndPhrase(bytes, start, at, lineEnd);
  }

  /** @returns the index of the space after the version, or -1 */
  #minor(bytes: Uint8Array, at: number, lineEnd: number): number {
    const minor = digitAt(bytes, at, lineEnd);
    if (minor < 0 || at + 1 >= lineEnd || bytes[at + 1] !== SPACE) return -1;
    this.version = minor === 0 ? 10 : 11;
    return at + 1;
  }

  #statusAndPhrase(bytes: Uint8Array, start: number, at: number, lineEnd: number): boolean {
    const hundreds = digitAt(bytes, at, lineEnd);
    const tens = digitAt(bytes, at + 1, lineEnd);
    const ones = digitAt(bytes, at + 2, lineEnd);
    if (hundreds < 1 || tens < 0 || ones < 0) return false;
    this.status = hundreds * 100 + tens * 10 + ones;
    const afterStatus = at + 3;
    if (afterStatus < lineEnd && bytes[afterStatus] !== SPACE) return false;
    this.phraseStart = Math.min(afterStatus + 1, lineEnd) - start;
    this.phraseEnd = lineEnd - start;
    return isPhrase(bytes, afterStatus, lineEnd);
  }

  #refuse(reason: string): number {
    this.reason = reason;
    return REFUSED;
  }
}

/** Whether the bytes begin as they must, as far as they go. */
function isHttp1(bytes: Uint8Array, start: number, end: number): boolean {
  const length = Math.min(end - start, HTTP_1.length);
  for (let i = 0; i < length; i++) {
    if (bytes[start + i] !== HTTP_1[i]) return false;
  }
  return true;
}

function isPhrase(bytes: Uint8Array, at: number, end: number): boolean {
  for (let i = at; i < end; i++) {
    const byte = bytes[i] as number;
    if ((byte < SPACE && byte !== TAB) || byte === DELETE) return false;
  }
  return true;
}

function digitAt(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1;
  const digit = (bytes[at] as number) - 48;
  return digit >= 0 && digit <= 9 ? digit : -1;
}
