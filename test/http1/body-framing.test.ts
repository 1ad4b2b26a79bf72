// A body ends where its framing says, on the byte; what is no framing is refused before anyone takes it for a message.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BodyKind } from '../../src/http1/body-framing.ts';
import {
  BodyDecoder,
  EXTENSION_ALLOWANCE,
  MOST_TRAILER_BYTES,
  MOST_TRAILERS,
  responseBodyKind,
} from '../../src/http1/body-framing.ts';
import { REFUSED } from '../../src/http1/feed-result.ts';
import { CHUNK_END, chunkHead, LAST_CHUNK } from '../../src/http1/head-writer.ts';
import { ResponseHead } from '../../src/http1/response-head.ts';
import { pairsOf } from './read-as-sockgate.ts';

interface Decoded {
  readonly body: string;
  /** Bytes taken; those of the piece in which it was refused are not. */
  readonly taken: number;
  readonly fault: string;
  readonly done: boolean;
  readonly trailers: [string, string][] | undefined;
}

/** Decodes in pieces of these sizes, over and over; whole when there are none. */
function decode(text: string, kind: BodyKind = 'chunked', length = 0, pieces: readonly number[] = []): Decoded {
  const decoder = new BodyDecoder();
  decoder.reset(kind, length);
  const bytes = Buffer.from(text, 'latin1');
  let body = '';
  const sink = {
    bodyBytes(from: Buffer, start: number, end: number): void {
      body += from.toString('latin1', start, end);
    },
  };
  let at = 0;
  for (let i = 0; at < bytes.length && !decoder.done && decoder.fault === ''; i++) {
    const end = Math.min(bytes.length, at + (pieces[i % pieces.length] ?? bytes.length));
    const next = decoder.decode(bytes, at, end, sink);
    if (next !== REFUSED) at = next;
  }
  const trailers = decoder.trailers === undefined ? undefined : pairsOf(decoder.trailers);
  return { body, taken: at, fault: decoder.fault, done: decoder.done, trailers };
}

/** Decodes whole and byte by byte: both must come to the same. */
function decodeBothWays(text: string): Decoded {
  const whole = decode(text);
  const inBytes = decode(text, 'chunked', 0, [1]);
  assert.deepEqual(
    [inBytes.fault, inBytes.done, inBytes.trailers],
    [whole.fault, whole.done, whole.trailers],
    JSON.stringify(text.slice(0, 100)),
  );
  if (whole.fault === '') assert.deepEqual(inBytes, whole);
  return whole;
}

test('a body with a length ends after so many bytes, and leaves the next ones alone', () => {
  assert.deepEqual(decode('helloGET /', 'length', 5), {
    body: 'hello',
    taken: 5,
    fault: '',
    done: true,
    trailers: undefined,
  });
  assert.equal(decode('hell', 'length', 5).done, false);
  assert.deepEqual(decode('GET /', 'length', 0).taken, 0);
  assert.equal(decode('GET /', 'none').done, true);
});

test('a body that ends with the connection ends when it does, and no other', () => {
  const decoder = new BodyDecoder();
  const bytes = Buffer.from('all of it');
  const taken: string[] = [];
  const sink = {
    bodyBytes: (from: Buffer, start: number, end: number): void => void taken.push(from.toString('latin1', start, end)),
  };
  decoder.reset('close');
  assert.equal(decoder.decode(bytes, 0, bytes.length, sink), bytes.length);
  assert.deepEqual([taken.join(''), decoder.done, decoder.end(), decoder.done], ['all of it', false, true, true]);
  decoder.reset('length', 20);
  decoder.decode(bytes, 0, bytes.length, sink);
  assert.equal(decoder.end(), false);
  decoder.reset('chunked');
  assert.equal(decoder.end(), false);
});

test('chunks are taken apart, extensions are passed over, trailers are kept', () => {
  const text =
    '5\r\nhello\r\n6;a;b=c;d="e;\\"f";g\r\n world\r\n00A\r\n0123456789\r\n0;last\r\nX-T: a\r\nx-u:b\r\n\r\nGET /';
  const decoded = decodeBothWays(text);
  assert.equal(decoded.body, 'hello world0123456789');
  assert.deepEqual(decoded.trailers, [
    ['X-T', 'a'],
    ['x-u', 'b'],
  ]);
  assert.equal(text.slice(decoded.taken), 'GET /');
});

test('the payload is lent, not copied', () => {
  const decoder = new BodyDecoder();
  decoder.reset('chunked');
  const bytes = Buffer.from('5\r\nhello\r\n0\r\n\r\n');
  const lent: [Buffer, number, number][] = [];
  decoder.decode(bytes, 0, bytes.length, { bodyBytes: (...range) => void lent.push(range) });
  assert.deepEqual(lent, [[bytes, 3, 8]]);
  assert.equal(lent[0]?.[0], bytes);
});

test('done is known to the sink with the last bytes of a body whose length is known', () => {
  const decoder = new BodyDecoder();
  const seen: boolean[] = [];
  decoder.reset('length', 4);
  const bytes = Buffer.from('abcd');
  const sink = { bodyBytes: (): void => void seen.push(decoder.done) };
  decoder.decode(bytes, 0, 2, sink);
  decoder.decode(bytes, 2, 4, sink);
  assert.deepEqual(seen, [false, true]);
});

const WRONG: [string, string][] = [
  ['\r\n', 'invalid chunk size'],
  ['x\r\n', 'invalid chunk size'],
  [' 5\r\nhello', 'invalid chunk size'],
  ['+5\r\nhello', 'invalid chunk size'],
  ['-5\r\nhello', 'invalid chunk size'],
  ['0x5\r\nhello', 'invalid chunk size'],
  ['5_0\r\nhello', 'invalid chunk size'],
  ['5 \r\nhello', 'invalid chunk size'],
  ['5\t;a\r\nhello', 'invalid chunk size'],
  ['5\nhello', 'invalid chunk size'],
  ['5\0\r\nhello', 'invalid chunk size'],
  ['5\rhello', 'chunk size without CRLF'],
  ['5\r\r\nhello', 'chunk size without CRLF'],
  ['\xb2\r\n', 'invalid chunk size'],
  ['20000000000000\r\n', 'too large chunk size'],
  ['ffffffffffffffff\r\n', 'too large chunk size'],
  ['10000000000000005\r\n', 'too large chunk size'],
  ['000000000000000\r\n', 'too large chunk size'],
  ['5;\r\nhello', 'invalid chunk extension'],
  ['5; a\r\nhello', 'invalid chunk extension'],
  ['5;a b\r\nhello', 'invalid chunk extension'],
  ['5;a=\r\nhello', 'invalid chunk extension'],
  ['5;a="b\r\nhello', 'invalid chunk extension'],
  ['5;a="b"c\r\nhello', 'invalid chunk extension'],
  ['5;a\nhello', 'invalid chunk extension'],
  ['5;a=\0\r\nhello', 'invalid chunk extension'],
  ['5;a="\x7f"\r\nhello', 'invalid chunk extension'],
  ['5;\xe4\r\nhello', 'invalid chunk extension'],
  ['5\r\nhello\n0\r\n\r\n', 'chunk data without CRLF'],
  ['5\r\nhello0\r\n\r\n', 'chunk data without CRLF'],
  ['4\r\nhello\r\n0\r\n\r\n', 'chunk data without CRLF'],
  ['5\r\nhello\rx', 'chunk data without CRLF'],
  ['0\n\n', 'invalid chunk size'],
  ['0\r\n\n', 'invalid trailer'],
  ['0\r\n\rX', 'invalid trailer'],
  ['0\r\nX: a\n\r\n', 'invalid trailer'],
  ['0\r\nX: a\r\n b\r\n\r\n', 'invalid trailer'],
  ['0\r\nX : a\r\n\r\n', 'invalid trailer'],
  ['0\r\nX\r\n\r\n', 'invalid trailer'],
  ['0\r\n: a\r\n\r\n', 'invalid trailer'],
  ['0\r\nX: a\0\r\n\r\n', 'invalid trailer'],
  ['0\r\n(x): a\r\n\r\n', 'invalid trailer'],
  [`0\r\nX: ${'a'.repeat(MOST_TRAILER_BYTES)}\r\n\r\n`, 'too large trailers'],
  [`0\r\n${'X: y\r\n'.repeat(MOST_TRAILERS + 1)}\r\n`, 'too large trailers'],
];

test('what is no chunked framing is refused, whole and in single bytes', () => {
  for (const [text, fault] of WRONG) {
    const decoded = decodeBothWays(text);
    assert.deepEqual([decoded.fault, decoded.done], [fault, false], JSON.stringify(text.slice(0, 60)));
  }
});

test('a decoder that has refused takes nothing more until it is reset', () => {
  const decoder = new BodyDecoder();
  decoder.reset('chunked');
  const wrong = Buffer.from('x5\r\nhello\r\n');
  const sink = { bodyBytes: (): void => assert.fail('no payload may come out') };
  assert.equal(decoder.decode(wrong, 0, wrong.length, sink), REFUSED);
  assert.equal(decoder.decode(wrong, 1, wrong.length, sink), REFUSED);
  decoder.reset('none');
  assert.deepEqual([decoder.done, decoder.fault], [true, '']);
});

test('extensions may have some bytes, and one more for each byte of the payload', () => {
  const extension = (length: number): string => `;${'a'.repeat(length)}`;
  assert.equal(decodeBothWays(`1${extension(EXTENSION_ALLOWANCE)}\r\nx\r\n0\r\n\r\n`).done, true);
  assert.equal(
    decodeBothWays(`1${extension(EXTENSION_ALLOWANCE + 1)}\r\nx\r\n0\r\n\r\n`).fault,
    'too long chunk extensions',
  );
  const flood = `1${extension(1000)}\r\nx\r\n`.repeat(10);
  assert.equal(decodeBothWays(flood).fault, 'too long chunk extensions');
  const honest = `${'400'}${extension(16)}\r\n${'x'.repeat(1024)}\r\n`.repeat(2000);
  assert.equal(decode(`${honest}${LAST_CHUNK}`).done, true);
});

test('trailers that would change how a message is read or for whom are dropped', () => {
  const text =
    '0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: b\r\nX-T: a\r\nAuthorization: c\r\nSet-Cookie: d\r\n\r\n';
  assert.deepEqual(decodeBothWays(text).trailers, [['X-T', 'a']]);
});

test('trailers may be as large as their room', () => {
  const line = `X: ${'a'.repeat(MOST_TRAILER_BYTES - 'X: \r\n\r\n'.length)}\r\n\r\n`;
  assert.equal(decodeBothWays(`0\r\n${line}`).done, true);
  assert.equal(decodeBothWays(`0\r\na${line}`).fault, 'too large trailers');
});

test('a chunk may be as large as a number can be exactly', () => {
  const decoder = new BodyDecoder();
  decoder.reset('chunked');
  const head = Buffer.from('1fffffffffffff\r\nab');
  assert.equal(decoder.decode(head, 0, head.length, { bodyBytes: () => {} }), head.length);
});

test("the kind of an answer's body is told by method, status and head", () => {
  const kindOf = (method: string, status: number, part: Partial<ResponseHead>): BodyKind =>
    responseBodyKind(method, Object.assign(new ResponseHead(), { status }, part));
  assert.equal(kindOf('GET', 200, { contentLength: 5 }), 'length');
  assert.equal(kindOf('GET', 200, { contentLength: 0 }), 'none');
  assert.equal(kindOf('GET', 200, { chunked: true }), 'chunked');
  assert.equal(kindOf('GET', 200, {}), 'close');
  assert.equal(kindOf('HEAD', 200, { chunked: true }), 'none');
  for (const status of [100, 101, 103, 204, 304]) assert.equal(kindOf('GET', status, { contentLength: 5 }), 'none');
});

const payload = fc.array(
  fc.string({ unit: fc.constantFrom('a', '\r', '\n', '0', ';', '\0', '\xff'), minLength: 1, maxLength: 20 }),
  { maxLength: 6 },
);
const pieces = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 5 });

test('whatever is framed is found again, in whatever chunks and pieces, and not a byte more is taken', () => {
  fc.assert(
    fc.property(
      payload,
      pieces,
      fc.constantFrom('', 'GET / HTTP/1.1\r\n', '\r\n', '0\r\n\r\n'),
      (chunks, sizes, next) => {
        const framed = chunks.map((chunk) => `${chunkHead(chunk.length)}${chunk}${CHUNK_END}`).join('') + LAST_CHUNK;
        const decoded = decode(framed + next, 'chunked', 0, sizes);
        assert.deepEqual(decoded, {
          body: chunks.join(''),
          taken: framed.length,
          fault: '',
          done: true,
          trailers: undefined,
        });
        const counted = decode(chunks.join('') + next, 'length', chunks.join('').length, sizes);
        assert.equal(counted.body, chunks.join(''));
      },
    ),
    { numRuns: 500 },
  );
});

test('damaged framing comes to the same in every cutting: refused, or another body, never another end', () => {
  const damage = fc.tuple(
    fc.nat(),
    fc.constantFrom('', '\r', '\n', '0', '1', 'f', ';', ' ', '\0', ':', '\xff'),
    fc.nat(2),
  );
  fc.assert(
    fc.property(payload, fc.array(damage, { minLength: 1, maxLength: 3 }), pieces, (chunks, edits, sizes) => {
      let text = `${chunks.map((chunk) => `${chunkHead(chunk.length)}${chunk}${CHUNK_END}`).join('')}0\r\nX: y\r\n\r\nGET /`;
      for (const [where, what, length] of edits) {
        const at = where % (text.length + 1);
        text = text.slice(0, at) + what + text.slice(at + length);
      }
      const whole = decodeBothWays(text);
      const cut = decode(text, 'chunked', 0, sizes);
      assert.deepEqual([cut.fault, cut.done, cut.trailers], [whole.fault, whole.done, whole.trailers]);
      if (whole.fault === '') assert.deepEqual(cut, whole);
    }),
    { numRuns: 1000 },
  );
});
