// The first line of a request: where its parts stand, or what is wrong with it.

import { nextControl, wordsOf } from './control-bytes.ts';
import { NEED_MORE, REFUSED } from './feed-result.ts';
import type { HeadRoom } from './head-room.ts';
import { afterFault, afterLine } from './line-end.ts';

const SPACE = 32;
const SLASH = 47;
const COLON = 58;
const QUESTION_MARK = 63;
const HIGHEST_MINOR = 99;

/** The forms of a target (RFC 9112, 3.2). */
export const ORIGIN_FORM = 0;
export const ABSOLUTE_FORM = 1;
export const AUTHORITY_FORM = 2;

/** Statuses and reasons of nginx. */
const INVALID_METHOD = 'client sent invalid method';
const INVALID_REQUEST = 'client sent invalid request';
const INVALID_VERSION = 'client sent invalid version';
const INVALID_09_METHOD = 'client sent invalid method in HTTP/0.9 request';
const TOO_LONG = 'client sent too long URI';

/** All positions count from the beginning of the line. */
export class RequestLine {
  /** 0 as long as the method is not complete. */
  methodEnd = 0;
  form = ORIGIN_FORM;
  authorityStart = 0;
  authorityEnd = 0;
  /** Where the path begins, or the query where an absolute-form target has no path. */
  targetStart = 0;
  targetEnd = 0;
  /** 9, 10 or 11; 0 as long as it is not known. */
  version = 0;
  /** Without the line's end. */
  length = 0;
  status = 0;
  reason = '';
  /** How much of the method has been read: garbage is refused at its first byte, without waiting for the end of a line. */
  #methodRead = 0;

  reset(): void {
    this.methodEnd = 0;
    this.form = ORIGIN_FORM;
    this.authorityStart = 0;
    this.authorityEnd = 0;
    this.targetStart = 0;
    this.targetEnd = 0;
    this.version = 0;
    this.length = 0;
    this.status = 0;
    this.reason = '';
    this.#methodRead = 0;
  }

  /**
   * Reads the line that begins at `start`.
   * @returns the index after the line, NEED_MORE, or REFUSED (`status` and `reason` say why)
   */
  scan(bytes: Uint8Array, start: number, end: number, room: HeadRoom): number {
    const methodEnd = this.#method(bytes, start, end);
    if (methodEnd < 0) return methodEnd === NEED_MORE ? this.#wait(start, end, room) : REFUSED;
    const lineEnd = nextControl(bytes, wordsOf(bytes), methodEnd, end);
    const next = afterLine(bytes, lineEnd, end, true);
    if (next === NEED_MORE) return this.#wait(start, end, room);
    const seen = next === REFUSED ? afterFault(bytes, lineEnd) : next;
    if (!room.takes(0, seen - start)) return this.#refuse(414, TOO_LONG);
    if (next === REFUSED) return this.#refuse(400, INVALID_REQUEST);
    this.length = lineEnd - start;
    return this.#afterMethod(bytes, start, methodEnd, lineEnd) ? next : REFUSED;
  }

  #method(bytes: Uint8Array, start: number, end: number): number {
    let i = start + this.#methodRead;
    while (i < end && isMethodByte(bytes[i] as number)) i++;
    this.#methodRead = i - start;
    if (i === end) return NEED_MORE;
    if (i === start || bytes[i] !== SPACE) return this.#refuse(400, INVALID_METHOD);
    this.methodEnd = i - start;
    return i;
  }

  #wait(start: number, end: number, room: HeadRoom): number {
    return room.takesMore(0, end - start) ? NEED_MORE : this.#refuse(414, TOO_LONG);
  }

  #afterMethod(bytes: Uint8Array, start: number, methodEnd: number, lineEnd: number): boolean {
    const at = skipSpaces(bytes, methodEnd, lineEnd);
    const afterTarget = this.#target(bytes, start, at, lineEnd);
    if (afterTarget < 0) return false;
    this.version = this.#versionOf(bytes, skipSpaces(bytes, afterTarget, lineEnd), lineEnd);
    if (this.version === 9 && !isGet(bytes, start, methodEnd)) this.#refuse(400, INVALID_09_METHOD);
    return this.status === 0;
  }

  #target(bytes: Uint8Array, start: number, at: number, lineEnd: number): number {
    if (isConnect(bytes, start, this.methodEnd)) return this.#authorityForm(bytes, start, at, lineEnd);
    if (bytes[at] === SLASH && at < lineEnd) return this.#path(bytes, start, at, lineEnd);
    return this.#absoluteForm(bytes, start, at, lineEnd);
  }

  /** From the path, or from the query, to the end of the target. */
  #path(bytes: Uint8Array, start: number, at: number, lineEnd: number): number {
    let i = at;
    while (i < lineEnd && (bytes[i] as number) > SPACE) i++;
    if (i < lineEnd && bytes[i] !== SPACE) return this.#refuse(400, INVALID_REQUEST);
    this.targetStart = at - start;
    this.targetEnd = i - start;
    return i;
  }

  #absoluteForm(bytes: Uint8Array, start: number, at: number, lineEnd: number): number {
    const colon = endOfScheme(bytes, at, lineEnd);
    if (colon < 0 || colon + 2 >= lineEnd || bytes[colon + 1] !== SLASH || bytes[colon + 2] !== SLASH) {
      return this.#refuse(400, INVALID_REQUEST);
    }
    const end = this.#authority(bytes, start, colon + 3, lineEnd);
    if (end === lineEnd) return this.#refuse(400, INVALID_REQUEST);
    this.form = ABSOLUTE_FORM;
    if (bytes[end] === SLASH || bytes[end] === QUESTION_MARK) return this.#path(bytes, start, end, lineEnd);
    if (bytes[end] !== SPACE) return this.#refuse(400, INVALID_REQUEST);
    this.targetStart = end - start;
    this.targetEnd = end - start;
    return end;
  }

  #authorityForm(bytes: Uint8Array, start: number, at: number, lineEnd: number): number {
    const end = this.#authority(bytes, start, at, lineEnd);
    if (end === lineEnd || bytes[end] !== SPACE || !endsInPort(bytes, at, end))
      return this.#refuse(400, INVALID_REQUEST);
    this.form = AUTHORITY_FORM;
    return end;
  }

  /** To the end of what can be an authority; whether it is one is seen when it is text. */
  #authority(bytes: Uint8Array, start: number, at: number, lineEnd: number): number {
    let i = at;
    while (i < lineEnd && isAuthorityByte(bytes[i] as number)) i++;
    this.authorityStart = at - start;
    this.authorityEnd = i - start;
    return i;
  }

  #versionOf(bytes: Uint8Array, at: number, lineEnd: number): number {
    if (at === lineEnd) return 9;
    if (!isHttpSlash(bytes, at, lineEnd)) return this.#refuse(400, INVALID_REQUEST);
    const first = digitAt(bytes, at + 5, lineEnd);
    if (first < 1) return this.#refuse(400, INVALID_REQUEST);
    if (first > 1 || digitAt(bytes, at + 6, lineEnd) >= 0) return this.#refuse(505, INVALID_VERSION);
    if (bytes[at + 6] !== 46) return this.#refuse(400, INVALID_REQUEST);
    return this.#minor(bytes, at + 7, lineEnd);
  }

  /** As in nginx, HTTP/1.2 and HTTP/1.01 are both read as HTTP/1.1. */
  #minor(bytes: Uint8Array, at: number, lineEnd: number): number {
    let minor = digitAt(bytes, at, lineEnd);
    if (minor < 0) return this.#refuse(400, INVALID_REQUEST);
    let i = at + 1;
    for (let digit = digitAt(bytes, i, lineEnd); digit >= 0; digit = digitAt(bytes, ++i, lineEnd)) {
      if (minor > HIGHEST_MINOR) return this.#refuse(400, INVALID_REQUEST);
      minor = minor * 10 + digit;
    }
    if (skipSpaces(bytes, i, lineEnd) !== lineEnd) return this.#refuse(400, INVALID_REQUEST);
    return minor === 0 ? 10 : 11;
  }

  #refuse(status: number, reason: string): number {
    this.status = status;
    this.reason = reason;
    return REFUSED;
  }
}

function isMethodByte(byte: number): boolean {
  return (byte >= 65 && byte <= 90) || byte === 95 || byte === 45;
}

function isAuthorityByte(byte: number): boolean {
  return byte > SPACE && byte !== SLASH && byte !== QUESTION_MARK;
}

function skipSpaces(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  while (i < end && bytes[i] === SPACE) i++;
  return i;
}

/** The index of the colon after a scheme (RFC 3986, 3.1), or -1. */
function endOfScheme(bytes: Uint8Array, at: number, end: number): number {
  if (at === end || !isLetter(bytes[at] as number)) return -1;
  let i = at + 1;
  while (i < end && isSchemeByte(bytes[i] as number)) i++;
  return i < end && bytes[i] === COLON ? i : -1;
}

function isLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return lower >= 97 && lower <= 122;
}

function isSchemeByte(byte: number): boolean {
  return isLetter(byte) || (byte >= 48 && byte <= 57) || byte === 43 || byte === 45 || byte === 46;
}

/** Whether `[at, end)` is something, a colon, and digits. */
function endsInPort(bytes: Uint8Array, at: number, end: number): boolean {
  let i = end;
  while (i > at && digitAt(bytes, i - 1, end) >= 0) i--;
  return i < end && i > at && bytes[i - 1] === COLON;
}

function digitAt(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1;
  const digit = (bytes[at] as number) - 48;
  return digit >= 0 && digit <= 9 ? digit : -1;
}

function isGet(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start === 3 && bytes[start] === 71 && bytes[start + 1] === 69 && bytes[start + 2] === 84;
}

const CONNECT = Buffer.from('CONNECT');

function isConnect(bytes: Uint8Array, start: number, length: number): boolean {
  if (length !== CONNECT.length || bytes[start] !== 67) return false;
  for (let i = 0; i < CONNECT.length; i++) {
    if (bytes[start + i] !== CONNECT[i]) return false;
  }
  return true;
}

const HTTP_SLASH = Buffer.from('HTTP/');

function isHttpSlash(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at < HTTP_SLASH.length) return false;
  for (let i = 0; i < HTTP_SLASH.length; i++) {
    if (bytes[at + i] !== HTTP_SLASH[i]) return false;
  }
  return true;
}
