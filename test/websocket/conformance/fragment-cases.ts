// Messages in fragments, and what may stand between them.

import {
  BINARY,
  binary,
  type ConformanceCase,
  close,
  LAST,
  MORE,
  next,
  ping,
  pong,
  TEXT,
  text,
} from './conformance-case.ts';

const many = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

const allowed: ConformanceCase[] = [
  { name: 'a text in two fragments', frames: [text('one ', MORE), next('two'), LAST] },
  { name: 'bytes in two fragments', frames: [binary('one ', MORE), next('two'), LAST] },
  {
    name: 'a text in a hundred fragments of one byte',
    frames: [text('x', MORE), ...many(98, () => next('x', MORE)), next('x'), LAST],
  },
  { name: 'a text whose fragments are all empty', frames: [text('', MORE), next('', MORE), next(''), LAST] },
  { name: 'a text whose first fragment is empty', frames: [text('', MORE), next('x'), LAST] },
  {
    name: 'a text whose second of three fragments is empty',
    frames: [text('x', MORE), next('', MORE), next('x'), LAST],
  },
  { name: 'a text whose last fragment is empty', frames: [text('x', MORE), next(''), LAST] },
  {
    name: 'two texts in fragments, one after the other',
    frames: [text('a', MORE), next('b'), text('c', MORE), next('d'), LAST],
  },
  {
    name: 'fragments that get longer and longer',
    frames: [text('', MORE), ...many(20, (at) => next('x'.repeat(at ** 3), MORE)), next(''), LAST],
  },
  { name: 'a ping between two fragments', frames: [text('x', MORE), ping('between'), next('x'), LAST] },
  { name: 'a pong between two fragments', frames: [text('x', MORE), pong('between'), next('x'), LAST] },
  {
    name: 'several pings and pongs between any two fragments',
    frames: [
      text('x', MORE),
      ...many(10, (at) => [ping(`${at}`), pong(''), next('x', MORE)]).flat(),
      ping(''),
      next('x'),
      LAST,
    ],
  },
  { name: 'a close between two fragments, which ends all', frames: [text('x', MORE), close(1001, 'enough')] },
  { name: 'a text that never gets its last fragment', frames: [text('x', MORE), next('x', MORE), ping('still here')] },
].map((sent) => ({ ...sent, rule: '5.4' }));

/** The frame that is wrong, by its place. */
const refused: ConformanceCase[] = [
  { name: 'a fragment that continues nothing', frames: [next('x', MORE), LAST], after: 0 },
  { name: 'a last fragment of nothing', frames: [next('x'), LAST], after: 0 },
  { name: 'an empty last fragment of nothing', frames: [next(''), LAST], after: 0 },
  { name: 'a fragment that continues a message that was whole', frames: [text('x'), next('x'), LAST], after: 1 },
  { name: 'a fragment behind the last one', frames: [text('x', MORE), next('x'), next('x'), LAST], after: 2 },
  {
    name: 'a fragment behind the last one, with a ping between',
    frames: [text('x', MORE), next('x'), ping(''), next('x')],
    after: 3,
  },
  {
    name: 'a fragment behind the last one, again and again',
    frames: [next('x', MORE), next('x', MORE), next('x')],
    after: 0,
  },
  ...[TEXT, BINARY].flatMap((opcode) =>
    [true, false].map((final) => ({
      name: `a ${opcode === TEXT ? 'text' : 'binary frame'} that ${final ? 'is whole' : 'begins'} within another message`,
      frames: [text('x', MORE), { opcode, final, payload: Buffer.from('y') }, next('x'), LAST],
      after: 1,
    })),
  ),
  {
    name: 'a message within a message, behind several fragments',
    frames: [binary('x', MORE), next('x', MORE), pong(''), text('y')],
    after: 3,
  },
  { name: 'a ping in fragments', frames: [ping('x', MORE), next('x'), LAST], after: 0 },
  { name: 'a pong in fragments', frames: [pong('x', MORE), next('x'), LAST], after: 0 },
  { name: 'a ping that says that more of it follows, and no more', frames: [LAST, ping('', MORE), LAST], after: 1 },
  { name: 'a close in fragments', frames: [close(1000, '', MORE), next('x')], after: 0 },
  {
    name: 'a ping in fragments between two fragments',
    frames: [text('x', MORE), ping('x', MORE), next('x'), next('x')],
    after: 1,
  },
].map(({ name, frames, after }) => ({ name, rule: '5.4, 5.5', frames, violation: { code: 1002, after } }));

export const fragmentCases: readonly ConformanceCase[] = [...allowed, ...refused];
