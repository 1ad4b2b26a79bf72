// The channel over streams: what every channel does, and what only streams can do to it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Duplex, duplexPair } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { TLS_PENDING_LIMIT } from '../../src/transport/channel.ts';
import { StreamChannel } from '../../src/transport/stream-channel.ts';
import { everyChannel } from '../suites/every-channel.ts';
import { Recorder } from '../support/recorder.ts';

everyChannel('stream channel', (socket) => new StreamChannel(socket), { neverResetsTls: true });

test('any Duplex will do: bytes, ends and closes pass', async () => {
  const [one, other] = duplexPair();
  const near = new Recorder(new StreamChannel(one));
  const far = new Recorder(new StreamChannel(other));
  near.channel.resume();
  far.channel.resume();
  near.write('question');
  near.channel.end();
  await far.until(() => far.ended);
  assert.equal(far.text, 'question');
  far.write('answer');
  far.channel.end();
  await Promise.all([near.untilClosed(), far.untilClosed()]);
  assert.equal(near.text, 'answer');
  assert.equal(near.error, undefined);
  assert.equal(near.channel.remoteAddress, '');
  assert.equal(near.channel.tls, undefined);
  assert.throws(() => near.channel.detach(Buffer.alloc(0)), /can be detached/);
});

test('a stream that takes nothing stops the writer at the limit, and drains when it goes on', async () => {
  const held: (() => void)[] = [];
  const stream = new Duplex({
    read() {},
    write(_bytes, _encoding, done) {
      held.push(done);
    },
  });
  const recorder = new Recorder(new StreamChannel(stream));
  const bytes = Buffer.alloc(16 * 1024);
  let written = 0;
  while (recorder.channel.write(bytes, 0, bytes.length)) written += bytes.length;
  assert.equal(written, TLS_PENDING_LIMIT);
  assert.equal(recorder.channel.pendingBytes, TLS_PENDING_LIMIT + bytes.length);
  assert.equal(recorder.drains, 0);
  const release = setInterval(() => held.shift()?.(), 1);
  await recorder.until(() => recorder.drains === 1);
  clearInterval(release);
  assert.equal(recorder.channel.pendingBytes, 0);
  recorder.channel.destroy();
  await recorder.untilClosed();
});

test('the error of a stream ends its channel', async () => {
  const stream = new Duplex({ read() {}, write() {} });
  const recorder = new Recorder(new StreamChannel(stream));
  const error = new Error('broken');
  stream.destroy(error);
  await recorder.untilClosed();
  assert.equal(recorder.error, error);
});

test('a stream that closes without having ended was cut off: ECONNRESET', async () => {
  const stream = new Duplex({ read() {}, write() {} });
  const recorder = new Recorder(new StreamChannel(stream));
  stream.destroy();
  await recorder.untilClosed();
  assert.equal((recorder.error as NodeJS.ErrnoException).code, 'ECONNRESET');
});

test('a stream that is closed already closes its channel', async () => {
  const stream = new Duplex({ read() {}, write() {} });
  stream.on('error', () => {});
  stream.destroy(new Error('before'));
  await new Promise((resolve) => stream.on('close', resolve));
  const recorder = new Recorder(new StreamChannel(stream));
  assert.equal(recorder.closed, false);
  await recorder.untilClosed();
  assert.equal(recorder.error?.message, 'before');
});

test('a stream that has ended already says so after resume', async () => {
  const [one, other] = duplexPair();
  one.end();
  other.resume();
  await once(other, 'end');
  const recorder = new Recorder(new StreamChannel(other));
  assert.equal(recorder.ended, false);
  recorder.channel.resume();
  await recorder.until(() => recorder.ended);
  recorder.channel.destroy();
});

/** An HTTP/2 request and the stream that the server got of it. */
async function http2Pair(t: TestContext) {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.after(() => {
    session.destroy();
    server.close();
  });
  const request = session.request({ ':method': 'POST' });
  const [stream] = (await once(server, 'stream')) as [ServerHttp2Stream];
  stream.respond();
  await once(request, 'response');
  return { near: new Recorder(new StreamChannel(request)), far: new Recorder(new StreamChannel(stream)) };
}

test('an HTTP/2 stream carries bytes both ways, has addresses, and ends by halves', async (t) => {
  const { near, far } = await http2Pair(t);
  near.channel.resume();
  far.channel.resume();
  assert.equal(far.channel.remoteAddress, '127.0.0.1');
  assert.equal(far.channel.remotePort, near.channel.localPort);
  near.write('question');
  near.channel.end();
  await far.until(() => far.ended);
  assert.equal(far.text, 'question');
  const bytes = Buffer.alloc(300_000, 'answer');
  if (!far.channel.write(bytes, 0, bytes.length)) await far.until(() => far.drains === 1);
  far.channel.end();
  await near.untilBytes(bytes.length);
  assert.ok(near.received.equals(bytes));
  await Promise.all([near.untilClosed(), far.untilClosed()]);
  assert.equal(near.error, undefined);
});

test('an HTTP/2 stream that is reset tells the other side', async (t) => {
  const { near, far } = await http2Pair(t);
  near.channel.resume();
  far.channel.resume();
  near.channel.reset();
  await Promise.all([near.untilClosed(), far.untilClosed()]);
  assert.ok(far.error instanceof Error);
  assert.equal(near.error, undefined);
});

test('an HTTP/2 stream that is destroyed tells the other side', async (t) => {
  const { near, far } = await http2Pair(t);
  near.channel.resume();
  far.channel.resume();
  far.channel.destroy();
  await Promise.all([near.untilClosed(), far.untilClosed()]);
  assert.equal(near.calls.at(-1), 'close');
});
