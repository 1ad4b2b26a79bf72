// Debian's python3-websockets, an implementation that has nothing in common with `ws`, as client and as peer.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { selfSignedCertificate } from '../support/certificates.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type PeerPorts, startFourWays, type Way } from './four-ways.ts';
import type { StartedGateway } from './start-gateway.ts';
import { closesIfAsked, WsPeer } from './ws-peer.ts';

const PYTHON = '/usr/bin/python3';
const SCRIPTS = join(import.meta.dirname, 'python');
const hasWebsockets = spawnSync(PYTHON, ['-c', 'import websockets'], { timeout: 10_000 }).status === 0;
const skip = hasWebsockets ? false : 'python3-websockets is not installed';

/** @returns the ports on which server.py listens */
async function startPython(t: TestContext): Promise<PeerPorts> {
  const { cert, key } = await selfSignedCertificate();
  const folder = temporaryFolder(t, { 'own.crt': cert, 'own.key': key });
  const args = [join(SCRIPTS, 'server.py'), join(folder, 'own.crt'), join(folder, 'own.key')];
  const server = spawn(PYTHON, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(async () => {
    server.kill('SIGKILL');
    if (server.exitCode === null && server.signalCode === null) await once(server, 'close');
  });
  const { value: said = '' } = await createInterface({ input: server.stdout })[Symbol.asyncIterator]().next();
  const [plain, tls] = String(said).split(' ').map(Number);
  if (plain === undefined || tls === undefined) throw new Error(`no ports from Python, but "${said}"`);
  return { plain, tls };
}

/** Runs client.py to its end. @returns what it saw */
async function runPythonClient(way: Way, { sockgate }: StartedGateway): Promise<unknown> {
  const args = [join(SCRIPTS, 'client.py'), way.url('/')];
  if (way.isTlsToGateway) args.push(join(sockgate.prefix, 'own.crt'));
  const client = spawn(PYTHON, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = await Promise.all([text(client.stdout), once(client, 'close')]);
  return JSON.parse(said);
}

const SEEN = {
  subprotocol: 'b',
  extensions: ['permessage-deflate'],
  text: 'grüße, 世界 🙂',
  megabyte: true,
  fragments: 'one two three',
  pong: true,
  closed: [4001, 'as you asked'],
  uncompressed: [],
  sent: [3005, 'enough'],
  // Whether the peer's messages, and the client's, remember those before them; three echoes.
  takeover: [true, true, true, true, true],
  'no takeover': [false, false, true, true, true],
};

test('python-websockets as client and as peer', { skip }, async (t) => {
  const { gateway, ways } = await startFourWays(t, await startPython(t));
  await together(t, ways, async (_t, way) => {
    assert.deepEqual(await runPythonClient(way, gateway), SEEN);
  });
});

test('python-websockets as the peer of ws', { skip }, async (t) => {
  const { gateway, ways } = await startFourWays(t, await startPython(t));
  await together(t, ways, async (t, way) => {
    const options = { ca: gateway.ca, perMessageDeflate: { threshold: 0 } };
    const client = await TalkingClient.to(t, way.url('/'), options);
    assert.equal(client.socket.extensions, 'permessage-deflate');
    assert.equal(await client.ask('hello'), 'hello');
    const bytes = randomBytes(1024 * 1024);
    assert.deepEqual(await client.askBytes(bytes), bytes);
    assert.equal(await client.ask('ping me'), 'pong came');
    client.socket.send('close with 4001');
    assert.deepEqual(await client.closed, { code: 4001, reason: 'as you asked' });
  });
});

test('python-websockets as a client of ws', { skip }, async (t) => {
  const options = {
    perMessageDeflate: true,
    handleProtocols: (offered: Set<string>): string | false => (offered.has('b') ? 'b' : false),
  };
  const plain = await WsPeer.start(t, { options, onText: closesIfAsked });
  const tls = await WsPeer.start(t, { options, onText: closesIfAsked, tls: await selfSignedCertificate() });
  const { gateway, ways } = await startFourWays(t, { plain: plain.port, tls: tls.port });
  await together(t, ways, async (_t, way) => {
    assert.deepEqual(await runPythonClient(way, gateway), SEEN);
  });
});

/** All four at the same time, for it is Python that takes time to begin. */
async function together(t: TestContext, ways: readonly Way[], talk: (t: TestContext, way: Way) => Promise<void>) {
  await Promise.all(ways.map((way) => t.test(way.name, (t) => talk(t, way))));
}
