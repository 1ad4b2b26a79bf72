// Heads of frames: lengths, masks, reserved bits, opcodes, and pings and pongs.

import {
  BINARY,
  binary,
  CLOSE,
  CONTINUATION,
  type ConformanceCase,
  close,
  LAST,
  MORE,
  next,
  PING,
  PONG,
  ping,
  pong,
  TEXT,
  text,
} from './conformance-case.ts';
import type { Shape } from './wire-frame.ts';

const LENGTHS = [0, 1, 124, 125, 126, 127, 128, 65_535, 65_536, 65_537];
const filled = (length: number, byte = 0x78): Uint8Array => new Uint8Array(length).fill(byte);
const hex = (byte: number): string => `0x${byte.toString(16).padStart(2, '0')}`;

const lengths: ConformanceCase[] = [
  ...LENGTHS.map((length) => ({
    name: `a text of ${length} bytes`,
    rule: '5.2',
    frames: [text(filled(length)), LAST],
  })),
  ...LENGTHS.map((length) => ({
    name: `${length} bytes that are no text`,
    rule: '5.2',
    frames: [binary(filled(length, 0xfe)), LAST],
  })),
  ...[
    { length: 0, lengthBits: 16 as const },
    { length: 125, lengthBits: 16 as const },
    { length: 125, lengthBits: 64 as const },
    { length: 65_535, lengthBits: 64 as const },
  ].map(({ length, lengthBits }) => ({
    name: `a length of ${length} in ${lengthBits} bits, which are more than it takes`,
    rule: '5.2',
    frames: [LAST, binary(filled(length), { lengthBits }), LAST],
    violation: { code: 1002, after: 1 } as const,
  })),
  { name: 'a megabyte in one frame', rule: '5.2', frames: [binary(filled(1_048_576, 0xfe)), LAST] },
  {
    name: 'the beginning of a frame of 2^53 bytes',
    rule: '5.2',
    frames: [binary(filled(100), { told: 2n ** 53n })],
  },
  {
    name: 'the beginning of a frame of 2^63 - 1 bytes, the longest that there is',
    rule: '5.2',
    frames: [binary(filled(100), { told: 2n ** 63n - 1n })],
  },
  {
    name: 'a frame that is told to be 2^63 bytes long',
    rule: '5.2',
    frames: [LAST, binary(filled(100), { told: 2n ** 63n })],
    violation: { code: 1002, after: 1 },
  },
  {
    name: 'a frame whose length has all bits set',
    rule: '5.2',
    frames: [binary(filled(100), { told: 2n ** 64n - 1n })],
    violation: { code: 1002, after: 0 },
  },
];

const MASKS: Readonly<Record<string, number>> = { 'of zeros': 0, 'of ones': 0xff_ff_ff_ff, 'of one bit': 1 };

const masks: ConformanceCase[] = [
  ...Object.entries(MASKS).map(([name, mask]) => ({
    name: `frames with a mask ${name}, where frames have masks`,
    rule: '5.3',
    frames: [text('grüße', { mask }), ping('x', { mask }), LAST],
  })),
  {
    name: 'fragments with a mask for each, where frames have masks',
    rule: '5.3',
    frames: [
      text('gr\u{fc}', { ...MORE, mask: 1 }),
      next('\u{df}', { ...MORE, mask: 2 ** 31 }),
      next('e', { mask: 0 }),
      LAST,
    ],
  },
  ...[text('x'), binary('x'), text(''), ping('x'), pong(''), close(1000)].map((shape) => ({
    name: `${nameOf(shape)} masked where it must not be, or the other way round`,
    rule: '5.1',
    frames: [LAST, { ...shape, isMaskWrong: true }],
    violation: { code: 1002, after: 1 } as const,
  })),
  {
    name: 'a first fragment as it should be, and the second with the mask of the other direction',
    rule: '5.1',
    frames: [text('x', MORE), next('x', { isMaskWrong: true })],
    violation: { code: 1002, after: 1 },
  },
];

/** Bits that stand for nothing, on frames of every kind. */
const reservedBits: ConformanceCase[] = [1, 2, 3, 4, 5, 6, 7].flatMap((reserved) =>
  [text('x'), binary('x'), text('x', MORE), ping('x'), pong('x'), close(1000)].map((shape) => ({
    name: `${nameOf(shape)} with the reserved bits ${reserved.toString(2).padStart(3, '0')}`,
    rule: '5.2',
    frames: [LAST, { ...shape, reserved }, LAST],
    violation: { code: 1002, after: 1 } as const,
  })),
);

const reservedBitsWithin: ConformanceCase[] = [1, 2, 4, 7].map((reserved) => ({
  name: `a second fragment with the reserved bits ${reserved.toString(2).padStart(3, '0')}`,
  rule: '5.2',
  frames: [text('x', MORE), next('x', { reserved }), LAST],
  violation: { code: 1002, after: 1 },
}));

/** First bytes that may begin a frame, at the beginning of a message. */
const FIRST_BYTES = [0x01, 0x02, 0x81, 0x82, 0x88, 0x89, 0x8a];

/** Each of them, with nothing behind the head. */
const firstBytes: ConformanceCase[] = Array.from({ length: 256 }, (_, first) => {
  const shape: Shape = { opcode: first & 0x0f, reserved: (first >> 4) & 7, final: first >= 0x80 };
  const sent = { name: `a frame that begins with the byte ${hex(first)}`, rule: '5.2', frames: [LAST, shape] };
  return FIRST_BYTES.includes(first) ? sent : { ...sent, violation: { code: 1002, after: 1 } };
});

const OPCODES = [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf];

const opcodes: ConformanceCase[] = OPCODES.flatMap((opcode) => [
  {
    name: `a frame with the opcode ${opcode} and a payload`,
    rule: '5.2',
    frames: [{ opcode, payload: filled(10) }, LAST],
    violation: { code: 1002, after: 0 },
  },
  {
    name: `a frame with the opcode ${opcode} between two fragments`,
    rule: '5.2',
    frames: [text('x', MORE), ping('x'), { opcode, payload: filled(10) }, next('x'), LAST],
    violation: { code: 1002, after: 2 },
  },
]);

const CONTROL_LENGTHS = Array.from({ length: 126 }, (_, length) => length);

const pings: ConformanceCase[] = [
  {
    name: 'pings of all lengths from 0 to 125',
    rule: '5.5.2',
    frames: CONTROL_LENGTHS.map((size) => ping(filled(size))),
  },
  {
    name: 'pongs of all lengths from 0 to 125',
    rule: '5.5.3',
    frames: CONTROL_LENGTHS.map((size) => pong(filled(size))),
  },
  { name: 'a ping that carries no text', rule: '5.5.2', frames: [ping(Buffer.from('00fffefdfcfb00ff', 'hex')), LAST] },
  { name: 'a pong that nobody asked for', rule: '5.5.3', frames: [pong('nobody asked'), LAST] },
  { name: 'a pong that nobody asked for, then a ping', rule: '5.5.3', frames: [pong('nobody asked'), ping('x'), LAST] },
  { name: 'ten pings', rule: '5.5.2', frames: [...Array.from({ length: 10 }, (_, turn) => ping(`${turn}`)), LAST] },
  ...[126, 127, 65_536].flatMap((length) =>
    [PING, PONG].map((opcode) => ({
      name: `a ${opcode === PING ? 'ping' : 'pong'} of ${length} bytes`,
      rule: '5.5',
      frames: [LAST, { opcode, payload: filled(length) }, LAST],
      violation: { code: 1002, after: 1 } as const,
    })),
  ),
  {
    name: 'a close of 126 bytes',
    rule: '5.5',
    frames: [close(1000, filled(124))],
    violation: { code: 1002, after: 0 },
  },
];

export const frameCases: readonly ConformanceCase[] = [
  ...lengths,
  ...masks,
  ...reservedBits,
  ...reservedBitsWithin,
  ...firstBytes,
  ...opcodes,
  ...pings,
];

function nameOf({ opcode, final }: Shape): string {
  const names: Readonly<Record<number, string>> = {
    [CONTINUATION]: 'a continuation',
    [TEXT]: 'a text',
    [BINARY]: 'a binary frame',
    [CLOSE]: 'a close',
    [PING]: 'a ping',
    [PONG]: 'a pong',
  };
  return final === false ? 'a first fragment' : (names[opcode] as string);
}
