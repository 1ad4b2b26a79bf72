// The tunnel over real connections: what passes, what is held back, and every way it can end.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { channelKind, openChannel } from '../../src/transport/choose.ts';
import { StreamChannel } from '../../src/transport/stream-channel.ts';
import { Opcode } from '../../src/websocket/opcode.ts';
import { Tunnel } from '../../src/websocket/tunnel.ts';
import { heldMemory } from '../support/held-memory.ts';
import { type FrameShape, RawWebSocketReader, rawFrame } from '../support/raw-websocket.ts';
import {
  CHANNEL_KINDS,
  DEFAULT_SETTINGS,
  Inbox,
  type OpenChannel,
  type SetupOptions,
  TunnelSetup,
} from './tunnel-setup.ts';

type Options = Omit<SetupOptions, 'open'>;

const fromClient = (shape: FrameShape): Buffer => rawFrame({ ...shape, masked: true });
const closeShape = (code: number, reason = ''): FrameShape => ({
  opcode: Opcode.close,
  payload: Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]),
});

/** More than the kernel's buffers of two connections hold while one end does not read. */
const FLOOD = Buffer.alloc(64 * 1024 * 1024, 'flood');

for (const { kind, open } of CHANNEL_KINDS) describe(`a tunnel over ${kind}`, () => describeTunnel(open));

// Only handles tell how much of one write has left; over a stream, progress is the end of a write.
if (channelKind() === 'handle')
  test('a part of a long write that a slow client has taken is progress', takesPartsOfALongWrite);

async function takesPartsOfALongWrite(context: TestContext): Promise<void> {
  const settings = { clientSendTimeout: 1000 };
  const { client, tunnel } = await TunnelSetup.open(context, { open: openChannel, followFrames: false, settings });
  const toClient = drain(client);
  const begin = performance.now();
  tunnel.start(undefined, FLOOD);
  for (let i = 1; i <= 8; i++) {
    client.resume();
    await until(() => toClient.length >= i * 5_000_000 || tunnel.endCause !== '');
    client.pause();
    await delay(260);
  }
  assert.ok(performance.now() - begin > 2 * settings.clientSendTimeout);
  assert.deepEqual([tunnel.client.isBlocked, tunnel.endCause], [true, '']);
}

test('what still waits in a stream when both sides have ended may leave slowly', async () => {
  let taken = '';
  let take: () => void = () => {};
  const client = new Duplex({
    read() {},
    write(bytes: Buffer, _encoding, done) {
      taken += bytes.toString();
      take = done;
    },
  });
  const peer = new Duplex({ read() {}, write: (_bytes, _encoding, done) => done() });
  await new Promise<void>((ended) => {
    const tunnel = new Tunnel({
      client: new StreamChannel(client),
      peer: new StreamChannel(peer),
      settings: { ...DEFAULT_SETTINGS, closeTimeout: 20 },
      followFrames: false,
      deflate: false,
      owner: { tunnelEnded: () => ended() },
    });
    tunnel.start(undefined, undefined);
    client.push(null);
    peer.push('last words');
    peer.push(null);
    setTimeout(() => {
      assert.deepEqual([tunnel.peer.ended, tunnel.client.closed], [true, false]);
      take();
    }, 150);
  });
  assert.equal(taken, 'last words');
  assert.equal(client.errored, null);
  assert.equal(client.writableFinished, true);
});

function describeTunnel(open: OpenChannel): void {
  async function started(context: TestContext, options: Options = {}): Promise<TunnelSetup> {
    const setup = await TunnelSetup.open(context, { open, ...options });
    setup.tunnel.start(undefined, undefined);
    return setup;
  }

  describe('carries', () => {
    test('bytes both ways, unchanged', async (context) => {
      const { client, peer, tunnel } = await started(context);
      const [toClient, toPeer] = [new Inbox(client), new Inbox(peer)];
      client.write(fromClient({ opcode: Opcode.text, payload: 'hello' }));
      const frame = rawFrame({ opcode: Opcode.binary, payload: 'welcome' });
      await toPeer.has(11);
      peer.write(frame);
      assert.deepEqual(await toClient.has(frame.length), frame);
      const reader = new RawWebSocketReader(true);
      await reader.read(toPeer.bytes);
      assert.deepEqual(reader.messages.map(String), ['hello']);
      assert.deepEqual([tunnel.client.bytes, tunnel.peer.bytes], [11, 9]);
      assert.ok(tunnel.startedAt <= tunnel.client.firstByteAt && tunnel.client.firstByteAt <= tunnel.peer.firstByteAt);
    });

    test('what came with either head before all else', async (context) => {
      const { client, peer, tunnel } = await TunnelSetup.open(context, { open, followFrames: false });
      client.write('client 2');
      peer.write('peer 2');
      const [toClient, toPeer] = [new Inbox(client), new Inbox(peer)];
      tunnel.start(Buffer.from('client 1,'), Buffer.from('peer 1,'));
      assert.equal((await toPeer.has(17)).toString(), 'client 1,client 2');
      assert.equal((await toClient.has(13)).toString(), 'peer 1,peer 2');
      assert.deepEqual([tunnel.client.bytes, tunnel.peer.bytes], [17, 13]);
    });

    test('early bytes that fill the other side, then waits before it reads on', async (context) => {
      const { client, peer, tunnel } = await TunnelSetup.open(context, { open, followFrames: false });
      client.write('late');
      tunnel.start(FLOOD, undefined);
      assert.equal(tunnel.client.channel.paused, true);
      const toPeer = new Inbox(peer);
      assert.deepEqual(await toPeer.has(FLOOD.length + 4), Buffer.concat([FLOOD, Buffer.from('late')]));
      assert.equal(tunnel.endCause, '');
    });

    test('no more than the buffers hold while one side does not read, and all of it afterwards', async (context) => {
      const { client, peer, tunnel } = await started(context, { followFrames: false });
      const sent = createHash('sha1');
      const chunk = Buffer.alloc(64 * 1024);
      const pump = (async () => {
        for (let i = 0; i < FLOOD.length / chunk.length; i++) {
          chunk.fill(i);
          sent.update(chunk);
          if (!peer.write(Buffer.from(chunk))) await once(peer, 'drain');
        }
      })();
      await until(() => tunnel.client.isBlocked);
      const passed = tunnel.peer.bytes;
      for (let i = 0; i < 50; i++) await turn();
      assert.equal(tunnel.peer.bytes, passed);
      assert.equal(tunnel.peer.channel.paused, true);
      assert.ok(tunnel.client.channel.pendingBytes <= 128 * 1024, `${tunnel.client.channel.pendingBytes} bytes wait`);
      const received = createHash('sha1');
      let length = 0;
      client.on('data', (bytes: Buffer) => {
        received.update(bytes);
        length += bytes.length;
      });
      await pump;
      await until(() => length === FLOOD.length);
      assert.equal(received.digest('hex'), sent.digest('hex'));
    });

    test('the other direction while one is held up', async (context) => {
      const { client, peer, tunnel } = await started(context, { followFrames: false });
      const toClient = new Inbox(client);
      client.write(FLOOD);
      await until(() => tunnel.peer.isBlocked);
      peer.write('still here');
      assert.equal((await toClient.has(10)).toString(), 'still here');
    });

    test('131072 fragments of one byte in flat memory', async (context) => {
      const { client, peer, tunnel } = await started(context);
      const toPeer = drain(peer);
      const first = fromClient({ opcode: Opcode.binary, payload: 'x', final: false });
      const next = fromClient({ opcode: Opcode.continuation, payload: 'x', final: false });
      const part = Buffer.concat(new Array<Buffer>(1024).fill(next));
      await send(client, first);
      const before = await heldMemory();
      for (let i = 0; i < 128; i++) await send(client, part);
      await until(() => toPeer.length === first.length + 128 * part.length);
      const grown = (await heldMemory()) - before;
      assert.ok(grown < 4_000_000, `memory has grown by ${grown} bytes`);
      const { reader } = tunnel.client;
      assert.ok(reader);
      assert.deepEqual([reader.dataFrames, reader.payloadBytes, reader.messages], [131_073, 131_073, 0]);
      assert.deepEqual([reader.violation, reader.atFrameBoundary, reader.atMessageBoundary], [undefined, true, false]);
    });

    test('a frame of a gigabyte as it comes', async (context) => {
      const { client, peer, tunnel } = await started(context);
      const toPeer = drain(peer);
      const head = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4]);
      const part = Buffer.alloc(1024 * 1024);
      await send(client, head);
      for (let i = 0; i < 32; i++) await send(client, part); // fills the pools of memory that the channels keep
      const before = await heldMemory();
      for (let i = 0; i < 128; i++) await send(client, part);
      await until(() => toPeer.length === head.length + 160 * part.length);
      const grown = (await heldMemory()) - before;
      assert.ok(grown < 16_000_000, `memory has grown by ${grown} bytes`);
      const { reader } = tunnel.client;
      assert.deepEqual([reader?.payloadBytes, reader?.payloadLeft], [160 * part.length, 2 ** 30 - 160 * part.length]);
    });

    test('what is not WebSocket as it is, and says so', async (context) => {
      for (const [bytes, violation] of [
        [rawFrame({ opcode: Opcode.text, payload: 'not masked' }), 'frame not masked'],
        [Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'), 'reserved bits'],
        [fromClient({ opcode: 0xb, payload: 'what?' }), 'reserved opcode'],
      ] as const) {
        const { client, peer, tunnel } = await started(context);
        const toPeer = new Inbox(peer);
        client.write(bytes);
        assert.deepEqual(await toPeer.has(bytes.length), bytes);
        client.write('and on');
        assert.deepEqual(await toPeer.has(bytes.length + 6), Buffer.concat([bytes, Buffer.from('and on')]));
        assert.equal(tunnel.client.reader?.violation, violation);
        assert.equal(tunnel.peer.reader?.violation, undefined);
      }
    });
  });

  describe('counts', () => {
    test('messages and bytes each way, and keeps both close codes', async (context) => {
      const { client, peer, tunnel, ended } = await started(context);
      const [toClient, toPeer] = [new Inbox(client), new Inbox(peer)];
      const said = [
        fromClient({ opcode: Opcode.text, payload: 'one', final: false }),
        fromClient({ opcode: Opcode.ping, payload: '?' }),
        fromClient({ opcode: Opcode.continuation, payload: 'two' }),
        fromClient(closeShape(1000, 'done')),
      ];
      for (const bytes of said) client.write(bytes);
      await toPeer.has(Buffer.concat(said).length);
      peer.end(Buffer.concat([rawFrame({ opcode: Opcode.binary, payload: 'three' }), rawFrame(closeShape(4001))]));
      await toClient.hasEnded();
      client.end();
      await ended;
      assert.deepEqual([tunnel.client.messages, tunnel.peer.messages], [1, 1]);
      assert.deepEqual([tunnel.client.bytes, tunnel.peer.bytes], [Buffer.concat(said).length, 11]);
      assert.deepEqual([tunnel.client.closeCode, tunnel.peer.closeCode], [1000, 4001]);
      assert.equal(tunnel.client.reader?.closeReason, 'done');
      assert.ok(tunnel.endedAt >= tunnel.peer.firstByteAt);
    });

    test('messages under permessage-deflate only where it was agreed on', async (context) => {
      const frame = rawFrame({ opcode: Opcode.text, payload: 'zipped', rsv1: true });
      for (const [deflate, messages, violation] of [
        [true, 1, undefined],
        [false, 0, 'reserved bits'],
      ] as const) {
        const { client, peer, tunnel } = await started(context, { deflate });
        const toClient = new Inbox(client);
        peer.write(frame);
        await toClient.has(frame.length);
        assert.deepEqual([tunnel.peer.messages, tunnel.peer.reader?.violation], [messages, violation]);
      }
    });

    test('no messages of another protocol', async (context) => {
      const { client, peer, tunnel } = await started(context, { followFrames: false });
      const toPeer = new Inbox(peer);
      client.write(fromClient({ opcode: Opcode.text, payload: 'x' }));
      await toPeer.has(7);
      assert.deepEqual([tunnel.client.bytes, tunnel.client.messages, tunnel.client.closeCode], [7, 0, 0]);
    });
  });

  describe('that one side has ended', () => {
    for (const [name, side] of [
      ['the client', 'client'],
      ['the peer', 'peer'],
    ] as const) {
      const other = side === 'client' ? 'peer' : 'client';

      test(`still gets 300 kB to ${name} that the other side sends afterwards`, async (context) => {
        const setup = await started(context, { followFrames: false });
        const [inbox, otherInbox] = [new Inbox(setup[side]), new Inbox(setup[other])];
        setup[side].end('the end');
        assert.equal((await otherInbox.hasEnded()).toString(), 'the end');
        const bytes = Buffer.alloc(300_000, 'abcdefg');
        setup[other].end(bytes);
        assert.deepEqual(await inbox.hasEnded(), bytes);
        await setup.ended;
        assert.deepEqual([setup.tunnel.endedBy, setup.tunnel.endCause], [side, `${side} end`]);
      });

      test(`has all of 300 kB taken from ${name} when it ended behind them`, async (context) => {
        const setup = await started(context, { followFrames: false });
        const bytes = Buffer.alloc(300_000, 'abcdefg');
        setup[side].end(bytes);
        const otherInbox = new Inbox(setup[other]);
        assert.deepEqual(await otherInbox.hasEnded(), bytes);
        setup[other].end();
        await setup.ended;
      });
    }

    test('and the other too: a slow reader still gets what is on its way', async (context) => {
      const { client, peer, tunnel, ended } = await started(context, { followFrames: false });
      client.end();
      await new Inbox(peer).hasEnded();
      peer.end(FLOOD);
      await until(() => tunnel.client.isBlocked);
      await delay(200); // longer than the close timeout
      const toClient = drain(client);
      await ended;
      await until(() => toClient.ended);
      assert.equal(toClient.length, FLOOD.length);
      assert.equal(tunnel.endCause, 'client end');
    });

    test('ends both at once when both have sent their close frames', async (context) => {
      const { client, peer, tunnel, ended } = await started(context);
      const [toClient, toPeer] = [new Inbox(client), new Inbox(peer)];
      peer.write(rawFrame(closeShape(1001)));
      await toClient.has(4);
      client.write(fromClient(closeShape(1001)));
      await toPeer.has(8);
      peer.end();
      await toClient.hasEnded();
      await toPeer.hasEnded(); // though the client has not ended
      client.end();
      await ended;
      assert.deepEqual([tunnel.endedBy, tunnel.endCause], ['peer', 'peer close']);
    });
  });

  describe('that one side has reset', () => {
    for (const [side, other] of [
      ['client', 'peer'],
      ['peer', 'client'],
    ] as const) {
      test(`gives the other side what the ${side} had sent, and ends it`, async (context) => {
        const setup = await started(context, { followFrames: false });
        const otherInbox = new Inbox(setup[other]);
        setup[side].write(Buffer.alloc(300_000, 'r'));
        await otherInbox.has(300_000);
        setup[side].resetAndDestroy();
        assert.equal((await otherInbox.hasEnded()).length, 300_000);
        setup[other].end();
        await setup.ended;
        assert.deepEqual([setup.tunnel.endedBy, setup.tunnel.endCause], [side, `${side} reset`]);
        assert.equal(setup.endReports, 1);
      });

      test(`does not wait for the other side when that reads nothing (reset by the ${side})`, async (context) => {
        const setup = await started(context, { followFrames: false });
        setup[side].write(FLOOD);
        await until(() => setup.tunnel[other].isBlocked);
        setup[side].resetAndDestroy();
        // The reset is only seen by a write as long as reading is held up.
        setup[other].write('x');
        const begin = Date.now();
        await setup.ended;
        assert.ok(Date.now() - begin < 2000);
        assert.equal(setup.tunnel.endCause, `${side} reset`);
      });

      test(`ends the other side when it never answers the end (reset by the ${side})`, async (context) => {
        const setup = await started(context, { followFrames: false });
        setup[side].write('x');
        const otherInbox = new Inbox(setup[other]);
        await otherInbox.has(1);
        setup[side].resetAndDestroy();
        await otherInbox.hasEnded(); // but does not end itself
        await setup.ended;
        assert.equal(setup.tunnel[other].channel.destroyed, true);
      });
    }

    test('in the middle of a frame sends no close frame of ours', async (context) => {
      const { client, peer, ended } = await started(context);
      const toClient = new Inbox(client);
      const half = rawFrame({ opcode: Opcode.text, payload: 'cut in two' }).subarray(0, 6);
      peer.write(half);
      await toClient.has(6);
      peer.resetAndDestroy();
      assert.deepEqual(await toClient.hasEnded(), half);
      client.end();
      await ended;
    });
  });

  // Not beside the others, whose floods hold up the event loop.
  describe('waits for the next byte', () => {
    for (const side of ['client', 'peer'] as const) {
      test(`only so long after the last byte of the ${side}`, async (context) => {
        const { tunnel, client, peer } = await started(context, { settings: { readTimeout: 200 } });
        drain(client);
        drain(peer);
        let lastSent = 0;
        for (let i = 0; i < 6 && tunnel.endCause === ''; i++) {
          const begin = performance.now();
          const { bytes } = tunnel[side];
          if (side === 'client') client.write(fromClient({ opcode: Opcode.ping }));
          else peer.write(rawFrame({ opcode: Opcode.ping }));
          await until(() => tunnel[side].bytes > bytes || tunnel.endCause !== '');
          if (tunnel[side].bytes > bytes) lastSent = begin;
          await delay(50);
        }
        await until(() => tunnel.endCause !== '');
        assert.ok(performance.now() - lastSent >= 200);
        assert.equal(tunnel.endCause, 'idle');
      });
    }
  });

  describe('times out', { concurrency: true }, () => {
    test('when nothing passes either way: both get 1001 and the end', async (context) => {
      const { client, peer, tunnel, ended } = await started(context, { settings: { readTimeout: 100 } });
      const [toClient, toPeer] = [new Inbox(client), new Inbox(peer)];
      const [clientReader, peerReader] = [new RawWebSocketReader(false), new RawWebSocketReader(true)];
      await clientReader.read(await toClient.hasEnded());
      await peerReader.read(await toPeer.hasEnded());
      assert.deepEqual([clientReader.closeCode, peerReader.closeCode], [1001, 1001]);
      await ended;
      assert.deepEqual([tunnel.endedBy, tunnel.endCause], ['gateway', 'idle']);
      assert.ok(tunnel.endedAt - tunnel.startedAt >= 90);
    });

    for (const [side, setting] of [
      ['client', 'clientSendTimeout'],
      ['peer', 'peerSendTimeout'],
    ] as const) {
      test(`when the ${side} takes nothing, however short the read timeout is`, async (context) => {
        const settings = { readTimeout: 50, [setting]: 200 };
        const { tunnel, client, peer, ended } = await TunnelSetup.open(context, {
          open,
          followFrames: false,
          settings,
        });
        if (side === 'client') tunnel.start(undefined, FLOOD);
        else tunnel.start(FLOOD, undefined);
        await new Inbox(side === 'client' ? peer : client).hasEnded(); // the other side is told
        await ended;
        assert.deepEqual([tunnel.endedBy, tunnel.endCause], ['gateway', `send timeout to ${side}`]);
      });
    }

    test('not when a slow client takes a little', async (context) => {
      const settings = { clientSendTimeout: 1000 };
      const { client, peer, tunnel } = await started(context, { followFrames: false, settings });
      peer.write(FLOOD);
      await until(() => tunnel.client.isBlocked);
      const toClient = drain(client);
      for (let i = 1; i <= 10; i++) {
        client.resume();
        await until(() => toClient.length >= i * 4_000_000); // less would not move the kernel to take more
        client.pause();
        await delay(120);
      }
      assert.equal(tunnel.endCause, '');
    });

    for (const resetTimedOutClient of [true, false]) {
      test(`and ${resetTimedOutClient ? 'resets' : 'closes'} the client, as is wanted`, async (context) => {
        const settings = { clientSendTimeout: 100, resetTimedOutClient };
        const { tunnel, peer, ended } = await TunnelSetup.open(context, { open, followFrames: false, settings });
        const reset = context.mock.method(tunnel.client.channel, 'reset');
        tunnel.start(undefined, FLOOD);
        drain(peer);
        await ended;
        assert.equal(reset.mock.callCount(), resetTimedOutClient ? 1 : 0);
        assert.equal(tunnel.client.channel.destroyed, true);
      });
    }
  });

  describe('is closed by us', () => {
    test('with a close frame to each side, masked towards the peer', async (context) => {
      const { client, peer, tunnel, ended } = await started(context, { settings: { closeTimeout: 30_000 } });
      const [toClient, toPeer] = [new Inbox(client), new Inbox(peer)];
      tunnel.close('worker shutdown');
      const [clientReader, peerReader] = [new RawWebSocketReader(false), new RawWebSocketReader(true)];
      await clientReader.read(await toClient.has(4));
      await peerReader.read(await toPeer.has(8));
      assert.deepEqual([clientReader.closeCode, peerReader.closeCode], [1001, 1001]);
      assert.deepEqual([toClient.ended, toPeer.ended], [false, false]); // their answers are waited for
      client.write(fromClient(closeShape(1001)));
      peer.write(rawFrame(closeShape(1001)));
      await Promise.all([toClient.hasEnded(), toPeer.hasEnded()]);
      client.end();
      peer.end();
      await ended;
      assert.deepEqual([tunnel.client.closeCode, tunnel.peer.closeCode], [1001, 1001]); // their answers were read
      assert.deepEqual([tunnel.client.bytes, tunnel.peer.bytes], [0, 0]); // but not passed on
      assert.deepEqual([tunnel.endedBy, tunnel.endCause], ['gateway', 'worker shutdown']);
    });

    test('between the fragments of a message too', async (context) => {
      const { client, peer, tunnel } = await started(context);
      const toClient = new Inbox(client);
      const begun = rawFrame({ opcode: Opcode.text, payload: 'begun', final: false });
      peer.write(begun);
      await toClient.has(begun.length);
      tunnel.close('worker shutdown', 1012);
      const reader = new RawWebSocketReader(false);
      await reader.read(await toClient.hasEnded());
      assert.equal(reader.closeCode, 1012);
    });

    test('without a close frame where half a frame has passed, and with one on the other side', async (context) => {
      const { client, peer, tunnel } = await started(context);
      const [toClient, toPeer] = [new Inbox(client), new Inbox(peer)];
      peer.write(Buffer.from([0x81, 5, 0x61]));
      await toClient.has(3);
      tunnel.close('worker shutdown');
      assert.equal((await toClient.hasEnded()).length, 3);
      assert.equal((await toPeer.hasEnded()).length, 8);
    });

    test('without a second close frame where one has passed', async (context) => {
      const { client, peer, tunnel } = await started(context);
      const [toClient, toPeer] = [new Inbox(client), new Inbox(peer)];
      const frame = rawFrame(closeShape(4000));
      peer.write(frame);
      await toClient.has(frame.length);
      tunnel.close('worker shutdown');
      assert.deepEqual(await toClient.hasEnded(), frame);
      await toPeer.hasEnded();
      assert.equal(tunnel.endCause, 'peer close');
    });

    test('without close frames where the protocol is another or unknown', async (context) => {
      for (const followFrames of [true, false]) {
        const { client, peer, tunnel } = await started(context, { followFrames });
        const [toClient, toPeer] = [new Inbox(client), new Inbox(peer)];
        client.write('garbage');
        peer.write('garbage');
        await Promise.all([toClient.has(7), toPeer.has(7)]);
        tunnel.close('worker shutdown');
        assert.equal((await toClient.hasEnded()).toString(), 'garbage');
        assert.equal((await toPeer.hasEnded()).toString(), 'garbage');
      }
    });

    test('within the close timeout though both sides go on sending and never end', async (context) => {
      const { client, peer, tunnel, ended } = await started(context, { followFrames: false });
      const pumps = [client, peer].map((socket) => setInterval(() => socket.write('more'), 20));
      context.after(() => pumps.forEach(clearInterval));
      const begin = Date.now();
      tunnel.close('worker shutdown');
      await ended;
      assert.ok(Date.now() - begin < 2000);
      assert.equal(tunnel.client.bytes, 0);
    });

    test('and takes what a side was held back from sending, so that its connection is not reset', async (context) => {
      const { client, peer, tunnel, ended } = await started(context, { settings: { closeTimeout: 5000 } });
      const sent = Promise.race([once(peer, 'finish').then(() => 'all'), once(peer, 'close').then(() => 'not all')]);
      peer.end(FLOOD);
      await until(() => tunnel.client.isBlocked);
      tunnel.close('worker shutdown');
      assert.equal(await sent, 'all');
      drain(client);
      client.end();
      await ended;
    });

    test('at once by destroy', async (context) => {
      const { client, peer, tunnel, ended } = await started(context);
      tunnel.destroy('worker stop');
      await ended;
      await Promise.all([new Inbox(client).hasEnded(), new Inbox(peer).hasEnded()]);
      assert.deepEqual([tunnel.endedBy, tunnel.endCause], ['gateway', 'worker stop']);
    });
  });

  describe('reports its end', () => {
    test('once, whatever happens, in whatever order', async (context) => {
      const acts: ((setup: TunnelSetup) => unknown)[] = [
        ({ client }) => client.end(),
        ({ peer }) => peer.end(),
        ({ client }) => reset(client),
        ({ peer }) => reset(peer),
        ({ client }) => client.write(fromClient(closeShape(1000))),
        ({ peer }) => peer.write(rawFrame(closeShape(1000))),
        ({ tunnel }) => tunnel.close('worker shutdown'),
        ({ tunnel }) => tunnel.destroy('worker stop'),
        () => turn(),
      ];
      const setups = await Promise.all(Array.from({ length: 60 }, () => started(context)));
      await Promise.all(
        setups.map(async (setup, seed) => {
          drain(setup.client);
          drain(setup.peer);
          for (let i = 0; i < 4; i++) await acts[(seed * 7 + i * (1 + (seed % 8))) % acts.length]?.(setup);
          setup.client.destroy();
          setup.peer.destroy();
          await setup.ended;
        }),
      );
      await delay(50);
      for (const { endReports, tunnel } of setups) {
        assert.equal(endReports, 1);
        assert.notEqual(tunnel.endCause, '');
        assert.ok(tunnel.client.closed && tunnel.peer.closed && tunnel.endedAt > 0);
      }
    });

    test('once when both sides were just destroyed before it began', async (context) => {
      const setup = await TunnelSetup.open(context, { open });
      const { tunnel, ended } = setup;
      tunnel.client.channel.destroy();
      tunnel.peer.channel.destroy();
      tunnel.start(undefined, undefined);
      await ended;
      await delay(20);
      assert.equal(setup.endReports, 1);
    });

    test('also when a side was gone before it began', async (context) => {
      const setup = await TunnelSetup.open(context, { open });
      setup.tunnel.peer.channel.destroy();
      await delay(20);
      setup.tunnel.start(Buffer.from('early'), undefined);
      new Inbox(setup.client);
      setup.client.end();
      await setup.ended;
      assert.equal(setup.endReports, 1);
      assert.equal(setup.tunnel.endedBy, 'peer');
    });
  });
}

/** Looks each millisecond whether something is so: what happens inside the tunnel has no event of its own. */
async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    assert.ok(performance.now() < end, `waited in vain: ${condition}`);
    await delay(1);
  }
}

/** Sends an RST. Node loses the handle of a socket that is reset while its FIN is on its way, so there it is only closed. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** Reads and forgets. */
function drain(socket: Socket): { length: number; ended: boolean } {
  const seen = { length: 0, ended: false };
  socket.on('data', (bytes: Buffer) => {
    seen.length += bytes.length;
  });
  socket.on('end', () => {
    seen.ended = true;
  });
  return seen;
}

async function send(socket: Socket, bytes: Buffer): Promise<void> {
  if (!socket.write(bytes)) await once(socket, 'drain');
}
