// Which parts of a body a Range header asks for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseRanges, UNLIMITED_RANGES } from '../../src/serve/byte-ranges.ts';

function ranges(header: string, size = 1000, most = UNLIMITED_RANGES): unknown {
  const parsed = parseRanges(header, size, most);
  return typeof parsed === 'string' ? parsed : parsed.map(({ start, end }) => [start, end]);
}

test('reads a range, one without an end, and one counted from the end', () => {
  assert.deepEqual(ranges('bytes=0-8'), [[0, 9]]);
  assert.deepEqual(ranges('Bytes=990-'), [[990, 1000]]);
  assert.deepEqual(ranges('bytes=-10'), [[990, 1000]]);
  assert.deepEqual(ranges('bytes= 5 - 6 , 8- , -1 '), [
    [5, 7],
    [8, 1000],
    [999, 1000],
  ]);
});

test('cuts a range to what there is', () => {
  assert.deepEqual(ranges('bytes=990-1990'), [[990, 1000]]);
  assert.deepEqual(ranges('bytes=-5000'), [[0, 1000]]);
  assert.deepEqual(ranges('bytes=0-9223372036854775807'), [[0, 1000]]);
});

test('leaves out ranges behind the end, unless there is no other', () => {
  assert.deepEqual(ranges('bytes=0-9, 5000-, 10-19'), [
    [0, 10],
    [10, 20],
  ]);
  assert.equal(ranges('bytes=5000-'), 'unsatisfiable');
  assert.equal(ranges('bytes=1000-'), 'unsatisfiable');
  assert.equal(ranges('bytes=-0'), 'unsatisfiable');
  assert.equal(ranges('bytes=9-5'), 'unsatisfiable');
});

test('what is no range cannot be satisfied', () => {
  for (const text of [
    'alpha',
    '10-alpha',
    '10',
    '10-11 12-',
    '1-2,',
    ',1-2',
    '-',
    '--1',
    '- 1',
    '+1-2',
    '0x1-2',
    '1-2;',
    '\t1-2',
  ]) {
    assert.equal(ranges(`bytes=${text}`), 'unsatisfiable', text);
  }
  assert.equal(ranges('bytes=9223372036854775808-'), 'unsatisfiable');
  assert.equal(ranges(`bytes=0-${'9'.repeat(30)}`), 'unsatisfiable');
});

test('other units and an empty list are no ranges at all', () => {
  assert.equal(ranges('lines=0-1'), 'whole');
  assert.equal(ranges('bytes='), 'whole');
  assert.equal(ranges('bytes'), 'whole');
  assert.equal(ranges(''), 'whole');
});

test('the whole is sent when the ranges together have more bytes than it', () => {
  assert.equal(ranges('bytes=0-10001, 0-0'), 'whole');
  assert.equal(ranges(`bytes=${Array(1300).fill('0-').join(',')}`), 'whole');
});

test('many small ranges of a small body are not worth their heads', () => {
  assert.equal(ranges(`bytes=${Array(30).fill('0-0').join(',')}`), 'whole');
  assert.equal((ranges(`bytes=${Array(15).fill('0-0').join(',')}`) as unknown[]).length, 15);
});

test('more ranges than allowed are ignored; none allowed switches ranges off', () => {
  assert.equal((ranges('bytes=0-9, -10', 1000, 2) as unknown[]).length, 2);
  assert.equal((ranges('bytes=0-9, -10, 10000-', 1000, 2) as unknown[]).length, 2);
  assert.equal(ranges('bytes=0-9, -10, 10-19', 1000, 2), 'whole');
  assert.equal(ranges('bytes=0-9', 1000, 0), 'whole');
});

test('of an empty body the whole is sent', () => {
  assert.equal(ranges('bytes=0-', 0), 'whole');
  assert.equal(ranges('bytes=-5', 0), 'whole');
  assert.equal(ranges('bytes=5-', 0), 'unsatisfiable');
});

test('whatever is asked for, what is given lies within the body and is not more than it', () => {
  const piece = fc.stringMatching(/^[0-9 ]{0,4}-?[0-9]{0,20},?$/);
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), fc.nat(2000), (pieces, size) => {
      const parsed = parseRanges(`bytes=${pieces.join('')}`, size, UNLIMITED_RANGES);
      if (typeof parsed === 'string') return;
      for (const { start, end } of parsed) assert.ok(start >= 0 && start < end && end <= size);
      const total = parsed.reduce((sum, { start, end }) => sum + end - start, 0);
      assert.ok(total <= size);
    }),
  );
});
