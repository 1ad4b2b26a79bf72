// Texts: all that is UTF-8 and all that is not, in one frame and cut at every byte.

import { binary, type ConformanceCase, LAST, MORE, next, ping, text } from './conformance-case.ts';
import type { Shape } from './wire-frame.ts';

const point = (code: number): Buffer => Buffer.from(String.fromCodePoint(code));
const named = (code: number): string => `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
const NOT_CHARACTERS = Array.from({ length: 17 }, (_, plane) => [
  plane * 0x1_00_00 + 0xff_fe,
  plane * 0x1_00_00 + 0xff_ff,
]);

/** RFC 3629: the first and last of each length, and their neighbours. */
const POINTS = [
  0, 1, 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x10_00, 0xd7_ff, 0xe0_00, 0xfe_ff, 0xff_fd, 0x1_00_00, 0x3_ff_ff, 0x4_00_00,
  0xf_ff_ff, 0x10_00_00, 0x10_ff_ff,
];

const LETTERS = 'aß界🙂 κόσμε\u{0}\u{7f}';

const allowed: ConformanceCase[] = [
  { name: 'letters of every length', frames: [text(LETTERS), LAST] },
  ...POINTS.map((code) => ({ name: `a text of ${named(code)}`, frames: [text(point(code)), LAST] })),
  {
    name: 'a text of all that is no character and yet allowed',
    frames: [text(Buffer.concat(NOT_CHARACTERS.flat().map(point))), LAST],
  },
  ...inFragments(Buffer.from(LETTERS)).map(({ at, frames }) => ({
    name: `letters of every length, cut behind byte ${at}`,
    frames: [...frames, LAST],
  })),
  {
    name: 'letters of every length, each byte in a fragment of its own',
    frames: [...byByte(Buffer.from(LETTERS)), LAST],
  },
  {
    name: 'a letter in two fragments with a ping of half a letter between',
    frames: [
      text(point(0x1_f6_42).subarray(0, 2), MORE),
      ping(Buffer.from('f09f', 'hex')),
      next(point(0x1_f6_42).subarray(2)),
      LAST,
    ],
  },
  { name: 'what would be no text, as bytes', frames: [binary(Buffer.from('c080edbfbfff', 'hex')), LAST] },
].map((sent) => ({ ...sent, rule: '8.1' }));

interface Wrong {
  /** Bytes in hexadecimal digits. */
  readonly bytes: string;
  /** Which of them is the first that cannot be: there the text is known to be wrong. */
  readonly at: number;
}

/** What RFC 3629 rules out. `at` is that many bytes long where the text only ends too early. */
const WRONG: Readonly<Record<string, Wrong>> = {
  'a byte that continues nothing, the first': { bytes: '80', at: 0 },
  'a byte that continues nothing, the last': { bytes: 'bf', at: 0 },
  'a byte that continues nothing, behind a letter': { bytes: 'c3bfbf', at: 2 },
  'a letter of two bytes without its second': { bytes: 'c3', at: 1 },
  'a letter of three bytes without its third': { bytes: 'e7958c'.slice(0, 4), at: 2 },
  'a letter of three bytes without its second and third': { bytes: 'e7', at: 1 },
  'a letter of four bytes without its fourth': { bytes: 'f09f99', at: 3 },
  'a letter of four bytes without its third and fourth': { bytes: 'f09f', at: 2 },
  'a letter of four bytes without the others': { bytes: 'f0', at: 1 },
  'a letter of two bytes, the second of which is a letter': { bytes: 'c361', at: 1 },
  'a letter of three bytes, the third of which is a letter': { bytes: 'e79561', at: 2 },
  'a letter of four bytes, the second of which begins another one': { bytes: 'f0c3', at: 1 },
  'a slash in two bytes': { bytes: 'c0af', at: 0 },
  'a slash in three bytes': { bytes: 'e080af', at: 1 },
  'a slash in four bytes': { bytes: 'f08080af', at: 1 },
  'a slash in five bytes': { bytes: 'f8808080af', at: 0 },
  'a slash in six bytes': { bytes: 'fc80808080af', at: 0 },
  'a NUL in two bytes': { bytes: 'c080', at: 0 },
  'the last of one byte, in two': { bytes: 'c1bf', at: 0 },
  'the last of two bytes, in three': { bytes: 'e09fbf', at: 1 },
  'the last of three bytes, in four': { bytes: 'f08fbfbf', at: 1 },
  'the first half of a pair, the lowest': { bytes: 'eda080', at: 1 },
  'the first half of a pair, the highest': { bytes: 'edafbf', at: 1 },
  'the second half of a pair, the lowest': { bytes: 'edb080', at: 1 },
  'the second half of a pair, the highest': { bytes: 'edbfbf', at: 1 },
  'a pair of halves': { bytes: 'eda080edb080', at: 1 },
  'the first beyond U+10FFFF': { bytes: 'f4908080', at: 1 },
  'the last of four bytes': { bytes: 'f7bfbfbf', at: 0 },
  'one of five bytes': { bytes: 'f888808080', at: 0 },
  'one of six bytes': { bytes: 'fc8480808080', at: 0 },
  'the byte 0xf5': { bytes: 'f5', at: 0 },
  'the byte 0xfe': { bytes: 'fe', at: 0 },
  'the byte 0xff': { bytes: 'ff', at: 0 },
};

const BEFORE = Buffer.from('κόσμε');
const BEHIND = Buffer.from(' and more');

/** In one frame, alone and between letters; in fragments cut within and beside it; with a message that never ends. */
const refused: ConformanceCase[] = Object.entries(WRONG).flatMap(([name, { bytes, at }]) => {
  const wrong = Buffer.from(bytes, 'hex');
  const endsEarly = at === wrong.length;
  const whole = Buffer.concat([BEFORE, wrong, endsEarly ? Buffer.alloc(0) : BEHIND]);
  const breaks = BEFORE.length + at;
  return [
    { name: `a text with ${name}`, frames: [LAST, text(whole), LAST], after: 1 },
    { name: `a text of nothing but ${name}`, frames: [text(wrong), LAST], after: 0 },
    ...inFragments(whole)
      .filter(({ at: cut }) => Math.abs(cut - breaks) <= 1)
      .map(({ at: cut, frames }) => ({
        name: `a text with ${name}, cut behind byte ${cut}`,
        frames: [...frames, LAST],
        after: cut > breaks ? 0 : 1,
      })),
    {
      name: `a text with ${name}, in the first of many fragments, the last of which never comes`,
      frames: [text(whole, MORE), ping(''), next('x', MORE)],
      after: endsEarly ? 2 : 0,
    },
    {
      name: `a text with ${name}, a byte in a fragment`,
      frames: [...byByte(whole), LAST],
      after: endsEarly ? whole.length - 1 : breaks,
    },
  ].map((sent) => ({
    name: sent.name,
    rule: '8.1',
    frames: sent.frames,
    violation: { code: 1007, after: sent.after },
  }));
});

export const utf8Cases: readonly ConformanceCase[] = [...allowed, ...refused];

/** In two fragments, at every place. */
function inFragments(whole: Buffer): { readonly at: number; readonly frames: Shape[] }[] {
  return Array.from({ length: whole.length - 1 }, (_, index) => {
    const at = index + 1;
    return { at, frames: [text(whole.subarray(0, at), MORE), next(whole.subarray(at))] };
  });
}

function byByte(whole: Buffer): Shape[] {
  return Array.from(whole, (byte, at) => {
    const more = at + 1 < whole.length ? MORE : {};
    return at === 0 ? text(Buffer.from([byte]), more) : next(Buffer.from([byte]), more);
  });
}
