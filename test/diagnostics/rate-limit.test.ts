// What happens all the time is said now and then.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimit } from '../../src/diagnostics/rate-limit.ts';

test('one event in each interval passes, and stands for those that were held back', () => {
  let now = 0;
  const limit = new RateLimit(100, () => now);
  const passed: number[] = [];
  for (; now < 300; now += 10) passed.push(limit.pass());
  assert.deepEqual(
    passed.filter((count) => count > 0),
    [1, 10, 10],
  );
});
