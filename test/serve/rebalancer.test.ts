// Who is asked to connect again, once a peer has come back: as many as the fullest have too much, those of this worker only.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Exchange } from '../../src/exchange/exchange.ts';
import type { ProxySettings } from '../../src/serve/proxy-settings.ts';
import { TunnelEnd } from '../../src/serve/proxy-websocket.ts';
import { hasNewPeer, Rebalancer } from '../../src/serve/rebalancer.ts';
import type { Peer } from '../../src/upstream/peer.ts';
import type { Upstream } from '../../src/upstream/upstream.ts';
import type { Tunnel } from '../../src/websocket/tunnel.ts';
import { until } from '../support/until.ts';
import { makeUpstream, peerSettings } from '../upstream/make-upstream.ts';

/** As much of a tunnel as counts here, silent since `spokenAt`. */
function tunnelTo(upstream: Upstream, peer: Peer, spokenAt: number): Tunnel {
  const target = { upstream, uri: undefined, host: '', port: '' };
  const owner = new TunnelEnd({} as Exchange, {} as ProxySettings, target, peer, undefined);
  return { owner, client: { spokenAt }, peer: { spokenAt: 0 } } as unknown as Tunnel;
}

/** Two peers of weights 1 and 3; `active` lead to the first one, and `own` of them are this worker's. */
function setUp(t: TestContext, active: number, own: number) {
  const upstream = makeUpstream([peerSettings('127.0.0.1:1'), peerSettings('127.0.0.1:2', { weight: 3 })]);
  const [first, second] = upstream.peers as [Peer, Peer];
  for (let i = 0; i < active; i++) first.reserve();
  const webSockets = Array.from({ length: own }, (_, i) => tunnelTo(upstream, first, own - i));
  const asked: (readonly Tunnel[])[] = [];
  const rebalancer = new Rebalancer(upstream, { webSockets, areLeaving: false, ask: (some) => void asked.push(some) });
  t.after(() => rebalancer.stop());
  return { upstream, first, second, webSockets, asked, rebalancer };
}

test('a peer that has returned gets its share by weight: so many of the fullest are asked, silent ones first', async (t) => {
  const { second, webSockets, asked, rebalancer } = setUp(t, 40, 40);
  rebalancer.start(false);
  second.returned();
  await until('the first round', () => asked.length > 0);
  assert.deepEqual(asked, [[...webSockets].reverse().slice(0, 30)]);
});

test('of those that all workers have, each asks its part', async (t) => {
  const { asked, rebalancer } = setUp(t, 40, 20);
  rebalancer.start(true);
  await until('the first round', () => asked.length > 0);
  assert.equal(asked[0]?.length, 15);
});

test('nobody is asked as long as no peer has come, nor where all have their share', async (t) => {
  const idle = setUp(t, 40, 40);
  const fair = setUp(t, 10, 10);
  for (let i = 0; i < 30; i++) fair.second.reserve();
  idle.rebalancer.start(false);
  fair.rebalancer.start(true);
  assert.equal(fair.rebalancer.isActive, true);
  await until('a look', () => !fair.rebalancer.isActive);
  assert.deepEqual([idle.asked, fair.asked], [[], []]);
});

test('a peer is new where it was not, was down, or was to be drained', () => {
  const one = peerSettings('127.0.0.1:1');
  const former = makeUpstream([one, peerSettings('127.0.0.1:2', { down: true })]);
  assert.equal(hasNewPeer(makeUpstream([one]), former), false);
  assert.equal(hasNewPeer(makeUpstream([one, peerSettings('127.0.0.1:2')]), former), true);
  assert.equal(hasNewPeer(makeUpstream([one, peerSettings('127.0.0.1:3')]), former), true);
  assert.equal(hasNewPeer(makeUpstream([one, peerSettings('127.0.0.1:3', { drain: true })]), former), false);
});
