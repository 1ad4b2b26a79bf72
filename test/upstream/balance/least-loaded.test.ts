// least_conn and least_time: connections that last, times that differ, and what is under way.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Selection } from '../../../src/upstream/balance/balancer.ts';
import type { BalancerSettings } from '../../../src/upstream/balance/make-balancer.ts';
import type { Peer, PeerSettings } from '../../../src/upstream/peer.ts';
import type { Upstream } from '../../../src/upstream/upstream.ts';
import { fakeExchange, makeUpstream, peerSettings } from '../make-upstream.ts';

const place = (peer: Peer | undefined) => peer?.name.slice(-1) ?? '-';

function begin(upstream: Upstream): Selection {
  const selection = upstream.select(fakeExchange());
  selection.next();
  return selection;
}

const several = (upstream: Upstream, count: number) => Array.from({ length: count }, () => begin(upstream));
const places = (selections: readonly Selection[]) => selections.map(({ peer }) => place(peer)).join('');

function least(balancer: BalancerSettings, ...settings: Partial<PeerSettings>[]): Upstream {
  const servers = [0, 1, 2].map((index) => peerSettings(`a:${index + 1}`, settings[index]));
  return makeUpstream(servers, { balancer });
}

/** A clock to be moved by hand. */
function withTime(context: TestContext): (ms: number) => void {
  context.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  return (ms) => context.mock.timers.tick(ms);
}

test('least_conn sends requests to whoever has the fewest connections for its weight', () => {
  const upstream = least({ kind: 'least-conn' }, { weight: 2 });
  const begun = several(upstream, 8);
  assert.deepEqual(
    ['1', '2', '3'].map((wanted) => begun.filter(({ peer }) => place(peer) === wanted).length),
    [4, 2, 2],
  );
  for (const selection of begun.filter(({ peer }) => place(peer) === '3')) selection.release();
  assert.equal(places(several(upstream, 2)), '33');
});

test('least_conn counts a tunnel until it ends', () => {
  const upstream = least({ kind: 'least-conn' });
  const tunnels = several(upstream, 3);
  const peers = tunnels.map(({ peer }) => peer);
  for (const tunnel of tunnels) {
    tunnel.succeeded();
    tunnel.becameTunnel();
    tunnel.release();
  }
  peers[1]?.leave();
  assert.equal(places([begin(upstream)]), '2');
});

test('least_conn goes to backups when the others are full', () => {
  const full = { maxConns: 1 };
  const upstream = least({ kind: 'least-conn' }, full, full, { backup: true });
  assert.equal(places(several(upstream, 4)), '1233');
});

function answer(selection: Selection, tick: (ms: number) => void, header: number, rest: number): void {
  tick(header);
  selection.succeeded();
  tick(rest);
  selection.release();
}

for (const measure of ['header', 'last byte'] as const) {
  test(`least_time ${measure} prefers who is quicker`, (context) => {
    const tick = withTime(context);
    const upstream = least({ kind: 'least-time', measure, inflight: false });
    const [one, two, three] = several(upstream, 3) as [Selection, Selection, Selection];
    assert.equal(places([one, two, three]), '123');
    answer(one, tick, 100, 500);
    two.release();
    answer(three, tick, 300, 0);
    const times = upstream.peers.map((peer) => [peer.times.header, peer.times.response]);
    assert.deepEqual(times, [
      [100, 600],
      [0, 0],
      [900, 900],
    ]);
    const next = several(upstream, 3);
    assert.equal(places(next), '222', 'nothing is known of it yet');
  });
}

test('times are averages, in which the newest counts a twentieth', (context) => {
  const tick = withTime(context);
  const upstream = makeUpstream([peerSettings('a:1'), peerSettings('a:2', { down: true })], {
    balancer: { kind: 'least-time', measure: 'header', inflight: false },
  });
  answer(begin(upstream), tick, 1000, 0);
  answer(begin(upstream), tick, 500, 0);
  assert.equal(upstream.peers[0]?.times.header, 975);
});

test('a slow peer is given another chance after fail_timeout', (context) => {
  const tick = withTime(context);
  const upstream = least({ kind: 'least-time', measure: 'header', inflight: false }, {}, {}, { down: true });
  const [slow, quick] = several(upstream, 2) as [Selection, Selection];
  answer(quick, tick, 30, 0);
  answer(slow, tick, 130, 0);
  assert.equal(places(several(upstream, 1)), '2');
  for (const selection of several(upstream, 1)) selection.release();
  tick(60_000);
  const later = several(upstream, 1);
  assert.equal(places(later), '1');
});

test('failed attempts and those without a head teach nothing', (context) => {
  const tick = withTime(context);
  const upstream = least({ kind: 'least-time', measure: 'last byte', inflight: true });
  const [failed, left] = several(upstream, 2) as [Selection, Selection];
  tick(50);
  failed.failed();
  failed.release();
  left.release();
  assert.deepEqual(
    upstream.peers.map(({ times }) => [times.header, times.response, times.underWay]),
    [
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ],
  );
});

test('with inflight, a peer whose requests hang gets no more of them', (context) => {
  const tick = withTime(context);
  const upstream = least({ kind: 'least-time', measure: 'last byte', inflight: true });
  for (const selection of several(upstream, 3)) answer(selection, tick, 10, 0);
  const hanging = several(upstream, 1);
  assert.equal(places(hanging), '1');
  tick(3000);
  const more = several(upstream, 4);
  assert.equal(places(more).includes('1'), false);
});

test('requests under way are counted to 0 again, and their time together with them', (context) => {
  const tick = withTime(context);
  const upstream = least({ kind: 'least-time', measure: 'header', inflight: true }, {}, { down: true }, { down: true });
  const begun = several(upstream, 3);
  tick(100);
  const { times } = upstream.peers[0] as Peer;
  assert.equal(times.underWay, 3);
  for (const selection of begun) selection.succeeded();
  assert.equal(times.underWay, 0, 'where heads decide, a head is the end of it');
  assert.equal(times.header, 100);
  for (const selection of begun) selection.release();
  assert.equal(times.underWay, 0);
});

test('a tunnel counts with the time to its 101, and not with its life', (context) => {
  const tick = withTime(context);
  for (const measure of ['header', 'last byte'] as const) {
    const upstream = least({ kind: 'least-time', measure, inflight: true });
    const tunnel = begin(upstream);
    tick(40);
    tunnel.succeeded();
    tunnel.becameTunnel();
    const peer = upstream.peers[0] as Peer;
    const { times } = peer;
    assert.deepEqual([times.header, times.response, times.underWay], [40, 40, 0]);
    tick(3_600_000);
    peer.leave();
    assert.deepEqual([times.header, times.response, times.underWay], [40, 40, 0]);
  }
});
