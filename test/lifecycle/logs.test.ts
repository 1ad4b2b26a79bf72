// Log files of a running gateway: reopened, written to by several threads, and never in the way.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/until.ts';
import { EchoClient } from './echo-client.ts';
import { prepareEcho, startEcho } from './start-echo.ts';

test('USR1 opens the log files anew, for the master and all workers', async (t) => {
  const port = await freePort();
  const core = { workerProcesses: 2 };
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core, accessLog: 'logs/access.log' });
  const clients = await Promise.all(Array.from({ length: 30 }, () => EchoClient.to(t, port)));
  assert.equal(new Set(await Promise.all(clients.map((client) => client.ask('worker')))).size, 2);
  await Promise.all(clients.map((client) => client.ask('before')));
  for (const name of ['access.log', 'error.log']) {
    renameSync(join(sockgate.prefix, 'logs', name), join(sockgate.prefix, 'logs', `${name}.1`));
  }
  sockgate.signal('SIGUSR1');
  await until('new files', () => sockgate.has('logs/access.log') && sockgate.has('logs/error.log'));
  // The master answers to the next signal when the workers have answered to this one.
  sockgate.signal('SIGUSR1');
  await until('the second time', () => sockgate.count(/: reopening logs/g) === 1);
  await Promise.all(clients.map((client) => client.ask('after')));
  await until('all lines', () => sockgate.read('logs/access.log') === 'after\n'.repeat(30));
  assert.equal(sockgate.read('logs/access.log.1'), 'before\n'.repeat(30));
  assert.equal(sockgate.read('logs/error.log.1').match(/reopening logs/g)?.length, 2);
});

test('a pipe that nobody reads costs lines, never time', async (t) => {
  const port = await freePort();
  const sockgate = prepareEcho(t, { label: 'one', listen: [port], accessLog: 'logs/pipe' });
  execFileSync('mkfifo', [join(sockgate.prefix, 'logs/pipe')]);
  await sockgate.start();
  const client = await EchoClient.to(t, port);
  const line = 'x'.repeat(1_000);
  for (let i = 0; i < 200; i++) assert.equal(await client.ask(line), line);
  await sockgate.logged(
    /\[warn\] \d+#\d+: write\(\) to ".*logs\/pipe" failed \(11: Resource temporarily unavailable\), lines lost: \d+/,
  );
  assert.equal(sockgate.count(/lines lost/g), 1);
});

test('a full disk costs lines and one message, no connection', async (t) => {
  const port = await freePort();
  const sockgate = prepareEcho(t, { label: 'one', listen: [port], accessLog: 'logs/full' });
  symlinkSync('/dev/full', join(sockgate.prefix, 'logs/full'));
  await sockgate.start();
  const client = await EchoClient.to(t, port);
  for (let i = 0; i < 20; i++) assert.equal(await client.ask(`line ${i}`), `line ${i}`);
  await sockgate.logged(
    /\[alert\] \d+#\d+: write\(\) to ".*logs\/full" failed \(28: No space left on device\), lines lost: 1\n/,
  );
  assert.equal(sockgate.count(/lines lost/g), 1);
});
