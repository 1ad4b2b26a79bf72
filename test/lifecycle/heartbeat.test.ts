// The heartbeat, with a clock and a processor time of the test's own: a hung loop is noticed, a starved machine is not blamed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { THREAD_NUMBER } from '../../src/diagnostics/thread-number.ts';
import {
  createHeart,
  HEART_LIMITS,
  Heart,
  HeartWatch,
  threadTime,
  WATCH_INTERVAL,
} from '../../src/lifecycle/heartbeat.ts';

/** A worker's thread as the watch sees it. */
class Patient {
  readonly cells = createHeart();
  readonly watch: HeartWatch;
  used: number | undefined = 0;
  now = 1_000_000;

  constructor(thread = 4_711) {
    this.watch = new HeartWatch(this.cells, HEART_LIMITS, () => this.used);
    this.cells[2] = thread;
    this.watch.look(this.now);
  }

  /** The next look comes so late, and the thread has used so much processor time since the last one. */
  look(used: number, late = 0): string | undefined {
    this.now += WATCH_INTERVAL + late;
    if (this.used !== undefined) this.used += used;
    return this.watch.look(this.now);
  }

  beat(): void {
    this.cells[0] = (this.cells[0] as number) + 1;
  }
}

test('a loop that turns is never accused, however busy it is', () => {
  const patient = new Patient();
  for (let i = 0; i < 100; i++) {
    patient.beat();
    assert.equal(patient.look(250), undefined);
  }
});

test('a loop that uses a second of processor time without a beat is caught', () => {
  const patient = new Patient();
  const looks = [250, 250, 250, 250].map((used) => patient.look(used));
  assert.deepEqual(looks, [
    undefined,
    undefined,
    undefined,
    'is caught in a loop (no sign of life in 1000 ms of processor time)',
  ]);
});

test('on a machine that has no time for us nobody is accused', () => {
  const patient = new Patient();
  // The whole process gets a hundredth of a processor: the looks come late, too.
  for (let i = 0; i < 60; i++) assert.equal(patient.look(10, 5_000), undefined);
});

test('a process that was stopped for an hour goes on', () => {
  const patient = new Patient();
  assert.equal(patient.look(0, 3_600_000), undefined);
  patient.beat();
  assert.equal(patient.look(10), undefined);
});

test('a loop that waits for something for ten seconds, without using the processor, is given up', () => {
  const patient = new Patient();
  const looks = Array.from({ length: 40 }, () => patient.look(0));
  assert.equal(
    looks.findIndex((wrong) => wrong !== undefined),
    39,
  );
  assert.equal(looks[39], 'has given no sign of life for 10000 ms');
});

test('where the system does not tell the processor time, ten seconds count', () => {
  const patient = new Patient();
  patient.used = undefined;
  const looks = Array.from({ length: 40 }, () => patient.look(0));
  assert.equal(
    looks.findIndex((wrong) => wrong !== undefined),
    39,
  );
});

test('a worker that said that it loads a configuration has a minute', async () => {
  const patient = new Patient();
  const heart = new Heart(patient.cells, 4_711);
  heart.stop();
  const wrong = await heart.whileBusy(async () =>
    Array.from({ length: 240 }, () => patient.look(250)).findIndex((said) => said !== undefined),
  );
  assert.equal(wrong, 239);
  assert.equal(patient.look(250), undefined);
});

test('so has one that starts', () => {
  const patient = new Patient(0);
  for (let i = 0; i < 239; i++) assert.equal(patient.look(250), undefined);
});

test('the processor time of a thread grows with what it does', {
  skip: process.platform !== 'linux' && 'needs /proc',
}, () => {
  const before = threadTime(THREAD_NUMBER) as number;
  const end = performance.now() + 5_000;
  while ((threadTime(THREAD_NUMBER) as number) < before + 50) assert.ok(performance.now() < end);
  assert.equal(threadTime(2 ** 22 + 1), undefined);
});
