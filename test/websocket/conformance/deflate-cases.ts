// Where permessage-deflate has been agreed on: RSV1 marks a message that is compressed, on its first frame and nowhere else.

import { randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { binary, type ConformanceCase, close, LAST, MORE, next, ping, pong, text } from './conformance-case.ts';

const RSV1 = { reserved: 4 };
const compressed = (payload: string): Buffer => deflateRawSync(payload, { finishFlush: 2 }).subarray(0, -4);
const squeezed = compressed('again and again '.repeat(100));

const allowed: Pick<ConformanceCase, 'name' | 'frames'>[] = [
  { name: 'a compressed text', frames: [text(squeezed, RSV1), LAST] },
  { name: 'compressed bytes', frames: [binary(squeezed, RSV1), LAST] },
  {
    name: 'a compressed text in fragments, of which only the first is marked',
    frames: [text(squeezed.subarray(0, 5), { ...RSV1, ...MORE }), ping('x'), next(squeezed.subarray(5)), LAST],
  },
  { name: 'a compressed text that is empty', frames: [text(Buffer.from([0]), RSV1), LAST] },
  {
    name: 'compressed and other messages in turn',
    frames: [text(squeezed, RSV1), text('plain'), binary(squeezed, RSV1), LAST],
  },
  {
    name: 'a compressed text whose bytes are not those of a compressed one: nobody looks into it',
    frames: [text(randomBytes(50), RSV1), LAST],
  },
];

/** Without a code: 1002. */
const refused: (Pick<ConformanceCase, 'name' | 'frames'> & { readonly after: number; readonly code?: 1007 })[] = [
  {
    name: 'a second fragment that is marked as compressed',
    frames: [text(squeezed.subarray(0, 5), { ...RSV1, ...MORE }), next(squeezed.subarray(5), RSV1)],
    after: 1,
  },
  {
    name: 'a second fragment that is marked as compressed, the first is not',
    frames: [text('x', MORE), next(squeezed, RSV1)],
    after: 1,
  },
  { name: 'a ping that is marked as compressed', frames: [LAST, ping('x', RSV1), LAST], after: 1 },
  { name: 'a pong that is marked as compressed', frames: [LAST, pong('', RSV1), LAST], after: 1 },
  { name: 'a close that is marked as compressed', frames: [LAST, close(1000, '', RSV1)], after: 1 },
  ...[1, 2, 3, 5, 6, 7].map((reserved) => ({
    name: `a text with the reserved bits ${reserved.toString(2).padStart(3, '0')}`,
    frames: [LAST, text(squeezed, { reserved }), LAST],
    after: 1,
  })),
  {
    name: 'a text that is not compressed, and no UTF-8',
    frames: [text(squeezed, RSV1), text(Buffer.from('61ff', 'hex'))],
    after: 1,
    code: 1007,
  },
];

export const deflateCases: readonly ConformanceCase[] = [
  ...allowed.map((sent) => ({ ...sent, rule: 'RFC 7692, 6', deflate: true })),
  ...refused.map(
    ({ name, frames, after, code }): ConformanceCase => ({
      name,
      rule: 'RFC 7692, 6',
      frames,
      deflate: true,
      violation: { code: code ?? 1002, after },
    }),
  ),
];
