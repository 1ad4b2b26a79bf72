// TLS sessions in shared memory: found by all workers, overwritten in turn, and never made by anybody else.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { SessionMemory } from '../../src/zones/session-memory.ts';

const SECRET = Buffer.from('secret');
const SIZE = 32 * 1024;
const LATER = Number.MAX_SAFE_INTEGER;

const fresh = (): SharedArrayBuffer => new SharedArrayBuffer(SIZE);
const worker = (memory: SharedArrayBuffer, secret = SECRET): SessionMemory => new SessionMemory(memory, secret);

test('a session that one worker keeps is found by another one, until it expires', () => {
  const memory = fresh();
  const id = randomBytes(32);
  worker(memory).keep(id, Buffer.from('session'), 1000);
  assert.equal(worker(memory).find(id, 999)?.toString(), 'session');
  assert.equal(worker(memory).find(id, 1000), undefined);
  assert.equal(worker(memory).find(randomBytes(32), 0), undefined);
});

test('when it is full the oldest go, and what is found is whole', () => {
  const sessions = worker(fresh());
  const kept = Array.from({ length: 500 }, () => ({
    id: randomBytes(32),
    session: randomBytes(200 + (randomBytes(1)[0] as number)),
  }));
  for (const { id, session } of kept) sessions.keep(id, session, LATER);
  const found = kept.map(({ id }) => sessions.find(id, 0));
  assert.equal(found[0], undefined);
  assert.deepEqual(found.at(-1), kept.at(-1)?.session);
  for (const [index, session] of found.entries()) {
    if (session !== undefined) assert.deepEqual(session, kept[index]?.session);
  }
  assert.ok(found.filter((session) => session !== undefined).length > 40);
});

test('any sequence of sessions leaves each found one as it was kept', () => {
  const lengths = fc.array(
    fc.tuple(fc.uint8Array({ minLength: 0, maxLength: 32 }), fc.integer({ min: 0, max: 9000 })),
    {
      maxLength: 60,
    },
  );
  fc.assert(
    fc.property(lengths, (wishes) => {
      const sessions = worker(fresh());
      const kept = new Map<string, Buffer>();
      for (const [bytes, length] of wishes) {
        const session = Buffer.alloc(length, kept.size);
        sessions.keep(Buffer.from(bytes), session, LATER);
        kept.set(Buffer.from(bytes).toString('hex'), session);
      }
      for (const [id, session] of kept) {
        const found = sessions.find(Buffer.from(id, 'hex'), 0);
        if (found !== undefined) assert.ok(found.length <= 8192 && found.equals(session));
      }
    }),
    { numRuns: 50 },
  );
});

test('what was sealed by another secret, or changed since, is not a session', () => {
  const memory = fresh();
  const id = randomBytes(32);
  worker(memory, Buffer.from('other')).keep(id, Buffer.from('forged'), LATER);
  assert.equal(worker(memory).find(id, 0), undefined);
  worker(memory).keep(id, Buffer.from('session'), LATER);
  const bytes = Buffer.from(memory);
  const at = bytes.indexOf('session');
  bytes[at] = 0;
  assert.equal(worker(memory).find(id, 0), undefined);
});

test('a record inside of a session, as a certificate could carry it, is never found', () => {
  const memory = fresh();
  const sessions = worker(memory);
  const victim = randomBytes(32);
  sessions.keep(victim, Buffer.from('true session'), LATER);
  const bytes = Buffer.from(memory);
  const start = bytes.indexOf(victim) - 28;
  const record = Buffer.from(bytes.subarray(start, start + 28 + 32 + 'true session'.length));
  record.write('forged', 28 + 32, 'latin1');
  for (let i = 0; i < 200; i++) sessions.keep(randomBytes(32), Buffer.concat([record, record, record]), LATER);
  assert.notEqual(sessions.find(victim, 0)?.toString('latin1', 0, 6), 'forged');
});
