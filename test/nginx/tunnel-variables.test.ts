// What the variables of a tunnel say: what passed it, with which codes it was closed, how far away its sides are.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { closeFrame, LoggedTunnel } from '../support/logged-tunnel.ts';
import { RawWebSocketReader, rawFrame } from '../support/raw-websocket.ts';
import { until } from '../support/until.ts';

const PONG = 10;

describe('what passed', () => {
  test('messages and bytes are counted for each direction, `in` from the client, without what we sent ourselves', async (t) => {
    const tunnel = await LoggedTunnel.open(t, {
      format: '$websocket_messages_in|$websocket_messages_out|$websocket_bytes_in|$websocket_bytes_out',
    });
    await tunnel.talk(['a', 'bc', 'def'], ['ghij']);
    tunnel.client.socket.resetAndDestroy();
    tunnel.endInOrder();
    // Each frame has a head of two bytes, and of a client a mask of four.
    assert.equal(await tunnel.line(), `3|1|${3 * 6 + 6}|${2 + 4}`);
  });
});

describe('close codes', () => {
  const codes = async (t: TestContext, act: (tunnel: LoggedTunnel) => Promise<void> | void): Promise<string> => {
    const tunnel = await LoggedTunnel.open(t, { format: '$websocket_close_code|$websocket_peer_close_code' });
    await act(tunnel);
    tunnel.endInOrder();
    return tunnel.line();
  };

  test("the peer's own code is what the client was told", async (t) => {
    assert.equal(await codes(t, ({ peer }) => void peer.socket.end(closeFrame(4001, false))), '4001|4001');
  });

  test('a close frame without a code is 1005', async (t) => {
    assert.equal(await codes(t, ({ peer }) => void peer.socket.end(rawFrame({ opcode: 8 }))), '1005|1005');
  });

  test('a client that closes is told nothing unless the peer answers', async (t) => {
    const close = closeFrame(1000, true);
    assert.equal(await codes(t, ({ client }) => void client.socket.end(close)), '-|-');
    const answered = await codes(t, async ({ client, peer }) => {
      client.send(close);
      await until('its close frame at the peer', () => peer.rest.length === close.length);
      peer.socket.end(closeFrame(1000, false));
    });
    assert.equal(answered, '1000|1000');
  });

  test('the client of a peer that is gone is told 1014, by us', async (t) => {
    assert.equal(await codes(t, ({ peer }) => void peer.socket.resetAndDestroy()), '1014|-');
    assert.equal(await codes(t, ({ peer }) => void peer.socket.end()), '1014|-');
  });

  test('in the middle of a frame nobody can be told anything', async (t) => {
    const half = await codes(t, async ({ client, peer }) => {
      peer.send(rawFrame({ opcode: 1, payload: 'hello' }).subarray(0, 4));
      await until('half a frame', () => client.rest.length === 4);
      peer.socket.resetAndDestroy();
    });
    assert.equal(half, '-|-');
  });

  test("a peer's code that came too late to be passed on is its own only", async (t) => {
    const tunnel = await LoggedTunnel.open(t, {
      format: '$websocket_close_cause|$websocket_close_code|$websocket_peer_close_code',
      location: 'websocket_ping off; proxy_read_timeout 1s; websocket_close_timeout 30s;',
    });
    const reader = new RawWebSocketReader(true);
    await until('our close frame at the peer', () => tunnel.peer.rest.length > 0);
    await reader.read(tunnel.peer.rest);
    assert.equal(reader.closeCode, 1001);
    tunnel.peer.socket.end(closeFrame(1000, false));
    tunnel.client.socket.end(closeFrame(1001, true));
    assert.equal(await tunnel.line(), 'idle|1001|1000');
  });
});

describe('round trips', () => {
  test('each side has the time that its last answered ping took', async (t) => {
    const tunnel = await LoggedTunnel.open(t, {
      format: '$websocket_ping_rtt|$websocket_peer_ping_rtt',
      location: 'websocket_ping 200ms;',
    });
    const reader = new RawWebSocketReader(false);
    await until('a ping to the client', () => tunnel.client.rest.length >= 14);
    await reader.read(tunnel.client.rest.subarray(0, 14));
    const [payload] = reader.pings;
    assert.ok(payload !== undefined);
    tunnel.client.send(rawFrame({ opcode: PONG, payload, masked: true }));
    await until('the next ping, which shows that the pong was read', () => tunnel.client.rest.length >= 28);
    tunnel.client.socket.resetAndDestroy();
    tunnel.endInOrder();
    const [client, peer] = (await tunnel.line()).split('|');
    assert.match(client as string, /^\d+\.\d{6}$/);
    assert.ok(Number(client) > 0 && Number(client) < 30, client);
    assert.equal(peer, '-');
  });
});
