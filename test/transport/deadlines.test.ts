// Deadlines: they come, never early, and only where they were not cleared or put off.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deadline, type DeadlineOwner, now } from '../../src/transport/deadlines.ts';
import { onOwnerFault } from '../../src/transport/owner-fault.ts';
import { bestOf } from '../support/best-of.ts';
import { socketPair } from '../support/socket-pair.ts';

/** Deadlines do not keep the process alive, so a test does, while it waits. */
function withTime<Result>(work: (resolve: (result: Result) => void) => void, limitMs = 10_000): Promise<Result> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error('the deadline did not come')), limitMs);
    work((result) => {
      clearTimeout(limit);
      resolve(result);
    });
  });
}

function owner(reached: (deadline: Deadline) => void): DeadlineOwner {
  return { deadlineReached: reached };
}

test('a deadline is reached not before its time and at most two grains after it', async () => {
  const spans = [0, 1, 7, 10, 33, 90, 250];
  const latest = await bestOf(200, async () => {
    const late = await Promise.all(
      spans.map((span) =>
        withTime<number>((resolve) => {
          const start = now();
          new Deadline(owner(() => resolve(now() - start - span))).set(span);
        }),
      ),
    );
    for (const [index, by] of late.entries()) assert.ok(by >= 0, `${spans[index]} ms came ${-by} ms early`);
    return Math.max(...late);
  });
  // Generous: the machine may be busy.
  assert.ok(latest < 200, `it came ${latest} ms late`);
});

test('a deadline is not armed any more when it is reached, and may be armed again from there', async () => {
  let times = 0;
  await withTime<void>((resolve) => {
    const deadline = new Deadline(
      owner((reached) => {
        assert.equal(reached, deadline);
        assert.equal(reached.armed, false);
        assert.equal(reached.left, 0);
        if (++times === 3) resolve();
        else reached.set(1);
      }),
    );
    deadline.set(1);
    assert.equal(deadline.armed, true);
  });
  assert.equal(times, 3);
});

test('where the loop was held up, what came meanwhile is read before a deadline is reached', async (t) => {
  const { client, accepted } = await socketPair(t, 'TCP');
  accepted.resume();
  t.after(() => {
    client.destroy();
    accepted.destroy();
  });
  const heard = await withTime<boolean>((resolve) => {
    const deadline = new Deadline(owner(() => resolve(false)));
    accepted.once('data', () => {
      // By now the answer has come to the kernel, and the time is over: nobody is to blame but this loop.
      deadline.set(20);
      accepted.write('answer', () => hold(100));
    });
    client.once('data', () => resolve(true));
    client.write('question');
  });
  assert.equal(heard, true);
});

/** Nothing else happens for so many milliseconds. */
function hold(ms: number): void {
  const end = now() + ms;
  while (now() < end);
}

test('a cleared deadline is never reached', async () => {
  const cleared = new Deadline(owner(() => assert.fail('reached')));
  cleared.set(5);
  cleared.clear();
  cleared.clear();
  assert.equal(cleared.armed, false);
  await withTime<void>((resolve) => new Deadline(owner(() => resolve())).set(60));
});

test('a deadline set to Infinity is cleared', async () => {
  const cleared = new Deadline(owner(() => assert.fail('reached')));
  cleared.set(5);
  cleared.set(Number.POSITIVE_INFINITY);
  assert.equal(cleared.armed, false);
  await withTime<void>((resolve) => new Deadline(owner(() => resolve())).set(40));
});

test('touch begins the time anew, as often as something happens', async () => {
  const start = now();
  let lastTouch = start;
  const reachedAt = await withTime<number>((resolve) => {
    const deadline = new Deadline(owner(() => resolve(now())));
    deadline.set(60);
    const activity = setInterval(() => {
      if (now() - start > 200) return clearInterval(activity);
      lastTouch = now();
      deadline.touch();
      return undefined;
    }, 15);
  });
  assert.ok(reachedAt - lastTouch >= 60, `reached ${reachedAt - lastTouch} ms after the last activity`);
  assert.ok(reachedAt - start >= 200);
});

test('touch does nothing where the deadline is not armed', async () => {
  const idle = new Deadline(owner(() => assert.fail('reached')));
  idle.touch();
  assert.equal(idle.armed, false);
  await withTime<void>((resolve) => new Deadline(owner(() => resolve())).set(30));
});

test('setting a deadline again moves it, to an earlier time as to a later one', async () => {
  const start = now();
  const earlier = withTime<number>((resolve) => {
    const deadline = new Deadline(owner(() => resolve(now() - start)));
    deadline.set(60_000);
    deadline.set(20);
  });
  const later = withTime<number>((resolve) => {
    const deadline = new Deadline(owner(() => resolve(now() - start)));
    deadline.set(10);
    deadline.set(120);
  });
  assert.ok((await earlier) >= 20);
  assert.ok((await later) >= 120);
});

test('an owner may clear or set the other deadlines of the same group while they are looked at', async () => {
  const reached: string[] = [];
  await withTime<void>((resolve) => {
    const all: Deadline[] = [];
    // The group is walked from the one that joined last.
    const first = new Deadline(
      owner(() => {
        reached.push('first');
        all[0]?.clear();
        all[1]?.set(50);
      }),
    );
    all.push(new Deadline(owner(() => reached.push('cleared'))));
    all.push(
      new Deadline(
        owner(() => {
          reached.push('put off');
          resolve();
        }),
      ),
    );
    for (const deadline of all) deadline.set(20);
    first.set(20);
  });
  assert.deepEqual(reached, ['first', 'put off']);
});

test('an owner that throws is reported, and the other deadlines come all the same', async (t) => {
  const faults: unknown[] = [];
  const previous = onOwnerFault((fault) => faults.push(fault));
  t.after(() => onOwnerFault(previous));
  const fault = new Error('thrown by an owner');
  const throwing = new Deadline(
    owner(() => {
      throw fault;
    }),
  );
  throwing.set(10);
  await withTime<void>((resolve) => new Deadline(owner(() => resolve())).set(30));
  assert.deepEqual(faults, [fault]);
});

test('twenty thousand deadlines, set, touched, moved and cleared at random, all come when they should', async () => {
  let seed = 1;
  const random = (below: number): number => {
    seed = (seed * 48271) % 2147483647;
    return seed % below;
  };
  let open = 0;
  await withTime<void>((resolve) => {
    for (let index = 0; index < 20_000; index++) {
      const span = 20 + random(300);
      let due = 0;
      const deadline = new Deadline(
        owner(() => {
          assert.ok(now() >= due, 'came early');
          if (--open === 0) resolve();
        }),
      );
      open++;
      deadline.set(random(2) === 0 ? span : 1 + random(400));
      if (random(3) === 0) deadline.clear();
      due = now() + span;
      deadline.set(span);
      if (random(2) === 0) deadline.touch();
    }
  });
  assert.equal(open, 0);
});

test('deadlines of the same grain share one timer of Node, and nothing ticks when none is armed', async (t) => {
  const timers = t.mock.method(globalThis, 'setTimeout');
  await withTime<void>((resolve) => {
    let open = 1000;
    const one = owner(() => {
      if (--open === 0) resolve();
    });
    for (let index = 0; index < 1000; index++) new Deadline(one).set(40);
  });
  // One is `withTime`'s own; a few more where the thousand fell into two grains, or a timer came a millisecond early.
  assert.ok(timers.mock.callCount() <= 6, `${timers.mock.callCount()} timers`);
  const before = timers.mock.callCount();
  await new Promise<void>((resolve) => {
    const wait = setInterval(() => {
      clearInterval(wait);
      resolve();
    }, 80);
  });
  assert.equal(timers.mock.callCount(), before);
});

test('left says how much time there is', () => {
  const deadline = new Deadline(owner(() => assert.fail('reached')));
  deadline.set(5000);
  assert.ok(deadline.left > 4900 && deadline.left <= 5001);
  deadline.clear();
  assert.equal(deadline.left, 0);
});
