// Pings of ours: who lives is left alone however silent, who does not is ended, and nobody else sees them.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Opcode } from '../../src/websocket/opcode.ts';
import { rawFrame } from '../support/raw-websocket.ts';
import { until } from '../support/until.ts';
import { EndOfTunnel } from './end-of-tunnel.ts';
import { CHANNEL_KINDS, type OpenChannel, type SetupOptions, TunnelSetup } from './tunnel-setup.ts';

/** ms */
const READ_TIMEOUT = 600;
const PINGS = { readTimeout: READ_TIMEOUT, pingInterval: READ_TIMEOUT / 3 };

for (const { kind, open } of CHANNEL_KINDS)
  describe(`pings over ${kind}`, { concurrency: true }, () => describePings(open));

function describePings(open: OpenChannel): void {
  async function started(context: TestContext, settings: SetupOptions['settings'] = PINGS) {
    const setup = await TunnelSetup.open(context, { open, settings });
    setup.tunnel.start(undefined, undefined);
    return {
      ...setup,
      setup,
      client: new EndOfTunnel(setup.client, 'client'),
      peer: new EndOfTunnel(setup.peer, 'peer'),
    };
  }

  test('keep two silent sides that answer them for longer than the read timeout', async (context) => {
    const { tunnel, client, peer } = await started(context);
    client.answersPings();
    peer.answersPings();
    await until('six pings to each side', () => (client.pings >= 6 && peer.pings >= 6) || tunnel.endCause !== '');
    assert.equal(tunnel.endCause, '');
    assert.deepEqual([client.pongs, peer.pongs], [0, 0], 'an answer to our ping has passed to the other side');
    assert.deepEqual([tunnel.client.bytes, tunnel.peer.bytes], [0, 0]);
    assert.ok(tunnel.client.roundTrip >= 0 && tunnel.peer.roundTrip >= 0);
  });

  test('come again an interval after the answer to the last one, however far the read timeout is', async (context) => {
    const { client, peer } = await started(context, { readTimeout: 3_600_000, pingInterval: 100 });
    client.answersPings();
    peer.answersPings();
    await until('four pings to each side', () => client.pings >= 4 && peer.pings >= 4);
  });

  for (const [dead, living, code] of [
    ['client', 'peer', 1001],
    ['peer', 'client', 1014],
  ] as const) {
    test(`end both sides when the ${dead} does not answer, with ${code} to the ${living}`, async (context) => {
      const parts = await started(context);
      parts[living].answersPings();
      const begin = performance.now();
      assert.equal(await parts[living].closeCode(), code);
      assert.ok(performance.now() - begin >= READ_TIMEOUT - 50);
      parts[living].answersClose();
      await parts.setup.ended;
      assert.equal(parts.tunnel.endCause, `${dead} pong missed`);
      assert.equal(parts.tunnel.endedBy, dead);
    });
  }

  test('are not sent to a side that is heard all the time, and spare it if the other one is silent', async (context) => {
    const { tunnel, client, peer } = await started(context);
    peer.answersPings();
    const talk = setInterval(() => client.send({ opcode: Opcode.text, payload: 'I am here' }), 40);
    context.after(() => clearInterval(talk));
    await until('six pings to the peer', () => peer.pings >= 6 || tunnel.endCause !== '');
    assert.equal(tunnel.endCause, '');
    assert.ok(client.pings <= 1, `${client.pings} pings`);
  });

  test('leave pings and pongs of the sides themselves alone', async (context) => {
    const { client, peer } = await started(context);
    client.answersPings();
    peer.answersPings();
    await until('a ping of ours to the peer', () => peer.pings > 0);
    client.send({ opcode: Opcode.ping, payload: 'whose?' });
    client.send({ opcode: Opcode.pong, payload: 'unasked' });
    await until('the pong', () => client.pongPayloads.includes('whose?'));
    assert.ok(peer.pongPayloads.includes('unasked'));
  });

  test('wait for the end of a frame that is on its way, and stand between fragments', async (context) => {
    const { tunnel, client, peer } = await started(context, { readTimeout: 30_000, pingInterval: 100 });
    const fragment = rawFrame({ opcode: Opcode.text, payload: 'first half, ', final: false });
    peer.write(fragment.subarray(0, 5));
    const talk = setInterval(() => peer.write(Buffer.alloc(0)), 20);
    context.after(() => clearInterval(talk));
    await until('a ping to the peer', () => peer.pings > 0);
    await delay(100);
    assert.equal(client.pings, 0);
    peer.write(fragment.subarray(5));
    await until('a ping to the client', () => client.pings > 0);
    peer.write(rawFrame({ opcode: Opcode.continuation, payload: 'second half' }));
    await until('the message', () => client.messages.length > 0);
    assert.deepEqual(client.messages, ['first half, second half']);
    assert.equal(client.error, undefined);
    assert.equal(tunnel.endCause, '');
  });

  test('are answered in pieces of one byte, between messages, and only they are taken out', async (context) => {
    const { tunnel, client, peer } = await started(context, { readTimeout: 30_000, pingInterval: 100 });
    await until('a ping to the client', () => client.pings > 0);
    const pong = rawFrame({ opcode: Opcode.pong, payload: client.lastPing, masked: true });
    const stream = Buffer.concat([
      rawFrame({ opcode: Opcode.text, payload: 'before', masked: true }),
      pong,
      rawFrame({ opcode: Opcode.pong, payload: 'not yours', masked: true }),
      rawFrame({ opcode: Opcode.text, payload: 'behind', masked: true }),
    ]);
    for (const byte of stream) {
      client.write(Buffer.of(byte));
      await delay(1);
    }
    await until('both messages', () => peer.messages.length === 2);
    assert.deepEqual([peer.messages, peer.pongPayloads], [['before', 'behind'], ['not yours']]);
    assert.equal(tunnel.client.bytes, stream.length - pong.length);
  });

  test('are not sent where they are off: what passes in one direction is life for both', async (context) => {
    const { tunnel, client, peer } = await started(context, { readTimeout: 300, pingInterval: 0 });
    const begin = performance.now();
    await until('the end', () => tunnel.endCause !== '');
    assert.ok(performance.now() - begin >= 290);
    assert.deepEqual([tunnel.endCause, client.pings, peer.pings], ['idle', 0, 0]);
  });

  test('at intervals beyond the read timeout leave all of it for the answer, and no more', async (context) => {
    const { tunnel, client, peer } = await started(context, { readTimeout: 300, pingInterval: 900 });
    peer.answersPings();
    await until('the ping', () => client.pings === 1);
    const pinged = performance.now();
    await until('the end', () => tunnel.endCause !== '');
    const patience = performance.now() - pinged;
    assert.equal(tunnel.endCause, 'client pong missed');
    assert.ok(patience >= 280 && patience < 600, `${patience} ms`);
  });

  test('and pongs are no speech, whose ever they are; a message is, and a part of one', async (context) => {
    const { tunnel, client, peer } = await started(context, { readTimeout: 30_000, pingInterval: 100 });
    client.answersPings();
    peer.answersPings();
    const { client: ofClient, peer: ofPeer } = tunnel;
    const heardOnly = (since: number): boolean =>
      [ofClient, ofPeer].every((leg) => leg.heardAt - leg.spokenAt >= since && leg.spokenAt > 0);
    await until('answers to our pings that are no speech', () => heardOnly(250));
    const fromClient = rawFrame({ opcode: Opcode.ping, payload: 'there?', masked: true });
    const own = setInterval(() => client.write(fromClient), 20);
    context.after(() => clearInterval(own));
    await until('pings of the client that are none', () => heardOnly(500));
    const begun = Math.max(ofClient.spokenAt, ofPeer.spokenAt);
    peer.write(rawFrame({ opcode: Opcode.text, payload: 'hello' }));
    await until('the message', () => client.messages.length > 0);
    assert.ok(ofPeer.spokenAt - begun >= 200);
    await until('silence again', () => heardOnly(250));
    client.write(rawFrame({ opcode: Opcode.text, payload: 'x'.repeat(100), masked: true }).subarray(0, 50));
    await until('a part', () => ofClient.spokenAt - begun >= 700);
  });

  test('are not sent into another protocol', async (context) => {
    const { tunnel, client, peer } = await started(context, { readTimeout: 300, pingInterval: 100 });
    client.write(Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'));
    await until('the end', () => tunnel.endCause !== '');
    assert.deepEqual([tunnel.endCause, client.pings, peer.pings], ['idle', 0, 0]);
  });
}
