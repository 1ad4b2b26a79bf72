// Frames that break servers which gather messages: here they pass as they come, and memory stays flat.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { until } from '../support/until.ts';
import { frameHead } from './live-tunnel.ts';
import { PASS_UPGRADE, ProbedGateway } from './probed-gateway.ts';
import { scriptedPeer } from './scripted-peer.ts';

/** Channels over streams read into a new buffer each time, which is garbage for a while. */
const FLAT = (process.env['SOCKGATE_CHANNEL'] === 'stream' ? 160 : 24) * 1024 * 1024;
const MASK = 0x80;
const NO_MASK = Buffer.alloc(4);
const [CONTINUATION, BINARY, PING] = [0x00, 0x82, 0x89];

/** A gateway before a peer that counts and hashes what it gets, and may answer. */
async function start(t: TestContext) {
  const hash = createHash('sha1');
  const heard = { bytes: 0, digest: () => hash.copy().digest('hex') };
  const peer = await scriptedPeer(t, (connection) =>
    connection.onUpgrade(() => {
      connection.socket.once('end', () => connection.socket.end());
      connection.onData = (bytes) => {
        heard.bytes += bytes.length;
        hash.update(bytes);
      };
    }),
  );
  const gateway = await ProbedGateway.start(t, {
    server: `location /ws { proxy_pass http://${peer.address}; ${PASS_UPGRADE} }`,
  });
  return { peer, gateway, heard };
}

/** Sends pieces through a tunnel, and holds that they arrive as they are while memory stays flat. */
async function passes(t: TestContext, pieces: Iterable<Buffer>): Promise<void> {
  const { gateway, heard } = await start(t);
  const client = await (await gateway.client()).upgrade('/ws');
  const sent = createHash('sha1');
  const before = gateway.memory;
  let [bytes, most] = [0, before];
  for (const piece of pieces) {
    sent.update(piece);
    bytes += piece.length;
    await client.sent(piece);
    most = Math.max(most, gateway.memory);
  }
  await until('all bytes to arrive', () => heard.bytes === bytes, 100_000);
  assert.equal(heard.digest(), sent.digest('hex'));
  t.diagnostic(`${bytes} bytes, memory grew by ${((most - before) / 1e6).toFixed(1)} MB`);
  assert.ok(most - before < FLAT, `memory grew by ${most - before} bytes`);
  assert.equal(client.ended, false);
  client.socket.destroy();
  await gateway.alive();
}

function frame(first: number, payload: string): Buffer {
  return Buffer.concat([frameHead(payload.length, MASK, first), NO_MASK, Buffer.from(payload)]);
}

/** Many times the same in pieces of some size. */
function* repeated(bytes: Buffer, times: number, atOnce: number): Generator<Buffer> {
  const piece = Buffer.concat(Array.from({ length: atOnce }, () => bytes));
  for (let sent = 0; sent < times; sent += atOnce)
    yield piece.subarray(0, Math.min(atOnce, times - sent) * bytes.length);
}

test('a message of 131 000 fragments of one byte passes, and memory stays flat', (t) =>
  passes(
    t,
    (function* () {
      yield frame(0x02, 'x');
      yield* repeated(frame(CONTINUATION, 'x'), 131_000, 1000);
      yield frame(0x80, 'x');
    })(),
  ));

test('a frame of 1 GB passes, and memory stays flat', (t) =>
  passes(
    t,
    (function* () {
      yield Buffer.concat([frameHead(2 ** 30, MASK, BINARY), NO_MASK]);
      yield* repeated(Buffer.alloc(2 ** 20, 'x'), 1024, 1);
      yield frame(PING, 'behind it');
    })(),
  ));

test('a flood of 200 000 pings passes, and memory stays flat', (t) =>
  passes(t, repeated(frame(PING, ''), 200_000, 5000)));

test('a frame whose length is no length a stream could have passes as far as it goes', (t) =>
  passes(t, [Buffer.concat([Buffer.from('82ffffffffffffffffff', 'hex'), NO_MASK]), Buffer.alloc(100_000, 'x')]));

test('a client’s frame that is not masked passes to the peer, who is the one to refuse it', (t) =>
  passes(t, [Buffer.from('820568656c6c6f', 'hex'), frame(BINARY, 'and one that is')]));

test('what is no frame at all passes as it is', (t) =>
  passes(t, repeated(Buffer.from('no frames here, \0\r\n'), 50_000, 1000)));
