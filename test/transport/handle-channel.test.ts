// The fast channel: what every channel does, and what only this one must take care of.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { HandleChannel } from '../../src/transport/handle-channel.ts';
import { handleOf, type NodeHandle, streamWrap } from '../../src/transport/node-handles.ts';
import { handlesCarryBytes } from '../../src/transport/self-test.ts';
import { takeHandle } from '../../src/transport/take-handle.ts';
import { everyChannel } from '../suites/every-channel.ts';
import { heldMemory } from '../support/held-memory.ts';
import { Recorder } from '../support/recorder.ts';
import { socketPair, type Transport } from '../support/socket-pair.ts';

function open(socket: unknown): HandleChannel {
  const taken = takeHandle(socket);
  assert.ok(taken !== undefined, 'the handle was not taken');
  return new HandleChannel(taken);
}

everyChannel('handle channel', open);

test('the self-test passes on this runtime', async () => {
  assert.equal(await handlesCarryBytes(), true);
});

/** Overwrites what a handle was given to write as soon as it says that it is done with it, and counts the writes. */
function spoilWrites(handle: NodeHandle): { count: number; mostAtOnce: number } {
  const seen = { count: 0, mostAtOnce: 0 };
  let pending = 0;
  const { writeBuffer } = handle;
  handle.writeBuffer = function spoiling(request, bytes) {
    const { oncomplete } = request;
    request.oncomplete = function completed(status) {
      pending--;
      request.oncomplete = oncomplete;
      oncomplete?.call(request, status);
    };
    pending++;
    seen.count++;
    seen.mostAtOnce = Math.max(seen.mostAtOnce, pending);
    const error = writeBuffer.call(handle, request, bytes);
    const late = streamWrap?.streamBaseState[streamWrap.kLastWriteWasAsync] !== 0;
    if (!late) {
      pending--;
      request.oncomplete = oncomplete;
    }
    // A plain handle that did not take everything needs the rest; a TLS handle has encrypted all of it by now.
    if (!late || handle._parent !== undefined) bytes.fill(0x2a);
    return error;
  };
  return seen;
}

for (const transport of ['TCP', 'TLSv1.2', 'TLSv1.3'] as const) {
  test(`${transport}: a handle keeps nothing of what it took: 10 000 messages from memory overwritten at once`, async (t) => {
    const { client, accepted } = await socketPair(t, transport);
    const handle = handleOf(client);
    assert.ok(handle !== undefined);
    const seen = spoilWrites(handle);
    const near = new Recorder(open(client));
    const far = new Recorder(open(accepted));
    t.after(() => near.channel.destroy());
    t.after(() => far.channel.destroy());
    far.onData = ({ channel }, bytes, start, end) => {
      channel.write(bytes, start, end);
    };
    far.channel.resume();
    near.channel.resume();
    let sent = 0;
    let expected = 0;
    while (sent < 10_000) {
      // Lone ones, and bursts that have to be gathered.
      for (let burst = sent % 7; burst >= 0 && sent < 10_000; burst--) {
        const text = `message ${sent++};`;
        expected += text.length;
        near.write(text);
      }
      await near.untilBytes(expected);
    }
    const messages = near.text.split(';').slice(0, -1);
    assert.equal(messages.length, 10_000);
    for (const [index, message] of messages.entries()) assert.equal(message, `message ${index}`);
    assert.ok(seen.count > 1000);
  });
}

for (const transport of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${transport}: there is never a second write before the first is complete`, async (t) => {
    const { client, accepted } = await socketPair(t, transport);
    const handle = handleOf(client);
    assert.ok(handle !== undefined);
    const seen = spoilWrites(handle);
    const near = new Recorder(open(client));
    const far = new Recorder(open(accepted));
    t.after(() => near.channel.destroy());
    t.after(() => far.channel.destroy());
    far.channel.resume();
    let expected = '';
    for (let index = 0; index < 5000; index++) {
      near.write(`${index},`);
      expected += `${index},`;
      if (index % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await far.untilBytes(expected.length);
    assert.equal(far.text, expected);
    assert.equal(seen.mostAtOnce, 1);
    assert.ok(seen.count < 200, `${seen.count} writes: what waits was not gathered`);
  });
}

test('a plain socket is an empty shell afterwards: destroying it does nothing', async (t) => {
  const { client, accepted } = await socketPair(t, 'TCP');
  const near = new Recorder(open(client));
  const far = new Recorder(open(accepted));
  t.after(() => near.channel.destroy());
  client.destroy();
  accepted.destroy();
  far.channel.resume();
  near.write('still here');
  await far.untilBytes(10);
  assert.equal(far.text, 'still here');
});

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
}

test('what Node had read before the channel took over is not lost, and comes first', async (t) => {
  const server = createServer();
  const port = await listen(t, server);
  const client = connect(port, '127.0.0.1');
  client.write('read by Node, ');
  const [socket] = (await once(server, 'connection')) as [Socket];
  await once(socket, 'readable');
  const far = new Recorder(open(socket));
  t.after(() => far.channel.destroy());
  client.write('read by us');
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(far.calls, []);
  far.channel.resume();
  await far.untilBytes(24);
  assert.equal(far.text, 'read by Node, read by us');
  client.destroy();
});

test('what was unread is given to whom detach hands the socket', async (t) => {
  const server = createServer();
  const port = await listen(t, server);
  const client = connect(port, '127.0.0.1');
  client.on('error', () => {});
  client.write('second');
  const [socket] = (await once(server, 'connection')) as [Socket];
  await once(socket, 'readable');
  const raw = open(socket).detach(Buffer.from('first '));
  t.after(() => {
    raw.destroy();
    client.destroy();
  });
  // Node 26 gives one piece at a time.
  let text = '';
  for (let piece = raw.read(); piece !== null; piece = raw.read()) text += String(piece);
  assert.equal(text, 'first second');
});

test('a socket taken from inside its connect event loses nothing', async (t) => {
  const server = createServer((socket) => socket.end('greeting'));
  const port = await listen(t, server);
  const near = await new Promise<Recorder>((resolve) => {
    const client = connect(port, '127.0.0.1', () => resolve(new Recorder(open(client))));
  });
  near.channel.resume();
  await near.until(() => near.ended);
  assert.equal(near.text, 'greeting');
  near.channel.end();
  await near.untilClosed();
});

test('sockets that are not ready to be taken are refused: new, connecting, ended, closed, with something unsent', async (t) => {
  assert.equal(takeHandle(new Socket()), undefined);
  assert.equal(takeHandle({}), undefined);
  const server = createServer((socket) => socket.end('bye'));
  const port = await listen(t, server);
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  assert.equal(takeHandle(client), undefined);
  await once(client, 'connect');
  client.resume();
  await once(client, 'end');
  assert.equal(takeHandle(client), undefined);
  client.destroy();
  assert.equal(takeHandle(client), undefined);

  const { client: writing, accepted } = await socketPair(t, 'TCP');
  writing.write(Buffer.alloc(8 * 1024 * 1024));
  assert.equal(takeHandle(writing), undefined);
  writing.destroy();
  accepted.destroy();
});

test('a timeout that was set on the socket does not strike the channel', async (t) => {
  const { client, accepted } = await socketPair(t, 'TLSv1.3');
  accepted.setTimeout(10, () => accepted.destroy());
  const near = new Recorder(open(client));
  const far = new Recorder(open(accepted));
  t.after(() => near.channel.destroy());
  t.after(() => far.channel.destroy());
  far.channel.resume();
  await new Promise((resolve) => setTimeout(resolve, 40));
  near.write('alive');
  await far.untilBytes(5);
});

const LARGE = Buffer.alloc(8 * 1024 * 1024);

/** Closes a connection while 8 MB wait to be written on it. */
async function closeWhileWriting(t: TestContext, transport: Transport): Promise<void> {
  const { client, accepted } = await socketPair(t, transport);
  const near = new Recorder(open(client));
  const far = new Recorder(open(accepted));
  far.channel.resume();
  near.channel.write(LARGE, 0, LARGE.length);
  near.channel.destroy();
  await near.untilClosed();
  far.channel.destroy();
  await far.untilClosed();
}

test('connections closed in the middle of a write leave no memory behind', async (t) => {
  for (let round = 0; round < 5; round++) await closeWhileWriting(t, 'TCP');
  const before = await heldMemory();
  for (let round = 0; round < 20; round++) await closeWhileWriting(t, 'TCP');
  for (let round = 0; round < 5; round++) await closeWhileWriting(t, 'TLSv1.3');
  const grown = (await heldMemory()) - before;
  // Each of them had 8 MB waiting in slabs.
  assert.ok(grown < 50 * 1024 * 1024, `${grown} bytes more`);
});
