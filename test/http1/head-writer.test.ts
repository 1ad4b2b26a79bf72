// Nothing that is written can be read as two messages, wherever its parts came from: response splitting (CWE-113).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  chunkHead,
  LAST_CHUNK,
  lastChunk,
  reasonPhrase,
  UnsafeHeadError,
  writeRequestHead,
  writeResponseHead,
} from '../../src/http1/head-writer.ts';
import { Headers } from '../../src/http1/headers.ts';
import { unfolded } from '../../src/http1/unfolded.ts';
import { pairsOf, readRequests, readResponses } from './read-as-sockgate.ts';

function headersOf(...pairs: [string, string][]): Headers {
  const headers = new Headers();
  for (const [name, value] of pairs) headers.add(name, value);
  return headers;
}

const UNSAFE_VALUES = ['a\r\nSet-Cookie: evil=1', 'a\nb', 'a\rb', 'a\0b', 'a\u010aSet-Cookie: x', 'a\u020d\u010a'];
const UNSAFE_NAMES = ['', 'a b', 'a:', 'a\r\nb', 'a\n', '\xe4', ' a', 'a\0'];

test('a request head is written with CRLF, in order', () => {
  const text = writeRequestHead('GET', '/a?b', headersOf(['Host', 'x'], ['X-A', '1'], ['x-a', '']));
  assert.equal(text, 'GET /a?b HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a: \r\n\r\n');
  assert.equal(writeRequestHead('GET', '/', new Headers(), 10), 'GET / HTTP/1.0\r\n\r\n');
});

test('a response head is written with the phrase, or without one', () => {
  assert.equal(writeResponseHead(200, reasonPhrase(200), headersOf(['A', 'b'])), 'HTTP/1.1 200 OK\r\nA: b\r\n\r\n');
  assert.equal(writeResponseHead(418, reasonPhrase(418), new Headers()), 'HTTP/1.1 418 \r\n\r\n');
});

test('the phrases are those of nginx', () => {
  assert.equal(reasonPhrase(302), 'Moved Temporarily');
  assert.equal(reasonPhrase(405), 'Not Allowed');
  assert.equal(reasonPhrase(408), 'Request Time-out');
  assert.equal(reasonPhrase(413), 'Request Entity Too Large');
  assert.equal(reasonPhrase(503), 'Service Temporarily Unavailable');
  assert.equal(reasonPhrase(101), 'Switching Protocols');
});

test('a value with a line break, a NUL, or a character whose low byte is one is refused', () => {
  for (const value of UNSAFE_VALUES) {
    assert.throws(
      () => writeResponseHead(200, 'OK', headersOf(['X-A', value])),
      UnsafeHeadError,
      JSON.stringify(value),
    );
    assert.throws(() => writeRequestHead('GET', '/', headersOf(['X-A', value])), UnsafeHeadError);
    assert.throws(() => lastChunk(headersOf(['X-A', value])), UnsafeHeadError);
    assert.throws(() => writeResponseHead(200, value, new Headers()), UnsafeHeadError);
  }
});

test('a name that is no token is refused', () => {
  for (const name of UNSAFE_NAMES) {
    assert.throws(() => writeResponseHead(200, 'OK', headersOf([name, 'a'])), UnsafeHeadError, JSON.stringify(name));
  }
});

test('a value that replaces one that a parser had checked is checked', () => {
  const headers = new Headers();
  headers.addParsed('X-A', 'x-a', '1');
  headers.set('X-A', 'a\r\nb');
  assert.throws(() => writeResponseHead(200, 'OK', headers), UnsafeHeadError);
});

test('a target or a method that would divide the request line is refused', () => {
  for (const target of ['', '/a b', '/a\r\nX: y', '/\0', '/\u0120', '/\t', '/\x7f']) {
    assert.throws(() => writeRequestHead('GET', target, new Headers()), UnsafeHeadError, JSON.stringify(target));
  }
  for (const method of ['', 'G T', 'GET\r\n', 'G\0']) {
    assert.throws(() => writeRequestHead(method, '/', new Headers()), UnsafeHeadError, JSON.stringify(method));
  }
});

test('a status that is not of three digits is refused', () => {
  for (const status of [0, 99, 1000, Number.NaN, -200]) {
    assert.throws(() => writeResponseHead(status, 'OK', new Headers()), UnsafeHeadError, String(status));
  }
});

test('the error does not show a value, which may be a secret', () => {
  assert.throws(
    () => writeRequestHead('GET', '/', headersOf(['Authorization', 'Bearer s3cret\r\n'])),
    (error: Error) => error.message.includes('Authorization') && !error.message.includes('s3cret'),
  );
});

const text = fc.string({
  unit: fc.constantFrom('a', 'B', ' ', '\t', ':', ',', '\r', '\n', '\0', '\xff', '\u010a', '"', ';', '-'),
});

test('whatever is written is read again as one head with the same fields', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { maxLength: 4 }), text, (fields, reason) => {
      const headers = headersOf(['Content-Length', '0'], ...fields);
      let written: string;
      try {
        written = writeResponseHead(200, reason, headers);
      } catch (error) {
        assert.ok(error instanceof UnsafeHeadError);
        return;
      }
      const read = readResponses(Buffer.from(written, 'latin1'));
      // What a folded line has become one line of, what has blanks around it, or a name that decides the framing, is another matter than splitting.
      assert.ok(read.messages.length === 1 || read.refusal !== undefined);
      const [message] = read.messages;
      if (message !== undefined) {
        assert.deepEqual(
          pairsOf(message.head.headers),
          pairsOf(headers).map(([name, value]) => [name, unfolded(value)?.replace(/^[\t ]+|[\t ]+$/g, '')]),
        );
      }
    }),
    { numRuns: 2000 },
  );
});

test('a request that is written is the request that is read', () => {
  const bytes = Buffer.from(
    writeRequestHead('POST', '/a?b', headersOf(['Host', 'h'], ['X', '\xe4'], ['Content-Length', '2'])),
    'latin1',
  );
  const { messages } = readRequests(Buffer.concat([bytes, Buffer.from('ab')]));
  assert.deepEqual(
    messages.map(({ head, body }) => [head.method, head.target, head.headers.get('x'), body]),
    [['POST', '/a?b', '\xe4', 'ab']],
  );
});

test('chunks have their length in hexadecimal digits', () => {
  assert.equal(chunkHead(1), '1\r\n');
  assert.equal(chunkHead(65_536), '10000\r\n');
  assert.equal(LAST_CHUNK, '0\r\n\r\n');
  assert.equal(lastChunk(headersOf(['X-T', 'a'])), '0\r\nX-T: a\r\n\r\n');
});
