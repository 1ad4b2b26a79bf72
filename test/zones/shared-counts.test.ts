// Counts by key in shared memory: exact over workers, bounded, and without what a dead worker had counted.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { NO_ROOM, OVER_LIMIT, SharedCounts } from '../../src/zones/shared-counts.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';

const ZONE = 32_768;

test('so many of a key as the limit allows, whichever worker counts them; other keys are other counts', () => {
  const memory = new SharedArrayBuffer(ZONE);
  const [one, two] = [new SharedCounts(memory, 0), new SharedCounts(memory, 1)];
  const first = one.enter('a', 2);
  const second = two.enter('a', 2);
  assert.ok(first >= 0 && second >= 0);
  assert.equal(one.enter('a', 2), OVER_LIMIT);
  assert.equal(two.enter('a', 2), OVER_LIMIT);
  assert.ok(two.enter('b', 1) >= 0);
  one.leave(first);
  assert.equal(two.count('a'), 1);
  assert.ok(two.enter('a', 2) >= 0);
  assert.equal(one.count('a'), 2);
});

test('keys that differ only behind their sixteenth byte, or by a NUL at the end, are others', () => {
  const counts = new SharedCounts(new SharedArrayBuffer(ZONE), 0);
  const keys = [
    'x'.repeat(16),
    'x'.repeat(17),
    'x'.repeat(18),
    `${'x'.repeat(200)}y`,
    `${'x'.repeat(200)}z`,
    'a',
    'a\0',
    '\xff',
  ];
  for (const key of keys) assert.ok(counts.enter(key, 1) >= 0, key);
  for (const key of keys) assert.equal(counts.count(key), 1, key);
});

test('whatever enters and leaves, the counts are those of a plain table, and all is 0 at the end', () => {
  const step = fc.record({ key: fc.integer({ min: 0, max: 5 }), worker: fc.nat(2), enters: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const memory = new SharedArrayBuffer(ZONE);
      const workers = [0, 1, 2].map((worker) => new SharedCounts(memory, worker));
      const inside: { key: string; worker: number; entry: number }[] = [];
      for (const { key, worker, enters } of steps) {
        const [name, counts] = [`key${key}`, workers[worker] as SharedCounts];
        const mine = inside.findIndex((one) => one.key === name && one.worker === worker);
        if (enters) {
          const entry = counts.enter(name, 3);
          const before = inside.filter((one) => one.key === name).length;
          assert.equal(entry === OVER_LIMIT, before >= 3);
          if (entry >= 0) inside.push({ key: name, worker, entry });
        } else if (mine >= 0) {
          const gone = inside.splice(mine, 1);
          counts.leave(gone[0]?.entry as number);
        }
        assert.equal(workers[0]?.count(name), inside.filter((one) => one.key === name).length);
      }
      for (const { worker, entry } of inside) workers[worker]?.leave(entry);
      for (let key = 0; key <= 5; key++) assert.equal(workers[1]?.count(`key${key}`), 0);
    }),
    { numRuns: 50 },
  );
});

test('where there is no room for another key that is said, and there is room again when one has gone', () => {
  const counts = new SharedCounts(new SharedArrayBuffer(4096), 0);
  const entries: number[] = [];
  for (let i = 0; ; i++) {
    const entry = counts.enter(`${i}`, 1);
    if (entry === NO_ROOM) break;
    entries.push(entry);
  }
  assert.equal(entries.length, 64);
  counts.leave(entries[0] as number);
  assert.ok(counts.enter('another', 1) >= 0);
});

test('a zone of a megabyte has room for the 16000 keys that nginx promises', () => {
  const counts = new SharedCounts(new SharedArrayBuffer(1024 * 1024), 0);
  for (let i = 0; i < 16_000; i++) assert.ok(counts.enter(`192.0.${i}`, 1) >= 0, `${i}`);
});

test('what a worker had counted is forgotten when it dies, and nothing else; a reload keeps all', () => {
  const leader = ZoneDirectory.create();
  leader.useWorkers(2);
  leader.beginConfiguration();
  leader.counts('zone', ZONE);
  const [one, two] = [0, 1].map((worker) => ZoneDirectory.join(leader.state(), worker).counts('zone', ZONE)) as [
    SharedCounts,
    SharedCounts,
  ];
  one.enter('a', 9);
  two.enter('a', 9);
  two.enter('b', 9);
  leader.beginConfiguration();
  const again = leader.counts('zone', ZONE);
  leader.endConfiguration(1);
  assert.equal(again.count('a'), 2);
  leader.zeroColumn(1);
  assert.equal(one.count('a'), 1);
  assert.equal(one.count('b'), 0);
});

test('threads that count at once neither pass the limit nor lose a count', async () => {
  const memory = new SharedArrayBuffer(ZONE);
  const most = new Int32Array(new SharedArrayBuffer(8));
  const code = `
    const { workerData } = require('node:worker_threads');
    import(workerData.url).then(({ SharedCounts }) => {
      const counts = new SharedCounts(workerData.memory, workerData.worker);
      for (let i = 0; i < 20000; i++) {
        const entry = counts.enter('key', 2);
        if (entry < 0) continue;
        const inside = Atomics.add(workerData.most, 0, 1) + 1;
        if (inside > 2) Atomics.add(workerData.most, 1, 1);
        Atomics.sub(workerData.most, 0, 1);
        counts.leave(entry);
      }
    });`;
  const url = new URL('../../src/zones/shared-counts.ts', import.meta.url).href;
  const threads = [0, 1, 2].map(
    (worker) => new Worker(code, { eval: true, workerData: { url, memory, most, worker } }),
  );
  await Promise.all(threads.map((thread) => once(thread, 'exit')));
  assert.equal(most[1], 0);
  assert.equal(new SharedCounts(memory, 3).count('key'), 0);
});
