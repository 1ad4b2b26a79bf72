// Reads a stream of requests, or of answers, as this project does: the codec alone, without a connection around it.

import type { BodyKind } from '../../src/http1/body-framing.ts';
import { BodyDecoder, requestBodyKind, responseBodyKind } from '../../src/http1/body-framing.ts';
import type { Headers } from '../../src/http1/headers.ts';
import type { HeadLimits, RequestHead } from '../../src/http1/request-head.ts';
import { DEFAULT_HEAD_LIMITS, NEED_MORE, REFUSED, RequestHeadParser } from '../../src/http1/request-head.ts';
import type { ResponseHead } from '../../src/http1/response-head.ts';
import { ResponseHeadParser } from '../../src/http1/response-head.ts';

export interface ReadMessage<Head> {
  readonly head: Head;
  readonly body: string;
  readonly trailers: [string, string][];
  /** The body has ended. */
  readonly complete: boolean;
  /** Where it ends in the stream. */
  readonly end: number;
}

export interface Refused {
  readonly status: number;
  readonly reason: string;
}

export interface ReadResult<Head> {
  readonly messages: ReadMessage<Head>[];
  readonly refusal: Refused | undefined;
  /** Bytes behind the last message that were not looked at, for the connection ends with it. */
  readonly left: number;
}

/** What requests and answers have different. */
interface Dialect<Head> {
  feed(bytes: Buffer, start: number, end: number): number;
  head(): Head;
  refusal(): Refused;
  kindOf(head: Head): BodyKind;
  lengthOf(head: Head): number;
  /** Whether no message follows the one with this head. */
  endsWith(head: Head): boolean;
}

/** Reads requests until the bytes end, the connection would be closed, or one is refused. */
export function readRequests(
  bytes: Buffer,
  pieceSizes: readonly number[] = [],
  limits: HeadLimits = DEFAULT_HEAD_LIMITS,
): ReadResult<RequestHead> {
  const parser = new RequestHeadParser(limits);
  return readAll(bytes, pieceSizes, {
    feed: (piece, start, end) => parser.feed(piece, start, end),
    head: () => parser.head,
    refusal: () => parser.refusal,
    kindOf: requestBodyKind,
    lengthOf: (head) => head.contentLength,
    endsWith: (head) => head.connectionClose || head.version < 10 || (head.version === 10 && !head.connectionKeepAlive),
  });
}

/** Reads the answer to one request with this method, and the interim ones before it. */
export function readResponses(
  bytes: Buffer,
  pieceSizes: readonly number[] = [],
  method = 'GET',
  size = 65_536,
): ReadResult<ResponseHead> {
  const parser = new ResponseHeadParser(size);
  return readAll(bytes, pieceSizes, {
    feed: (piece, start, end) => parser.feed(piece, start, end),
    head: () => parser.head,
    refusal: () => ({ status: 502, reason: parser.reason }),
    kindOf: (head) => responseBodyKind(method, head),
    lengthOf: (head) => head.contentLength,
    endsWith: (head) => head.status >= 200 || head.status === 101,
  });
}

/** The fields of a head as pairs. */
export function pairsOf(headers: Headers): [string, string][] {
  return Array.from({ length: headers.length }, (_, i) => [headers.nameAt(i), headers.valueAt(i)]);
}

function readAll<Head>(bytes: Buffer, pieceSizes: readonly number[], dialect: Dialect<Head>): ReadResult<Head> {
  const stream = new StreamReader(dialect);
  for (const [start, end] of piecesOf(bytes.length, pieceSizes)) {
    const left = stream.take(bytes.subarray(start, end));
    if (left > 0) return { messages: stream.messages, refusal: stream.refusal, left: left + bytes.length - end };
  }
  stream.end();
  return { messages: stream.messages, refusal: stream.refusal, left: 0 };
}

class StreamReader<Head> {
  readonly messages: ReadMessage<Head>[] = [];
  refusal: Refused | undefined;
  readonly #dialect: Dialect<Head>;
  readonly #decoder = new BodyDecoder();
  /** The message whose body is being read. */
  #open: { readonly head: Head; body: string } | undefined;
  /** How many bytes of the stream have been taken. */
  #at = 0;

  constructor(dialect: Dialect<Head>) {
    this.#dialect = dialect;
  }

  /** @returns how many bytes are left over, because nothing can follow */
  take(piece: Buffer): number {
    let at = 0;
    while (at < piece.length) {
      const last = this.messages.at(-1);
      const isOver = this.#open === undefined && last !== undefined && this.#dialect.endsWith(last.head);
      if (isOver || this.refusal !== undefined) return piece.length - at;
      const rest = piece.subarray(at);
      const taken = this.#open === undefined ? this.#takeHead(rest) : this.#takeBody(rest);
      if (taken === REFUSED) return piece.length - at;
      at += taken;
    }
    return 0;
  }

  end(): void {
    if (this.#open !== undefined) this.#finish(this.#decoder.end());
  }

  bodyBytes(piece: Buffer, from: number, to: number): void {
    if (this.#open !== undefined) this.#open.body += piece.toString('latin1', from, to);
  }

  #takeHead(rest: Buffer): number {
    const taken = lend(rest, (bytes, start, end) => this.#dialect.feed(bytes, start, end));
    if (taken === REFUSED) this.refusal = this.#dialect.refusal();
    if (taken === REFUSED) return taken;
    if (taken === NEED_MORE) return this.#advance(rest.length);
    this.#advance(taken);
    const head = this.#dialect.head();
    this.#open = { head, body: '' };
    this.#decoder.reset(this.#dialect.kindOf(head), this.#dialect.lengthOf(head));
    if (this.#decoder.done) this.#finish(true);
    return taken;
  }

  #takeBody(rest: Buffer): number {
    const taken = lend(rest, (bytes, start, end) => this.#decoder.decode(bytes, start, end, this));
    if (taken < 0) {
      this.refusal = { status: 400, reason: this.#decoder.fault };
      this.#finish(false);
      return taken;
    }
    this.#advance(taken);
    if (this.#decoder.done) this.#finish(true);
    return taken;
  }

  #advance(taken: number): number {
    this.#at += taken;
    return taken;
  }

  #finish(complete: boolean): void {
    if (this.#open === undefined) return;
    const { trailers } = this.#decoder;
    const pairs = trailers === undefined ? [] : pairsOf(trailers);
    this.messages.push({ ...this.#open, trailers: pairs, complete, end: this.#at });
    this.#open = undefined;
  }
}

/** Lends the bytes as a channel does: in the middle of other ones, and overwritten afterwards. */
function lend(piece: Buffer, take: (bytes: Buffer, start: number, end: number) => number): number {
  const start = 3;
  const lent = Buffer.alloc(piece.length + 9, 0x0a);
  lent.set(piece, start);
  const next = take(lent, start, start + piece.length);
  lent.fill(0x00);
  return next < 0 ? next : next - start;
}

/** Cuts `[0, length)` into pieces of these sizes, over and over; into one when there are none. */
function piecesOf(length: number, sizes: readonly number[]): [number, number][] {
  if (sizes.length === 0) return [[0, length]];
  const pieces: [number, number][] = [];
  for (let at = 0, i = 0; at < length; i++) {
    const end = Math.min(length, at + Math.max(1, sizes[i % sizes.length] as number));
    pieces.push([at, end]);
    at = end;
  }
  return pieces;
}
