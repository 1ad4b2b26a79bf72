// Leaky buckets in shared memory: what each request adds, what time takes away, what is forgotten first.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedRates } from '../../src/zones/shared-rates.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';

const RATE = 10_000;
const made = (bytes = 32_768): SharedRates => new SharedRates(new SharedArrayBuffer(bytes), 0);

test('a request adds a thousand thousandths, time takes the rate away, and the first one is free', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const rates = made();
  assert.equal(rates.take('a', RATE, 5000), 0);
  assert.equal(rates.take('a', RATE, 5000), 1000);
  assert.equal(rates.take('b', RATE, 5000), 0);
  t.mock.timers.tick(50);
  assert.equal(rates.look('a', RATE), 1500);
  assert.equal(rates.take('a', RATE, 5000), 1500);
  t.mock.timers.tick(1000);
  assert.equal(rates.take('a', RATE, 5000), 0);
});

test('what is beyond the burst is not counted, nor what is only looked at', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const rates = made();
  rates.take('a', RATE, 1000);
  assert.equal(rates.take('a', RATE, 1000), 1000);
  for (let i = 0; i < 3; i++) assert.equal(rates.take('a', RATE, 1000), 2000);
  for (let i = 0; i < 3; i++) assert.equal(rates.look('a', RATE), 2000);
  assert.equal(rates.look('nobody', RATE), 0);
});

test('a slow rate is not lost in rounding when requests come within one millisecond or two', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const rates = made();
  rates.take('a', 16, 1e9);
  for (let i = 1; i <= 10; i++) assert.equal(rates.take('a', 16, 1e9), i * 1000);
});

test('a clock that is set back does not drain a bucket, nor fill it', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const rates = made();
  rates.take('a', RATE, 5000);
  t.mock.timers.setTime(1_699_999_990_000);
  assert.equal(rates.take('a', RATE, 5000), 1000);
  t.mock.timers.setTime(1_600_000_000_000);
  assert.equal(rates.take('a', RATE, 5000), 1990);
  t.mock.timers.tick(1000);
  assert.equal(rates.take('a', RATE, 5000), 0);
});

test('where there is no room, the key that was not used for longest is forgotten', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const rates = made(700);
  for (let i = 0; i < 17; i++) {
    rates.take(`${i}`, 1, 1e6);
    t.mock.timers.tick(1);
  }
  assert.equal(rates.look('0', 1), 0);
  for (let i = 1; i < 17; i++) assert.ok(rates.look(`${i}`, 1) > 0, `${i}`);
});

test('all workers have the same buckets, and a reload keeps them', () => {
  const leader = ZoneDirectory.create();
  leader.beginConfiguration();
  leader.rates('zone', 32_768).take('a', 1, 1e6);
  const worker = ZoneDirectory.join(leader.state(), 1).rates('zone', 32_768);
  assert.ok(worker.look('a', 1) > 900);
  leader.beginConfiguration();
  leader.rates('zone', 32_768);
  leader.endConfiguration(1);
  assert.ok(ZoneDirectory.join(leader.state(), 1).rates('zone', 32_768).look('a', 1) > 900);
});
