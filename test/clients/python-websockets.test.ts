// Debian's python3-websockets, an implementation that has nothing in common with `ws`, as client and as peer.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { TalkingClient } from '../support/talking-client.ts';
import { PASS_UPGRADE, type StartedGateway, startGateway } from './start-gateway.ts';
import { WsPeer } from './ws-peer.ts';

const PYTHON = '/usr/bin/python3';
const SCRIPTS = join(import.meta.dirname, 'python');
const hasWebsockets = spawnSync(PYTHON, ['-c', 'import websockets'], { timeout: 10_000 }).status === 0;
const skip = hasWebsockets ? false : 'python3-websockets is not installed';

/** @returns the port on which server.py listens */
async function startPython(t: TestContext): Promise<number> {
  const server = spawn(PYTHON, [join(SCRIPTS, 'server.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(async () => {
    const ended = once(server, 'close');
    server.kill('SIGKILL');
    await ended;
  });
  const [port] = (await once(server.stdout.setEncoding('latin1'), 'data')) as [string];
  return Number(port);
}

function gatewayTo(t: TestContext, port: number): Promise<StartedGateway> {
  return startGateway(t, { server: `location / { proxy_pass http://127.0.0.1:${port}; ${PASS_UPGRADE} }` });
}

/** Runs client.py to its end. @returns what it saw */
async function runPythonClient(...args: string[]): Promise<unknown> {
  const client = spawn(PYTHON, [join(SCRIPTS, 'client.py'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = await Promise.all([text(client.stdout), once(client, 'close')]);
  return JSON.parse(said);
}

test('python-websockets as client and as peer', { skip }, async (t) => {
  const gateway = await gatewayTo(t, await startPython(t));
  const seen = {
    subprotocol: 'b',
    extensions: ['permessage-deflate'],
    text: 'grüße, 世界 🙂',
    megabyte: true,
    fragments: 'one two three',
    pong: true,
    closed: [4001, 'as you asked'],
    uncompressed: [],
    sent: [3005, 'enough'],
  };
  await t.test('over ws', async () => assert.deepEqual(await runPythonClient(gateway.url('ws', '/')), seen));
  await t.test('over wss', async () => {
    const certificate = join(gateway.sockgate.prefix, 'own.crt');
    assert.deepEqual(await runPythonClient(gateway.url('wss', '/'), certificate), seen);
  });
});

test('python-websockets as the peer of ws', { skip }, async (t) => {
  const gateway = await gatewayTo(t, await startPython(t));
  const client = await TalkingClient.to(t, gateway.url('ws', '/'), { perMessageDeflate: { threshold: 0 } });
  assert.equal(client.socket.extensions, 'permessage-deflate');
  assert.equal(await client.ask('hello'), 'hello');
  const bytes = randomBytes(1024 * 1024);
  assert.deepEqual(await client.askBytes(bytes), bytes);
  assert.equal(await client.ask('ping me'), 'pong came');
  client.socket.send('close with 4001');
  assert.deepEqual(await client.closed, { code: 4001, reason: 'as you asked' });
});

test('python-websockets as a client of ws', { skip }, async (t) => {
  const peer = await WsPeer.start(t, { options: { perMessageDeflate: true } });
  const accepted = peer.accepted();
  const gateway = await gatewayTo(t, peer.port);
  const running = runPythonClient(gateway.url('ws', '/'));
  const socket = await accepted;
  socket.on('message', (data) => String(data) === 'close with 4001' && socket.close(4001, 'as you asked'));
  const seen = (await running) as Readonly<Record<string, unknown>>;
  assert.deepEqual(
    [seen['text'], seen['megabyte'], seen['fragments'], seen['pong'], seen['extensions']],
    ['grüße, 世界 🙂', true, 'one two three', true, ['permessage-deflate']],
  );
});
