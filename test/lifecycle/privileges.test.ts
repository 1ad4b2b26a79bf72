// Whose rights the gateway has. Only root can give any up, so only root can run this.

import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/until.ts';
import { EchoClient } from './echo-client.ts';
import { prepareEcho, startEcho } from './start-echo.ts';

const skip = process.geteuid?.() === 0 ? false : 'needs root';

/** Of Debian and most others. */
const NOBODY = '65534';

/** Rights are those of all threads: while the master writes what only root may, a worker has them, too. */
const becomesNobody = (client: EchoClient): Promise<unknown> =>
  until('the rights of nobody', async () => (await client.ask('user')) === NOBODY);

test('started by root without "user", workers have the rights of nobody', { skip }, async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core: { workerProcesses: 2 } });
  await becomesNobody(await EchoClient.to(t, port));
  assert.deepEqual(await sockgate.stop(), { code: 0, signal: null });
  assert.equal(sockgate.has('logs/nginx.pid'), false);
});

test('a reload and a new worker get at what only root may have, and give the rights back', { skip }, async (t) => {
  const [first, second] = [await freePort(), await freePort()];
  const sockgate = await startEcho(t, { label: 'one', listen: [first] });
  const client = await EchoClient.to(t, first);
  await becomesNobody(client);
  chmodSync(join(sockgate.prefix, 'logs'), 0o700);
  sockgate.configure(JSON.stringify({ label: 'two', listen: [first, second], accessLog: 'logs/access.log' }));
  chmodSync(join(sockgate.prefix, 'nginx.conf'), 0o600);
  sockgate.signal('SIGHUP');
  await sockgate.logged(/exited with code 0/);
  await becomesNobody(client);
  await client.ask('die');
  await sockgate.logged(/start worker process \d+\n/, 3);
  const again = await EchoClient.to(t, second);
  assert.equal(await again.ask('label'), 'two');
  await becomesNobody(again);
});

test('a port below 1024 is bound for every worker, also for one that comes later', { skip }, async (t) => {
  const port = 1_000 - (process.pid % 300);
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core: { workerProcesses: 2 } });
  await (await EchoClient.to(t, port)).ask('die');
  await sockgate.logged(/start worker process \d+\n/, 3);
  const clients = await Promise.all(Array.from({ length: 30 }, () => EchoClient.to(t, port)));
  const workers = await Promise.all(clients.map((client) => client.ask('worker')));
  assert.deepEqual([...new Set(workers)].sort(), ['0', '1']);
});

test('"user" changes with a reload', { skip }, async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  const client = await EchoClient.to(t, port);
  const core = { user: { name: 'root', group: undefined } };
  await sockgate.reload(JSON.stringify({ label: 'two', listen: [port], core }));
  assert.equal(await client.ask('user'), '0');
});

test('a user or group that does not exist is fatal at start and refused at reload', { skip }, async (t) => {
  const port = await freePort();
  const withUser = (name: string, group?: string) => ({
    label: 'one',
    listen: [port],
    core: { user: { name, group } },
  });
  const { code, stderr } = await prepareEcho(t, withUser('nobody-at-all', 'root')).run();
  assert.equal(code, 1);
  assert.match(stderr, /sockgate: \[emerg\] getpwnam\("nobody-at-all"\) failed\n/);
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  sockgate.configure(JSON.stringify(withUser('nobody', 'no-such-group')));
  sockgate.signal('SIGHUP');
  await sockgate.logged(/\[emerg\] \d+#\d+: getgrnam\("no-such-group"\) failed/);
  assert.equal(await (await EchoClient.to(t, port)).ask('label'), 'one');
});

test('a limit of open files is set, and one that cannot be had is a warning', { skip }, async (t) => {
  const sockgate = await startEcho(t, { label: 'one', listen: [await freePort()], core: { workerRlimitNofile: 700 } });
  assert.equal(sockgate.count(/\[warn\]/g), 0);
  const other = await startEcho(t, { label: 'one', listen: [await freePort()], core: { workerRlimitNofile: 2 ** 40 } });
  assert.match(
    other.errorLog(),
    /\[warn\] \d+#\d+: setrlimit\(RLIMIT_NOFILE, 1099511627776\) failed: .*; the limit stays at \d+\n/,
  );
});
