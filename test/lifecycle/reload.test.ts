// HUP: a new configuration is taken in place, by workers that keep their connections; a bad one changes nothing.

import assert from 'node:assert/strict';
import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freePort, freePorts } from '../support/free-port.ts';
import type { Sockgate } from '../support/start-sockgate.ts';
import { until } from '../support/until.ts';
import { EchoClient } from './echo-client.ts';
import type { EchoConfig } from './echo-engine.ts';
import { startEcho } from './start-echo.ts';

const reloadTo = (sockgate: Sockgate, config: EchoConfig, workers = 1): Promise<void> =>
  sockgate.reload(JSON.stringify(config), workers);

/** Sends HUP with a configuration that is refused, and waits until that has been said. */
async function refuse(sockgate: Sockgate, conf: string): Promise<void> {
  const before = sockgate.count(/the old one goes on/g);
  sockgate.configure(conf);
  sockgate.signal('SIGHUP');
  await sockgate.logged(/\[error\] .*the new configuration is not used, the old one goes on/, before + 1);
}

test('a reload keeps connections and gives them the new configuration', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core: { workerProcesses: 2 } });
  const clients = await Promise.all(Array.from({ length: 6 }, () => EchoClient.to(t, port)));
  await reloadTo(sockgate, { label: 'two', listen: [port], core: { workerProcesses: 2 } }, 2);
  assert.deepEqual(new Set(await Promise.all(clients.map((client) => client.ask('label')))), new Set(['two']));
});

test('a reload is told in nginx’s lines', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  const from = sockgate.errorLog().length;
  await reloadTo(sockgate, { label: 'two', listen: [port] });
  const lines = sockgate.errorLog().slice(from).trim().split('\n');
  const said = lines.map((line) => line.replace(/^.*?#\d+: /, '').replace(/\d+(?= exited|$)/, 'N'));
  assert.deepEqual(said, [
    'signal 1 (SIGHUP) received, reconfiguring',
    'reconfiguring',
    'start worker processes',
    'gracefully shutting down',
    'exiting',
    'exit',
    'start worker process N',
    'worker process N exited with code 0: its old configuration has gone, it goes on with the new one',
  ]);
});

test('the old configuration has gone only when nothing uses it any more', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  const client = await EchoClient.to(t, port);
  assert.equal(await client.ask('hold'), 'held');
  sockgate.configure(JSON.stringify({ label: 'two', listen: [port] }));
  sockgate.signal('SIGHUP');
  await sockgate.logged(/start worker process/, 3);
  assert.equal(await client.ask('label'), 'two');
  assert.equal(sockgate.count(/exited with code 0/g), 0);
  await client.ask('release');
  await sockgate.logged(/exited with code 0/);
});

test('a file with a mistake changes nothing, and the log says what is wrong', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  const client = await EchoClient.to(t, port);
  await refuse(sockgate, '{ no JSON');
  assert.match(sockgate.errorLog(), /\[emerg\] \d+#\d+: .*JSON/);
  assert.equal(await client.ask('label'), 'one');
  await reloadTo(sockgate, { label: 'two', listen: [port] });
  assert.equal(await client.ask('label'), 'two');
});

test('a configuration that one worker cannot build is taken by none', async (t) => {
  const port = await freePort();
  const core = { workerProcesses: 2 };
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core });
  const clients = await Promise.all(Array.from({ length: 6 }, () => EchoClient.to(t, port)));
  await refuse(sockgate, JSON.stringify({ label: 'two', listen: [port], core, failsInWorker: 1 }));
  assert.match(sockgate.errorLog(), /\[emerg\] \d+#\d+: worker 1 is not able/);
  assert.deepEqual(new Set(await Promise.all(clients.map((client) => client.ask('label')))), new Set(['one']));
});

test('new addresses are opened, removed ones closed, those that stay are never closed', async (t) => {
  const [stays = 0, goes = 0, comes = 0] = await freePorts(3);
  const sockgate = await startEcho(t, { label: 'one', listen: [stays, goes] });
  const onGoing = await EchoClient.to(t, goes);
  await reloadTo(sockgate, { label: 'two', listen: [stays, comes] });
  await assert.rejects(EchoClient.to(t, goes), /ECONNREFUSED/);
  assert.equal(await onGoing.ask('label'), 'two');
  for (const port of [stays, comes]) assert.equal(await (await EchoClient.to(t, port)).ask('label'), 'two');
});

test('an address that another program has refuses the reload, with nginx’s lines', async (t) => {
  const [port = 0, taken = 0] = await freePorts(2);
  const other = createServer().listen(taken, '127.0.0.1');
  t.after(() => other.close());
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  await refuse(sockgate, JSON.stringify({ label: 'two', listen: [port, taken] }));
  assert.match(
    sockgate.errorLog(),
    new RegExp(`bind\\(\\) to 127.0.0.1:${taken} failed \\(98: Address already in use\\)`),
  );
  assert.match(sockgate.errorLog(), /still could not bind\(\)/);
  assert.equal(await (await EchoClient.to(t, port)).ask('label'), 'one');
});

test('a unix socket comes and goes with a reload', async (t) => {
  const port = await freePort();
  const core = { workerProcesses: 2 };
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core });
  const path = join(sockgate.prefix, 'gate.sock');
  await reloadTo(sockgate, { label: 'two', listen: [port, path], core }, 2);
  assert.equal(await (await EchoClient.to(t, path)).ask('label'), 'two');
  await reloadTo(sockgate, { label: 'three', listen: [port], core }, 2);
  await until('the socket file to be gone', () => !sockgate.has('gate.sock'));
});

test('the number of workers follows the configuration', async (t) => {
  const port = await freePort();
  const with_ = (workerProcesses: number) => ({ label: 'one', listen: [port], core: { workerProcesses } });
  const sockgate = await startEcho(t, with_(1));
  sockgate.configure(JSON.stringify(with_(3)));
  sockgate.signal('SIGHUP');
  await sockgate.logged(/start worker process \d+\n/, 4);
  assert.deepEqual(await workersAt(t, port), ['0', '1', '2']);
  sockgate.configure(JSON.stringify(with_(2)));
  sockgate.signal('SIGHUP');
  await sockgate.logged(/worker process \d+ exited with code 0\n/);
  assert.deepEqual(await workersAt(t, port), ['0', '1']);
});

/** Those that answered one of many connections. */
async function workersAt(t: TestContext, port: number): Promise<string[]> {
  const clients = await Promise.all(Array.from({ length: 60 }, () => EchoClient.to(t, port)));
  const workers = await Promise.all(clients.map((client) => client.ask('worker')));
  for (const { socket } of clients) socket.end();
  return [...new Set(workers)].sort();
}

test('a worker that is no longer wanted finishes what it has', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core: { workerProcesses: 2 } });
  const clients = await Promise.all(Array.from({ length: 40 }, () => EchoClient.to(t, port)));
  const workers = await Promise.all(clients.map((client) => client.ask('worker')));
  const onSecond = clients.filter((_, index) => workers[index] === '1');
  assert.ok(onSecond.length > 0);
  sockgate.configure(JSON.stringify({ label: 'two', listen: [port] }));
  sockgate.signal('SIGHUP');
  await sockgate.logged(/gracefully shutting down/, 3);
  for (const client of onSecond) assert.equal(await client.ask('label'), 'two');
  for (const { socket } of onSecond) socket.end();
  await sockgate.logged(/worker process \d+ exited with code 0\n/);
});

test('HUPs that come during a reload are one more reload together', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  // Workers, and so the loader, may have other rights than the test.
  chmodSync(sockgate.prefix, 0o777);
  const loadsAfter = join(sockgate.prefix, 'go-on');
  sockgate.configure(JSON.stringify({ label: 'two', listen: [port], loadsAfter }));
  sockgate.signal('SIGHUP');
  await until('the loader to have read it', () => sockgate.has('go-on-awaited'));
  sockgate.configure(JSON.stringify({ label: 'three', listen: [port] }));
  for (let i = 0; i < 5; i++) {
    sockgate.signal('SIGHUP');
    await sockgate.logged(/\(SIGHUP\) received/, i + 2);
  }
  writeFileSync(loadsAfter, '');
  await until('the last configuration', () => sockgate.count(/exited with code 0/g) >= 2);
  assert.equal(await (await EchoClient.to(t, port)).ask('label'), 'three');
  assert.equal(sockgate.count(/: reconfiguring/g), 2);
});

test('thirty reloads leave no descriptor and no thread behind, and lose no connection', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: '0', listen: [port], accessLog: 'logs/access.log' });
  const client = await EchoClient.to(t, port);
  const count = (what: string): number => readdirSync(`/proc/${sockgate.pid}/${what}`).length;
  await reloadTo(sockgate, { label: '0', listen: [port], accessLog: 'logs/access.log' });
  const before = { fd: count('fd'), task: count('task') };
  for (let i = 1; i <= 30; i++) {
    await reloadTo(sockgate, { label: `${i}`, listen: [port], accessLog: 'logs/access.log' });
    assert.equal(await client.ask('label'), `${i}`);
  }
  assert.deepEqual({ fd: count('fd'), task: count('task') }, before);
});

test('counters that workers share outlive a reload', async (t) => {
  const port = await freePort();
  const core = { workerProcesses: 2 };
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core });
  const client = await EchoClient.to(t, port);
  assert.equal(await client.ask('take'), '1');
  await reloadTo(sockgate, { label: 'two', listen: [port], core }, 2);
  assert.equal(await client.ask('take'), '2');
});

test('log files change with a reload', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port], accessLog: 'logs/one.log' });
  const client = await EchoClient.to(t, port);
  await client.ask('first');
  await reloadTo(sockgate, { label: 'two', listen: [port], accessLog: 'logs/two.log' });
  await client.ask('second');
  await until('the second line', () => sockgate.read('logs/two.log') === 'second\n');
  assert.equal(sockgate.read('logs/one.log'), 'first\n');
});

test('a log file that cannot be opened refuses the reload', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  await refuse(sockgate, JSON.stringify({ label: 'two', listen: [port], accessLog: 'nowhere/x.log' }));
  assert.match(
    sockgate.errorLog(),
    /\[emerg\] \d+#\d+: open\(\) ".*nowhere\/x.log" failed \(2: No such file or directory\)/,
  );
});

test('the pid file moves with the configuration', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  const { pid } = sockgate;
  await reloadTo(sockgate, { label: 'two', listen: [port], core: { pidFile: join(sockgate.prefix, 'other.pid') } });
  await until('the old pid file to be gone', () => !sockgate.has('logs/nginx.pid'));
  assert.equal(sockgate.read('other.pid'), `${pid}\n`);
  process.kill(pid, 'SIGTERM');
  await sockgate.exited();
  assert.equal(sockgate.has('other.pid'), false);
});
