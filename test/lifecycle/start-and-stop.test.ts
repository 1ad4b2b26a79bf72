// Starting and ending: the pid file, the addresses, the signals, the exit codes.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort, freePorts } from '../support/free-port.ts';
import { until } from '../support/until.ts';
import { EchoClient } from './echo-client.ts';
import { prepareEcho, startEcho } from './start-echo.ts';

test('the pid file is written when every worker listens, and removed at exit', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core: { workerProcesses: 2 } });
  assert.equal(sockgate.count(/start worker process \d+$/gm), 2);
  const client = await EchoClient.to(t, port);
  assert.equal(await client.ask('label'), 'one');
  assert.deepEqual(await sockgate.stop(), { code: 0, signal: null });
  assert.equal(sockgate.has('logs/nginx.pid'), false);
});

test('TERM ends connections at once, in nginx’s words', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  const client = await EchoClient.to(t, port);
  await client.ask('label');
  assert.deepEqual(await sockgate.stop('SIGTERM'), { code: 0, signal: null });
  await client.closed;
  assert.match(sockgate.errorLog(), /\[notice\] \d+#\d+: signal 15 \(SIGTERM\) received, exiting\n/);
  assert.match(sockgate.errorLog(), /worker process \d+ exited with code 0\n.*: exit\n$/s);
  assert.doesNotMatch(sockgate.errorLog(), /\[alert\]/);
});

test('INT ends it like TERM', async (t) => {
  const sockgate = await startEcho(t, { label: 'one', listen: [await freePort()] });
  assert.deepEqual(await sockgate.stop('SIGINT'), { code: 0, signal: null });
});

test('QUIT takes no new connections and waits for those that there are', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core: { workerProcesses: 2 } });
  const client = await EchoClient.to(t, port);
  await client.ask('label');
  sockgate.signal('SIGQUIT');
  await sockgate.logged(/#\d+: gracefully shutting down/, 2);
  await until('the port to be closed', () => isClosed(port));
  assert.equal(await client.ask('still there?'), 'still there?');
  client.socket.end();
  assert.deepEqual(await sockgate.exited(), { code: 0, signal: null });
});

test('worker_shutdown_timeout ends what QUIT waits for', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core: { workerShutdownTimeout: 50 } });
  const client = await EchoClient.to(t, port);
  await client.ask('label');
  const ended = sockgate.exited();
  sockgate.signal('SIGQUIT');
  await client.closed;
  assert.deepEqual(await ended, { code: 0, signal: null });
});

test('TERM cuts a QUIT short', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  const client = await EchoClient.to(t, port);
  await client.ask('label');
  sockgate.signal('SIGQUIT');
  await sockgate.logged(/gracefully shutting down/);
  assert.deepEqual(await sockgate.stop('SIGTERM'), { code: 0, signal: null });
});

test('a second instance fails instead of sharing the port, as nginx says it', async (t) => {
  const port = await freePort();
  await startEcho(t, { label: 'one', listen: [port] });
  const second = prepareEcho(t, { label: 'two', listen: [port] });
  const { code, stderr } = await second.run();
  assert.equal(code, 1);
  const refusal = `[emerg] bind() to 127.0.0.1:${port} failed (98: Address already in use)`;
  assert.equal(stderr.split(`sockgate: ${refusal}`).length, 6);
  assert.match(stderr, /sockgate: \[emerg\] still could not bind\(\)\n$/);
  assert.equal(second.count(/\[notice\] \d+#\d+: try again to bind\(\) after 500ms/g), 5);
  assert.equal(second.has('logs/nginx.pid'), false);
});

test('a port that becomes free while it tries again is taken', async (t) => {
  const port = await freePort();
  const other = createServer().listen(port, '127.0.0.1');
  t.after(() => other.close());
  const sockgate = prepareEcho(t, { label: 'one', listen: [port] }, { mayFail: true });
  await sockgate.start();
  await sockgate.logged(/Address already in use/);
  other.close();
  await until('the pid file', () => sockgate.has('logs/nginx.pid'));
});

test('it can be told to stop while it still tries to bind', async (t) => {
  const port = await freePort();
  const other = createServer().listen(port, '127.0.0.1');
  t.after(() => other.close());
  const sockgate = prepareEcho(t, { label: 'one', listen: [port] }, { mayFail: true });
  await sockgate.start();
  await sockgate.logged(/Address already in use/);
  const process = sockgate.errorLog().match(/ (\d+)#/)?.[1];
  globalThis.process.kill(Number(process), 'SIGTERM');
  assert.deepEqual(await sockgate.exited(), { code: 0, signal: null });
});

test('a worker that cannot build its snapshot keeps the gateway from starting', async (t) => {
  const sockgate = prepareEcho(t, { label: 'one', listen: [await freePort()], failsInWorker: 0 });
  const { code, stderr } = await sockgate.run();
  assert.equal(code, 1);
  assert.match(stderr, /sockgate: \[emerg\] worker 0 is not able\n/);
});

test('a pid file that cannot be written is fatal', async (t) => {
  const port = await freePort();
  const sockgate = prepareEcho(t, { label: 'one', listen: [port], core: { pidFile: '/nowhere/at/all.pid' } });
  const { code, stderr } = await sockgate.run();
  assert.equal(code, 1);
  assert.match(stderr, /\[emerg\] open\(\) "\/nowhere\/at\/all.pid" failed \(2: No such file or directory\)/);
});

test('a unix socket is open to everybody and gone at exit', async (t) => {
  const [port] = await freePorts(1);
  const sockgate = prepareEcho(t, { label: 'one', listen: [] });
  const path = join(sockgate.prefix, 'gate.sock');
  sockgate.configure(JSON.stringify({ label: 'one', listen: [path, port], core: { workerProcesses: 2 } }));
  await sockgate.start();
  const client = await EchoClient.to(t, path);
  assert.equal(await client.ask('worker'), '0');
  sockgate.signal('SIGQUIT');
  client.socket.end();
  await sockgate.exited();
  assert.equal(existsSync(path), false);
});

test('a unix socket that a killed program left behind is replaced, one that is answered is not', async (t) => {
  const sockgate = prepareEcho(t, { label: 'one', listen: [] });
  const path = join(sockgate.prefix, 'gate.sock');
  sockgate.configure(JSON.stringify({ label: 'one', listen: [path] }));
  await sockgate.start();
  const second = prepareEcho(t, { label: 'two', listen: [path] });
  const { code, stderr } = await second.run();
  assert.equal(code, 1);
  assert.ok(stderr.includes(`bind() to unix:${path} failed (98: Address already in use)`), stderr);

  await sockgate.stop('SIGKILL');
  assert.equal(existsSync(path), true);
  await second.start();
  const client = await EchoClient.to(t, path);
  assert.equal(await client.ask('label'), 'two');
});

test('signals that nginx has and we have not are said to be ignored', async (t) => {
  const sockgate = await startEcho(t, { label: 'one', listen: [await freePort()] });
  sockgate.signal('SIGUSR2');
  sockgate.signal('SIGWINCH');
  await sockgate.logged(/\[error\] \d+#\d+: signal 12 \(SIGUSR2\) received, ignored/);
  await sockgate.logged(/\[notice\] \d+#\d+: signal 28 \(SIGWINCH\) received, ignored/);
});

test('with master_process off one thread does it all', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, {
    label: 'one',
    listen: [port],
    core: { masterProcess: false, workerProcesses: 4 },
  });
  const client = await EchoClient.to(t, port);
  assert.equal(await client.ask('label'), 'one');
  await sockgate.reload(JSON.stringify({ label: 'two', listen: [port], core: { masterProcess: false } }));
  assert.equal(await client.ask('label'), 'two');
  const threads = new Set([...sockgate.errorLog().matchAll(/ \d+#(\d+):/g)].map(([, thread]) => thread));
  assert.deepEqual([...threads], [String(sockgate.pid)]);
  sockgate.signal('SIGQUIT');
  client.socket.end();
  assert.deepEqual(await sockgate.exited(), { code: 0, signal: null });
});

/** Set by the attempt before; see `until`. */
let refused = false;
function isClosed(port: number): boolean {
  if (refused) return true;
  const probe = createServer();
  probe.once('error', () => {});
  probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
    refused = true;
    probe.close();
  });
  return false;
}
