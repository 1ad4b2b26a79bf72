// Peers that come at run time: workers that find them one after the other know the same of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_KEEPALIVE } from '../../src/upstream/keepalive.ts';
import { sharedPeers } from '../../src/upstream/peer-table.ts';
import { Upstream } from '../../src/upstream/upstream.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';
import { fakeExchange, peerSettings } from './make-upstream.ts';

const PLACES = 2;

function upstreamIn(zones: ZoneDirectory): Upstream {
  const servers = [peerSettings('a:1')];
  return new Upstream({ name: 'chat', servers, keepalive: NO_KEEPALIVE, runTimePeers: PLACES }, sharedPeers(zones));
}

function workers(): { zones: ZoneDirectory; one: Upstream; two: Upstream } {
  const zones = ZoneDirectory.create();
  zones.useWorkers(2);
  zones.beginConfiguration();
  upstreamIn(zones);
  const [one, two] = [0, 1].map((worker) => upstreamIn(ZoneDirectory.join(zones.state(), worker))) as [
    Upstream,
    Upstream,
  ];
  return { zones, one, two };
}

/** The peers of the configuration and these. */
function come(upstream: Upstream, ...names: string[]): void {
  upstream.replaceServers([peerSettings('a:1'), ...names.map((name) => peerSettings(name, { maxConns: 2 }))]);
}

const failsOf = (upstream: Upstream) => upstream.peers.map((peer) => peer.fails).join('');

test('a peer is the same one in all workers, whenever and in whatever order each learns of it', () => {
  const { one, two } = workers();
  come(one, 'b:1', 'b:2');
  come(two, 'b:2', 'b:1');
  one.peers[1]?.countFailure(1);
  two.peers[0]?.countFailure(1);
  assert.equal(failsOf(one), '110');
  assert.equal(failsOf(two), '101');
  assert.equal(one.peers[1]?.reserve(), true);
  assert.equal(two.peers[2]?.reserve(), true);
  assert.equal(one.peers[1]?.reserve(), false, 'it is full for both');
});

test('a place is given to another peer once nobody has the former one, and it has no connections', () => {
  const { one, two } = workers();
  come(one, 'b:1', 'b:2');
  come(two, 'b:1', 'b:2');
  const tunnel = one.peers[1];
  tunnel?.reserve();
  tunnel?.countFailure(1);
  come(one, 'b:2');
  come(two, 'b:2', 'b:3');
  two.peers[2]?.countFailure(1);
  come(one, 'b:2', 'b:3');
  assert.equal(failsOf(one), '000', 'there was no place left: each knows it alone');
  come(one);
  come(two);
  tunnel?.leave();
  come(one, 'b:4', 'b:5');
  come(two, 'b:4', 'b:5');
  assert.equal(failsOf(one), '000', 'nothing is left of the former ones');
  one.peers[2]?.countFailure(1);
  assert.equal(failsOf(two), '001');
});

test('what is known of it outlives a reload', () => {
  const { zones, one } = workers();
  come(one, 'b:1');
  one.peers[1]?.countFailure(1);
  const tunnel = one.select(fakeExchange());
  tunnel.next();
  zones.beginConfiguration();
  upstreamIn(zones);
  const after = upstreamIn(ZoneDirectory.join(zones.state(), 0));
  one.retire();
  come(after, 'b:1');
  assert.equal(failsOf(after), '01');
  assert.equal(
    after.peers.reduce((sum, peer) => sum + peer.active, 0),
    1,
  );
});

test('a peer that changes its weight keeps its place', () => {
  const { one, two } = workers();
  come(one, 'b:1');
  one.peers[1]?.countFailure(1);
  one.replaceServers([peerSettings('a:1'), peerSettings('b:1', { weight: 3 })]);
  assert.equal(failsOf(one), '01');
  come(one);
  come(two, 'b:8', 'b:9');
  one.replaceServers([peerSettings('a:1'), peerSettings('b:8'), peerSettings('b:9')]);
  two.peers[1]?.countFailure(1);
  two.peers[2]?.countFailure(1);
  assert.equal(failsOf(one), '011', 'both places were free');
});
