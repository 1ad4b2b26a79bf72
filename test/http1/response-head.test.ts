// What an upstream's answer says, and what of it is refused: each refusal is a 502.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResponseHead } from '../../src/http1/response-head.ts';
import { NEED_MORE, REFUSED, ResponseHeadParser } from '../../src/http1/response-head.ts';
import { pairsOf, readResponses } from './read-as-sockgate.ts';

function headOf(text: string): ResponseHead {
  const parser = new ResponseHeadParser(8192);
  const bytes = Buffer.from(text, 'latin1');
  assert.equal(parser.feed(bytes, 0, bytes.length), bytes.length, parser.reason);
  return parser.head;
}

/** Feeds the text whole, then byte by byte: both must be refused alike. */
function reasonOf(text: string, size = 8192): string {
  const whole = readResponses(Buffer.from(text, 'latin1'), [], 'GET', size).refusal;
  const inBytes = readResponses(Buffer.from(text, 'latin1'), [1], 'GET', size).refusal;
  assert.deepEqual(inBytes, whole, `in single bytes: ${JSON.stringify(text.slice(0, 200))}`);
  assert.ok(whole !== undefined, `not refused: ${JSON.stringify(text.slice(0, 200))}`);
  return whole.reason;
}

test('an answer is read with all its parts', () => {
  const text =
    'HTTP/1.1 404 Not Found here\r\nServer: x\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 5\r\nConnection: close\r\n\r\n';
  const head = headOf(text);
  assert.deepEqual([head.version, head.status, head.reason], [11, 404, 'Not Found here']);
  assert.deepEqual(pairsOf(head.headers).slice(1, 3), [
    ['Set-Cookie', 'a'],
    ['set-cookie', 'b'],
  ]);
  assert.deepEqual(
    [head.contentLength, head.chunked, head.connectionClose, head.headLength],
    [5, false, true, text.length],
  );
});

test('the reason phrase may be empty or missing, and the version 1.0', () => {
  assert.equal(headOf('HTTP/1.1 200 \r\n\r\n').reason, '');
  assert.equal(headOf('HTTP/1.1 200\r\n\r\n').reason, '');
  assert.equal(headOf('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n').version, 10);
  assert.equal(headOf('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n').connectionKeepAlive, true);
  assert.equal(headOf('HTTP/1.1  200 OK\n\n').status, 200);
});

test('the answer to a handshake shows where it goes', () => {
  const head = headOf('HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n');
  assert.deepEqual([head.status, head.upgrade, head.connectionUpgrade], [101, 'WebSocket', true]);
});

test("bytes behind a 101 are not the codec's", () => {
  const { messages, left } = readResponses(
    Buffer.from('HTTP/1.1 101 S\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\n\x81\x03abc', 'latin1'),
  );
  assert.deepEqual(
    messages.map(({ head, body }) => [head.status, body]),
    [[101, '']],
  );
  assert.equal(left, 5);
});

test('interim answers are heads of their own, before the last one', () => {
  const text =
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab';
  for (const pieces of [[], [1], [5, 2]]) {
    const { messages } = readResponses(Buffer.from(text), pieces);
    assert.deepEqual(
      messages.map(({ head, body }) => [head.status, body]),
      [
        [100, ''],
        [103, ''],
        [200, 'ab'],
      ],
    );
  }
});

test('names with underscores and dots pass, for nginx passes them from an upstream', () => {
  assert.deepEqual(pairsOf(headOf('HTTP/1.1 200 OK\r\nX_A: 1\r\nX.B: 2\r\n\r\n').headers), [
    ['X_A', '1'],
    ['X.B', '2'],
  ]);
});

const NOT_HTTP = [
  'SSH-2.0-OpenSSH_9.0\r\n',
  'HTTP/2 200 OK\r\n\r\n',
  'HTTP/2.0 200 OK\r\n\r\n',
  'http/1.1 200 OK\r\n\r\n',
  ' HTTP/1.1 200 OK\r\n\r\n',
  '\r\nHTTP/1.1 200 OK\r\n\r\n',
  'HTTP/1.10 200 OK\r\n\r\n',
  'HTTP/1. 200 OK\r\n\r\n',
  'HTTP/1.1\t200 OK\r\n\r\n',
  'HTTP/1.1200 OK\r\n\r\n',
  'HTTP/1.1 20 OK\r\n\r\n',
  'HTTP/1.1 2000 OK\r\n\r\n',
  'HTTP/1.1 2x0 OK\r\n\r\n',
  'HTTP/1.1 099 OK\r\n\r\n',
  'HTTP/1.1 +20 OK\r\n\r\n',
  'HTTP/1.1 200\tOK\r\n\r\n',
  'HTTP/1.1 200 O\0K\r\n\r\n',
  'HTTP/1.1 200 O\rK\r\n\r\n',
  'HTTP/1.1 200 O\x1bK\r\n\r\n',
  'HTTP/1.1 200 OK\r\r\n\r\n',
  'HTTP/1.1\r\n\r\n',
  'HTTP/1.1 \r\n\r\n',
  '<html>no head at all</html>\r\n\r\n',
];

test('what does not begin as an answer of HTTP/1 is refused, not passed on as a page', () => {
  for (const text of NOT_HTTP)
    assert.equal(reasonOf(text), 'upstream sent no valid HTTP/1.0 header', JSON.stringify(text));
});

const REFUSED_FIELDS: [string, RegExp][] = [
  ['Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', /at the same time/],
  ['Transfer-Encoding: chunked\r\nContent-Length: 0\r\n', /at the same time/],
  [
    'Content-Length: 5\r\nContent-Length: 5\r\n',
    /^upstream sent duplicate header line: "Content-Length: 5", previous value: "Content-Length: 5"$/,
  ],
  ['Content-Length: foo\r\n', /^upstream sent invalid "Content-Length" header: "Content-Length: foo"$/],
  ['Content-Length: +5\r\n', /invalid "Content-Length"/],
  ['Content-Length: 5, 5\r\n', /invalid "Content-Length"/],
  ['Content-Length:\r\n', /invalid "Content-Length"/],
  ['Transfer-Encoding: gzip\r\n', /^upstream sent unknown "Transfer-Encoding": "gzip"$/],
  ['Transfer-Encoding: gzip, chunked\r\n', /unknown "Transfer-Encoding"/],
  ['Transfer-Encoding: chunked\t\r\n', /unknown "Transfer-Encoding"/],
  ['Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', /duplicate header line/],
  ['X: a\r\n b\r\n', /^upstream sent invalid header: "\\x20..."$/],
  ['X : a\r\n', /^upstream sent invalid header: "X\\x20..."$/],
  ['X\r\n', /invalid header/],
  [': a\r\n', /invalid header/],
  ['X: a\0\r\n', /^upstream sent invalid header: "X: ...\\x00..."$/],
  ['X: a\rb\r\n', /invalid header/],
  ['X: \x08\r\n', /invalid header/],
  ['X(: a\r\n', /^upstream sent invalid header: "X\\x28..."$/],
  ['\xe4: a\r\n', /invalid header/],
  ['HTTP/1.1 200 OK\r\n', /invalid header/],
  ['\rX\r\n', /invalid header/],
];

test('a head that two readers could understand differently is refused', () => {
  for (const [fields, reason] of REFUSED_FIELDS)
    assert.match(reasonOf(`HTTP/1.1 200 OK\r\n${fields}\r\n`), reason, JSON.stringify(fields));
});

test('HTTP/1.0 knows neither Transfer-Encoding nor interim answers', () => {
  assert.equal(
    reasonOf('HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
    'upstream sent HTTP/1.0 response with "Transfer-Encoding" header',
  );
  assert.equal(reasonOf('HTTP/1.0 103 Early Hints\r\n\r\n'), 'upstream sent HTTP/1.0 response with status 103');
});

test('a head may be as large as the buffer, and not larger', () => {
  const head = (length: number): string =>
    `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(length - 'HTTP/1.1 200 OK\r\nX: \r\n\r\n'.length)}\r\n\r\n`;
  for (const pieces of [[], [1], [100]]) {
    assert.equal(readResponses(Buffer.from(head(4096)), pieces, 'GET', 4096).refusal, undefined);
    assert.equal(
      readResponses(Buffer.from(head(4097)), pieces, 'GET', 4096).refusal?.reason,
      'upstream sent too big header',
    );
  }
  assert.equal(reasonOf(`HTTP/1.1 200 ${'a'.repeat(5000)}\r\n\r\n`, 4096), 'upstream sent too big header');
  assert.equal(reasonOf(`HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(1001)}\r\n`), 'upstream sent too many header lines');
});

test('a head that never ends is refused when the buffer is full', () => {
  const parser = new ResponseHeadParser(4096);
  const piece = Buffer.from('X: y\r\n');
  const line = Buffer.from('HTTP/1.1 200 OK\r\n');
  assert.equal(parser.feed(line, 0, line.length), NEED_MORE);
  let fed = 0;
  while (parser.feed(piece, 0, piece.length) === NEED_MORE) fed += piece.length;
  assert.ok(fed <= 4096);
  assert.equal(parser.reason, 'upstream sent too big header');
});

test('garbage is refused at its first byte, without waiting for the end of a line', () => {
  assert.equal(new ResponseHeadParser(4096).feed(Buffer.from('\x15'), 0, 1), REFUSED);
  const parser = new ResponseHeadParser(4096);
  const bytes = Buffer.from('HTTX');
  assert.equal(parser.feed(bytes, 0, 2), NEED_MORE);
  assert.equal(parser.feed(bytes, 2, 4), REFUSED);
});

test('a head that was begun and forgotten does not touch the next one', () => {
  const parser = new ResponseHeadParser(4096);
  const begun = Buffer.from('HTTP/1.1 200 OK\r\nX: ');
  parser.feed(begun, 0, begun.length);
  assert.equal(parser.isInsideHead, true);
  parser.reset();
  const next = Buffer.from('HTTP/1.1 204 No Content\r\n\r\n');
  assert.equal(parser.feed(next, 0, next.length), next.length);
  assert.deepEqual([parser.head.status, parser.head.headers.length], [204, 0]);
});
