// Who makes the checks of an upstream's peers, and when: one worker for each, again and again, never two at once.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ErrorLog } from '../../src/diagnostics/error-log.ts';
import { HealthCheck, type ProbeOutcome, type Prober } from '../../src/upstream/health-check.ts';
import { NO_KEEPALIVE } from '../../src/upstream/keepalive.ts';
import type { Peer, PeerSettings } from '../../src/upstream/peer.ts';
import { sharedPeers } from '../../src/upstream/peer-table.ts';
import { Upstream } from '../../src/upstream/upstream.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';
import { until } from '../support/until.ts';
import { peerSettings } from './make-upstream.ts';

const PASSED: ProbeOutcome = { passed: true, action: 'testing' };
const FAILED: ProbeOutcome = { passed: false, action: 'testing' };

/** Remembers whom it was asked to check; the test answers, or it does so itself. */
class FakeProber implements Prober {
  readonly asked: string[] = [];
  readonly open = new Map<string, (outcome: ProbeOutcome) => void>();
  answer: ProbeOutcome | undefined = PASSED;
  overlapped = false;
  closed = false;

  probe(peer: Peer, done: (outcome: ProbeOutcome) => void) {
    const { name } = peer;
    this.asked.push(name);
    if (this.open.has(name)) this.overlapped = true;
    const end = (outcome: ProbeOutcome): void => {
      this.open.delete(name);
      done(outcome);
    };
    this.open.set(name, end);
    const { answer } = this;
    if (answer !== undefined) setImmediate(() => this.open.get(name) === end && end(answer));
    return { cancel: () => this.open.delete(name) };
  }

  close(): void {
    this.closed = true;
  }

  async askedMore(times = 3): Promise<void> {
    const goal = this.asked.length + times;
    await until(`${times} more checks`, () => this.asked.length >= goal);
  }
}

interface CheckingWorker {
  readonly upstream: Upstream;
  readonly check: HealthCheck;
  readonly prober: FakeProber;
  readonly lines: string[];
}

const SERVERS = [peerSettings('a:1'), peerSettings('a:2')];

function worker(t: TestContext, zones: ZoneDirectory, servers: readonly PeerSettings[] = SERVERS): CheckingWorker {
  const upstream = new Upstream(
    { name: 'chat', servers, keepalive: NO_KEEPALIVE, runTimePeers: 8 },
    sharedPeers(zones),
  );
  const prober = new FakeProber();
  const lines: string[] = [];
  const log: ErrorLog = { enabled: () => true, write: (level, message) => lines.push(`[${level}] ${message}`) };
  const check = new HealthCheck({
    upstream,
    fails: 1,
    passes: 1,
    mandatory: false,
    persistent: false,
    interval: 10,
    jitter: 0,
    matchName: 'm',
    port: undefined,
    prober,
    log,
  });
  if (zones.leads) return { upstream, check, prober, lines };
  upstream.begin(undefined);
  check.start();
  t.after(() => {
    check.stop();
    upstream.retire();
  });
  return { upstream, check, prober, lines };
}

function workers(t: TestContext): { master: ZoneDirectory; one: CheckingWorker; two: CheckingWorker } {
  const master = ZoneDirectory.create();
  master.useWorkers(2);
  master.beginConfiguration();
  worker(t, master);
  const [one, two] = [0, 1].map((number) => worker(t, ZoneDirectory.join(master.state(), number)));
  return { master, one: one as CheckingWorker, two: two as CheckingWorker };
}

test('each peer is checked by one worker, over and over', async (t) => {
  const { one, two } = workers(t);
  await until('five checks of each', () =>
    ['a:1', 'a:2'].every((name) => [...one.prober.asked, ...two.prober.asked].filter((it) => it === name).length >= 5),
  );
  const both = one.prober.asked.filter((name) => two.prober.asked.includes(name));
  assert.deepEqual(both, [], 'nobody is checked by both');
});

test('no check begins before the one before it has ended, however long it takes', async (t) => {
  const { one, two } = workers(t);
  one.prober.answer = undefined;
  two.prober.answer = undefined;
  await until('a check of each', () => one.prober.open.size + two.prober.open.size === 2);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(one.prober.asked.length + two.prober.asked.length, 2);
  for (const { open } of [one.prober, two.prober]) for (const end of [...open.values()]) end(PASSED);
  await until('the next ones', () => one.prober.asked.length + two.prober.asked.length > 2);
  assert.equal(one.prober.overlapped || two.prober.overlapped, false);
});

test('when a worker dies within a check, another one takes its place', async (t) => {
  const { master, one, two } = workers(t);
  one.prober.answer = undefined;
  two.prober.answer = undefined;
  await until('a check of each', () => one.prober.open.size + two.prober.open.size === 2);
  const [dead, left, number] = one.prober.open.size > 0 ? [one, two, 0] : [two, one, 1];
  const orphans = [...dead.prober.open.keys()];
  left.prober.answer = PASSED;
  for (const end of [...left.prober.open.values()]) end(PASSED);
  // It does nothing any more, and leaves nothing either.
  master.zeroColumn(number);
  await until('its successor', () => orphans.every((name) => left.prober.asked.includes(name)));
});

test('when a worker leaves, another one goes on', async (t) => {
  const { one, two } = workers(t);
  await until('checks', () => one.prober.asked.length + two.prober.asked.length >= 2);
  one.check.stop();
  assert.equal(one.prober.closed, true);
  const before = one.prober.asked.length;
  await until('both from the other', () => ['a:1', 'a:2'].every((name) => two.prober.asked.includes(name)));
  await two.prober.askedMore();
  assert.equal(one.prober.asked.length, before, 'who has stopped checks nobody');
});

test('all workers know at once what a check has found, and whoever waits is told of a return', async (t) => {
  const { one, two } = workers(t);
  one.prober.answer = FAILED;
  two.prober.answer = FAILED;
  const fit = () => [one, two].map(({ upstream }) => upstream.peers.map(({ health }) => health.isFit));
  await until('all to be unhealthy', () =>
    fit()
      .flat()
      .every((is) => !is),
  );
  let told = 0;
  t.after(two.upstream.whenPeerReturns(() => told++));
  one.prober.answer = PASSED;
  two.prober.answer = PASSED;
  await until('all to be healthy', () => fit().flat().every(Boolean));
  await until('the waiting one', () => told > 0);
  const lines = [...one.lines, ...two.lines].filter((line) => line.includes('a:1'));
  const where = 'while testing, health check "m" of peer a:1 in upstream "chat"';
  assert.deepEqual(lines, [`[warn] peer is unhealthy ${where}`, `[notice] peer is healthy ${where}`]);
});

test('peers that come at run time are checked as well, and those that have gone are not', async (t) => {
  const { one, two } = workers(t);
  for (const { upstream } of [one, two]) upstream.replaceServers([peerSettings('a:1'), peerSettings('a:3')]);
  await until('the new one', () => [...one.prober.asked, ...two.prober.asked].includes('a:3'));
  const seen = [one.prober.asked.length, two.prober.asked.length] as const;
  await until('more checks', () => one.prober.asked.length + two.prober.asked.length > seen[0] + seen[1] + 6);
  const later = [...one.prober.asked.slice(seen[0]), ...two.prober.asked.slice(seen[1])];
  assert.deepEqual(new Set(later), new Set(['a:1', 'a:3']));
  const both = one.prober.asked.filter((name) => name === 'a:3' && two.prober.asked.includes(name));
  assert.deepEqual(both, []);
});

test('servers that are down are not checked', async (t) => {
  const master = ZoneDirectory.create();
  master.beginConfiguration();
  const servers = [peerSettings('a:1', { down: true }), peerSettings('a:2', { backup: true })];
  worker(t, master, servers);
  const { prober } = worker(t, ZoneDirectory.join(master.state(), 0), servers);
  await prober.askedMore(4);
  assert.deepEqual(new Set(prober.asked), new Set(['a:2']));
});

test('what an old configuration finds out counts for nothing once a new one has begun', async (t) => {
  const { master, one, two } = workers(t);
  one.prober.answer = undefined;
  two.prober.answer = undefined;
  await until('a check of each', () => one.prober.open.size + two.prober.open.size === 2);
  master.beginConfiguration();
  worker(t, master);
  const next = worker(t, ZoneDirectory.join(master.state(), 1));
  next.prober.answer = undefined;
  for (const { open } of [one.prober, two.prober]) for (const end of [...open.values()]) end(FAILED);
  assert.ok(next.upstream.peers.every(({ health }) => health.isFit));
});
