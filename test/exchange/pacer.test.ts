// How a paced body leaves: what at once, what later, what is held meanwhile.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pacer } from '../../src/exchange/pacer.ts';

const BYTES = Buffer.alloc(10_000, 'x');

function paced(rate: number, after: number, headLength = 0) {
  const events = { ended: 0, drained: 0, takes: true, head: '' };
  const answer = {
    startedAt: Date.now(),
    bytesSent: headLength,
    sendText(text: string): boolean {
      events.head += text;
      this.bytesSent += text.length;
      wake();
      return events.takes;
    },
  };
  let wake = (): void => {};
  const pacer = new Pacer(answer, rate, after);
  pacer.outlet = {
    write: (_bytes, start, end) => {
      answer.bytesSent += end - start;
      wake();
      return events.takes;
    },
    flush() {},
    end: () => {
      events.ended++;
      wake();
    },
  };
  pacer.source = { drain: () => events.drained++ };
  const next = (): Promise<void> =>
    new Promise((resolve) => {
      // A Deadline does not keep the process alive.
      const alive = setInterval(() => {}, 1000);
      wake = () => {
        clearInterval(alive);
        resolve();
      };
    });
  return { pacer, answer, events, next };
}

test('a second’s worth less the head leaves at once, and the rest is held', () => {
  const { pacer, answer } = paced(4000, 0, 1000);
  assert.equal(pacer.write(BYTES, 0, 10_000), false);
  assert.ok(answer.bytesSent >= 4000 && answer.bytesSent < 4100);
  assert.equal(pacer.pendingBytes, 10_000 + 1000 - answer.bytesSent);
  pacer.close();
  assert.equal(pacer.pendingBytes, 0);
});

test('what is free of the limit leaves besides, and costs no time', () => {
  const { pacer, answer } = paced(1000, 20_000);
  assert.equal(pacer.write(BYTES, 0, 10_000), true);
  assert.equal(pacer.write(BYTES, 0, 10_000), true);
  assert.equal(pacer.write(BYTES, 0, 100), true);
  assert.equal(answer.bytesSent, 20_100);
  assert.equal(pacer.write(BYTES, 0, 100), false, 'what leaves beyond it is waited for');
  pacer.close();
});

test('what was sent is waited for before more leaves, and the end comes behind the last byte', async () => {
  const { pacer, answer, events, next } = paced(100_000, 0);
  const began = performance.now();
  assert.equal(pacer.write(BYTES, 0, 10_000), true);
  assert.equal(pacer.write(BYTES, 0, 5000), false);
  pacer.end();
  assert.equal(events.ended, 0);
  await next();
  assert.ok(performance.now() - began >= 95, '10000 bytes at 100000 in a second');
  assert.deepEqual([answer.bytesSent, events.ended, events.drained], [15_000, 1, 0]);
});

test('a client that takes nothing holds the body up, and its source hears when it goes on', () => {
  const { pacer, answer, events } = paced(1_000_000, 0);
  events.takes = false;
  assert.equal(pacer.write(BYTES, 0, 1000), false);
  assert.equal(pacer.write(BYTES, 0, 1000), false);
  assert.equal(answer.bytesSent, 1000);
  pacer.close();
  const other = paced(1_000_000, 10_000);
  other.events.takes = false;
  assert.equal(other.pacer.write(BYTES, 0, 1000), false);
  other.events.takes = true;
  other.pacer.drain();
  assert.equal(other.events.drained, 1);
  other.pacer.close();
});

test('a head of more than a second’s worth leaves bit by bit, and the body behind it', async () => {
  const { pacer, answer, events, next } = paced(20_000, 0);
  const head = 'h'.repeat(21_000);
  assert.equal(pacer.takeHead('short'), false);
  assert.equal(pacer.takeHead(head), true);
  assert.equal(events.head.length >= 20_000 && events.head.length < 21_000, true, `${events.head.length}`);
  assert.equal(pacer.write(BYTES, 0, 10), false);
  pacer.end();
  assert.equal(pacer.pendingBytes, head.length + 10 - answer.bytesSent);
  while (events.ended === 0) await next();
  assert.equal(events.head, head);
  assert.equal(answer.bytesSent, head.length + 10);
  assert.ok(Date.now() - answer.startedAt >= 50);
});

test('one that is closed by whom it writes to calls nobody any more, and waits for nothing', async () => {
  const { pacer, events } = paced(1000, 0);
  let writes = 0;
  pacer.outlet = {
    write: () => {
      writes++;
      pacer.close();
      return true;
    },
    flush() {},
    end: () => events.ended++,
  };
  pacer.write(BYTES, 0, 3000);
  pacer.end();
  assert.deepEqual([writes, pacer.pendingBytes], [1, 0]);
  // Longer than the rest would have had to wait.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.deepEqual([writes, events.drained], [1, 0]);
});

test('one that is closed while it catches up calls nobody any more', async () => {
  const { pacer, events } = paced(100_000, 0);
  pacer.write(BYTES, 0, 10_000);
  pacer.write(BYTES, 0, 5000);
  const { outlet } = pacer;
  outlet.write = () => {
    pacer.close();
    setImmediate(() => outlet.flush());
    return true;
  };
  const flushed = new Promise<void>((resolve) => {
    outlet.flush = resolve;
  });
  const alive = setInterval(() => {}, 1000);
  await flushed;
  clearInterval(alive);
  assert.deepEqual([pacer.pendingBytes, events.drained, events.ended], [0, 0, 0]);
});
