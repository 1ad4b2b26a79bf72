// Close frames: their codes, their reasons, and what comes behind them.

import { CLOSE, type ConformanceCase, close, LAST, ping, text } from './conformance-case.ts';

/** RFC 6455 section 7.4 and IANA's registry: 1012 to 1014 came later. */
const GOOD_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
const BAD_CODES = [0, 1, 125, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 32_768, 65_535];
const LONGEST_REASON = 123;

export const closeCases: readonly ConformanceCase[] = [
  { name: 'a close without a code', rule: '5.5.1', frames: [LAST, close()] },
  ...GOOD_CODES.map((code) => ({ name: `a close with ${code}`, rule: '7.4', frames: [LAST, close(code)] })),
  ...GOOD_CODES.map((code) => ({
    name: `a close with ${code} and a reason`,
    rule: '7.4',
    frames: [close(code, 'grüße')],
  })),
  ...BAD_CODES.flatMap((code) => [
    {
      name: `a close with ${code}, which no frame may have`,
      rule: '7.4',
      frames: [LAST, close(code)],
      violation: { code: 1002, after: 1 } as const,
    },
    {
      name: `a close with ${code}, which no frame may have, and a reason`,
      rule: '7.4',
      frames: [close(code, 'why not?')],
      violation: { code: 1002, after: 0 } as const,
    },
  ]),
  { name: 'a close with the longest reason', rule: '5.5', frames: [close(1000, 'x'.repeat(LONGEST_REASON))] },
  { name: 'a close with a reason of letters of every length', rule: '5.5.1', frames: [close(4000, 'aß界🙂')] },
  {
    name: 'a close of one byte',
    rule: '5.5.1',
    frames: [LAST, { opcode: CLOSE, payload: Buffer.from([3]) }],
    violation: { code: 1002, after: 1 },
  },
  {
    name: 'a close whose reason is no UTF-8',
    rule: '5.5.1',
    frames: [LAST, close(1000, Buffer.from('cebae1bdb9cf83cebceda080656469746564', 'hex'))],
    violation: { code: 1007, after: 1 },
  },
  {
    name: 'a close whose reason ends in the middle of a letter',
    rule: '5.5.1',
    frames: [close(1000, Buffer.from('66c3', 'hex'))],
    violation: { code: 1007, after: 0 },
  },
  { name: 'a text behind a close', rule: '5.5.1', frames: [close(1000), LAST], passed: 1 },
  { name: 'a ping behind a close', rule: '5.5.1', frames: [close(1000), ping('x')], passed: 1 },
  { name: 'a second close', rule: '5.5.1', frames: [close(1000), close(1001)], passed: 1 },
  {
    name: 'what is no frame behind a close',
    rule: '5.5.1',
    frames: [close(1000), text(Buffer.from('ff', 'hex'), { reserved: 7 })],
    passed: 1,
  },
  { name: 'a ping before a close', rule: '5.5.1', frames: [ping('x'), close(1000)] },
  { name: 'a close within a message', rule: '5.5.1', frames: [text('x', { final: false }), close(1000)] },
];
