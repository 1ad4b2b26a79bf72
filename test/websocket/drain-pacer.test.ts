// The pacer: who has been silent longest goes first, as many in a second as it is told, faster where the time would not suffice.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openChannel } from '../../src/transport/choose.ts';
import { DrainPacer } from '../../src/websocket/drain-pacer.ts';
import type { Tunnel } from '../../src/websocket/tunnel.ts';
import { until } from '../support/until.ts';
import { TunnelSetup } from './tunnel-setup.ts';

/** Open tunnels, the one that has been silent longest first. */
async function openTunnels(t: TestContext, count: number): Promise<Tunnel[]> {
  const tunnels: Tunnel[] = [];
  for (let i = 0; i < count; i++) {
    const { tunnel, client, peer } = await TunnelSetup.open(t, {
      open: openChannel,
      settings: { closeTimeout: 30_000 },
    });
    tunnel.start(undefined, undefined);
    for (const socket of [client, peer]) socket.resume();
    for (const leg of [tunnel.client, tunnel.peer]) leg.heardAt = i;
    tunnels.push(tunnel);
  }
  return tunnels;
}

const asked = (tunnels: readonly Tunnel[]): number => tunnels.filter(({ endCause }) => endCause !== '').length;

function pacerOf(t: TestContext): DrainPacer {
  const pacer = new DrainPacer();
  t.after(() => pacer.stop());
  return pacer;
}

test('they are asked one after the other, those first that have been silent longest', async (t) => {
  const tunnels = await openTunnels(t, 6);
  const pacer = pacerOf(t);
  pacer.drain(
    [3, 0, 5, 1].map((i) => tunnels[i] as Tunnel),
    'drain',
    { rate: 50 },
  );
  assert.equal(asked(tunnels), 0);
  for (let left = 3; left >= 0; left--) {
    await until('the next', () => pacer.count <= left);
    const inOrder = [0, 1, 3, 5].map((i) => tunnels[i]?.endCause);
    assert.deepEqual(inOrder, [...inOrder].sort().reverse());
  }
  assert.deepEqual(
    tunnels.map(({ endCause }) => endCause),
    ['drain', 'drain', '', 'drain', '', 'drain'],
  );
});

test('the rate holds, and what the loop was held up by is not made good in a burst', async (t) => {
  const tunnels = await openTunnels(t, 30);
  const pacer = pacerOf(t);
  pacer.drain(tunnels, 'drain', { rate: 20 });
  await until('the first', () => asked(tunnels) > 0);
  const before = asked(tunnels);
  const held = performance.now() + 700;
  while (performance.now() < held);
  await until('the next', () => asked(tunnels) > before);
  assert.ok(asked(tunnels) - before <= 3, `${asked(tunnels) - before} at once`);
});

test('all go within the time that there is, whatever the rate', async (t) => {
  const tunnels = await openTunnels(t, 20);
  const pacer = pacerOf(t);
  pacer.drain(tunnels.slice(0, 10), 'drain', { rate: 1 });
  pacer.drain(tunnels.slice(10), 'drain', { rate: 1, within: 300 });
  const began = performance.now();
  await until('all', () => pacer.count === 0);
  assert.equal(asked(tunnels), 20);
  assert.ok(performance.now() - began < 10_000);
});

test('who has ended is not waited for, and after stop nobody is asked', async (t) => {
  const tunnels = await openTunnels(t, 10);
  const [first] = tunnels as [Tunnel];
  const pacer = pacerOf(t);
  pacer.drain(tunnels, 'drain', { rate: 2 });
  first.destroy('worker stop');
  pacer.remove(first);
  pacer.remove(first);
  await until('the second', () => tunnels[1]?.endCause === 'drain');
  pacer.stop();
  assert.equal(pacer.count, 0);
  const before = asked(tunnels);
  assert.ok(before < tunnels.length, 'all at once');
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.equal(asked(tunnels), before);
  assert.equal(first.endCause, 'worker stop');
});
