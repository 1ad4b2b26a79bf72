// slow_start: a peer that comes, or comes back, gets its share little by little.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { BalancerSettings } from '../../src/upstream/balance/make-balancer.ts';
import { NO_KEEPALIVE } from '../../src/upstream/keepalive.ts';
import type { Peer, PeerSettings } from '../../src/upstream/peer.ts';
import { sharedPeers } from '../../src/upstream/peer-table.ts';
import { Upstream } from '../../src/upstream/upstream.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';
import { fakeExchange, peerSettings } from './make-upstream.ts';

const SLOW = { slowStart: 10_000 };
const RULE = { fails: 1, passes: 1, mandatory: false, persistent: false };

interface Served {
  readonly upstream: Upstream;
  readonly zones: ZoneDirectory;
}

function serve(servers: PeerSettings[], balancer?: BalancerSettings, former?: Served): Served {
  const zones = former?.zones ?? ZoneDirectory.create();
  zones.beginConfiguration();
  const upstream = new Upstream({ name: 'chat', servers, keepalive: NO_KEEPALIVE, balancer }, sharedPeers(zones));
  upstream.addCheck(RULE);
  upstream.begin(former?.upstream);
  return { upstream, zones };
}

/** How many of so many requests each peer gets. */
function shares({ upstream }: Served, requests: number): number[] {
  const counts = new Map<string, number>();
  for (let i = 0; i < requests; i++) {
    const selection = upstream.select(fakeExchange());
    const name = selection.next()?.name ?? '';
    counts.set(name, (counts.get(name) ?? 0) + 1);
    selection.release();
  }
  return upstream.peers.map(({ name }) => counts.get(name) ?? 0);
}

function fallAndRise({ upstream }: Served): void {
  const peer = upstream.peers[0] as Peer;
  peer.health.failed(0);
  if (peer.health.passed(0) === 'healthy') peer.returned();
}

function stopClock(t: TestContext): void {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
}

const near = (actual: number | undefined, expected: number): boolean => Math.abs((actual ?? 0) - expected) <= 3;

for (const balancer of [undefined, { kind: 'least-conn' }] as const) {
  test(`the weight of a peer grows after it has become healthy, with ${balancer?.kind ?? 'round-robin'}`, (t) => {
    stopClock(t);
    const served = serve([peerSettings('a:1', SLOW), peerSettings('a:2', SLOW)], balancer);
    assert.deepEqual(shares(served, 100), [50, 50], 'at the beginning nobody has to start slowly');
    fallAndRise(served);
    assert.ok(near(shares(served, 100)[0], 0));
    for (const [after, expected] of [
      [1000, 9],
      [4000, 33],
      [4000, 47],
      [1000, 50],
    ] as const) {
      t.mock.timers.tick(after);
      const [share] = shares(served, 100);
      assert.ok(near(share, expected), `${share}, not ${expected}`);
    }
  });
}

test('a heavier peer grows up to its own weight', (t) => {
  stopClock(t);
  const served = serve([peerSettings('a:1', { ...SLOW, weight: 3 }), peerSettings('a:2')]);
  fallAndRise(served);
  t.mock.timers.tick(5000);
  assert.ok(near(shares(served, 100)[0], 60));
  t.mock.timers.tick(5000);
  assert.ok(near(shares(served, 100)[0], 75));
});

test('a peer that starts slowly is chosen at once where nobody else is fit', (t) => {
  stopClock(t);
  const served = serve([peerSettings('a:1', SLOW), peerSettings('a:2', SLOW)]);
  served.upstream.peers[1]?.health.failed(0);
  fallAndRise(served);
  assert.deepEqual(shares(served, 10), [10, 0]);
});

test('a peer that a reload has added starts slowly, and those that were there do not', (t) => {
  stopClock(t);
  const before = serve([peerSettings('a:1', SLOW), peerSettings('a:2', SLOW)]);
  const after = serve(
    [peerSettings('a:1', SLOW), peerSettings('a:2', SLOW), peerSettings('a:3', SLOW)],
    undefined,
    before,
  );
  const [one, two, three] = shares(after, 100);
  assert.ok(near(one, 50) && near(two, 50) && near(three, 0));
  t.mock.timers.tick(10_000);
  assert.ok(near(shares(after, 99)[2], 33));
});

test('a peer that comes at run time starts slowly', (t) => {
  stopClock(t);
  const served = serve([peerSettings('a:1', SLOW)]);
  served.upstream.replaceServers([peerSettings('a:1', SLOW), peerSettings('a:2', SLOW)]);
  assert.ok(near(shares(served, 100)[1], 0));
  t.mock.timers.tick(5000);
  assert.ok(near(shares(served, 100)[1], 33));
});

test('the first peers that come at run time do not: there is nobody else', (t) => {
  stopClock(t);
  const served = serve([]);
  served.upstream.replaceServers([peerSettings('a:1', SLOW), peerSettings('a:2')]);
  assert.deepEqual(shares(served, 100), [50, 50]);
});

test('a peer that failures had disabled starts slowly after its first success', (t) => {
  stopClock(t);
  const served = serve([peerSettings('a:1', SLOW), peerSettings('a:2', SLOW)]);
  const failing = served.upstream.select(fakeExchange());
  assert.equal(failing.next()?.name, 'a:1');
  failing.failed();
  failing.release();
  t.mock.timers.tick(11_000);
  for (let i = 0; i < 20 && served.upstream.peers[0]?.fails !== 0; i++) {
    const selection = served.upstream.select(fakeExchange());
    selection.next();
    selection.succeeded();
    selection.release();
  }
  assert.ok(near(shares(served, 100)[0], 0));
  t.mock.timers.tick(10_000);
  assert.ok(near(shares(served, 100)[0], 50));
});
