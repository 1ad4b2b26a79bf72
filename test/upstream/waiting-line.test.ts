// The line of those who wait for a peer, over two workers: its length, its order, and places that nobody loses.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { WAITING_CELLS, WaitingLine, type WaitLimits, type WaitOwner } from '../../src/upstream/waiting-line.ts';
import { Row, type RowShape, Segment } from '../../src/zones/shared-rows.ts';
import { until } from '../support/until.ts';

const SHAPE: RowShape = { shared: 1, perWorker: WAITING_CELLS };
const QUEUE: WaitLimits = { timeout: 60_000, most: 3 };

/** The lines of two workers for one upstream. */
function lines(): readonly [WaitingLine, WaitingLine] {
  const segment = new Segment(SHAPE, 1, new Int32Array(SHAPE.shared + 2 * SHAPE.perWorker));
  const line = (worker: number): WaitingLine => new WaitingLine(new Row(SHAPE, segment, 0, worker, Int32Array.of(2)));
  return [line(0), line(1)];
}

/** Peers with so many free places; who goes is told in order. */
class Places {
  free = 0;
  readonly gone: string[] = [];
  readonly ended: string[] = [];

  /** @param blind it never sees a peer */
  waiter(name: string, blind = false): WaitOwner {
    return {
      peerCount: 1,
      isBound: false,
      hasPeer: () => this.free > 0,
      takePeer: () => !blind && this.free > 0 && this.free-- > 0,
      goOn: () => this.gone.push(name),
      waitEnded: () => this.ended.push(name),
    };
  }
}

test('the places of both workers count together, and one that is left is free again', () => {
  const [one, other] = lines();
  const places = new Places();
  const first = one.join(places.waiter('a'), QUEUE);
  other.join(places.waiter('b'), QUEUE);
  const third = other.join(places.waiter('c'), QUEUE);
  assert.equal(one.join(places.waiter('d'), QUEUE), undefined);
  assert.equal(other.join(places.waiter('d'), QUEUE), undefined);
  third?.leave();
  third?.leave();
  assert.ok(one.join(places.waiter('d'), QUEUE));
  assert.ok(one.hasQueue && other.hasQueue);
  first?.leave();
});

test('a place that comes free goes to the first in the line, in the same turn of the event loop', async () => {
  const [line] = lines();
  const places = new Places();
  for (const name of ['a', 'b', 'c']) line.join(places.waiter(name), QUEUE);
  places.free = 2;
  line.placeFree();
  assert.deepEqual(places.gone, [], 'not from inside what has freed it');
  await turn();
  assert.deepEqual(places.gone, ['a', 'b']);
});

test('a place that another worker frees is seen', async () => {
  const [line] = lines();
  const places = new Places();
  line.join(places.waiter('a'), QUEUE);
  places.free = 1;
  await until('it to go', () => places.gone.length === 1);
});

test('who has waited much longer in another worker goes first', async () => {
  const [one, other] = lines();
  const places = new Places();
  one.join(places.waiter('long'), QUEUE);
  await wait(300);
  other.join(places.waiter('short'), QUEUE);
  places.free = 1;
  // What each worker does when it looks; in one turn, lest the one that yields is patient for longer than the other one is slow.
  other.deadlineReached();
  one.deadlineReached();
  assert.deepEqual(places.gone, ['long']);
  places.free = 1;
  await until('the other one', () => places.gone.length === 2);
});

test('a place that is left to another worker in vain is taken after all', async () => {
  const [one, other] = lines();
  const places = new Places();
  const blind = one.join(places.waiter('blind', true), QUEUE);
  await wait(300);
  other.join(places.waiter('short'), QUEUE);
  places.free = 1;
  await until('it to go', () => places.gone.length === 1);
  assert.deepEqual(places.gone, ['short']);
  blind?.leave();
});

test('when its time is over a place ends, and is told so once', async () => {
  const [line] = lines();
  const places = new Places();
  line.join(places.waiter('a'), { ...QUEUE, timeout: 20 });
  await until('its end', () => places.ended.length === 1);
  assert.equal(line.hasQueue, false);
  places.free = 1;
  line.placeFree();
  await turn();
  assert.deepEqual(places.gone, []);
});

test('those who wait for a peer to come back go one by one, and who finds it gone waits on behind the others', async () => {
  const [line] = lines();
  const places = new Places();
  const limits: WaitLimits = { timeout: 60_000, most: 10, rate: 1000 };
  const first = line.join(places.waiter('a'), limits);
  const second = line.join(places.waiter('b'), limits);
  places.free = 10;
  await until('the first', () => places.gone.length === 1);
  assert.equal(first?.again(), true);
  await until('the second', () => places.gone.length === 2);
  assert.deepEqual(places.gone, ['a', 'b']);
  second?.succeeded();
  await until('the first again', () => places.gone.length === 3);
  assert.deepEqual(places.gone, ['a', 'b', 'a']);
  first?.leave();
  assert.equal(line.hasReturning, false);
});

test('those who wait are in the line of a newer configuration, and so are those who come back to the old one', async () => {
  const [old] = lines();
  const [next] = lines();
  const places = new Places();
  const limits: WaitLimits = { timeout: 60_000, most: 10, rate: 1000 };
  const first = old.join(places.waiter('a'), limits);
  old.join(places.waiter('b'), limits);
  places.free = 1;
  await until('the first', () => places.gone.length === 1);
  next.takeOver(old);
  assert.ok(next.hasReturning);
  assert.equal(first?.again(), true);
  assert.equal(first?.line, next);
  places.free = 2;
  await until('both', () => places.gone.length === 3);
  assert.deepEqual(places.gone, ['a', 'b', 'a']);
});
