// Where the body of a message ends: length, chunked, close; and its trailers.

import { EXTENSION_BROKEN, EXTENSION_ENDED, extensionStateAfter, NAME_START } from './chunk-extension.ts';
import { NEED_MORE, REFUSED } from './feed-result.ts';
import type { FieldRules } from './field-lines.ts';
import { FieldLines, INVALID_LINE } from './field-lines.ts';
import { OTHER_TOKEN } from './field-names.ts';
import { HeadRoom } from './head-room.ts';
import { Headers } from './headers.ts';
import { HeldBytes } from './held-bytes.ts';
import { latin1 } from './latin1.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

/** How the end of a body is known (RFC 9112, 6.3). */
export type BodyKind = 'none' | 'length' | 'chunked' | 'close';

/** Who gets the bytes of a body. They are lent for the call only. It must not reset the decoder that calls. */
export interface BodySink {
  bodyBytes(bytes: Buffer, from: number, to: number): void;
}

/** More digits than a length that we can count to has. */
const MOST_SIZE_DIGITS = 14;
/** Bytes of chunk extensions that a body may have, beside one for each byte of its payload: nobody reads them, so they must not cost much. */
export const EXTENSION_ALLOWANCE = 4096;
/** Bytes that the trailers of a body may have. */
export const MOST_TRAILER_BYTES = 8192;
/** How many trailers there may be. */
export const MOST_TRAILERS = 100;

const TRAILER_RULES: FieldRules = { keptShape: OTHER_TOKEN, skipOthers: false, most: MOST_TRAILERS, bareLf: false };

/** What must not come after the body: whoever merged it into the head would read another message (RFC 9110, 6.5.1). */
const NEVER_TRAILERS: ReadonlySet<string> = new Set([
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const LF = 10;
const CR = 13;
const SEMICOLON = 59;

const ENDED = 0;
const LENGTH = 1;
const UNTIL_CLOSE = 2;
const SIZE_START = 3;
const SIZE = 4;
const EXTENSION = 5;
const SIZE_LF = 6;
const DATA = 7;
const DATA_CR = 8;
const DATA_LF = 9;
const TRAILERS = 10;
const BROKEN = 11;

/** How the body of a request ends. */
export function requestBodyKind(head: RequestHead): BodyKind {
  if (head.chunked) return 'chunked';
  return head.contentLength > 0 ? 'length' : 'none';
}

/** How the body of the answer to a request with this method ends. A 101 has none: what follows it is no HTTP. */
export function responseBodyKind(method: string, head: ResponseHead): BodyKind {
  const { status } = head;
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 'none';
  if (head.chunked) return 'chunked';
  if (head.contentLength < 0) return 'close';
  return head.contentLength > 0 ? 'length' : 'none';
}

/** Finds the payload of one body after the other; what it does not take belongs to the next message. */
export class BodyDecoder {
  /** The body is complete. Set before the sink gets the last bytes of a body whose length is known. */
  done = true;
  /** What is wrong with the framing, after `decode` has returned REFUSED. */
  fault = '';
  /** After a chunked body that had some. */
  trailers: Headers | undefined;
  #state = ENDED;
  /** Of the body or of the chunk: bytes still to come. */
  #left = 0;
  #digits = 0;
  #extensionBytesLeft = 0;
  #extensionState = EXTENSION_ENDED;
  /** All three exist only while trailers are being read. */
  #fields: FieldLines | undefined;
  #room: HeadRoom | undefined;
  #held: HeldBytes | undefined;

  /** @param length how many bytes the body has, when `kind` is `length` */
  reset(kind: BodyKind, length = 0): void {
    this.#state = firstStateOf(kind, length);
    this.done = this.#state === ENDED;
    this.fault = '';
    this.trailers = undefined;
    this.#left = length;
    this.#extensionBytesLeft = EXTENSION_ALLOWANCE;
    this.#forgetTrailers();
  }

  /**
   * Takes of `[start, end)` what belongs to the body, and gives the payload in it to the sink, uncopied.
   * @returns the index after what it took: less than `end` only when `done`; or REFUSED (`fault` says why)
   */
  decode(bytes: Buffer, start: number, end: number, sink: BodySink): number {
    let at = start;
    while (at < end && this.#state !== ENDED) {
      at = this.#step(bytes, at, end, sink);
      if (at < 0) return REFUSED;
    }
    return at;
  }

  /** The sender has ended. @returns whether the body is complete: a body that ends with the connection is so now */
  end(): boolean {
    if (this.#state === UNTIL_CLOSE) this.#finish();
    return this.done;
  }

  /** @returns the index from which on to go on, or REFUSED */
  #step(bytes: Buffer, at: number, end: number, sink: BodySink): number {
    switch (this.#state) {
      case LENGTH:
        return this.#length(bytes, at, end, sink);
      case UNTIL_CLOSE:
        return this.#untilClose(bytes, at, end, sink);
      case SIZE_START:
        return this.#sizeStart(bytes, at);
      case SIZE:
        return this.#size(bytes, at, end);
      case EXTENSION:
        return this.#extension(bytes, at, end);
      case SIZE_LF:
        return this.#sizeLf(bytes, at);
      case DATA:
        return this.#data(bytes, at, end, sink);
      case DATA_CR:
        return this.#expect(bytes, at, CR, DATA_LF);
      case DATA_LF:
        return this.#expect(bytes, at, LF, SIZE_START);
      case TRAILERS:
        return this.#trailers(bytes, at, end);
      default:
        return REFUSED;
    }
  }

  #length(bytes: Buffer, at: number, end: number, sink: BodySink): number {
    const to = Math.min(end, at + this.#left);
    this.#left -= to - at;
    if (this.#left === 0) this.#finish();
    sink.bodyBytes(bytes, at, to);
    return to;
  }

  #untilClose(bytes: Buffer, at: number, end: number, sink: BodySink): number {
    sink.bodyBytes(bytes, at, end);
    return end;
  }

  #sizeStart(bytes: Buffer, at: number): number {
    const digit = hexDigit(bytes[at] as number);
    if (digit < 0) return this.#refuse('invalid chunk size');
    this.#left = digit;
    this.#digits = 1;
    this.#state = SIZE;
    return at + 1;
  }

  #size(bytes: Buffer, at: number, end: number): number {
    for (let i = at; i < end; i++) {
      const digit = hexDigit(bytes[i] as number);
      if (digit < 0) return this.#afterSize(bytes[i] as number, i);
      this.#left = this.#left * 16 + digit;
      if (++this.#digits > MOST_SIZE_DIGITS || this.#left > Number.MAX_SAFE_INTEGER)
        return this.#refuse('too large chunk size');
    }
    return end;
  }

  /** Nothing may stand between the size and the end of its line but an extension: no space, no bare LF. */
  #afterSize(byte: number, at: number): number {
    if (byte === CR) this.#state = SIZE_LF;
    else if (byte === SEMICOLON) {
      this.#state = EXTENSION;
      this.#extensionState = NAME_START;
    } else return this.#refuse('invalid chunk size');
    return at + 1;
  }

  #extension(bytes: Buffer, at: number, end: number): number {
    for (let i = at; i < end; i++) {
      this.#extensionState = extensionStateAfter(this.#extensionState, bytes[i] as number);
      if (this.#extensionState === EXTENSION_BROKEN) return this.#refuse('invalid chunk extension');
      if (this.#extensionState === EXTENSION_ENDED) {
        this.#state = SIZE_LF;
        return i + 1;
      }
      if (--this.#extensionBytesLeft < 0) return this.#refuse('too long chunk extensions');
    }
    return end;
  }

  #sizeLf(bytes: Buffer, at: number): number {
    if (bytes[at] !== LF) return this.#refuse('chunk size without CRLF');
    this.#state = this.#left === 0 ? TRAILERS : DATA;
    return at + 1;
  }

  #data(bytes: Buffer, at: number, end: number, sink: BodySink): number {
    const to = Math.min(end, at + this.#left);
    this.#left -= to - at;
    this.#extensionBytesLeft += to - at;
    if (this.#left === 0) this.#state = DATA_CR;
    sink.bodyBytes(bytes, at, to);
    return to;
  }

  #expect(bytes: Buffer, at: number, byte: number, next: number): number {
    if (bytes[at] !== byte) return this.#refuse('chunk data without CRLF');
    this.#state = next;
    return at + 1;
  }

  #trailers(bytes: Buffer, at: number, end: number): number {
    if (this.#held !== undefined) return this.#moreTrailers(this.#held, bytes, at, end);
    if (bytes[at] === CR && at + 1 < end && bytes[at + 1] === LF) {
      this.#finish();
      return at + 2;
    }
    this.#fields = new FieldLines();
    this.#room = new HeadRoom();
    this.#room.reset(MOST_TRAILER_BYTES, 0, 0);
    const next = this.#readTrailers(bytes, at, at, end);
    if (next !== NEED_MORE) return next;
    this.#held = new HeldBytes(MOST_TRAILER_BYTES + 1);
    this.#held.append(bytes, at, end);
    return end;
  }

  #moreTrailers(held: HeldBytes, bytes: Buffer, at: number, end: number): number {
    const before = held.length;
    held.append(bytes, at, end);
    if (!held.hasNews(before) && held.length < MOST_TRAILER_BYTES) return end;
    const from = (this.#fields as FieldLines).lineStart;
    const next = this.#readTrailers(held.bytes, 0, from, held.length);
    if (next < 0) return next === NEED_MORE ? end : REFUSED;
    return at + next - before;
  }

  #readTrailers(bytes: Buffer, base: number, at: number, end: number): number {
    const fields = this.#fields as FieldLines;
    const next = fields.scan(bytes, base, at, end, TRAILER_RULES, this.#room as HeadRoom);
    if (next === REFUSED) return this.#refuse(fields.fault === INVALID_LINE ? 'invalid trailer' : 'too large trailers');
    if (next === NEED_MORE) return NEED_MORE;
    if (fields.count > 0) this.trailers = withoutForbidden(fields.toHeaders(latin1(bytes, base, next)));
    this.#finish();
    return next;
  }

  #finish(): void {
    this.#state = ENDED;
    this.done = true;
    this.#forgetTrailers();
  }

  #forgetTrailers(): void {
    this.#fields = undefined;
    this.#room = undefined;
    this.#held = undefined;
  }

  #refuse(fault: string): number {
    this.fault = fault;
    this.#state = BROKEN;
    return REFUSED;
  }
}

function firstStateOf(kind: BodyKind, length: number): number {
  if (kind === 'chunked') return SIZE_START;
  if (kind === 'close') return UNTIL_CLOSE;
  return kind === 'length' && length > 0 ? LENGTH : ENDED;
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function withoutForbidden(fields: Headers): Headers {
  const kept = new Headers();
  for (let i = 0; i < fields.length; i++) {
    if (!NEVER_TRAILERS.has(fields.lowerNameAt(i))) kept.addFrom(fields, i);
  }
  return kept;
}
