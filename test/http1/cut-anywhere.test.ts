// A network cuts a stream where it likes: every cutting must be read as the whole.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { HeadLimits, RequestHead } from '../../src/http1/request-head.ts';
import { DEFAULT_HEAD_LIMITS } from '../../src/http1/request-head.ts';
import type { ResponseHead } from '../../src/http1/response-head.ts';
import type { ReadResult } from './read-as-sockgate.ts';
import { pairsOf, readRequests, readResponses } from './read-as-sockgate.ts';

const REQUESTS = [
  'GET /a HTTP/1.1\r\nHost: a\r\nX-A: b \t\r\nCookie: c\r\n\r\n',
  '\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  'POST /c HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5;a="b"\r\nhello\r\n0\r\nX-T: t\r\n\r\n',
  'GET http://h:80/d HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n',
  'GET /e HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
].join('');

const RESPONSES = [
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
  'HTTP/1.1 200 OK\r\nServer: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: t\r\n\r\nleft over',
].join('');

const LIMITS: HeadLimits = {
  ...DEFAULT_HEAD_LIMITS,
  clientHeaderBufferSize: 64,
  largeClientHeaderBuffers: { number: 2, size: 96 },
  maxHeaders: 6,
};

function facts(read: ReadResult<RequestHead | ResponseHead>): unknown {
  return {
    refusal: read.refusal,
    messages: read.messages.map(({ head, body, trailers, complete, end }) => ({
      ...head,
      headers: pairsOf(head.headers),
      body,
      trailers,
      complete,
      end: complete ? end : 'not yet',
    })),
  };
}

test('requests are read alike when they are cut at any one byte', () => {
  const bytes = Buffer.from(REQUESTS);
  const whole = facts(readRequests(bytes));
  assert.equal(readRequests(bytes).messages.length, 5);
  for (let at = 1; at < bytes.length; at++)
    assert.deepEqual(facts(readRequests(bytes, [at, bytes.length])), whole, `cut at ${at}`);
  assert.deepEqual(facts(readRequests(bytes, [1])), whole);
});

test('answers are read alike when they are cut at any one byte', () => {
  const bytes = Buffer.from(RESPONSES);
  const whole = facts(readResponses(bytes));
  assert.equal(readResponses(bytes).messages.length, 2);
  for (let at = 1; at < bytes.length; at++)
    assert.deepEqual(facts(readResponses(bytes, [at, bytes.length])), whole, `cut at ${at}`);
  assert.deepEqual(facts(readResponses(bytes, [1])), whole);
});

const unit = fc.constantFrom('a', 'B', '-', '_', ' ', '\t', ':', '\r\n', '\r\n', '\n', '\r', '\0', '\xe4', '/', '0');
const noise = fc.string({ unit, maxLength: 120 });
const line = fc.constantFrom(
  'GET / HTTP/1.1\r\n',
  'GET / HTTP/1.1\n',
  'POST /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n',
  'GET /',
  '',
);
const field = fc.constantFrom(
  'Host: a\r\n',
  'Host: b\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  `X: ${'x'.repeat(60)}\r\n`,
  `Y: ${'y'.repeat(88)}\r\n`,
  '\r\n',
);
const text = fc
  .tuple(line, fc.array(fc.oneof(field, noise), { maxLength: 8 }))
  .map(([first, rest]) => first + rest.join(''));
const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 });

test('requests, right or wrong, small or too large, come to the same in every cutting', () => {
  fc.assert(
    fc.property(text, pieces, (stream, sizes) => {
      const bytes = Buffer.from(stream, 'latin1');
      const whole = facts(readRequests(bytes, [], LIMITS));
      assert.deepEqual(facts(readRequests(bytes, sizes, LIMITS)), whole);
      assert.deepEqual(facts(readRequests(bytes, [1], LIMITS)), whole);
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 2000) },
  );
});

test('answers, right or wrong, small or too large, come to the same in every cutting', () => {
  fc.assert(
    fc.property(text, pieces, (stream, sizes) => {
      const bytes = Buffer.from(stream.replace(/^(?:GET|POST) \/\S* (HTTP\/1.1)/, '$1 200 OK'), 'latin1');
      const whole = facts(readResponses(bytes, [], 'GET', 200));
      assert.deepEqual(facts(readResponses(bytes, sizes, 'GET', 200)), whole);
      assert.deepEqual(facts(readResponses(bytes, [1], 'GET', 200)), whole);
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 2000) },
  );
});
