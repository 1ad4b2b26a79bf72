// What a request head says, and what is refused with which status and which words.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeadLimits, RequestHead } from '../../src/http1/request-head.ts';
import { DEFAULT_HEAD_LIMITS, NEED_MORE, REFUSED, RequestHeadParser } from '../../src/http1/request-head.ts';
import { pairsOf, readRequests } from './read-as-sockgate.ts';

function headOf(text: string, limits: HeadLimits = DEFAULT_HEAD_LIMITS): RequestHead {
  const parser = new RequestHeadParser(limits);
  const bytes = Buffer.from(text, 'latin1');
  const next = parser.feed(bytes, 0, bytes.length);
  assert.equal(next, bytes.length, parser.refusal.reason);
  return parser.head;
}

/** Feeds the text whole, then byte by byte: both must be refused alike. */
function refusalOf(text: string, limits: HeadLimits = DEFAULT_HEAD_LIMITS): { status: number; reason: string } {
  const whole = readRequests(Buffer.from(text, 'latin1'), [], limits).refusal;
  const inBytes = readRequests(Buffer.from(text, 'latin1'), [1], limits).refusal;
  assert.deepEqual(inBytes, whole, `in single bytes: ${JSON.stringify(text.slice(0, 200))}`);
  assert.ok(whole !== undefined, `not refused: ${JSON.stringify(text.slice(0, 200))}`);
  return whole;
}

const HOST = 'Host: example.com\r\n';

test('a browser request is read with all its parts', () => {
  const fields = 'Host: App.Example.com:8080\r\nUser-Agent: x\r\nACCEPT: */*\r\nCookie: a=b\r\ncookie: c=d\r\n';
  const head = headOf(`GET /a/b?c=d HTTP/1.1\r\n${fields}Connection: keep-alive\r\n\r\n`);
  assert.equal(head.method, 'GET');
  assert.equal(head.target, '/a/b?c=d');
  assert.equal(head.version, 11);
  assert.equal(head.host, 'app.example.com');
  assert.equal(head.port, 8080);
  assert.equal(head.hostHeader, 'App.Example.com:8080');
  assert.equal(head.absoluteForm, false);
  assert.equal(head.requestLine, 'GET /a/b?c=d HTTP/1.1');
  assert.equal(head.lineLength, 'GET /a/b?c=d HTTP/1.1\r\n'.length);
  assert.equal(head.headLength, head.lineLength + fields.length + 'Connection: keep-alive\r\n\r\n'.length);
  assert.deepEqual([head.connectionKeepAlive, head.connectionClose, head.connectionUpgrade], [true, false, false]);
  assert.deepEqual([head.contentLength, head.chunked, head.hasBody, head.upgrade], [-1, false, false, '']);
  assert.deepEqual(pairsOf(head.headers).slice(2), [
    ['ACCEPT', '*/*'],
    ['Cookie', 'a=b'],
    ['cookie', 'c=d'],
    ['Connection', 'keep-alive'],
  ]);
});

test('a WebSocket handshake is seen as one', () => {
  const head = headOf(`GET / HTTP/1.1\r\n${HOST}Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n`);
  assert.deepEqual([head.connectionUpgrade, head.connectionKeepAlive, head.upgrade], [true, true, 'websocket']);
  assert.equal(headOf(`GET / HTTP/1.1\r\n${HOST}Upgrade: websocket\r\nUpgrade: h2c\r\n\r\n`).upgrade, 'websocket, h2c');
});

test('options of Connection are whole words, in any case and any of its fields', () => {
  const options = (...values: string[]): boolean[] => {
    const head = headOf(`GET / HTTP/1.1\r\n${HOST}${values.map((value) => `Connection: ${value}\r\n`).join('')}\r\n`);
    return [head.connectionClose, head.connectionKeepAlive, head.connectionUpgrade];
  };
  assert.deepEqual(options('Close'), [true, false, false]);
  assert.deepEqual(options('x-close'), [false, false, false]);
  assert.deepEqual(options('a,\tclose ,b'), [true, false, false]);
  assert.deepEqual(options('Keep-Alive', 'UPGRADE'), [false, true, true]);
  assert.deepEqual(options('keep-alive, close'), [true, true, false]);
});

test('a body is announced by Content-Length or by chunked', () => {
  assert.equal(headOf(`POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\n`).contentLength, 5);
  assert.equal(headOf(`POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`).hasBody, false);
  assert.equal(headOf(`POST / HTTP/1.1\r\n${HOST}Content-Length: 9007199254740991\r\n\r\n`).contentLength, 2 ** 53 - 1);
  assert.equal(headOf(`POST / HTTP/1.1\r\n${HOST}Content-Length: 007\r\n\r\n`).contentLength, 7);
  assert.equal(headOf(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: ChunkeD\r\n\r\n`).chunked, true);
});

test('Expect: 100-continue counts in HTTP/1.1 alone', () => {
  assert.equal(headOf(`POST / HTTP/1.1\r\n${HOST}Expect: 100-Continue\r\n\r\n`).expectContinue, true);
  assert.equal(headOf(`POST / HTTP/1.1\r\n${HOST}Expect: cookies\r\n\r\n`).expectContinue, false);
  assert.equal(headOf(`POST / HTTP/1.0\r\n${HOST}Expect: 100-continue\r\n\r\n`).expectContinue, false);
});

test('the host in an absolute-form target wins, and Host says the same', () => {
  const head = headOf('GET http://A.example:81/x?y HTTP/1.1\r\nX: 1\r\nHost: other\r\n\r\n');
  assert.deepEqual(
    [head.absoluteForm, head.target, head.host, head.port, head.hostHeader],
    [true, '/x?y', 'a.example', 81, 'A.example:81'],
  );
  assert.deepEqual(pairsOf(head.headers), [
    ['X', '1'],
    ['Host', 'A.example:81'],
  ]);
  assert.equal(headOf(`GET http://h HTTP/1.1\r\n${HOST}\r\n`).target, '/');
  assert.equal(headOf(`GET http://h?a=b#c HTTP/1.1\r\n${HOST}\r\n`).target, '/?a=b#c');
  assert.equal(headOf(`GET ws://[::1]:90/a HTTP/1.1\r\n${HOST}\r\n`).host, '[::1]');
});

test('a target is kept exactly as it was sent', () => {
  for (const target of ['/', '//', '/a/../b', '/%2e%2E//', '/a;b?c=d&e#f', '/\xe4\xff', '/"<>{}|\\^`', '/?', '/+']) {
    assert.equal(headOf(`GET ${target} HTTP/1.1\r\n${HOST}\r\n`).target, target);
  }
});

test('spaces around the parts of a request line are passed over, as in nginx', () => {
  const head = headOf(`GET   /a   HTTP/1.1  \r\n${HOST}\r\n`);
  assert.deepEqual(
    [head.method, head.target, head.version, head.requestLine],
    ['GET', '/a', 11, 'GET   /a   HTTP/1.1  '],
  );
});

test('empty lines before a request are passed over, however many', () => {
  const head = headOf(`\r\n\n\r\n${'\r\n'.repeat(50_000)}GET / HTTP/1.1\r\n${HOST}\r\n`);
  assert.equal(head.method, 'GET');
  assert.equal(head.headLength, `GET / HTTP/1.1\r\n${HOST}\r\n`.length);
});

test('a bare LF ends a line, in nginx and in RFC 9112', () => {
  const head = headOf('GET / HTTP/1.1\nHost: a\nX: y \n\n');
  assert.deepEqual(pairsOf(head.headers), [
    ['Host', 'a'],
    ['X', 'y'],
  ]);
});

test('HTTP/0.9 is a GET, a target, and nothing more', () => {
  const { messages } = readRequests(Buffer.from('GET /a\r\nHost: not-a-field\r\n\r\n'));
  assert.deepEqual(
    messages.map(({ head }) => [head.method, head.target, head.version, head.headers.length]),
    [['GET', '/a', 9, 0]],
  );
  assert.equal(headOf('GET /a \n').version, 9);
});

test('versions of HTTP/1 beyond 1.1 are 1.1', () => {
  for (const version of ['1.1', '1.2', '1.01', '1.999'])
    assert.equal(headOf(`GET / HTTP/${version}\r\n${HOST}\r\n`).version, 11);
  for (const version of ['1.0', '1.00']) assert.equal(headOf(`GET / HTTP/${version}\r\n\r\n`).version, 10);
});

test('any run of capitals, hyphens and underscores is a method', () => {
  for (const method of ['GET', 'POST', 'PUT', 'M-SEARCH', 'VERSION-CONTROL', 'X_Y', 'GETX', 'G']) {
    assert.equal(headOf(`${method} / HTTP/1.1\r\n${HOST}\r\n`).method, method);
  }
});

test('white space around a value is not a part of it', () => {
  const head = headOf(`GET / HTTP/1.1\r\n${HOST}A:b\r\nC: \t d\te \t\r\nF:\r\nG: \t \r\n\r\n`);
  assert.deepEqual(pairsOf(head.headers).slice(1), [
    ['A', 'b'],
    ['C', 'd\te'],
    ['F', ''],
    ['G', ''],
  ]);
});

test('names like __proto__ and constructor are fields like any other', () => {
  const limits = { ...DEFAULT_HEAD_LIMITS, underscoresInHeaders: true };
  const head = headOf(`GET / HTTP/1.1\r\n${HOST}__proto__: a\r\nconstructor: b\r\nHasOwnProperty: c\r\n\r\n`, limits);
  assert.deepEqual(
    [head.headers.get('__proto__'), head.headers.get('constructor'), head.headers.get('hasownproperty')],
    ['a', 'b', 'c'],
  );
  assert.equal(({} as Record<string, unknown>)['a'], undefined);
});

test('names that are not letters, digits and hyphens are dropped without a word to the client', () => {
  const text = `GET / HTTP/1.1\r\n${HOST}X_Forwarded_For: 1\r\nX.Y: 2\r\n(z): 3\r\n\xe4: 4\r\nX-Y: 5\r\n\r\n`;
  const parser = new RequestHeadParser(DEFAULT_HEAD_LIMITS);
  const bytes = Buffer.from(text, 'latin1');
  assert.equal(parser.feed(bytes, 0, bytes.length), bytes.length);
  assert.deepEqual(pairsOf(parser.head.headers), [
    ['Host', 'example.com'],
    ['X-Y', '5'],
  ]);
  assert.deepEqual(parser.droppedHeaders, ['X_Forwarded_For', 'X.Y', '(z)', '\xe4']);
  const plain = Buffer.from(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  parser.feed(plain, 0, plain.length);
  assert.equal(parser.droppedHeaders, undefined);
});

test('underscores pass where the configuration lets them, other signs where it ignores nothing', () => {
  const text = `GET / HTTP/1.1\r\n${HOST}X_Y: 1\r\n_z: 2\r\nX.Y: 3\r\n\r\n`;
  const namesWith = (change: Partial<HeadLimits>): string[] =>
    pairsOf(headOf(text, { ...DEFAULT_HEAD_LIMITS, ...change }).headers).map(([name]) => name);
  assert.deepEqual(namesWith({}), ['Host']);
  assert.deepEqual(namesWith({ underscoresInHeaders: true }), ['Host', 'X_Y', '_z']);
  assert.deepEqual(namesWith({ ignoreInvalidHeaders: false }), ['Host', 'X_Y', '_z', 'X.Y']);
  const notToken = `GET / HTTP/1.1\r\n${HOST}(x): 1\r\n\r\n`;
  assert.equal(refusalOf(notToken, { ...DEFAULT_HEAD_LIMITS, ignoreInvalidHeaders: false }).status, 400);
});

const REFUSED_LINES: [string, number, RegExp][] = [
  ['get / HTTP/1.1', 400, /^client sent invalid method$/],
  ['G\0T / HTTP/1.1', 400, /invalid method/],
  ['G1 / HTTP/1.1', 400, /invalid method/],
  [' GET / HTTP/1.1', 400, /invalid method/],
  ['GET\t/ HTTP/1.1', 400, /invalid method/],
  ['GET', 400, /invalid method/],
  ['\x16\x03\x01\x02\x00', 400, /invalid method/],
  ['GET  HTTP/1.1', 400, /^client sent invalid request$/],
  ['GET x HTTP/1.1', 400, /invalid request/],
  ['OPTIONS * HTTP/1.1', 400, /invalid request/],
  ['GET /a b HTTP/1.1', 400, /invalid request/],
  ['GET /a HTTP/1.1 b', 400, /invalid request/],
  ['GET /\x01 HTTP/1.1', 400, /invalid request/],
  ['GET /\0 HTTP/1.1', 400, /invalid request/],
  ['GET /\x7f HTTP/1.1', 400, /invalid request/],
  ['GET /a\tb HTTP/1.1', 400, /invalid request/],
  ['GET /a\rb HTTP/1.1', 400, /invalid request/],
  ['GET / HTTP/1.1\r', 400, /invalid request/],
  ['GET / http/1.1', 400, /invalid request/],
  ['GET / HTTP/1', 400, /invalid request/],
  ['GET / HTTP/1.', 400, /invalid request/],
  ['GET / HTTP/.1', 400, /invalid request/],
  ['GET / HTTP/0.9', 400, /invalid request/],
  ['GET / HTTP/1.1000', 400, /invalid request/],
  ['GET / HTTP/1.1\0', 400, /invalid request/],
  ['GET / HTTQ/1.1', 400, /invalid request/],
  ['GET http:/h/ HTTP/1.1', 400, /invalid request/],
  ['GET http//h/ HTTP/1.1', 400, /invalid request/],
  ['GET 1http://h/ HTTP/1.1', 400, /invalid request/],
  ['GET http://h', 400, /invalid request/],
  ['GET http:///a HTTP/1.1', 400, /^client sent invalid host in request line$/],
  ['GET http://u:p@h/ HTTP/1.1', 400, /invalid host in request line/],
  ['GET http://a_b/ HTTP/1.1', 400, /invalid host in request line/],
  ['GET http://h#f HTTP/1.1', 400, /invalid host in request line/],
  ['GET http://h:8x/ HTTP/1.1', 400, /invalid host in request line/],
  ['GET http://a..b/ HTTP/1.1', 400, /invalid host in request line/],
  ['POST /a', 400, /^client sent invalid method in HTTP\/0.9 request$/],
  ['GET / HTTP/2.0', 505, /^client sent invalid version$/],
  ['GET / HTTP/11.1', 505, /invalid version/],
  ['GET / HTTP/3', 505, /invalid version/],
  ['PRI * HTTP/2.0', 400, /invalid request/],
  ['CONNECT h:80 HTTP/1.1', 405, /^client sent CONNECT method$/],
  ['CONNECT h HTTP/1.1', 400, /invalid request/],
  ['CONNECT / HTTP/1.1', 400, /invalid request/],
  ['CONNECT h:80', 400, /invalid request/],
  ['TRACE / HTTP/1.1', 405, /^client sent TRACE method$/],
];

test('a request line that is none is refused with the status and the words of nginx', () => {
  for (const [line, status, reason] of REFUSED_LINES) {
    const refusal = refusalOf(`${line}\r\n${HOST}\r\n`);
    assert.equal(refusal.status, status, JSON.stringify(line));
    assert.match(refusal.reason, reason, JSON.stringify(line));
  }
});

const REFUSED_FIELDS: [string, number, RegExp][] = [
  // Two lengths, or none that all would read alike.
  [
    'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n',
    400,
    /"Content-Length" and "Transfer-Encoding" headers at the same time/,
  ],
  ['Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', 400, /at the same time/],
  ['Transfer-Encoding: chunked\r\nContent-Length: 0\r\n', 400, /at the same time/],
  [
    'Content-Length: 5\r\nContent-Length: 5\r\n',
    400,
    /duplicate header line: "Content-Length: 5", previous value: "Content-Length: 5"/,
  ],
  ['Content-Length: 5\r\ncontent-length: 6\r\n', 400, /duplicate header line/],
  ['Content-Length: 5, 5\r\n', 400, /invalid "Content-Length" header/],
  ['Content-Length: +5\r\n', 400, /invalid "Content-Length" header/],
  ['Content-Length: -5\r\n', 400, /invalid "Content-Length" header/],
  ['Content-Length: 5 5\r\n', 400, /invalid "Content-Length" header/],
  ['Content-Length: 0x5\r\n', 400, /invalid "Content-Length" header/],
  ['Content-Length: 5_000\r\n', 400, /invalid "Content-Length" header/],
  ['Content-Length: 5.0\r\n', 400, /invalid "Content-Length" header/],
  ['Content-Length: 1e3\r\n', 400, /invalid "Content-Length" header/],
  ['Content-Length:\r\n', 400, /invalid "Content-Length" header/],
  ['Content-Length: \t5\r\n', 400, /invalid "Content-Length" header/],
  ['Content-Length: \xb2\r\n', 400, /invalid "Content-Length" header/],
  ['Content-Length: 9007199254740992\r\n', 400, /invalid "Content-Length" header/],
  [`Content-Length: ${'9'.repeat(400)}\r\n`, 400, /invalid "Content-Length" header/],
  ['Transfer-Encoding: gzip\r\n', 501, /unknown "Transfer-Encoding": "gzip"/],
  ['Transfer-Encoding: gzip, chunked\r\n', 501, /unknown "Transfer-Encoding"/],
  ['Transfer-Encoding: chunked, chunked\r\n', 400, /goes on behind "chunked"/],
  ['Transfer-Encoding: ,chunked\r\n', 501, /unknown "Transfer-Encoding"/],
  ['Transfer-Encoding: chunked;a=b\r\n', 501, /unknown "Transfer-Encoding"/],
  ['Transfer-Encoding: identity\r\n', 501, /unknown "Transfer-Encoding"/],
  ['Transfer-Encoding:\r\n', 501, /unknown "Transfer-Encoding"/],
  ['Transfer-Encoding: chunked\t\r\n', 501, /unknown "Transfer-Encoding"/],
  ['Transfer-Encoding: \xa0chunked\r\n', 501, /unknown "Transfer-Encoding"/],
  ['Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', 400, /duplicate header line/],
  ['Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', 400, /duplicate header line/],
  ['Transfer-Encoding: gzip\r\nContent-Length: 5\r\n', 501, /unknown "Transfer-Encoding"/],
  // Lines that somebody may divide or join otherwise.
  ['X: a\r\n b\r\n', 400, /invalid header line: "\\x20..."/],
  ['X: a\r\n\tb\r\n', 400, /invalid header line: "\\x09..."/],
  ['Content-Length : 5\r\n', 400, /invalid header line: "Content-Length\\x20..."/],
  ['Transfer-Encoding\t: chunked\r\n', 400, /invalid header line/],
  [': a\r\n', 400, /invalid header line: "\\x3a..."/],
  ['X Y: a\r\n', 400, /invalid header line: "X\\x20..."/],
  ['X\r\n', 400, /invalid header line: "X\\x0d..."/],
  ['X: a\0b\r\n', 400, /invalid header line: "X: ...\\x00..."/],
  ['X: a\rb\r\n', 400, /invalid header line: "X: ...\\x0d..."/],
  ['X: a\r\r\n', 400, /invalid header line: "X: ...\\x0d..."/],
  ['X: a\x01\r\n', 400, /invalid header line: "X: ...\\x01..."/],
  ['X: a\x0b\r\n', 400, /invalid header line/],
  ['X: a\x7f\r\n', 400, /invalid header line: "X: ...\\x7f..."/],
  ['X\0: a\r\n', 400, /invalid header line: "X\\x00..."/],
  ['X\x7f: a\r\n', 400, /invalid header line/],
  ['\r\rX', 400, /invalid header line: "\\x0d..."/],
  ['\rGET /smuggled HTTP/1.1\r\n', 400, /invalid header line/],
  // Two hosts, or none that is one.
  ['Host: b\r\n', 400, /duplicate host header: "Host: b", previous value: "Host: example.com"/],
  ['host: example.com\r\n', 400, /duplicate host header/],
];

test('a head that two readers could understand differently is refused', () => {
  for (const [fields, status, reason] of REFUSED_FIELDS) {
    const refusal = refusalOf(`POST / HTTP/1.1\r\n${HOST}${fields}\r\n`);
    assert.equal(refusal.status, status, JSON.stringify(fields));
    assert.match(refusal.reason, reason, JSON.stringify(fields));
  }
});

test('fields that a request may have once are refused twice, and a secret is not shown', () => {
  const once = [
    'If-Modified-Since',
    'If-Unmodified-Since',
    'If-Match',
    'If-None-Match',
    'If-Range',
    'Content-Range',
    'Expect',
  ];
  for (const name of once)
    assert.match(
      refusalOf(`GET / HTTP/1.1\r\n${HOST}${name}: a\r\n${name}: b\r\n\r\n`).reason,
      /duplicate header line/,
      name,
    );
  for (const name of ['Authorization', 'Proxy-Authorization']) {
    const { status, reason } = refusalOf(`GET / HTTP/1.1\r\n${HOST}${name}: s3cret\r\n${name}: s3cret\r\n\r\n`);
    assert.deepEqual([status, reason], [400, `client sent duplicate header line: "${name}"`]);
  }
  assert.doesNotMatch(refusalOf(`GET / HTTP/1.1\r\n${HOST}Cookie: s3cret\0\r\n\r\n`).reason, /s3cret/);
});

test('a sentence for the log has a bound', () => {
  const long = 'a'.repeat(8000);
  for (const fields of [
    `Transfer-Encoding: ${long}`,
    `Expect: ${long}\r\nExpect: ${long}`,
    `X: ${long}\0`,
    `${long}: \0`,
  ]) {
    assert.ok(refusalOf(`GET / HTTP/1.1\r\n${HOST}${fields}\r\n\r\n`).reason.length < 600);
  }
});

test('HTTP/1.0 knows no Transfer-Encoding', () => {
  assert.deepEqual(refusalOf('POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n'), {
    status: 400,
    reason: 'client sent HTTP/1.0 request with "Transfer-Encoding" header',
  });
});

test('HTTP/1.1 asks for a Host; HTTP/1.0 does not', () => {
  assert.equal(refusalOf('GET / HTTP/1.1\r\n\r\n').reason, 'client sent HTTP/1.1 request without "Host" header');
  assert.equal(refusalOf('GET http://h/ HTTP/1.1\r\n\r\n').status, 400);
  assert.equal(headOf('GET / HTTP/1.0\r\n\r\n').host, '');
  assert.equal(headOf('GET http://h/ HTTP/1.0\r\n\r\n').host, 'h');
});

test('a Host that is none is refused, also where the target names the host', () => {
  for (const value of ['', 'a b', 'a,b', 'u@h', 'a/b', 'a..b', '[::1', 'a:x', '\xe4']) {
    assert.deepEqual(
      refusalOf(`GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`),
      { status: 400, reason: 'client sent invalid host header' },
      value,
    );
    assert.equal(refusalOf(`GET http://h/ HTTP/1.1\r\nHost: ${value}\r\n\r\n`).status, 400);
    assert.equal(refusalOf(`GET / HTTP/1.0\r\nHost: ${value}\r\n\r\n`).status, 400);
  }
});

test('a request behind a refused one is not looked at', () => {
  const { messages, refusal, left } = readRequests(
    Buffer.from(`GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n${HOST}\r\n`),
  );
  assert.equal(messages.length, 0);
  assert.equal(refusal?.status, 400);
  assert.ok(left > 0);
});

test('pipelined requests are read one after the other, each from its own first byte', () => {
  const one = `POST /1 HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nGET /`;
  const two = `POST /2 HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`;
  const three = `GET /3 HTTP/1.1\r\n${HOST}\r\n`;
  const { messages } = readRequests(Buffer.from(one + two + three));
  assert.deepEqual(
    messages.map(({ head, body }) => [head.target, body]),
    [
      ['/1', 'GET /'],
      ['/2', 'abc'],
      ['/3', ''],
    ],
  );
});

test('an upgrade request with a body has a body', () => {
  const upgrade = `GET / HTTP/1.1\r\n${HOST}Connection: upgrade\r\nUpgrade: websocket\r\n`;
  const { messages } = readRequests(
    Buffer.from(
      `${upgrade}Content-Length: 3\r\n\r\nabc${upgrade}Transfer-Encoding: chunked\r\n\r\n1\r\nd\r\n0\r\n\r\n`,
    ),
  );
  assert.deepEqual(
    messages.map(({ head, body }) => [head.hasBody, body]),
    [
      [true, 'abc'],
      [true, 'd'],
    ],
  );
});

test('every head is a new one, and the parser keeps nothing of the last', () => {
  const parser = new RequestHeadParser(DEFAULT_HEAD_LIMITS);
  const feed = (text: string): RequestHead => {
    const bytes = Buffer.from(text);
    assert.equal(parser.feed(bytes, 0, bytes.length), bytes.length);
    return parser.head;
  };
  const first = feed(`POST /1 HTTP/1.0\r\n${HOST}Connection: close\r\nContent-Length: 5\r\nUpgrade: x\r\n\r\n`);
  const second = feed(`GET /2 HTTP/1.1\r\n${HOST}\r\n`);
  assert.deepEqual([first.target, first.contentLength, first.headers.length], ['/1', 5, 4]);
  assert.deepEqual(
    [second.contentLength, second.connectionClose, second.upgrade, second.headers.length],
    [-1, false, '', 1],
  );
});

test('garbage is refused at its first byte, without waiting for the end of a line', () => {
  assert.equal(new RequestHeadParser(DEFAULT_HEAD_LIMITS).feed(Buffer.from('\x16'), 0, 1), REFUSED);
  const parser = new RequestHeadParser(DEFAULT_HEAD_LIMITS);
  const bytes = Buffer.from('GExT');
  assert.equal(parser.feed(bytes, 0, 2), NEED_MORE);
  assert.equal(parser.feed(bytes, 2, 3), REFUSED);
});

test('what can be read of a refused request is there for the log', () => {
  const after = (text: string): RequestHead => {
    const parser = new RequestHeadParser(DEFAULT_HEAD_LIMITS);
    const bytes = Buffer.from(text, 'latin1');
    assert.equal(parser.feed(bytes, 0, bytes.length), REFUSED);
    return parser.head;
  };
  const head = after(`GET /a HTTP/1.1\r\n${HOST}User-Agent: x\r\nBad\0: y\r\n\r\n`);
  assert.deepEqual(
    [head.method, head.target, head.requestLine, head.host],
    ['GET', '/a', 'GET /a HTTP/1.1', 'example.com'],
  );
  assert.equal(head.headers.get('user-agent'), 'x');
  assert.equal(after('\x16\x03\x01\r\nfoo').requestLine, '\x16\x03\x01');
  assert.equal(after('GET /a b HTTP/1.1\r\n\r\n').requestLine, 'GET /a b HTTP/1.1');
  assert.equal(after(`GET /${'a'.repeat(9000)} HTTP/1.1\r\n\r\n`).requestLine.length, 8192);
});

test('an incomplete head that is given up leaves what can be read of it, and the next one begins anew', () => {
  const parser = new RequestHeadParser(DEFAULT_HEAD_LIMITS);
  const begun = Buffer.from('GET /slow HTTP/1.1\r\nHost: a\r\nX-Half: ');
  assert.equal(parser.feed(begun, 0, begun.length), NEED_MORE);
  assert.equal(parser.isInsideHead, true);
  parser.abandon();
  assert.equal(parser.isInsideHead, false);
  assert.deepEqual(
    [parser.head.requestLine, parser.head.host, parser.head.headers.length],
    ['GET /slow HTTP/1.1', 'a', 1],
  );
  const next = Buffer.from(`GET /next HTTP/1.1\r\n${HOST}\r\n`);
  assert.equal(parser.feed(next, 0, next.length), next.length);
  assert.equal(parser.head.target, '/next');
});

test('parsers whose heads are incomplete at the same time do not disturb one another', () => {
  const texts = Array.from(
    { length: 20 },
    (_, i) => `GET /${i} HTTP/1.1\r\nHost: h${i}\r\nX-${i}: ${'v'.repeat(i)}\r\n\r\n`,
  );
  const parsers = texts.map(() => new RequestHeadParser(DEFAULT_HEAD_LIMITS));
  for (let at = 0; at < 80; at++) {
    for (const [i, text] of texts.entries()) {
      if (at < text.length) parsers[i]?.feed(Buffer.from(text), at, at + 1);
    }
  }
  for (const [i, parser] of parsers.entries()) {
    assert.deepEqual(
      [parser.head.target, parser.head.host, parser.head.headers.get(`x-${i}`)],
      [`/${i}`, `h${i}`, 'v'.repeat(i)],
    );
  }
});

test('a flood of names that were never seen does not disturb the names that matter', () => {
  const parser = new RequestHeadParser(DEFAULT_HEAD_LIMITS);
  for (let i = 0; i < 300; i++) {
    const names = Array.from({ length: 40 }, (_, j) => `${i.toString(36)}-${j.toString(36)}-name: ${j}\r\n`).join('');
    const bytes = Buffer.from(`POST / HTTP/1.1\r\n${HOST}${names}Content-Length: 7\r\n\r\n`);
    assert.equal(parser.feed(bytes, 0, bytes.length), bytes.length);
    assert.deepEqual([parser.head.contentLength, parser.head.headers.length], [7, 42]);
    assert.equal(parser.head.headers.get(`${i.toString(36)}-z-name`), '35');
  }
});
