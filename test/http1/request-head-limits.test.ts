// How much of a head is taken in: nginx's buffers, and no more memory than that.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeadLimits } from '../../src/http1/request-head.ts';
import { DEFAULT_HEAD_LIMITS, NEED_MORE, REFUSED, RequestHeadParser } from '../../src/http1/request-head.ts';
import { readRequests } from './read-as-sockgate.ts';

const HOST = 'Host: a\r\n';

/** The status for a head, 200 when it is accepted; the same whole and in single bytes. */
function statusOf(text: string, limits: HeadLimits): number {
  const bytes = Buffer.from(text, 'latin1');
  const status = readRequests(bytes, [], limits).refusal?.status ?? 200;
  for (const pieces of [[1], [7], [100, 3]]) {
    assert.equal(
      readRequests(bytes, pieces, limits).refusal?.status ?? 200,
      status,
      `in pieces of ${pieces.join(', ')}`,
    );
  }
  return status;
}

function requestLine(length: number): string {
  return `GET /${'a'.repeat(length - 'GET / HTTP/1.1\r\n'.length)} HTTP/1.1\r\n`;
}

function field(length: number): string {
  return `X: ${'b'.repeat(length - 'X: \r\n'.length)}\r\n`;
}

const SMALL: HeadLimits = {
  ...DEFAULT_HEAD_LIMITS,
  clientHeaderBufferSize: 128,
  largeClientHeaderBuffers: { number: 2, size: 256 },
};

test('a request line may be as long as one large buffer, then it is 414', () => {
  assert.equal(statusOf(`${requestLine(8192)}${HOST}\r\n`, DEFAULT_HEAD_LIMITS), 200);
  assert.equal(statusOf(`${requestLine(8193)}${HOST}\r\n`, DEFAULT_HEAD_LIMITS), 414);
  assert.equal(statusOf(`${requestLine(256)}${HOST}\r\n`, SMALL), 200);
  assert.equal(statusOf(`${requestLine(257)}${HOST}\r\n`, SMALL), 414);
});

test('a request line may fill a first buffer that is larger than the large ones', () => {
  const limits = { ...SMALL, clientHeaderBufferSize: 1024 };
  assert.equal(
    statusOf(`${requestLine(1024)}\r\n`.replace('1.1', '1.0'), {
      ...limits,
      largeClientHeaderBuffers: { number: 1, size: 256 },
    }),
    200,
  );
  assert.equal(statusOf(`${requestLine(1025)}${HOST}\r\n`, limits), 414);
});

test('one header line may be as long as one large buffer, then it is 494', () => {
  assert.equal(statusOf(`GET / HTTP/1.1\r\n${HOST}${field(8192)}\r\n`, DEFAULT_HEAD_LIMITS), 200);
  assert.equal(statusOf(`GET / HTTP/1.1\r\n${HOST}${field(8193)}\r\n`, DEFAULT_HEAD_LIMITS), 494);
});

test('a line that does not end in its buffer is moved to the next, so fewer lines fit', () => {
  // The first buffer has the request line and Host; each of the two others has one line of 200, for a second does not end in it.
  const lines = (count: number, length: number): string =>
    `GET / HTTP/1.1\r\n${HOST}${field(length).repeat(count)}\r\n`;
  assert.equal(statusOf(lines(2, 200), SMALL), 200);
  assert.equal(statusOf(lines(3, 200), SMALL), 494);
  // Lines of 128 share a buffer.
  assert.equal(statusOf(lines(4, 126), SMALL), 200);
  assert.equal(statusOf(lines(5, 126), SMALL), 494);
});

test('as many fields as max_headers says, and not one more', () => {
  const fields = (count: number): string => `GET / HTTP/1.0\r\n${'X: y\r\n'.repeat(count)}\r\n`;
  assert.equal(statusOf(fields(5), { ...DEFAULT_HEAD_LIMITS, maxHeaders: 5 }), 200);
  assert.equal(statusOf(fields(6), { ...DEFAULT_HEAD_LIMITS, maxHeaders: 5 }), 494);
  assert.equal(statusOf(fields(1000), DEFAULT_HEAD_LIMITS), 200);
  assert.equal(statusOf(fields(1001), DEFAULT_HEAD_LIMITS), 494);
});

test('the reasons are those of nginx, without the value of a header', () => {
  const reasonOf = (text: string): string => readRequests(Buffer.from(text), [], SMALL).refusal?.reason ?? '';
  assert.equal(reasonOf(`${requestLine(300)}\r\n`), 'client sent too long URI');
  assert.equal(
    reasonOf(`GET / HTTP/1.1\r\nCookie: ${'s3cret'.repeat(60)}\r\n\r\n`),
    'client sent too long header line: "Cookie: ..."',
  );
  assert.equal(
    reasonOf(`GET / HTTP/1.1\r\n${'c'.repeat(300)}`),
    `client sent too long header line: "${'c'.repeat(200)}..."`,
  );
  const many = readRequests(Buffer.from(`GET / HTTP/1.0\r\n${'X: y\r\n'.repeat(9)}\r\n`), [], {
    ...SMALL,
    maxHeaders: 5,
  });
  assert.equal(many.refusal?.reason, 'client sent too many header lines');
});

test('a line that never ends is refused as soon as it cannot fit any more', () => {
  const parser = new RequestHeadParser(DEFAULT_HEAD_LIMITS);
  const begin = Buffer.from(`GET / HTTP/1.1\r\n${HOST}X: `);
  assert.equal(parser.feed(begin, 0, begin.length), NEED_MORE);
  const piece = Buffer.alloc(1024, 'a');
  let fed = 0;
  while (parser.feed(piece, 0, piece.length) === NEED_MORE) fed += piece.length;
  assert.equal(parser.refusal.status, 494);
  assert.ok(fed <= 8192, `${fed} bytes were taken`);
});

test('a line that fills its room and has not ended is refused at once, not at the next byte', () => {
  const parser = new RequestHeadParser(SMALL);
  const full = Buffer.from(`GET /${'a'.repeat(256 - 'GET /'.length)}`);
  assert.equal(parser.feed(full, 0, full.length - 1), NEED_MORE);
  assert.equal(parser.feed(full, full.length - 1, full.length), REFUSED);
  assert.equal(parser.refusal.status, 414);
});

test('a CR that is the last byte for which there is room is never looked behind', () => {
  // Whether it is a bare one would be known by the next byte, and for that there is no room.
  const line = (length: number): string => `GET / HTTP/1.0\r\nX: ${'b'.repeat(length - 'X: \r'.length)}\ra`;
  assert.equal(statusOf(line(255), SMALL), 400);
  assert.equal(statusOf(line(256), SMALL), 494);
  assert.equal(statusOf(`GET /${'a'.repeat(256 - 'GET /\r'.length)}\ra`, SMALL), 414);
});

test('a piece far larger than the room is not kept', () => {
  const parser = new RequestHeadParser(SMALL);
  const begin = Buffer.from('GET / HTTP/1.1\r\nX: ');
  parser.feed(begin, 0, begin.length);
  const before = process.memoryUsage().arrayBuffers;
  const huge = Buffer.alloc(64 * 1024 * 1024, 'a');
  assert.notEqual(parser.feed(huge, 0, huge.length), NEED_MORE);
  assert.ok(process.memoryUsage().arrayBuffers - before < huge.length * 1.5);
  assert.equal(parser.refusal.status, 494);
});

test('a head that trickles in byte by byte costs as much as its bytes, not their square', () => {
  const text = `GET / HTTP/1.1\r\n${HOST}${field(8000).repeat(4)}\r\n`;
  const bytes = Buffer.from(text);
  const parser = new RequestHeadParser(DEFAULT_HEAD_LIMITS);
  const began = performance.now();
  for (let round = 0; round < 20; round++) {
    let next = NEED_MORE;
    for (let at = 0; at < bytes.length; at++) next = parser.feed(bytes, at, at + 1);
    assert.equal(next, bytes.length);
  }
  // 640 000 bytes one by one: quadratic, they would be looked at 10 000 000 000 times.
  assert.ok(performance.now() - began < 5000);
});
