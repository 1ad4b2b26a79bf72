// Sides that hang, are killed, or merely say nothing: who is dead is found within proxy_read_timeout, who lives is let live.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { until } from '../support/until.ts';
import { PASS_UPGRADE, ProbedGateway } from './probed-gateway.ts';
import { scriptedPeer } from './scripted-peer.ts';

const READ_TIMEOUT = 1200;
/** ms within which a dead side must be found; a busy machine may take its time. */
const FOUND = 15_000;

interface EchoProcess {
  readonly port: number;
  readonly process: ChildProcess;
}

async function startEchoProcess(t: TestContext): Promise<EchoProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'echo-peer-main.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  const { value: line } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  return { port: Number(line), process: child };
}

function gatewayBefore(t: TestContext, port: number): Promise<ProbedGateway> {
  return ProbedGateway.start(t, {
    accessLog: "log_format ends '$uri $status $websocket_close_cause'; access_log logs/access.log ends;",
    server: `location /ws { proxy_pass http://127.0.0.1:${port}; ${PASS_UPGRADE} proxy_read_timeout ${READ_TIMEOUT}ms; }`,
  });
}

async function logged({ sockgate }: ProbedGateway, line: string): Promise<void> {
  await until(`${line} in the access log`, () => sockgate.read('logs/access.log').split('\n').includes(line));
}

/** What comes in time; the test fails where it does not. */
async function inTime<T>(what: string, coming: Promise<T>): Promise<T> {
  const late = wait(FOUND, undefined, { ref: false }).then(() => assert.fail(`not within ${FOUND} ms: ${what}`));
  return Promise.race([coming, late]);
}

// Each waits for timeouts most of the time.
describe('tunnels', { concurrency: 3 }, () => {
  test('a peer whose process is paused is found dead, and its clients are told; when it goes on it is asked again', async (t) => {
    const peer = await startEchoProcess(t);
    const gateway = await gatewayBefore(t, peer.port);
    const clients = await Promise.all(Array.from({ length: 5 }, () => gateway.echo('/ws')));
    for (const client of clients) assert.equal(await client.ask('before'), 'before');
    peer.process.kill('SIGSTOP');
    const paused = performance.now();
    const closed = await inTime('the end of all', Promise.all(clients.map((client) => client.closed)));
    for (const { code } of closed) assert.equal(code, 1014);
    t.diagnostic(`found after ${(performance.now() - paused).toFixed(0)} ms`);
    await logged(gateway, '/ws 101 peer pong missed');
    peer.process.kill('SIGCONT');
    const again = await gateway.echo('/ws');
    assert.equal(await again.ask('and now?'), 'and now?');
    again.socket.terminate();
    await gateway.alive();
  });

  test('a peer whose process is killed: its clients are told at once', async (t) => {
    const peer = await startEchoProcess(t);
    const gateway = await gatewayBefore(t, peer.port);
    const clients = await Promise.all(Array.from({ length: 50 }, () => gateway.echo('/ws')));
    peer.process.kill('SIGKILL');
    for (const { code } of await inTime('the end of all', Promise.all(clients.map((client) => client.closed))))
      assert.equal(code, 1014);
    await gateway.alive();
  });

  test('a client that answers no ping is found dead, and its peer is told', async (t) => {
    const peer = await scriptedPeer(t, (connection) => connection.onUpgrade(() => {}));
    const gateway = await gatewayBefore(t, peer.port);
    const client = await (await gateway.client()).upgrade('/ws');
    await client.over(FOUND);
    await logged(gateway, '/ws 101 client pong missed');
    for (const { socket } of peer.connections) socket.destroy();
    client.socket.destroy();
    await gateway.alive();
  });

  test('a client and a peer that live and say nothing stay for more than three times the timeout', async (t) => {
    const peer = await startEchoProcess(t);
    const gateway = await gatewayBefore(t, peer.port);
    const client = await gateway.echo('/ws');
    await wait(3.2 * READ_TIMEOUT);
    assert.equal(await client.ask('still here?'), 'still here?');
    client.socket.close(1000);
    assert.equal((await client.closed).code, 1000);
    await logged(gateway, '/ws 101 client close');
    await gateway.alive();
  });

  test('half a frame, then silence: the other side is ended without a close frame, for one would stand within that frame', async (t) => {
    const peer = await scriptedPeer(t, (connection) =>
      connection.onUpgrade(() => connection.socket.write(Buffer.from('810a68616c66', 'hex'))),
    );
    const gateway = await gatewayBefore(t, peer.port);
    const client = await (await gateway.client()).upgrade('/ws');
    await client.over(FOUND);
    assert.equal(client.body.toString('hex'), '810a68616c66');
    client.socket.destroy();
    for (const { socket } of peer.connections) socket.destroy();
    await gateway.alive();
  });
});
