// Rows of counters that worker threads share: who gets which, how long, and what they add up to.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { RowShape } from '../../src/zones/shared-rows.ts';
import { MAX_WORKERS, ROW_LIMIT } from '../../src/zones/shared-rows.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';

const SHAPE: RowShape = { shared: 2, perWorker: 1 };
const LOCKED: RowShape = { shared: 2, perWorker: 0, lockCell: 0 };

function leader(): ZoneDirectory {
  const zones = ZoneDirectory.create();
  zones.beginConfiguration();
  return zones;
}

test('a row is found again by its identity, with what it held', () => {
  const zones = leader();
  zones.row('peers', SHAPE, 'a').set(1, 7);
  zones.row('peers', SHAPE, 'b').set(1, 8);
  assert.equal(zones.row('peers', SHAPE, 'a').get(1), 7);
  assert.equal(zones.row('peers', SHAPE, 'b').get(1), 8);
});

test('tables of other names have rows of their own', () => {
  const zones = leader();
  zones.row('peers', SHAPE, 'a').set(0, 7);
  assert.equal(zones.row('others', SHAPE, 'a').get(0), 0);
});

test('a row survives a reload that asks for it again, and is freed and emptied by one that does not', () => {
  const zones = ZoneDirectory.create();
  const first = zones.beginConfiguration();
  zones.row('peers', SHAPE, 'kept').set(0, 1);
  zones.row('peers', SHAPE, 'dropped').set(0, 2);
  const second = zones.beginConfiguration();
  zones.row('peers', SHAPE, 'kept');
  zones.endConfiguration(first);
  assert.equal(zones.size('peers'), 1);
  assert.equal(zones.row('peers', SHAPE, 'kept').get(0), 1);
  assert.equal(zones.row('peers', SHAPE, 'new').get(0), 0, 'the new row has the place of the freed one');
  zones.endConfiguration(second);
  assert.equal(zones.size('peers'), 0);
});

test('a configuration that could not be used leaves nothing behind and takes nothing away', () => {
  const zones = ZoneDirectory.create();
  zones.beginConfiguration();
  zones.row('peers', SHAPE, 'a').set(0, 3);
  const bad = zones.beginConfiguration();
  zones.row('peers', SHAPE, 'a');
  zones.row('peers', SHAPE, 'b');
  zones.endConfiguration(bad);
  assert.equal(zones.size('peers'), 1);
  assert.equal(zones.row('peers', SHAPE, 'a').get(0), 3);
});

test('a row that is in use is not freed before it is used no more', () => {
  const zones = ZoneDirectory.create();
  const first = zones.beginConfiguration();
  const row = zones.row('peers', SHAPE, 'a');
  row.addOwn(0, 1);
  const second = zones.beginConfiguration();
  zones.endConfiguration(first);
  assert.equal(zones.size('peers'), 1);
  row.addOwn(0, -1);
  zones.endConfiguration(second);
  assert.equal(zones.size('peers'), 0);
});

test('a table grows by segments and ends at its bound', () => {
  const zones = leader();
  for (let i = 0; i < ROW_LIMIT; i += 1) {
    const row = zones.row('locks', LOCKED, `row ${i}`);
    if (i % 5000 === 0) row.set(1, i);
  }
  for (let i = 0; i < ROW_LIMIT; i += 5000) assert.equal(zones.row('locks', LOCKED, `row ${i}`).get(1), i);
  assert.throws(() => zones.row('locks', LOCKED, 'one more'), /more than 65536 rows/);
});

test('the total is the sum over workers, and a dead worker counts no more', () => {
  const zones = leader();
  zones.useWorkers(3);
  zones.row('peers', SHAPE, 'a');
  zones.row('peers', SHAPE, 'b');
  const workers = [0, 1, 2].map((worker) => ZoneDirectory.join(zones.state(), worker));
  const rows = workers.map((worker) => worker.row('peers', SHAPE, 'b'));
  rows.forEach((row, worker) => {
    row.addOwn(0, 10 ** worker);
  });
  assert.equal(zones.row('peers', SHAPE, 'b').total(0), 111);
  zones.zeroColumn(1);
  assert.deepEqual(
    rows.map((row) => row.total(0)),
    [101, 101, 101],
  );
  assert.equal(zones.row('peers', SHAPE, 'a').total(0), 0);
});

test('a worker adopts what a reload has added, and keeps what it has in hand', () => {
  const zones = leader();
  zones.row('peers', SHAPE, 'a');
  const worker = ZoneDirectory.join(zones.state(), 0);
  const inHand = worker.row('peers', SHAPE, 'a');
  for (let i = 0; i < 200; i++) zones.row('peers', SHAPE, `new ${i}`).set(0, i);
  worker.adopt(zones.state());
  assert.equal(worker.row('peers', SHAPE, 'new 199').get(0), 199);
  inHand.set(0, 5);
  assert.equal(zones.row('peers', SHAPE, 'a').get(0), 5);
});

test('a worker that asks for what the master does not know counts alone', () => {
  const zones = leader();
  const worker = ZoneDirectory.join(zones.state(), 1);
  const row = worker.row('peers', SHAPE, 'unknown');
  row.set(1, 4);
  row.addOwn(0, 2);
  assert.equal(row.get(1), 4);
  assert.equal(row.total(0), 2);
  assert.equal(zones.size('peers'), 0);
});

test('more workers than there are columns are refused', () => {
  assert.throws(() => leader().useWorkers(MAX_WORKERS + 1), /more than 256/);
});

test('a lock that a dead worker held is open again', () => {
  const zones = leader();
  zones.useWorkers(2);
  const row = zones.row('locks', LOCKED, 'a');
  const dead = ZoneDirectory.join(zones.state(), 1).row('locks', LOCKED, 'a');
  assert.equal(dead.lock(), true);
  assert.equal(row.lock(), false, 'the wait is bounded');
  zones.zeroColumn(1);
  assert.equal(row.lock(), true);
  row.unlock(true);
});

const COUNT = 20_000;
const COUNTING = `
  import { parentPort, workerData } from 'node:worker_threads';
  const { ZoneDirectory } = await import(workerData.module);
  const zones = ZoneDirectory.join(workerData.state, workerData.worker);
  const peer = zones.row('peers', workerData.shape, 'a');
  const guarded = zones.row('locks', workerData.locked, 'a');
  for (let i = 0; i < ${COUNT}; i++) {
    peer.add(0, 1);
    peer.addOwn(0, 1);
    const locked = guarded.lock();
    guarded.set(1, guarded.get(1) + 1);
    if (!locked) peer.add(1, 1);
    guarded.unlock(locked);
  }
  parentPort.postMessage('done');
`;

test('two worker threads count exactly, and a lock keeps them apart', async () => {
  const zones = leader();
  zones.useWorkers(2);
  const peer = zones.row('peers', SHAPE, 'a');
  const guarded = zones.row('locks', LOCKED, 'a');
  const module = new URL('../../src/zones/zone-directory.ts', import.meta.url).href;
  const code = new URL(`data:text/javascript,${encodeURIComponent(COUNTING)}`);
  const workers = [0, 1].map(
    (worker) =>
      new Worker(code, { workerData: { state: zones.state(), worker, module, shape: SHAPE, locked: LOCKED } }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
  assert.equal(peer.get(0), 2 * COUNT);
  assert.equal(peer.total(0), 2 * COUNT);
  const unguarded = peer.get(1);
  const lost = 2 * COUNT - guarded.get(1);
  assert.ok(lost <= unguarded * COUNT && lost >= 0, `${lost} lost with ${unguarded} steps without the lock`);
  if (unguarded === 0) assert.equal(lost, 0);
  zones.zeroColumn(0);
  assert.equal(peer.total(0), COUNT);
});
