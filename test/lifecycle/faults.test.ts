// Faults of ours: said, counted, and a flood of them ends the thread.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorLog } from '../../src/diagnostics/error-log.ts';
import { Faults } from '../../src/lifecycle/faults.ts';

function faultsAt(clock: { now: number }) {
  const lines: string[] = [];
  const log: ErrorLog = { enabled: () => true, write: (level, message) => void lines.push(`[${level}] ${message}`) };
  let gaveUp = 0;
  const faults = new Faults({ log: () => log, giveUp: () => gaveUp++, now: () => clock.now });
  return { faults, lines, gaveUp: () => gaveUp };
}

test('a fault is told at [alert], with its stack in one line', () => {
  const { faults, lines } = faultsAt({ now: 0 });
  faults.note(new TypeError('x is not y'));
  assert.equal(lines.length, 1);
  assert.match(lines[0] as string, /^\[alert\] uncaught TypeError: x is not y at .*faults\.test\.ts[^\n]*$/);
});

test('many faults are told once a second, with their number', () => {
  const clock = { now: 0 };
  const { faults, lines } = faultsAt(clock);
  for (let i = 0; i < 50; i++) faults.note('odd');
  clock.now = 1_000;
  faults.note('odd');
  assert.deepEqual(lines, ['[alert] uncaught odd', '[alert] 50 faults, the last one: uncaught odd']);
  assert.equal(faults.count, 51);
});

test('999 a second are survived for ever, a thousand are not', () => {
  const clock = { now: 0 };
  const { faults, gaveUp } = faultsAt(clock);
  for (; clock.now < 60_000; clock.now += 1_000) for (let i = 0; i < 999; i++) faults.note('odd');
  assert.equal(gaveUp(), 0);
  for (let i = 0; i < 1_500; i++) faults.note('odd');
  assert.equal(gaveUp(), 1);
});
