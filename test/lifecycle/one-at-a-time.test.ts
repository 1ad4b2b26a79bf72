// Work that is asked for while it runs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OneAtATime } from '../../src/lifecycle/one-at-a-time.ts';

test('however often it is asked for while it runs, it runs once more', async () => {
  let [running, runs] = [0, 0];
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const work = new OneAtATime(async () => {
    assert.equal(++running, 1);
    runs++;
    await turn();
    running--;
  });
  for (let i = 0; i < 5; i++) work.request();
  for (let i = 0; i < 5; i++) await turn();
  assert.equal(runs, 2);
  work.request();
  await turn();
  assert.equal(runs, 3);
});
