// How fast workers are replaced.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackOff } from '../../src/lifecycle/back-off.ts';

test('the first death is answered at once, early ones later and later, up to half a minute', () => {
  const backOff = new BackOff();
  const delays = Array.from({ length: 12 }, () => backOff.next(500));
  assert.deepEqual(delays, [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
});

test('a long life makes up for early deaths', () => {
  const backOff = new BackOff();
  for (let i = 0; i < 5; i++) backOff.next(0);
  assert.deepEqual([backOff.next(60_000), backOff.next(0)], [0, 100]);
});
