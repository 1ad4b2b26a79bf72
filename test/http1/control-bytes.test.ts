// Four bytes at a time or one: the same control byte is found.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nextControl, wordsOf } from '../../src/http1/control-bytes.ts';

function oneByOne(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at; i < end; i++) {
    const byte = bytes[i] as number;
    if ((byte < 32 && byte !== 9) || byte === 127) return i;
  }
  return end;
}

const byte = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 32, max: 255 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 31 }) },
);

test('the first control byte is found wherever it stands and wherever the bytes begin in memory', () => {
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 60 }), fc.nat(7), fc.nat(20), fc.nat(20), (values, offset, from, to) => {
      // What lies around the bytes in memory is full of control bytes.
      const bytes = new Uint8Array(new ArrayBuffer(offset + values.length + 5), offset, values.length);
      bytes.set(values);
      const end = Math.max(0, values.length - to);
      const at = Math.min(from, end);
      assert.equal(nextControl(bytes, wordsOf(bytes), at, end), oneByOne(bytes, at, end));
    }),
    { numRuns: 3000 },
  );
});

test('every byte is told right in every place of a word', () => {
  for (let value = 0; value < 256; value++) {
    for (let place = 0; place < 8; place++) {
      for (const filler of [0x20, 0x61, 0x7e, 0x80, 0xff]) {
        const bytes = new Uint8Array(12).fill(filler);
        bytes[place] = value;
        assert.equal(
          nextControl(bytes, wordsOf(bytes), 0, 12),
          oneByOne(bytes, 0, 12),
          `${value} at ${place} in ${filler}`,
        );
      }
    }
  }
});
