// Ticket keys that change as time goes by, in memory that workers share.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RotatingTicketKeys } from '../../src/directives/ssl-ticket-keys.ts';
import { SessionMemory } from '../../src/zones/session-memory.ts';

const SECRET = Buffer.alloc(48, 7);

function twoWorkers(lifetime: number) {
  const memory = new SharedArrayBuffer(32 * 1024);
  const worker = () => new RotatingTicketKeys(new SessionMemory(memory, SECRET), lifetime);
  return [worker(), worker()] as const;
}

test('the first key is the same for all workers, and stays for the lifetime of a session', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000_000_000 });
  const [one, other] = twoWorkers(10_000);
  const { name } = one.current();
  assert.equal(name.length, 16);
  assert.deepEqual(other.current().name, name);
  t.mock.timers.setTime(1_000_010_000);
  assert.deepEqual(other.current().name, name);
});

test('then another one is used, and tickets of the one before are taken as long as their sessions live', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000_000_000 });
  const [one, other] = twoWorkers(10_000);
  one.current();
  t.mock.timers.setTime(1_000_009_000);
  const first = one.current();
  t.mock.timers.setTime(1_000_011_000);
  const second = other.current();
  assert.notDeepEqual(second.name, first.name);
  assert.deepEqual(one.find(first.name), first);
  assert.deepEqual(one.find(second.name), second);
  t.mock.timers.setTime(1_000_040_000);
  assert.notDeepEqual(one.current().name, second.name);
  assert.equal(other.find(first.name), undefined);
});

test('a key that nobody has made is not found', () => {
  const [one] = twoWorkers(10_000);
  one.current();
  assert.equal(one.find(Buffer.alloc(16)), undefined);
});
