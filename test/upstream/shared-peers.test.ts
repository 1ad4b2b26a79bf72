// Peers that several worker threads share, and that outlive a reload.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { NO_KEEPALIVE } from '../../src/upstream/keepalive.ts';
import type { PeerSettings } from '../../src/upstream/peer.ts';
import { sharedPeers } from '../../src/upstream/peer-table.ts';
import { Upstream } from '../../src/upstream/upstream.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';
import { fakeExchange, peerSettings } from './make-upstream.ts';

function upstreamIn(zones: ZoneDirectory, servers: PeerSettings[], name = 'chat'): Upstream {
  return new Upstream({ name, servers, keepalive: NO_KEEPALIVE }, sharedPeers(zones));
}

function leader(workers: number): ZoneDirectory {
  const zones = ZoneDirectory.create();
  zones.useWorkers(workers);
  zones.beginConfiguration();
  return zones;
}

const choose = (upstream: Upstream) => {
  const selection = upstream.select(fakeExchange());
  selection.next();
  return selection;
};

test('two workers take turns as one', () => {
  const zones = leader(2);
  const servers = [peerSettings('a:1', { weight: 2 }), peerSettings('a:2'), peerSettings('a:3')];
  upstreamIn(zones, servers);
  const state = zones.state();
  const upstreams = [0, 1].map((worker) => upstreamIn(ZoneDirectory.join(state, worker), servers)) as [
    Upstream,
    Upstream,
  ];
  const places = Array.from({ length: 8 }, (_, index) =>
    choose(upstreams[index % 2 === 0 ? 0 : 1]).peer?.name.slice(-1),
  );
  assert.equal(places.join(''), '12311231');
});

test('what one worker learns of a peer, the other knows, and active connections add up', () => {
  const zones = leader(2);
  const servers = [peerSettings('a:1', { maxConns: 2 }), peerSettings('a:2')];
  upstreamIn(zones, servers);
  const [one, two] = [0, 1].map((worker) => upstreamIn(ZoneDirectory.join(zones.state(), worker), servers)) as [
    Upstream,
    Upstream,
  ];
  const first = choose(one);
  const second = [choose(two), choose(two)].find((selection) => selection.peer?.name === 'a:1');
  assert.equal(one.peers[0]?.active, 2, 'and it is full for both');
  for (let i = 0; i < 3; i++) assert.equal(choose(one).peer?.name, 'a:2');
  first.failed();
  first.release();
  second?.release();
  assert.equal(two.peers[0]?.active, 0);
  assert.equal(two.peers[0]?.fails, 1);
  for (let i = 0; i < 3; i++) assert.equal(choose(two).peer?.name, 'a:2');
});

test('a worker that dies takes its connections with it', () => {
  const zones = leader(2);
  const servers = [peerSettings('a:1'), peerSettings('a:2')];
  const upstream = upstreamIn(zones, servers);
  const dead = upstreamIn(ZoneDirectory.join(zones.state(), 1), servers);
  for (let i = 0; i < 6; i++) choose(dead);
  assert.equal(upstream.peers[0]?.active, 3);
  zones.zeroColumn(1);
  assert.equal(upstream.peers[0]?.active, 0);
});

test('a peer is the same one after a reload, whatever else has changed', () => {
  const zones = leader(1);
  const before = upstreamIn(zones, [peerSettings('a:1'), peerSettings('a:2')]);
  const tunnel = choose(before);
  choose(before).failed();
  zones.beginConfiguration();
  const after = upstreamIn(zones, [peerSettings('a:3'), peerSettings('a:2', { weight: 5 }), peerSettings('a:1')]);
  const [three, two, one] = after.peers;
  assert.deepEqual([one?.active, two?.fails, three?.fails, three?.active], [1, 1, 0, 0]);
  tunnel.release();
  assert.equal(one?.active, 0, 'a tunnel of the old configuration counts in the new one until it ends');
});

test('the same address in another upstream, or twice in one, is another peer', () => {
  const zones = leader(1);
  const chat = upstreamIn(zones, [peerSettings('a:1'), peerSettings('a:1')]);
  const other = upstreamIn(zones, [peerSettings('a:1'), peerSettings('a:2')], 'other');
  choose(chat).failed();
  assert.deepEqual([chat.peers[0]?.fails, chat.peers[1]?.fails, other.peers[0]?.fails], [1, 0, 0]);
});

test('a new configuration begins its turns anew, and knows the failures of before', () => {
  const zones = leader(1);
  const servers = [peerSettings('a:1', { maxFails: 3 }), peerSettings('a:2', { maxFails: 3 })];
  const before = upstreamIn(zones, servers);
  choose(before).failed();
  zones.beginConfiguration();
  const after = upstreamIn(zones, servers);
  assert.equal(after.peers[0]?.fails, 1);
  const places = [1, 2, 3, 4].map(() => choose(after).peer?.name.slice(-1));
  assert.deepEqual(places.join(''), '1212');
});

const REQUESTS = 3000;
const WORKING = `
  import { parentPort, workerData } from 'node:worker_threads';
  const [{ ZoneDirectory }, { Upstream }, { sharedPeers }, { NO_KEEPALIVE }] =
    await Promise.all(workerData.modules.map((module) => import(module)));
  const zones = ZoneDirectory.join(workerData.state, workerData.worker);
  const upstream = new Upstream({ name: 'chat', servers: workerData.servers, keepalive: NO_KEEPALIVE }, sharedPeers(zones));
  const exchange = { link: { clientAddress: '' } };
  const counts = {};
  for (let i = 0; i < ${REQUESTS}; i++) {
    const selection = upstream.select(exchange);
    const name = selection.next().name;
    counts[name] = (counts[name] ?? 0) + 1;
    if (i % 10 !== 0) selection.release();
  }
  parentPort.postMessage(counts);
`;

test('two worker threads at once keep the shares and count what is active exactly', async () => {
  const zones = leader(2);
  const servers = [peerSettings('a:1', { weight: 3 }), peerSettings('a:2'), peerSettings('a:3', { weight: 2 })];
  const upstream = upstreamIn(zones, servers);
  const modules = ['zones/zone-directory', 'upstream/upstream', 'upstream/peer-table', 'upstream/keepalive'].map(
    (module) => new URL(`../../src/${module}.ts`, import.meta.url).href,
  );
  const code = new URL(`data:text/javascript,${encodeURIComponent(WORKING)}`);
  const workers = [0, 1].map(
    (worker) => new Worker(code, { workerData: { state: zones.state(), worker, modules, servers } }),
  );
  const counts = await Promise.all(
    workers.map(async (worker) => {
      const exit = once(worker, 'exit');
      const [message] = await once(worker, 'message');
      await exit;
      return message as Record<string, number>;
    }),
  );
  const chosen = servers.map(({ name }) => counts.reduce((sum, count) => sum + (count[name] ?? 0), 0));
  const shares = [3, 1, 2].map((weight) => (2 * REQUESTS * weight) / 6);
  chosen.forEach((count, index) => {
    assert.ok(Math.abs(count - (shares[index] as number)) <= REQUESTS / 100, `${chosen.join()} for ${shares.join()}`);
  });
  const active = upstream.peers.reduce((sum, peer) => sum + peer.active, 0);
  assert.equal(active, (2 * REQUESTS) / 10);
});

const MOST = 4;
const TAKING = `
  import { parentPort, workerData } from 'node:worker_threads';
  const [{ ZoneDirectory }, { Upstream }, { sharedPeers }, { NO_KEEPALIVE }] =
    await Promise.all(workerData.modules.map((module) => import(module)));
  const zones = ZoneDirectory.join(workerData.state, workerData.worker);
  const upstream = new Upstream(
    { name: 'chat', servers: workerData.servers, keepalive: NO_KEEPALIVE, balancer: workerData.balancer },
    sharedPeers(zones),
  );
  const exchange = { link: { clientAddress: '10.0.0.1' } };
  const taken = [];
  let most = 0;
  const giveBack = (selection) => {
    if (selection === undefined) return;
    Atomics.sub(workerData.held, upstream.peers.indexOf(selection.peer), 1);
    selection.release();
  };
  for (let i = 0; i < ${REQUESTS}; i++) {
    const selection = upstream.select(exchange);
    const peer = selection.next();
    if (peer !== undefined) {
      most = Math.max(most, Atomics.add(workerData.held, upstream.peers.indexOf(peer), 1) + 1);
      taken.push(selection);
    }
    if (peer !== undefined && taken.length <= ${MOST}) continue;
    giveBack(taken.shift());
  }
  for (const selection of taken) giveBack(selection);
  parentPort.postMessage(most);
`;

for (const kind of ['round-robin', 'least-conn', 'ip-hash', 'random-two'] as const) {
  test(`worker threads at once never go beyond max_conns: ${kind}`, async () => {
    const zones = leader(2);
    const servers = [1, 2, 3].map((place) => peerSettings(`a:${place}`, { maxConns: MOST, maxFails: 0 }));
    const upstream = upstreamIn(zones, servers);
    const modules = ['zones/zone-directory', 'upstream/upstream', 'upstream/peer-table', 'upstream/keepalive'].map(
      (module) => new URL(`../../src/${module}.ts`, import.meta.url).href,
    );
    const code = new URL(`data:text/javascript,${encodeURIComponent(TAKING)}`);
    const held = new Int32Array(new SharedArrayBuffer(12));
    const shared = { state: zones.state(), modules, servers, balancer: { kind }, held };
    const workers = [0, 1].map((worker) => new Worker(code, { workerData: { ...shared, worker } }));
    const most = await Promise.all(
      workers.map(async (worker) => {
        const exit = once(worker, 'exit');
        const [message] = await once(worker, 'message');
        await exit;
        return message as number;
      }),
    );
    assert.ok(Math.max(...most) <= MOST, most.join());
    assert.deepEqual(
      upstream.peers.map((peer) => peer.active),
      [0, 0, 0],
    );
  });
}
