// Two readers, one stream of requests: whatever we accept, Node's own parser (llhttp) must read the same way. Where two
// readers differ, a request can be smuggled past one of them, so each place where we accept more is named here.

import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RequestHead } from '../../src/http1/request-head.ts';
import type { NodeMessage, NodeResult } from './read-as-node.ts';
import { nodeReadsRequests } from './read-as-node.ts';
import type { ReadMessage, ReadResult } from './read-as-sockgate.ts';
import { pairsOf, readRequests } from './read-as-sockgate.ts';

/** What we accept and llhttp refuses: by the error that llhttp gives, and what must then be true of the bytes. */
const WE_ACCEPT_MORE: Record<string, (head: RequestHead, text: string) => boolean> = {
  // A method is any run of capitals, `-` and `_` (nginx); llhttp knows a list.
  HPE_INVALID_METHOD: (head) => !METHODS.includes(head.method),
  // Bytes above 127 in a target pass as they are (nginx). llhttp reads the parts of a target; we pass it on whole.
  HPE_INVALID_URL: (head) =>
    /[\x80-\xff]/.test(head.requestLine) || head.absoluteForm || /[#?].*[#?]/.test(head.target),
  // HTTP/1.2 and HTTP/1.01 are HTTP/1.1, and spaces may follow (nginx); a bare LF ends the line.
  HPE_INVALID_VERSION: (head, text) =>
    head.method === 'PRI' || /HTTP\/1\.(?:[2-9]|\d\d)|HTTP\/1\.\d+ +\r?\n|HTTP\/1\.\d+\n/.test(text),
  HPE_EXPECTED_LF: (_head, text) => hasBareLf(text),
  HPE_CR_EXPECTED: (_head, text) => hasBareLf(text),
  HPE_LF_EXPECTED: (_head, text) => hasBareLf(text),
  // A field whose name is not letters, digits and hyphens is dropped (nginx's ignore_invalid_headers), so nobody else reads it.
  HPE_INVALID_HEADER_TOKEN: (_head, text) =>
    /\n[^\r\n:]*[^\r\n:!#$%&'*+\-.^_`|~0-9A-Za-z][^\r\n:]*:/.test(text) || hasBareLf(text),
  // We do not look at what follows a request that asks for the connection to be closed.
  HPE_CLOSED_CONNECTION: () => true,
  // A trailer that would change the framing is dropped (RFC 9110, 6.5.1).
  HPE_INVALID_CONTENT_LENGTH: (head) => head.chunked,
  HPE_UNEXPECTED_CONTENT_LENGTH: (head) => head.chunked,
  HPE_INVALID_TRANSFER_ENCODING: (head) => head.chunked,
};

function hasBareLf(text: string): boolean {
  return /(?:^|[^\r])\n/.test(text);
}

const often = <T>(value: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 30, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: fc.constantFrom(value, ...others) });

const eol = often('\r\n', '\n', '\r', '\r\r\n', '\n\r', '');
const method = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS') },
  { weight: 1, arbitrary: fc.constantFrom('M-SEARCH', 'FOO', 'get', 'G T', '', 'PRI', 'GET\0') },
);
const target = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('/', '/a/b?c=d', '/%2e%2e/x', '/a;b=c', '/?', '//') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '*',
      '/\xe4',
      '/a b',
      '/\x01',
      '',
      'http://h/p?q',
      'http://h:80',
      'https://u@h/',
      '/a#b?c',
      '/\x7f',
      'x',
      '/a\t',
      'ws://h?x',
    ),
  },
);
const version = often(
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/1.01',
  'HTTP/2.0',
  'http/1.1',
  'HTTP/1.1 ',
  'HTTP/11.1',
  'HTTP/1.',
  '',
  'HTTP/1,1',
);
const blank = often(' ', '  ', '\t', '');
const requestLine = fc.tuple(method, blank, target, blank, version, eol).map((parts) => parts.join(''));

const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('Accept', 'X-A', 'cookie', 'Connection', 'Keep-Alive', 'Expect') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'X_A',
      'X.B',
      '(x)',
      '',
      ' X',
      'X Y',
      'X\0',
      '__proto__',
      'constructor',
      '\xe4',
      'Host ',
      'Trailer',
      'Content_Length',
    ),
  },
);
const value = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('a', 'text/html, */*', 'keep-alive', 'close', '', '100-continue', 'a\tb', '\xff'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'a\0b',
      'a\rb',
      'a\x7f',
      'a\x01',
      'a\r\n b',
      ' a ',
      '\ta\t',
      'a\nb',
      'Keep-Alive, close',
      'close, keep-alive',
    ),
  },
);
const colon = often(': ', ':', ' : ', ':\t', '::', '', ' :');
const field = fc.tuple(name, colon, value, eol).map((parts) => parts.join(''));
const host = often(
  'Host: example.com\r\n',
  'Host: a:80\r\n',
  'host:b\r\n',
  '',
  'Host: a\r\nHost: b\r\n',
  'Host: a b\r\n',
);
const framing = fc.oneof(
  { weight: 5, arbitrary: fc.constant(['', '']) },
  { weight: 4, arbitrary: fc.constant(['Content-Length: 5\r\n', 'hello']) },
  { weight: 4, arbitrary: fc.constant(['Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n']) },
  {
    weight: 2,
    arbitrary: fc.constant([
      'transfer-encoding: Chunked\r\n',
      '2;a=b\r\nhe\r\n03;c="d\\"e"\r\nllo\r\n000\r\nX-T: 1\r\n\r\n',
    ]),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc
        .constantFrom(
          'Content-Length: 5',
          'Content-Length: +5',
          'Content-Length: 5, 5',
          'Content-Length: 5\r\nContent-Length: 5',
          'Content-Length: 005',
          'Content-Length:5 ',
          'Content-Length: 5\r\nTransfer-Encoding: chunked',
          'Transfer-Encoding: chunked, chunked',
          'Transfer-Encoding: gzip, chunked',
          'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
          'Transfer-Encoding : chunked',
          'Transfer-Encoding: \tchunked',
          'Transfer-Encoding:\x0bchunked',
          'Transfer-Encoding: identity',
          'Content-Length: ',
          'Content-Length: 0x5',
          'Content-Length: 5a',
        )
        .map((line) => `${line}\r\n`),
      fc.constantFrom('hello', '5\r\nhello\r\n0\r\n\r\n'),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constant('Transfer-Encoding: chunked\r\n'),
      fc.constantFrom(
        '5 \r\nhello\r\n0\r\n\r\n',
        '5\nhello\r\n0\r\n\r\n',
        '5\r\nhello\n0\r\n\r\n',
        '5\r\nhello0\r\n\r\n',
        '+5\r\nhello\r\n0\r\n\r\n',
        '0x5\r\nhello\r\n0\r\n\r\n',
        '5;\r\nhello\r\n0\r\n\r\n',
        '5;a b\r\nhello\r\n0\r\n\r\n',
        '5;a="b\r\nhello\r\n0\r\n\r\n',
        '\r\n5\r\nhello\r\n0\r\n\r\n',
        '5\r\nhello\r\n0\r\n\r',
        '5\r\nhello\r\n0\n\n',
        '5\r\nhello\r\n0\r\nX: 1\n\r\n',
        '5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n',
        '5\r\nhello\r\n0\r\n X: 1\r\n\r\n',
        '5\r\nhello\r\n0\r\nX : 1\r\n\r\n',
        '4\r\nhello\r\n0\r\n\r\n',
        '6\r\nhello\r\n0\r\n\r\n',
        '_5\r\nhello\r\n0\r\n\r\n',
        'ffffffffffffffff\r\nhello',
        '5\r\nhello\r\n-0\r\n\r\n',
        '5\r\nhello\r\n\r\n',
      ),
    ),
  },
);
const oneRequest = fc
  .tuple(
    often('', '\r\n', '\n', ' '),
    requestLine,
    host,
    fc.array(field, { maxLength: 4 }),
    framing,
    often('\r\n', '\n', '\r', ' \r\n', '\r\n\r\n', '\r\rX'),
  )
  .map(
    ([before, line, hostLine, fields, [framed, body], end]) =>
      `${before}${line}${hostLine}${fields.join('')}${framed ?? ''}${end}${body ?? ''}`,
  );

/** Small damage at some byte: what a fuzzer would do. */
const damage = fc.array(
  fc.tuple(
    fc.nat(),
    fc.constantFrom('', '\r', '\n', ' ', '\t', ':', '\0', '0', '5', 'a', ';', ',', '\xff', '\x7f'),
    fc.nat(2),
  ),
  { maxLength: 2 },
);
const stream = fc
  .tuple(
    fc.array(oneRequest, { minLength: 1, maxLength: 3 }),
    fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: damage }),
  )
  .map(([requests, edits]) => {
    let text = requests.join('');
    for (const [where, what, length] of edits) {
      const at = where % (text.length + 1);
      text = text.slice(0, at) + what + text.slice(at + length);
    }
    return text;
  });

/** The fields that we keep, out of all: nginx drops names that are more than letters, digits and hyphens. */
function kept(fields: readonly [string, string][]): [string, string][] {
  return fields.filter(([fieldName]) => /^[-0-9A-Za-z]+$/.test(fieldName));
}

/** Around values that we act on we let tabs stand. */
function trimmed(fields: readonly [string, string][]): [string, string][] {
  return fields.map(([fieldName, fieldValue]) => [fieldName, fieldValue.replace(/^[\t ]+|[\t ]+$/g, '')]);
}

function assertSame(ours: ReadMessage<RequestHead>, theirs: NodeMessage): void {
  const { head } = ours;
  assert.equal(head.method, theirs.method);
  assert.equal(head.version === 10 ? '1.0' : '1.1', theirs.version);
  if (head.absoluteForm)
    assert.ok(theirs.target.endsWith(head.target.replace(/^\//, '')), `${theirs.target} against ${head.target}`);
  else assert.equal(head.target, theirs.target);
  const withoutHost = (fields: readonly [string, string][]): [string, string][] =>
    fields.filter(([fieldName]) => !head.absoluteForm || fieldName.toLowerCase() !== 'host');
  assert.deepEqual(withoutHost(trimmed(pairsOf(head.headers))), withoutHost(kept(theirs.fields)));
  assert.equal(ours.complete, theirs.complete, 'both must see the same end');
  if (ours.complete) assert.equal(ours.body, theirs.body);
  if (ours.complete)
    assert.deepEqual(
      ours.trailers,
      theirs.trailers.filter(([trailer]) => trailer.toLowerCase() !== 'content-length'),
    );
}

/** @returns how many requests both read alike */
function compare(text: string, ours: ReadResult<RequestHead>, node: NodeResult): number {
  for (const [i, message] of ours.messages.entries()) {
    const { head } = message;
    if (head.version === 9) return i; // HTTP/0.9, as nginx has it: llhttp waits for a version.
    const theirs = node.messages[i];
    if (!message.complete && ours.refusal !== undefined) return i; // We are the stricter one.
    if (theirs === undefined || (message.complete && !theirs.complete)) {
      assert.ok(node.error !== undefined, `we read ${head.requestLine} and llhttp waits for more`);
      const begin = ours.messages[i - 1]?.end ?? 0;
      assert.ok(
        WE_ACCEPT_MORE[node.error]?.(head, text.slice(begin, message.end)),
        `we read what llhttp refuses with ${node.error}`,
      );
      return i;
    }
    assertSame(message, theirs);
    // Node holds back what follows a request for an upgrade, whoever listens.
    if (head.connectionUpgrade && head.upgrade !== '') return i + 1;
  }
  // What is left unread is left because we close: nobody reads it after us.
  if (ours.refusal === undefined && ours.left === 0)
    assert.equal(node.messages.length, ours.messages.length, 'llhttp sees another request');
  return ours.messages.length;
}

/** So many streams; more when somebody is looking for trouble. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1500);

test('whatever request we accept, llhttp reads the same way, up to the same byte', async () => {
  let alike = 0;
  await fc.assert(
    fc.asyncProperty(stream, async (text) => {
      const bytes = Buffer.from(text, 'latin1');
      const ours = readRequests(bytes);
      const ends = ours.messages.map((message) => message.end);
      alike += compare(text, ours, await nodeReadsRequests(bytes, ends));
    }),
    { numRuns: RUNS },
  );
  assert.ok(alike > RUNS / 5, `only ${alike} requests were read by both: the generator makes nothing but garbage`);
});
