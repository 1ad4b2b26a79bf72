// What health checks find out of a peer: who may be asked, what a reload keeps, who makes the checks, and who is told of a return.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { NO_KEEPALIVE } from '../../src/upstream/keepalive.ts';
import type { Peer, PeerSettings } from '../../src/upstream/peer.ts';
import type { CheckRule } from '../../src/upstream/peer-health.ts';
import { sharedPeers } from '../../src/upstream/peer-table.ts';
import { Upstream } from '../../src/upstream/upstream.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';
import { fakeExchange, peerSettings } from './make-upstream.ts';

const RULE: CheckRule = { fails: 1, passes: 1, mandatory: false, persistent: false };

function upstreamIn(zones: ZoneDirectory, servers: PeerSettings[], rules: Partial<CheckRule>[]): Upstream {
  const upstream = new Upstream({ name: 'chat', servers, keepalive: NO_KEEPALIVE }, sharedPeers(zones));
  for (const rule of rules) upstream.addCheck({ ...RULE, ...rule });
  return upstream;
}

/** A master that has read a configuration, and its workers, which serve by it. */
function workersOf(master: ZoneDirectory, servers: PeerSettings[], rules: Partial<CheckRule>[]): [Upstream, Upstream] {
  master.useWorkers(2);
  master.beginConfiguration();
  upstreamIn(master, servers, rules);
  const workers = [0, 1].map((worker) => upstreamIn(ZoneDirectory.join(master.state(), worker), servers, rules));
  for (const worker of workers) worker.begin(undefined);
  return workers as [Upstream, Upstream];
}

const SERVERS = [peerSettings('a:1'), peerSettings('a:2')];
const first = (upstream: Upstream): Peer => upstream.peers[0] as Peer;

function choose(upstream: Upstream): string {
  const selection = upstream.select(fakeExchange());
  const name = selection.next()?.name ?? '';
  selection.release();
  return name;
}

test('a peer that a check has found unhealthy gets nothing in any worker, until the check passes', () => {
  const [one, two] = workersOf(ZoneDirectory.create(), SERVERS, [{}]);
  assert.equal(first(one).health.failed(0), 'unhealthy');
  for (const worker of [one, two, one, two]) assert.equal(choose(worker), 'a:2');
  assert.equal(first(two).health.passed(0), 'healthy');
  assert.deepEqual(new Set([choose(one), choose(one)]), new Set(['a:1', 'a:2']));
});

test('so many failures one after the other make it unhealthy, and so many successes healthy', () => {
  const [one] = workersOf(ZoneDirectory.create(), SERVERS, [{ fails: 3, passes: 2 }]);
  const { health } = first(one);
  const changes = ['f', 'f', 'p', 'f', 'f', 'f', 'f', 'p', 'f', 'p', 'p', 'p'].map((result) =>
    result === 'f' ? health.failed(0) : health.passed(0),
  );
  const told = changes.map((change) => change ?? '-').join(' ');
  assert.equal(told, '- - - - - unhealthy - - - - healthy -');
});

test('one failing check of several is enough, and all must pass again', () => {
  const [one, two] = workersOf(ZoneDirectory.create(), SERVERS, [{}, {}]);
  first(one).health.passed(0);
  first(one).health.failed(1);
  assert.equal(first(two).health.isFit, false);
  first(one).health.failed(0);
  first(one).health.passed(1);
  assert.equal(first(two).health.isFit, false);
  first(one).health.passed(0);
  assert.equal(first(two).health.isFit, true);
});

test('a mandatory check keeps clients away until it has passed once, whatever passes= says', () => {
  const [one] = workersOf(ZoneDirectory.create(), SERVERS, [{ mandatory: true, passes: 3 }]);
  assert.equal(choose(one), '');
  assert.equal(first(one).health.passed(0), 'healthy');
  assert.equal(choose(one), 'a:1');
});

test('the only peer of a group is unhealthy as well', () => {
  const [one] = workersOf(ZoneDirectory.create(), [peerSettings('a:1')], [{}]);
  first(one).health.failed(0);
  assert.equal(choose(one), '');
});

test('a reload keeps what is known, but where a check is mandatory and not persistent', () => {
  for (const [rule, healthyAfter, unhealthyAfter] of [
    [{}, true, false],
    [{ mandatory: true }, false, false],
    [{ mandatory: true, persistent: true }, true, false],
  ] as const) {
    const master = ZoneDirectory.create();
    const [one] = workersOf(master, SERVERS, [rule]);
    one.peers[0]?.health.passed(0);
    one.peers[1]?.health.failed(0);
    const [after, other] = workersOf(master, SERVERS, [rule]);
    for (const worker of [after, other]) {
      const fit = worker.peers.map(({ health }) => health.isFit);
      assert.deepEqual(fit, [healthyAfter, unhealthyAfter], JSON.stringify(rule));
    }
  }
});

test('a worker that takes the place of a dead one forgets nothing', () => {
  const master = ZoneDirectory.create();
  const [one] = workersOf(master, SERVERS, [{ mandatory: true }]);
  first(one).health.passed(0);
  const successor = upstreamIn(ZoneDirectory.join(master.state(), 1), SERVERS, [{ mandatory: true }]);
  successor.begin(undefined);
  assert.equal(first(successor).health.isFit, true);
});

test('a check that was removed and comes back begins anew', () => {
  const master = ZoneDirectory.create();
  const [one] = workersOf(master, SERVERS, [{}]);
  first(one).health.failed(0);
  const [without] = workersOf(master, SERVERS, []);
  assert.equal(first(without).health.isFit, true);
  const [again] = workersOf(master, SERVERS, [{}]);
  assert.equal(first(again).health.isFit, true);
});

test('one worker makes a check; another one takes it over when it is left, or its worker has died', () => {
  const master = ZoneDirectory.create();
  const [one, two] = workersOf(master, SERVERS, [{}, {}]);
  assert.deepEqual([first(one).health.own(0), first(two).health.own(0)], [true, false]);
  assert.equal(first(one).health.own(0), true, 'it stays its own');
  assert.equal(first(two).health.own(1), true, 'each check for itself');
  first(two).health.disown(0);
  assert.equal(first(two).health.own(0), false, 'nobody leaves what is not his own');
  first(one).health.disown(0);
  assert.equal(first(two).health.own(0), true);
  master.zeroColumn(1);
  assert.deepEqual([first(one).health.own(0), first(one).health.own(1)], [true, true]);
});

test('whoever waits for a peer is told in every worker, and no more when he has stopped', async () => {
  const [one, two] = workersOf(ZoneDirectory.create(), SERVERS, []);
  const told = new EventTarget();
  let count = 0;
  const stop = two.whenPeerReturns(() => {
    count++;
    told.dispatchEvent(new Event('told'));
  });
  // A deadline does not keep the process alive.
  const alive = setInterval(() => {}, 1000);
  const event = once(told, 'told');
  first(one).returned();
  await event;
  clearInterval(alive);
  assert.equal(count, 1);
  first(two).returned();
  assert.equal(count, 2, 'in its own worker at once');
  stop();
  first(two).returned();
  assert.equal(count, 2);
});

test('a peer that max_fails had disabled has returned with its first success', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000_000 });
  const [one] = workersOf(ZoneDirectory.create(), SERVERS, []);
  let count = 0;
  t.after(one.whenPeerReturns(() => count++));
  const selection = one.select(fakeExchange());
  assert.equal(selection.next()?.name, 'a:1');
  assert.equal(selection.failed(), true);
  selection.release();
  t.mock.timers.tick(12_000);
  const again = one.select(fakeExchange());
  for (let i = 0; i < 2; i++) {
    const peer = again.next();
    again.succeeded();
    again.release();
    assert.ok(peer);
  }
  assert.equal(count, 1);
});
