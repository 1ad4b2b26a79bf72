// Two readers, one answer: whatever we accept from an upstream, Node's own parser (llhttp) must read the same way, so
// that nothing an upstream sends can be taken for the answer to another client's request.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ResponseHead } from '../../src/http1/response-head.ts';
import type { NodeMessage, NodeResult } from './read-as-node.ts';
import { nodeReadsResponse } from './read-as-node.ts';
import type { ReadMessage } from './read-as-sockgate.ts';
import { pairsOf, readResponses } from './read-as-sockgate.ts';

/** What we accept and llhttp refuses: by the error that llhttp gives, and what must then be true of the message. */
const WE_ACCEPT_MORE: Record<string, (head: ResponseHead, text: string) => boolean> = {
  HPE_CR_EXPECTED: (_head, text) => hasBareLf(text),
  HPE_EXPECTED_LF: (_head, text) => hasBareLf(text),
  HPE_LF_EXPECTED: (_head, text) => hasBareLf(text),
  HPE_INVALID_HEADER_TOKEN: (_head, text) => hasBareLf(text),
  // HTTP/1.2 is HTTP/1.1, and more than one space may stand before the status (nginx).
  HPE_INVALID_VERSION: (_head, text) => /^HTTP\/1\.[2-9]/.test(text),
  HPE_INVALID_STATUS: (_head, text) => /^HTTP\/1\.\d {2,}\d{3}/.test(text) || /^HTTP\/1\.\d \d{3}\n/.test(text),
  HPE_INVALID_CONSTANT: (_head, text) => /^HTTP\/1\.\d {2,}\d{3}/.test(text),
  // A trailer that would change the framing is dropped (RFC 9110, 6.5.1).
  HPE_INVALID_CONTENT_LENGTH: (head) => head.chunked,
  HPE_UNEXPECTED_CONTENT_LENGTH: (head) => head.chunked,
};

function hasBareLf(text: string): boolean {
  return /(?:^|[^\r])\n/.test(text);
}

const often = <T>(value: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 30, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: fc.constantFrom(value, ...others) });

const eol = often('\r\n', '\n', '\r', '\r\r\n', '');
const version = often('HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'SSH-2.0', 'HTTP/1.10', 'HTTP/1', '');
const status = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('200', '404', '302', '204', '304', '500') },
  { weight: 1, arbitrary: fc.constantFrom('999', '099', '20', '2000', '2x0', '', '+200', '200.1') },
);
const reason = often(' OK', '', ' ', ' Not Found', ' \xe4', ' a\tb', ' a\0b', '\tOK', ' a\rb');
const statusLine = fc.tuple(version, often(' ', '  ', '\t', ''), status, reason, eol).map((parts) => parts.join(''));
const name = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('Server', 'Set-Cookie', 'X_A', 'X.B', 'Connection', 'ETag') },
  { weight: 1, arbitrary: fc.constantFrom('(x)', '', ' X', 'X Y', 'X\0', '__proto__', '\xe4', 'HTTP/1.1 200 OK') },
);
const value = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'close', 'keep-alive', '', 'a\tb', '\xff', 'a=b; Path=/') },
  { weight: 1, arbitrary: fc.constantFrom('a\0b', 'a\rb', 'a\x7f', 'a\x01', 'a\r\n b', ' a ', 'a\nb') },
);
const field = fc.tuple(name, often(': ', ':', ' : ', ':\t', '', ' :'), value, eol).map((parts) => parts.join(''));
const framing = fc.oneof(
  { weight: 2, arbitrary: fc.constant(['', 'hello']) },
  { weight: 4, arbitrary: fc.constant(['Content-Length: 5\r\n', 'hello']) },
  { weight: 2, arbitrary: fc.constant(['Content-Length: 0\r\n', '']) },
  { weight: 4, arbitrary: fc.constant(['Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n']) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constantFrom(
        'Content-Length: +5\r\n',
        'Content-Length: 5, 5\r\n',
        'Content-Length: 5\r\nContent-Length: 5\r\n',
        'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n',
        'Transfer-Encoding: gzip, chunked\r\n',
        'Transfer-Encoding: chunked, identity\r\n',
        'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n',
        'Transfer-Encoding : chunked\r\n',
        'Content-Length: \r\n',
      ),
      fc.constantFrom('hello', '5\r\nhello\r\n0\r\n\r\n'),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constant('Transfer-Encoding: chunked\r\n'),
      fc.constantFrom(
        '5 \r\nhello\r\n0\r\n\r\n',
        '5\nhello\r\n0\r\n\r\n',
        '5\r\nhello0\r\n\r\n',
        '5\r\nhel',
        '5\r\nhello\r\n0\r\n',
      ),
    ),
  },
);
const interim = fc.constantFrom('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n');
const answer = fc
  .tuple(
    fc.array(interim, { maxLength: 1 }),
    statusLine,
    fc.array(field, { maxLength: 4 }),
    framing,
    often('\r\n', '\n', '\r', ' \r\n', '\r\rX'),
  )
  .map(
    ([before, line, fields, [framed, body], end]) =>
      `${before.join('')}${line}${fields.join('')}${framed ?? ''}${end}${body ?? ''}`,
  );
const damage = fc.array(
  fc.tuple(fc.nat(), fc.constantFrom('', '\r', '\n', ' ', '\t', ':', '\0', '0', '5', 'a', ';', '\xff'), fc.nat(2)),
  { maxLength: 2 },
);
const stream = fc
  .tuple(answer, fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: damage }))
  .map(([text, edits]) => edits.reduce(edited, text));

function edited(text: string, [where, what, length]: [number, string, number]): string {
  const at = where % (text.length + 1);
  return text.slice(0, at) + what + text.slice(at + length);
}

/** Around values that we act on we let tabs stand. */
function trimmed(fields: readonly [string, string][]): [string, string][] {
  return fields.map(([fieldName, fieldValue]) => [fieldName, fieldValue.replace(/^[\t ]+|[\t ]+$/g, '')]);
}

/** As nginx, we take the first of what an answer may have once only. */
function withoutRepeats(fields: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  const seen = new Set<string>();
  return fields.filter(([name]) => {
    const lowerName = name.toLowerCase();
    const isRepeat = seen.has(lowerName) && ONCE_ONLY.has(lowerName);
    seen.add(lowerName);
    return !isRepeat;
  });
}

const ONCE_ONLY = new Set([
  'content-type',
  'date',
  'etag',
  'expires',
  'last-modified',
  'location',
  'refresh',
  'server',
]);

function assertSame(ours: ReadMessage<ResponseHead>, theirs: NodeMessage): void {
  const { head } = ours;
  assert.equal(head.status, theirs.status);
  assert.equal(head.version === 10 ? '1.0' : '1.1', theirs.version);
  assert.deepEqual(trimmed(pairsOf(head.headers)), withoutRepeats(theirs.fields));
  assert.equal(ours.complete, theirs.complete, 'both must see the same end');
  if (!ours.complete) return;
  assert.equal(ours.body, theirs.body);
  assert.deepEqual(
    ours.trailers,
    theirs.trailers.filter(([trailer]) => trailer.toLowerCase() !== 'content-length'),
  );
}

/** @returns how many heads both read alike */
function compare(text: string, node: NodeResult): number {
  const ours = readResponses(Buffer.from(text, 'latin1'));
  for (const [i, message] of ours.messages.entries()) {
    if (!message.complete && ours.refusal !== undefined) return i; // We are the stricter one.
    const theirs = node.messages[i];
    if (theirs === undefined || (message.complete && !theirs.complete)) {
      assert.ok(node.error !== undefined, `we read ${message.head.status} and llhttp waits for more`);
      const itself = text.slice(ours.messages[i - 1]?.end ?? 0, message.end);
      assert.ok(WE_ACCEPT_MORE[node.error]?.(message.head, itself), `we read what llhttp refuses with ${node.error}`);
      return i;
    }
    assertSame(message, theirs);
  }
  return ours.messages.length;
}

/** So many streams; more when somebody is looking for trouble. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1000);

test('whatever answer we accept, llhttp reads the same way, up to the same byte', async () => {
  let alike = 0;
  await fc.assert(
    fc.asyncProperty(stream, async (text) => {
      alike += compare(text, await nodeReadsResponse(Buffer.from(text, 'latin1')));
    }),
    { numRuns: RUNS },
  );
  assert.ok(alike > RUNS / 5, `only ${alike} answers were read by both: the generator makes nothing but garbage`);
});
