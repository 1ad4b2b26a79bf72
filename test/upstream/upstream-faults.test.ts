// All that a peer can do wrong: what is said of it, in nginx's words, and that the connection is not used again.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Peer } from '../../src/upstream/peer.ts';
import { deadPort, type PeerSide, rawPeer } from './raw-peer.ts';
import { RecordingWatcher } from './recording-watcher.ts';
import { closing, OK, onRequest, SETTINGS, send, upstreamOf } from './send-request.ts';

async function faultOf(
  context: TestContext,
  behave: (side: PeerSide) => void,
  settings = SETTINGS,
): Promise<RecordingWatcher> {
  const peer = await rawPeer(context, behave);
  const upstream = upstreamOf(context, peer.name);
  const { watcher } = send(upstream, { settings });
  await watcher.untilOver();
  assert.equal(upstream.keepalive.size, 0);
  return watcher;
}

test('nobody listens: 502, in nginx’s words', async (context) => {
  const { watcher } = send(upstreamOf(context, `127.0.0.1:${await deadPort()}`));
  await watcher.untilOver();
  assert.deepEqual(watcher.calls, ['failed']);
  assert.equal(watcher.fault?.message, 'connect() failed (111: Connection refused) while connecting to upstream');
  assert.equal(watcher.fault?.status, 502);
  assert.equal(watcher.fault?.condition, 'error');
});

test('a unix socket is dialled, and a missing one is named', async (context) => {
  const path = join(tmpdir(), `sockgate-test-${process.pid}.sock`);
  const server = createServer((socket) => closing(OK)({ socket } as PeerSide)).listen(path);
  await once(server, 'listening');
  context.after(() => server.close());
  const { watcher } = send(upstreamOf(context, `unix:${path}`));
  await watcher.untilOver();
  assert.equal(watcher.body, 'ok');
  await rm(path);
  const missing = send(upstreamOf(context, `unix:${path}`));
  await missing.watcher.untilOver();
  const expected = `connect() to unix:${path} failed (2: No such file or directory) while connecting to upstream`;
  assert.equal(missing.watcher.fault?.message, expected);
});

test('a peer that never accepts: 504 after proxy_connect_timeout', async (context) => {
  const upstream = upstreamOf(context, await blackhole(context));
  const { watcher, connection } = send(upstream, { settings: { ...SETTINGS, connectTimeout: 50 } });
  await watcher.untilOver();
  assert.equal(watcher.fault?.message, 'upstream timed out (110: Connection timed out) while connecting to upstream');
  assert.equal(watcher.fault?.status, 504);
  assert.equal(watcher.fault?.condition, 'timeout');
  assert.equal(connection.requestBegun, false);
});

/** A port whose queue is full and stays so: the kernel drops what would come further. */
async function blackhole(context: TestContext): Promise<string> {
  const code = `
    const { parentPort } = require('node:worker_threads');
    const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      parentPort.postMessage(server.address().port);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const worker = new Worker(code, { eval: true });
  const [port] = (await once(worker, 'message')) as [number];
  const fillers = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  await once(fillers[0] as Socket, 'connect');
  context.after(async () => {
    for (const filler of fillers) filler.destroy();
    await worker.terminate();
  });
  return `127.0.0.1:${port}`;
}

test('a peer that says nothing: 504 after proxy_read_timeout', async (context) => {
  const watcher = await faultOf(context, () => {}, { ...SETTINGS, readTimeout: 50 });
  const expected = 'upstream timed out (110: Connection timed out) while reading response header from upstream';
  assert.equal(watcher.fault?.message, expected);
  assert.equal(watcher.fault?.status, 504);
});

test('a peer that stops in the middle of the body times out, one that goes on slowly does not', async (context) => {
  const settings = { ...SETTINGS, readTimeout: 80 };
  const stuck = await faultOf(
    context,
    (side) => side.answerEach('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab'),
    settings,
  );
  assert.equal(stuck.fault?.message, 'upstream timed out (110: Connection timed out) while reading upstream');
  assert.deepEqual(stuck.calls, ['connected', '200', 'body', 'failed']);

  const peer = await rawPeer(
    context,
    onRequest((side) => {
      side.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
      const letters = [...'abcde'];
      const ticking = setInterval(() => {
        side.socket.write(letters.shift() as string);
        if (letters.length === 0) clearInterval(ticking);
      }, 40);
    }),
  );
  const { watcher } = send(upstreamOf(context, peer.name), { settings });
  await watcher.untilOver();
  assert.equal(watcher.body, 'abcde');
});

test('a peer that does not take the request: 504 after proxy_send_timeout', async (context) => {
  const peer = await rawPeer(context, (side) => side.socket.pause());
  const upstream = upstreamOf(context, peer.name);
  const watcher = new RecordingWatcher();
  const settings = { ...SETTINGS, sendTimeout: 50 };
  const connection = upstream.acquire(upstream.peers[0] as Peer, settings, '', watcher);
  await watcher.until('connected');
  connection.send('HEAD\r\n\r\n', 'POST', 'length');
  const piece = Buffer.alloc(65_536);
  while (connection.sendBody(piece, 0, piece.length));
  await watcher.untilOver();
  assert.equal(
    watcher.fault?.message,
    'upstream timed out (110: Connection timed out) while sending request to upstream',
  );
});

test('proxy_read_timeout does not run while the body is still to come', async (context) => {
  const peer = await rawPeer(context, () => {});
  const upstream = upstreamOf(context, peer.name);
  const watcher = new RecordingWatcher();
  const settings = { ...SETTINGS, readTimeout: 40 };
  const connection = upstream.acquire(upstream.peers[0] as Peer, settings, '', watcher);
  await watcher.until('connected');
  connection.send('HEAD\r\n\r\n', 'POST', 'length');
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.deepEqual(watcher.calls, ['connected']);
  connection.endBody();
  await watcher.untilOver();
  assert.match(watcher.fault?.message ?? '', /while reading response header/);
});

const HEADER = 'while reading response header from upstream';

for (const [what, behave, message, condition] of [
  [
    'closes at once',
    (side: PeerSide) => side.socket.end(),
    `upstream prematurely closed connection ${HEADER}`,
    'error',
  ],
  [
    'closes in the middle of its head',
    closing('HTTP/1.1 200 OK\r\nContent-'),
    `upstream prematurely closed connection ${HEADER}`,
    'error',
  ],
  [
    'resets when it is asked',
    onRequest((side) => side.socket.resetAndDestroy()),
    `recv() failed (104: Connection reset by peer) ${HEADER}`,
    'error',
  ],
  ['speaks SSH', closing('SSH-2.0-OpenSSH_9.2\r\n'), /^upstream sent no valid HTTP\/1\.0 header/, 'invalid_header'],
  [
    'sends a head of 100 kB',
    onRequest((side) => side.socket.write(`HTTP/1.1 200 OK\r\nX-Long: ${'a'.repeat(100_000)}\r\n\r\n`)),
    `upstream sent too big header ${HEADER}`,
    'invalid_header',
  ],
  [
    'sends 100 kB of short fields',
    onRequest((side) => side.socket.write(`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(17_000)}\r\n`)),
    `upstream sent too big header ${HEADER}`,
    'invalid_header',
  ],
  [
    'sends a NUL in a field',
    onRequest((side) => side.socket.write('HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n')),
    /^upstream sent invalid header: "A.* while reading response header from upstream$/,
    'invalid_header',
  ],
  [
    'sends both Content-Length and Transfer-Encoding',
    closing('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'),
    /^upstream sent "Content-Length" and "Transfer-Encoding" headers at the same time/,
    'invalid_header',
  ],
  [
    'sends two lengths',
    closing('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!'),
    /^upstream sent duplicate header line/,
    'invalid_header',
  ],
] as const) {
  test(`a peer that ${what}: 502, and it says why`, async (context) => {
    const { fault, calls } = await faultOf(context, behave);
    if (typeof message === 'string') assert.equal(fault?.message, message);
    else assert.match(fault?.message ?? '', message);
    assert.deepEqual([fault?.status, fault?.condition, fault?.stale], [502, condition, false]);
    assert.deepEqual(calls, ['connected', 'failed'], 'nothing of it was told');
  });
}

for (const [what, behave, message] of [
  [
    'ends before its length',
    closing('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'),
    'upstream prematurely closed connection while reading upstream',
  ],
  [
    'ends between two chunks',
    closing('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'),
    'upstream prematurely closed connection while reading upstream',
  ],
  [
    'breaks its chunks',
    onRequest((side) => side.socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n')),
    'upstream sent invalid chunked response while reading upstream',
  ],
] as const) {
  test(`a peer that ${what} is told after what it sent, so that the client can be cut off`, async (context) => {
    const { fault, calls, body } = await faultOf(context, behave);
    assert.deepEqual(calls, ['connected', '200', 'body', 'failed']);
    assert.equal(body, 'abc');
    assert.equal(fault?.message, message);
  });
}

for (const [what, head] of [
  ['of a known length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n'],
  ['that ends with its connection', 'HTTP/1.1 200 OK\r\n\r\n'],
] as const) {
  test(`an answer ${what} that is reset is a fault, not an end`, async (context) => {
    const peer = await rawPeer(context, (side) => side.answerEach(`${head}abc`));
    const { watcher } = send(upstreamOf(context, peer.name));
    await watcher.until('body');
    peer.last.socket.resetAndDestroy();
    await watcher.untilOver();
    assert.deepEqual(watcher.calls, ['connected', '200', 'body', 'failed']);
    assert.equal(watcher.fault?.message, 'recv() failed (104: Connection reset by peer) while reading upstream');
  });
}

test('a faulty connection is closed, whatever the peer does', async (context) => {
  const peer = await rawPeer(context, (side) => side.answerEach('nonsense\r\n\r\n'));
  await send(upstreamOf(context, peer.name)).watcher.untilOver();
  await peer.last.until(() => peer.last.closed);
});
