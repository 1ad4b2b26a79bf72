// Texts by keys in shared memory: bounded, with a lifetime, the same for all workers and after a reload.

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { LONGEST_TEXT, SharedCache } from '../../src/zones/shared-cache.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';

const LIFETIME = 60_000;
const key = (name: string): Buffer => hash('md5', name, 'buffer');
const made = (bytes = 32_768): SharedCache => new SharedCache(new SharedArrayBuffer(bytes), 0);

test('what is stored is found, and only that', () => {
  const cache = made();
  assert.equal(cache.find(key('a'), LIFETIME), undefined);
  assert.equal(cache.store(key('a'), 'one', LIFETIME, true), false);
  assert.equal(cache.store(key('b'), 'x'.repeat(LONGEST_TEXT), LIFETIME, true), false);
  assert.equal(cache.find(key('a'), LIFETIME), 'one');
  assert.equal(cache.find(key('b'), LIFETIME), 'x'.repeat(LONGEST_TEXT));
  assert.equal(cache.find(key('c'), LIFETIME), undefined);
  cache.store(key('a'), 'other', LIFETIME, true);
  assert.equal(cache.find(key('a'), LIFETIME), 'other');
});

test('an entry is made only where that is asked for', () => {
  const cache = made();
  cache.store(key('a'), 'one', LIFETIME, false);
  assert.equal(cache.find(key('a'), LIFETIME), undefined);
  cache.store(key('a'), 'one', LIFETIME, true);
  cache.store(key('a'), 'two', LIFETIME, false);
  assert.equal(cache.find(key('a'), LIFETIME), 'two');
});

test('an entry that nobody uses for its lifetime has gone; finding it is no use, storing is', (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const cache = made();
  cache.store(key('a'), 'one', 1000, true);
  cache.store(key('b'), 'two', 1000, true);
  context.mock.timers.tick(600);
  cache.store(key('a'), 'one', 1000, false);
  assert.equal(cache.find(key('b'), 1000), 'two');
  context.mock.timers.tick(600);
  assert.equal(cache.find(key('a'), 1000), 'one');
  assert.equal(cache.find(key('b'), 1000), undefined);
});

test('an entry can be used and read at once', (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const cache = made();
  assert.equal(cache.use(key('a'), 1000), undefined);
  cache.store(key('a'), 'one', 1000, true);
  for (let i = 0; i < 3; i++) {
    context.mock.timers.tick(600);
    assert.equal(cache.use(key('a'), 1000), 'one');
  }
  context.mock.timers.tick(1100);
  assert.equal(cache.use(key('a'), 1000), undefined);
});

test('where it is full, what was used last stays, and it is told that something had to go', (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const cache = made(1024);
  let displaced = 0;
  for (let i = 0; i < 100; i++) {
    if (cache.store(key(`${i}`), `${i}`, LIFETIME, true)) displaced++;
    context.mock.timers.tick(20);
  }
  assert.equal(displaced, 84);
  assert.equal(cache.find(key('83'), LIFETIME), undefined);
  for (let i = 84; i < 100; i++) assert.equal(cache.find(key(`${i}`), LIFETIME), `${i}`);
});

test('a megabyte holds the 4000 sessions that nginx promises', () => {
  const cache = made(1 << 20);
  let displaced = 0;
  for (let i = 0; i < 4000; i++) if (cache.store(key(`${i}`), `${i}`, LIFETIME, true)) displaced++;
  assert.equal(displaced, 0);
  for (let i = 0; i < 4000; i++) assert.equal(cache.find(key(`${i}`), LIFETIME), `${i}`);
});

test('what is dropped is forgotten, and nothing else', () => {
  const cache = made(32_768);
  for (const name of ['a', 'b']) cache.store(key(name), name, LIFETIME, true);
  cache.drop(key('a'), LIFETIME);
  cache.drop(key('c'), LIFETIME);
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => cache.find(key(name), LIFETIME)),
    [undefined, 'b', undefined],
  );
  assert.equal(cache.store(key('a'), 'again', LIFETIME, false), false);
  assert.equal(cache.find(key('a'), LIFETIME), undefined);
});

test('too little memory is refused', () => {
  assert.throws(() => made(100), RangeError);
});

test('a lock whose holder died does not stop the others', () => {
  const memory = new SharedArrayBuffer(1024);
  new Int32Array(memory)[0] = 7;
  const cache = new SharedCache(memory, 0);
  cache.store(key('a'), 'one', LIFETIME, true);
  assert.equal(cache.find(key('a'), LIFETIME), 'one');
});

test('all workers have the same cache, before and after a reload, until no configuration has it', () => {
  const leader = ZoneDirectory.create();
  leader.useWorkers(2);
  const first = leader.beginConfiguration();
  leader.cache('z', 32_768);
  const [one, two] = [0, 1].map((worker) => ZoneDirectory.join(leader.state(), worker)) as [
    ZoneDirectory,
    ZoneDirectory,
  ];
  one.cache('z', 32_768).store(key('a'), 'one', LIFETIME, true);
  assert.equal(two.cache('z', 32_768).find(key('a'), LIFETIME), 'one');

  const second = leader.beginConfiguration();
  leader.cache('z', 32_768);
  leader.endConfiguration(first);
  one.adopt(leader.state());
  assert.equal(one.cache('z', 32_768).find(key('a'), LIFETIME), 'one');

  leader.endConfiguration(second);
  assert.deepEqual(leader.state().caches, []);
  leader.beginConfiguration();
  assert.equal(leader.cache('z', 32_768).find(key('a'), LIFETIME), undefined);
});
