// The choice of the kind of channel: by self-test, by hand, by socket; in threads too.

import '../support/use-handle-channels.ts';
import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { channelKind, openChannel, selfTestHandles } from '../../src/transport/choose.ts';
import { HandleChannel } from '../../src/transport/handle-channel.ts';
import { StreamChannel } from '../../src/transport/stream-channel.ts';
import { socketPair } from '../support/socket-pair.ts';

test('sockets get handle channels where the self-test passes', async (t) => {
  assert.equal(await selfTestHandles(), true);
  assert.equal(channelKind(), 'handle');
  const { client, accepted } = await socketPair(t, 'TCP');
  const channels = [openChannel(client), openChannel(accepted)];
  for (const channel of channels) {
    assert.ok(channel instanceof HandleChannel);
    channel.destroy();
  }
});

test('what is no socket, or cannot be taken, gets a stream channel', async (t) => {
  const [one] = duplexPair();
  assert.ok(openChannel(one) instanceof StreamChannel);
  const { client, accepted } = await socketPair(t, 'TCP');
  client.destroy();
  assert.ok(openChannel(client) instanceof StreamChannel);
  accepted.destroy();
});

const source = new URL('../../src/transport/choose.ts', import.meta.url).href;

/** What a thread with this environment says: its kind before and after the self-test, or the error of that. */
function inThread(env: Record<string, string>): Promise<string> {
  const code = `
    const { parentPort } = require('node:worker_threads');
    import(${JSON.stringify(source)})
      .then(async ({ channelKind, selfTestHandles }) => channelKind() + ' ' + (await selfTestHandles()) + ' ' + channelKind())
      .then((text) => parentPort.postMessage(text), (error) => parentPort.postMessage(error.message));`;
  return new Promise((resolve, reject) => {
    const worker = new Worker(code, { eval: true, env: { ...process.env, SOCKGATE_CHANNEL: '', ...env } });
    worker.on('message', resolve);
    worker.on('error', reject);
  });
}

test('it is chosen in every thread, and by hand with SOCKGATE_CHANNEL', async () => {
  assert.equal(await inThread({}), 'handle true handle');
  assert.equal(await inThread({ SOCKGATE_CHANNEL: 'handle' }), 'handle true handle');
  assert.equal(await inThread({ SOCKGATE_CHANNEL: 'stream' }), 'stream false stream');
});

test('a switch of another value is an error that names it', async () => {
  assert.equal(
    await inThread({ SOCKGATE_CHANNEL: 'fast' }),
    'SOCKGATE_CHANNEL must be "handle" or "stream", not "fast"',
  );
});
