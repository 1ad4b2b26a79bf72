// A client that is asked to go: what it said before its answer reaches the peer, which is told to go behind it.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { RawWebSocketReader, rawFrame } from '../support/raw-websocket.ts';
import { CHANNEL_KINDS, Inbox, type OpenChannel, TunnelSetup } from './tunnel-setup.ts';

const [TEXT, CLOSE] = [1, 8];
const RESTART = Buffer.from([0x03, 0xf4]);

async function started(t: TestContext, open: OpenChannel) {
  const setup = await TunnelSetup.open(t, { open, settings: { closeTimeout: 30_000 } });
  setup.tunnel.start(undefined, undefined);
  return {
    ...setup,
    tunnel: setup.tunnel,
    ended: setup.ended,
    atClient: new Inbox(setup.client),
    atPeer: new Inbox(setup.peer),
  };
}

async function readAll(inbox: Inbox, masked: boolean): Promise<RawWebSocketReader> {
  const reader = new RawWebSocketReader(masked);
  await reader.read(await inbox.hasEnded());
  return reader;
}

for (const { kind, open } of CHANNEL_KINDS) {
  test(`${kind}: messages and the answer in one piece: the peer gets the messages, then 1001`, async (t) => {
    const { tunnel, client, peer, ended, atClient, atPeer } = await started(t, open);
    assert.equal(tunnel.leave('drain'), true);
    const told = new RawWebSocketReader(false);
    await told.read(await atClient.has(4));
    assert.equal(told.closeCode, 1012);
    const messages = ['one', 'two'].map((payload) => rawFrame({ opcode: TEXT, payload, masked: true }));
    client.end(Buffer.concat([...messages, rawFrame({ opcode: CLOSE, payload: RESTART, masked: true })]));
    peer.once('data', () => peer.end());
    const heard = await readAll(atPeer, true);
    assert.deepEqual(heard.messages.map(String), ['one', 'two']);
    assert.equal(heard.closeCode, 1001);
    await ended;
    assert.equal(tunnel.endCause, 'drain');
  });

  test(`${kind}: the message that is on its way to the client comes whole before the close frame`, async (t) => {
    const { tunnel, client, peer, atClient } = await started(t, open);
    const frame = rawFrame({ opcode: TEXT, payload: 'a message' });
    peer.write(frame.subarray(0, 5));
    await atClient.has(5);
    tunnel.leave('drain');
    peer.write(frame.subarray(5));
    await atClient.has(frame.length + 4);
    client.end();
    const told = new RawWebSocketReader(false);
    await told.read(atClient.bytes);
    assert.deepEqual([told.messages.map(String), told.closeCode], [['a message'], 1012]);
  });

  test(`${kind}: where a side has closed already, nobody is asked`, async (t) => {
    const { tunnel, client, atPeer } = await started(t, open);
    const close = rawFrame({ opcode: CLOSE, payload: Buffer.from([0x03, 0xe8]), masked: true });
    client.write(close);
    await atPeer.has(close.length);
    assert.equal(tunnel.leave('drain'), false);
    assert.equal(tunnel.endCause, 'client close');
  });
}
