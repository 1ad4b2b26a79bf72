// One connection to a peer: what goes out, what comes back, and how it is slowed and given away.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Peer } from '../../src/upstream/peer.ts';
import { INFORMATIONAL_LIMIT } from '../../src/upstream/upstream-connection.ts';
import { type RawPeer, rawPeer } from './raw-peer.ts';
import { RecordingWatcher } from './recording-watcher.ts';
import { answered, answeredAndClosed, GET, OK, SETTINGS, send, upstreamOf } from './send-request.ts';

// Answers.

test('a request goes out as it is and the answer comes back in order', async (context) => {
  const { watcher, peer, connection } = await answered(context, OK);
  assert.deepEqual(watcher.calls, ['connected', '200', 'body', 'end']);
  assert.equal(watcher.body, 'ok');
  assert.equal(peer.last.received, GET);
  assert.equal(connection.bytesSent, GET.length);
  assert.equal(connection.bytesReceived, OK.length);
});

test('an answer that comes byte by byte is the same answer', async (context) => {
  const answer =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n';
  const peer = await rawPeer(context, (side) => {
    side.socket.setNoDelay(true);
    side.socket.once('data', async () => {
      for (const byte of answer) {
        side.socket.write(byte, 'latin1');
        await new Promise(setImmediate);
      }
    });
  });
  const { watcher } = send(upstreamOf(context, peer.name));
  await watcher.untilOver();
  assert.equal(watcher.body, 'abcde');
  assert.equal(watcher.trailers?.get('x-sum'), '5');
});

for (const [what, method, answer] of [
  ['the answer to HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n'],
  ['a 204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
  ['a 304', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n'],
  ['an answer of length 0', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
] as const) {
  test(`${what} has no body, and its connection serves the next request`, async (context) => {
    const { watcher, peer } = await answered(context, answer, { method });
    assert.deepEqual(watcher.calls.slice(2), ['end']);
    assert.equal(peer.sides.length, 1);
  });
}

test('an answer without a length ends with its connection', async (context) => {
  const { watcher } = await answeredAndClosed(context, 'HTTP/1.1 200 OK\r\n\r\nuntil the end');
  assert.deepEqual(watcher.calls.slice(1), ['200', 'body', 'end']);
  assert.equal(watcher.body, 'until the end');
});

test('an answer of HTTP/1.0 is understood, and its connection is not kept', async (context) => {
  const peer = await rawPeer(context, (side) => {
    side.answerEach('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok');
  });
  const upstream = upstreamOf(context, peer.name);
  const { watcher } = send(upstream);
  await watcher.untilOver();
  assert.equal(watcher.body, 'ok');
  assert.equal(upstream.keepalive.size, 0);
});

test('interim answers are told one by one before the answer', async (context) => {
  const early = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n';
  const { watcher } = await answered(context, early + OK);
  assert.deepEqual(watcher.calls, ['connected', '100', '103', '200', 'body', 'end']);
});

test(`a flood of interim answers ends after ${INFORMATIONAL_LIMIT}`, async (context) => {
  const { watcher } = await answered(context, 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(10_000) + OK);
  assert.equal(watcher.calls.filter((call) => call === '103').length, INFORMATIONAL_LIMIT);
  assert.equal(watcher.fault?.condition, 'invalid_header');
});

// Request bodies.

test('a body of known length and one in chunks arrive as framed', async (context) => {
  const peer = await rawPeer(context, () => {});
  const upstream = upstreamOf(context, peer.name);
  for (const [framing, expected] of [
    ['length', 'HEAD\r\n\r\nabcde'],
    ['chunked', 'HEAD\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'],
  ] as const) {
    const watcher = new RecordingWatcher();
    const connection = upstream.acquire(upstream.peers[0] as Peer, SETTINGS, '', watcher);
    if (!connection.ready) await watcher.until('connected');
    connection.cork();
    connection.send('HEAD\r\n\r\n', 'POST', framing);
    assert.equal(connection.sendBody(Buffer.from('abc'), 0, 3), true);
    connection.uncork();
    assert.equal(connection.sendBody(Buffer.from('xdex'), 1, 3), true);
    connection.endBody();
    await untilReceived(peer, expected);
    assert.equal(peer.last.received, expected);
    peer.last.received = '';
    peer.last.socket.write(OK);
    await watcher.untilOver();
    assert.equal(watcher.body, 'ok');
  }
  assert.equal(peer.sides.length, 1);
});

async function untilReceived(peer: RawPeer, text: string): Promise<void> {
  while (peer.sides.length === 0) await new Promise(setImmediate);
  await peer.last.until(() => peer.last.received.length >= text.length);
}

test('a peer that does not read slows the sender, and drains when it reads', async (context) => {
  const peer = await rawPeer(context, (side) => side.socket.pause());
  const upstream = upstreamOf(context, peer.name);
  const watcher = new RecordingWatcher();
  const connection = upstream.acquire(upstream.peers[0] as Peer, SETTINGS, '', watcher);
  await watcher.until('connected');
  connection.send('HEAD\r\n\r\n', 'POST', 'length');
  const piece = Buffer.alloc(65_536, 97);
  let sent = 0;
  while (connection.sendBody(piece, 0, piece.length)) sent += piece.length;
  assert.ok(sent < 64 * 1024 * 1024);
  assert.equal(watcher.drains, 0);
  peer.last.socket.resume();
  await watcher.untilMet(() => watcher.drains > 0);
  connection.close();
});

test('an early answer is passed on, the rest of the body is not sent, and the connection is not kept', async (context) => {
  const answer = 'HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!';
  const peer = await rawPeer(context, (side) => {
    side.socket.once('data', () => side.socket.write(answer));
  });
  const upstream = upstreamOf(context, peer.name);
  const watcher = new RecordingWatcher();
  const connection = upstream.acquire(upstream.peers[0] as Peer, SETTINGS, '', watcher);
  await watcher.until('connected');
  connection.send('HEAD\r\n\r\n', 'POST', 'chunked');
  connection.sendBody(Buffer.from('abc'), 0, 3);
  await watcher.untilOver();
  assert.deepEqual(watcher.calls, ['connected', '413', 'body', 'end']);
  assert.equal(connection.sendBody(Buffer.from('def'), 0, 3), true);
  connection.endBody();
  await peer.last.until(() => peer.last.closed);
  assert.equal(peer.last.received, 'HEAD\r\n\r\n3\r\nabc\r\n');
  assert.equal(upstream.keepalive.size, 0);
});

// Backpressure of the answer.

test('a paused answer stops the peer, and all of it comes after resume', async (context) => {
  const size = 20 * 1024 * 1024;
  const peer = await rawPeer(context, (side) => {
    side.socket.once('data', () => {
      side.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      side.socket.write(Buffer.alloc(size, 97));
    });
  });
  const { watcher, connection } = send(upstreamOf(context, peer.name), {
    settings: { ...SETTINGS, readTimeout: 1000 },
  });
  watcher.onHead = () => connection.pause();
  await watcher.until('200');
  await new Promise((resolve) => setTimeout(resolve, 1200));
  assert.ok(watcher.bodyLength <= 65_536, `${watcher.bodyLength} came in spite of the pause`);
  assert.equal(watcher.fault, undefined, 'proxy_read_timeout stands still');
  connection.resume();
  await watcher.untilOver();
  assert.equal(watcher.bodyLength, size);
});

test('a watcher that closes in the middle hears no more, and the peer is hung up on', async (context) => {
  const peer = await rawPeer(context, (side) =>
    side.answerEach('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n'),
  );
  const { watcher, connection } = send(upstreamOf(context, peer.name));
  watcher.onBody = () => connection.close();
  await watcher.until('body');
  await peer.last.until(() => peer.last.closed);
  assert.deepEqual(watcher.calls, ['connected', '200', 'body']);
  assert.equal(watcher.body, 'a');
});

test('closing while it connects tells nobody and leaves no connection', async (context) => {
  const peer = await rawPeer(context, () => {});
  const upstream = upstreamOf(context, peer.name);
  const watcher = new RecordingWatcher();
  upstream.acquire(upstream.peers[0] as Peer, SETTINGS, '', watcher).close();
  const { watcher: other } = send(upstream);
  await other.until('connected');
  assert.deepEqual(watcher.calls, []);
  other.fault = undefined;
});

// Upgrades.

test('after a 101 the channel and the bytes behind the head are the watcher’s', async (context) => {
  const peer = await rawPeer(context, (side) => {
    side.socket.once('data', () =>
      side.socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nfirst'),
    );
  });
  const { watcher, connection } = send(upstreamOf(context, peer.name), { settings: { ...SETTINGS, readTimeout: 50 } });
  let text = '';
  watcher.onHead = () => {
    const { channel, rest } = connection.detachForTunnel();
    text += rest.toString();
    channel.owner = {
      channelData: (bytes, start, end) => {
        text += bytes.toString('latin1', start, end);
        if (text.endsWith('third')) channel.destroy();
      },
      channelEnd() {},
      channelDrain() {},
      channelClose() {},
    };
    channel.resume();
    channel.writeLatin1('second');
  };
  await watcher.until('101');
  await peer.last.until(() => peer.last.received.endsWith('second'));
  await new Promise((resolve) => setTimeout(resolve, 120));
  peer.last.socket.write('third');
  await peer.last.until(() => peer.last.closed);
  assert.equal(text, 'firstthird');
  assert.deepEqual(watcher.calls, ['connected', '101'], 'no timeout of ours touches a tunnel');
});

test('a 101 that nobody takes is closed', async (context) => {
  const { watcher } = send(
    upstreamOf(
      context,
      (await rawPeer(context, (side) => side.answerEach('HTTP/1.1 101 Switching Protocols\r\n\r\n'))).name,
    ),
  );
  await watcher.until('101');
  assert.deepEqual(watcher.calls, ['connected', '101']);
});
