// Connections that serve more than one request: when they are kept, and when not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rawPeer } from './raw-peer.ts';
import { OK, SETTINGS, type Sent, send, upstreamOf } from './send-request.ts';

test('a connection is used again and again, and is ready at once', async (context) => {
  const peer = await rawPeer(context, (side) => side.answerEach(OK));
  const upstream = upstreamOf(context, peer.name);
  for (let i = 0; i < 5; i++) {
    const { watcher, connection } = send(upstream);
    assert.equal(connection.isReused, i > 0);
    await watcher.untilOver();
    assert.equal(watcher.body, 'ok');
    assert.equal(connection.bytesReceived, OK.length);
  }
  assert.equal(peer.sides.length, 1);
  assert.equal(upstream.keepalive.size, 1);
});

test('the next request may be sent from inside the end of the last one', async (context) => {
  const peer = await rawPeer(context, (side) => side.answerEach(OK));
  const upstream = upstreamOf(context, peer.name);
  const first = send(upstream);
  const second = await new Promise<Sent>((resolve) => {
    first.watcher.onEnd = () => resolve(send(upstream));
  });
  await second.watcher.untilOver();
  assert.equal(second.watcher.body, 'ok');
  assert.equal(peer.sides.length, 1);
});

for (const [why, answer] of [
  ['says close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'],
  ['sends more than its length', `${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged`],
  ['sends more than its chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nmore'],
  ['sends a body after 304', 'HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged'],
] as const) {
  test(`a peer that ${why} is not asked again over that connection`, async (context) => {
    const peer = await rawPeer(context, (side) => side.answerEach(answer));
    const upstream = upstreamOf(context, peer.name);
    const { watcher } = send(upstream);
    await watcher.untilOver();
    assert.equal(watcher.calls.at(-1), 'end');
    assert.ok(watcher.body === 'ok' || watcher.body === '');
    assert.equal(upstream.keepalive.size, 0);
    await peer.last.until(() => peer.last.closed);
  });
}

test('data that nobody asked for ends an idle connection', async (context) => {
  const peer = await rawPeer(context, (side) => side.answerEach(OK));
  const upstream = upstreamOf(context, peer.name);
  await send(upstream).watcher.untilOver();
  peer.last.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged');
  await peer.last.until(() => peer.last.closed);
  assert.equal(upstream.keepalive.size, 0);
  const { watcher } = send(upstream);
  await watcher.untilOver();
  assert.equal(watcher.body, 'ok');
});

test('an idle connection that the peer closes leaves the pool', async (context) => {
  const peer = await rawPeer(context, (side) => side.answerEach(OK));
  const upstream = upstreamOf(context, peer.name);
  await send(upstream).watcher.untilOver();
  peer.last.socket.end();
  await peer.last.until(() => peer.last.closed);
  assert.equal(upstream.keepalive.size, 0);
});

test('keepalive_requests, keepalive_timeout and keepalive_time end the stay', async (context) => {
  const peer = await rawPeer(context, (side) => side.answerEach(OK));
  const twice = upstreamOf(context, peer.name, { requests: 2 });
  for (let i = 0; i < 3; i++) await send(twice).watcher.untilOver();
  assert.equal(peer.sides.length, 2);

  const brief = upstreamOf(context, peer.name, { timeout: 30 });
  await send(brief).watcher.untilOver();
  await peer.last.until(() => peer.last.closed);
  assert.equal(brief.keepalive.size, 0);

  const short = upstreamOf(context, peer.name, { time: 0 });
  await send(short).watcher.untilOver();
  assert.equal(short.keepalive.size, 0);
});

test('when the pool is full the connection idle longest goes', async (context) => {
  const peer = await rawPeer(context, (side) => side.answerEach(OK));
  const upstream = upstreamOf(context, peer.name, { connections: 2 });
  const all = [send(upstream), send(upstream), send(upstream)];
  for (const { watcher } of all) await watcher.untilOver();
  assert.equal(upstream.keepalive.size, 2);
  await Promise.race(peer.sides.map((side) => side.until(() => side.closed)));
  assert.equal(peer.sides.filter((side) => side.closed).length, 1);
});

test('a connection serves the location that opened it, or all of them where keepalive is written', async (context) => {
  const peer = await rawPeer(context, (side) => side.answerEach(OK));
  const other = { ...SETTINGS, headSize: 8192 };
  const local = upstreamOf(context, peer.name);
  await send(local).watcher.untilOver();
  await send(local, { settings: other }).watcher.untilOver();
  assert.equal(peer.sides.length, 2);
  const common = upstreamOf(context, peer.name, { local: false });
  await send(common).watcher.untilOver();
  await send(common, { settings: other }).watcher.untilOver();
  assert.equal(peer.sides.length, 3);
});

test('an upstream that has retired keeps nothing', async (context) => {
  const peer = await rawPeer(context, (side) => side.answerEach(OK));
  const upstream = upstreamOf(context, peer.name);
  await send(upstream).watcher.untilOver();
  const late = send(upstream, { settings: { ...SETTINGS } });
  await late.watcher.until('connected');
  upstream.retire();
  assert.equal(upstream.keepalive.size, 0);
  await late.watcher.untilOver();
  assert.equal(late.watcher.body, 'ok');
  assert.equal(upstream.keepalive.size, 0);
});

test('a kept connection that dies before a byte of the answer is stale, a new one is not', async (context) => {
  let requests = 0;
  const peer = await rawPeer(context, (side) => {
    side.socket.on('data', () => {
      if (++requests === 1) side.socket.write(OK);
      else side.socket.destroy();
    });
  });
  const upstream = upstreamOf(context, peer.name);
  await send(upstream).watcher.untilOver();
  const reused = send(upstream);
  await reused.watcher.untilOver();
  assert.deepEqual([reused.watcher.fault?.condition, reused.watcher.fault?.stale], ['error', true]);
  const fresh = send(upstream);
  await fresh.watcher.untilOver();
  assert.deepEqual([fresh.watcher.fault?.condition, fresh.watcher.fault?.stale], ['error', false]);
});
