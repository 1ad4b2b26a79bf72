// Work in steps: all at once, or with turns of the event loop in between.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSteps, inSlices, type Steps } from '../../src/config/steps.ts';

function* counting(steps: number, ms: number): Steps<number> {
  for (let step = 0; step < steps; step++) {
    const until = performance.now() + ms;
    while (performance.now() < until);
    yield;
  }
  return steps;
}

test('all steps at once', () => assert.equal(allSteps(counting(3, 0)), 3));

test('in slices the event loop turns between steps that take long', async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  assert.equal(await inSlices(counting(10, 6)), 10);
  clearInterval(timer);
  assert.ok(turns >= 5, `${turns} turns`);
});

test('short steps do not wait for a turn each', async () => {
  let turns = 0;
  const turn = (): void => {
    turns++;
    next = setImmediate(turn);
  };
  let next = setImmediate(turn);
  assert.equal(await inSlices(counting(10_000, 0)), 10_000);
  clearImmediate(next);
  assert.ok(turns < 1000, `${turns} turns`);
});

test('what a step throws is the caller’s', async () => {
  function* failing(): Steps<void> {
    yield;
    throw new Error('no');
  }
  assert.throws(() => allSteps(failing()), /no/);
  await assert.rejects(inSlices(failing()), /no/);
});
