// Ranges of an answer's body (RFC 9110 14): which are asked for, and what the head says of them.

import { randomInt } from 'node:crypto';
import { BodyFilter } from '../exchange/body-filter.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Headers } from '../http1/headers.ts';
import { parseHttpDate } from '../http1/http-date.ts';
import { type ByteRange, parseRanges, type RangeRequest } from './byte-ranges.ts';
import { rangeApplies, type Validators } from './preconditions.ts';

/** Bytes `[start, end)` of the body, and what is sent before them. Only the last part may have no bytes of the body. */
export interface BodyPart extends ByteRange {
  readonly head: string;
}

/**
 * Asks what of a body is to be sent, once the head has been prepared, and sets status, length and fields that go with it.
 * Where the client asks for what there is not, the status is 416, and `Content-Range` is set.
 * @param size of the body as it is, in bytes
 * @param most how many ranges there may be at most
 * @returns the parts in order; none where it is a 416
 */
export function planParts(exchange: Exchange, size: number, most = exchange.location.maxRanges): readonly BodyPart[] {
  const whole = [{ head: '', start: 0, end: size }];
  if (!exchange.allowRanges || exchange.status !== 200 || most === 0) return whole;
  const ranges = rangesOf(exchange, size, most);
  if (ranges === 'unsatisfiable') {
    exchange.answer.set('Content-Range', `bytes */${size}`);
    return [];
  }
  if (ranges === 'whole') {
    exchange.answer.set('Accept-Ranges', 'bytes');
    return whole;
  }
  exchange.status = 206;
  exchange.reason = undefined;
  return ranges.length === 1 ? planRange(exchange, ranges[0] as ByteRange, size) : planRanges(exchange, ranges, size);
}

function rangesOf({ head, answer, parent }: Exchange, size: number, most: number): RangeRequest {
  if (parent !== undefined) return 'whole';
  const range = head.headers.get('range');
  if (range === undefined || head.version < 10 || !rangeApplies(head.headers, validatorsOf(answer))) return 'whole';
  return parseRanges(range, size, most);
}

function validatorsOf(answer: Headers): Validators {
  const lastModified = parseHttpDate(answer.get('last-modified') ?? '') ?? Number.NaN;
  return { lastModified: lastModified / 1000, etag: answer.get('etag') ?? '' };
}

function planRange(exchange: Exchange, range: ByteRange, size: number): BodyPart[] {
  exchange.answer.set('Content-Range', contentRange(range, size));
  exchange.contentLength = range.end - range.start;
  return [{ ...range, head: '' }];
}

/** RFC 9110 14.6. */
function planRanges(exchange: Exchange, ranges: readonly ByteRange[], size: number): BodyPart[] {
  const { answer } = exchange;
  const boundary = nextBoundary();
  const type = answer.get('content-type') ?? '';
  const typeLine = type === '' ? '' : `Content-Type: ${type}\r\n`;
  const parts = ranges.map((range) => ({
    ...range,
    head: `\r\n--${boundary}\r\n${typeLine}Content-Range: ${contentRange(range, size)}\r\n\r\n`,
  }));
  parts.push({ head: `\r\n--${boundary}--\r\n`, start: 0, end: 0 });
  exchange.contentLength = parts.reduce((sum, part) => sum + part.head.length + part.end - part.start, 0);
  answer.remove('content-range');
  answer.set('Content-Type', `multipart/byteranges; boundary=${boundary}`);
  return parts;
}

function contentRange(range: ByteRange, size: number): string {
  return `bytes ${range.start}-${range.end - 1}/${size}`;
}

/** Random, so that no file can be made to contain it. */
function nextBoundary(): string {
  return randomInt(2 ** 47)
    .toString()
    .padStart(20, '0');
}

/**
 * proxy_force_ranges: one range of an answer that a peer has sent whole, where its length is known. Its head is prepared by that.
 * @returns false: the client asks for what there is not, and is to be answered with 416
 */
export function forceRange(exchange: Exchange): boolean {
  const size = exchange.contentLength;
  exchange.answer.remove('accept-ranges');
  exchange.allowRanges = size >= 0;
  exchange.prepareHead();
  const [part] = planParts(exchange, size, Math.min(1, exchange.location.maxRanges));
  if (part === undefined) return false;
  if (exchange.status === 206 && !exchange.bodiless) exchange.addBodyFilter(new RangeFilter(part));
  return true;
}

/** Lets one range of a body through that comes whole. */
class RangeFilter extends BodyFilter {
  readonly #range: ByteRange;
  #position = 0;

  constructor(range: ByteRange) {
    super();
    this.#range = range;
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    const skip = this.#range.start - this.#position;
    const room = this.#range.end - this.#position;
    this.#position += end - start;
    const from = Math.min(end, start + Math.max(0, skip));
    const to = Math.max(from, Math.min(end, start + room));
    return from < to ? this.outlet.write(bytes, from, to) : true;
  }

  end(): void {
    this.outlet.end();
  }

  get pendingBytes(): number {
    return 0;
  }
}
