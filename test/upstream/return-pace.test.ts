// How quickly those who wait for a peer are let go: a trickle while none is there, a ramp when one is back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PaceLimits, ReturnPace } from '../../src/upstream/return-pace.ts';

const LIMITS: PaceLimits = { rate: 200, peers: 1, workers: 1 };
/** ms between two looks. */
const LOOK = 50;

/** How many go in each tenth of a second, from `from` on. @param answered those who go get through */
function letGo(pace: ReturnPace, from: number, tenths: number, limits: PaceLimits, answered: boolean): number[] {
  return Array.from({ length: tenths }, (_, tenth) => {
    let gone = 0;
    for (let time = from + tenth * 100 + LOOK; time <= from + tenth * 100 + 100; time += LOOK) {
      pace.refill(time, limits);
      for (; pace.mayGo; gone++) {
        pace.went();
        if (answered) pace.succeeded(time);
      }
    }
    return gone;
  });
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

/** A fraction of one may have been saved up at the end. */
function assertAbout(count: number, wished: number): void {
  assert.ok(Math.abs(count - wished) <= 1, `${count}, not ${wished}`);
}

function begun(): ReturnPace {
  const pace = new ReturnPace();
  pace.begin(0);
  return pace;
}

test('while nobody gets through, each peer is tried four times a second, by all workers together', () => {
  assertAbout(sum(letGo(begun(), 0, 100, LIMITS, false)), 40);
  assertAbout(sum(letGo(begun(), 0, 100, { ...LIMITS, peers: 3 }, false)), 120);
  assertAbout(sum(letGo(begun(), 0, 100, { ...LIMITS, workers: 2 }, false)), 20);
});

test('very many peers are tried forty times a second, and never faster than the rate', () => {
  assertAbout(sum(letGo(begun(), 0, 10, { ...LIMITS, peers: 1000 }, false)), 40);
  assertAbout(sum(letGo(begun(), 0, 10, { ...LIMITS, peers: 1000, rate: 5 }, false)), 5);
});

test('once one gets through, the rate grows for a second and is never exceeded', () => {
  const counts = letGo(begun(), 0, 40, LIMITS, true);
  const first = counts.findIndex((count) => count > 0);
  const second = sum(counts.slice(first, first + 10));
  assert.ok(second > 50 && second < 130, `${second} in the first second`);
  for (const count of counts) assert.ok(count <= 21, counts.join());
  const last = sum(counts.slice(-10));
  assert.ok(last >= 199 && last <= 201, `${last} in the last second`);
});

test('two workers have half of the rate each', () => {
  const counts = letGo(begun(), 0, 40, { ...LIMITS, workers: 2 }, true);
  const last = sum(counts.slice(-10));
  assert.ok(last >= 99 && last <= 101, `${last} in the last second`);
});

test('what is not used is not saved up', () => {
  const pace = begun();
  pace.succeeded(0);
  pace.refill(900, LIMITS);
  let burst = 0;
  for (; pace.mayGo; burst++) pace.went();
  assert.ok(burst <= 11, `${burst} at once`);
});

test('a second without anybody who gets through, and it is a trickle again', () => {
  const pace = begun();
  letGo(pace, 0, 40, LIMITS, true);
  letGo(pace, 4000, 10, LIMITS, false);
  assertAbout(sum(letGo(pace, 5100, 20, LIMITS, false)), 8);
});
