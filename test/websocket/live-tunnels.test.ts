// The list of live tunnels: counted, listed, closed together, and told when it is empty.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openChannel } from '../../src/transport/choose.ts';
import { LiveTunnels } from '../../src/websocket/live-tunnels.ts';
import { RawWebSocketReader } from '../support/raw-websocket.ts';
import { Inbox, TunnelSetup } from './tunnel-setup.ts';

async function openTunnels(context: TestContext, live: LiveTunnels, count: number): Promise<TunnelSetup[]> {
  const setups: TunnelSetup[] = [];
  for (let i = 0; i < count; i++) {
    const setup = await TunnelSetup.open(context, { open: openChannel });
    setup.tunnel.start(undefined, undefined);
    live.add(setup.tunnel);
    void setup.ended.then(() => live.remove(setup.tunnel));
    setups.push(setup);
  }
  return setups;
}

test('tunnels are counted and listed from when they are added until they are removed', async (context) => {
  const live = new LiveTunnels();
  const [first, second, third] = await openTunnels(context, live, 3);
  assert.ok(first && second && third);
  assert.equal(live.count, 3);
  second.tunnel.destroy('worker stop');
  await second.ended;
  assert.deepEqual([...live], [first.tunnel, third.tunnel]);
});

test('all of them are closed in order, and somebody is told once the last is gone', async (context) => {
  const live = new LiveTunnels();
  let told = 0;
  const setups = await openTunnels(context, live, 3);
  const empty = new Promise<void>((resolve) => {
    live.whenEmpty = () => {
      told++;
      resolve();
    };
  });
  live.closeAll('worker shutdown');
  for (const { client, peer, tunnel } of setups) {
    const reader = new RawWebSocketReader(false);
    await reader.read(await new Inbox(client).has(4));
    assert.equal(reader.closeCode, 1001);
    assert.equal(tunnel.endCause, 'worker shutdown');
    assert.equal(told, 0);
    client.end();
    peer.end();
    peer.resume();
  }
  await empty;
  assert.deepEqual([live.count, told], [0, 1]);
});

test('all of them are destroyed at once', async (context) => {
  const live = new LiveTunnels();
  const setups = await openTunnels(context, live, 3);
  live.destroyAll('worker stop');
  await Promise.all(setups.map(({ ended }) => ended));
  assert.equal(live.count, 0);
  for (const { tunnel } of setups) assert.equal(tunnel.endCause, 'worker stop');
});

test('removing a tunnel twice, or one that was never there, tells nobody', async (context) => {
  const live = new LiveTunnels();
  const { tunnel } = await TunnelSetup.open(context, { open: openChannel });
  let told = 0;
  live.whenEmpty = () => told++;
  live.remove(tunnel);
  live.add(tunnel);
  live.remove(tunnel);
  live.remove(tunnel);
  assert.equal(told, 1);
});
