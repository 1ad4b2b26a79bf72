// No file descriptor left: the gateway lives on, says so now and then, and recovers.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { bestOf } from '../support/best-of.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/until.ts';
import { EchoClient } from './echo-client.ts';
import { startEcho } from './start-echo.ts';

const skip = hasPrlimit() ? false : 'prlimit (util-linux) is not installed';

function hasPrlimit(): boolean {
  try {
    execFileSync('prlimit', ['--version']);
    return true;
  } catch {
    return false;
  }
}

test('a flood of connections that takes all descriptors is survived', { skip }, async (t) => {
  const port = await freePort();
  // Who has other rights than we may not be limited by us.
  const user = process.geteuid?.() === 0 ? { name: 'root', group: undefined } : undefined;
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core: { workerProcesses: 2, user } });
  const open = (): number => readdirSync(`/proc/${sockgate.pid}/fd`).length;
  const witness = await EchoClient.to(t, port);
  await witness.ask('label');
  const limit = open() + 30;
  execFileSync('prlimit', ['--pid', String(sockgate.pid), `--nofile=${limit}:`]);
  const began = performance.now();
  const flood: Socket[] = [];
  t.after(() => {
    for (const socket of flood) socket.destroy();
  });
  for (let i = 0; i < 300; i++) flood.push(connect(port, '127.0.0.1').on('error', () => {}));
  await sockgate.logged(/\[crit\] \d+#\d+: accept4\(\) failed \(24: Too many open files\)/);
  // It needs a while to notice that it spins.
  const share = await bestOf(0.5, () => processorShare(sockgate.pid, 1_000));
  assert.ok(share < 0.5, `${share} of a core: it spins`);
  assert.equal(await witness.ask('still there?'), 'still there?');
  for (const socket of flood) socket.destroy();
  // While there are no descriptors left, what waits in the queue is closed without a word.
  const label = await until('a new connection', async () => (await askAnew(t, port).catch(() => '')) || undefined);
  assert.equal(label, 'one');
  const most = 2 * (1 + Math.floor((performance.now() - began) / 10_000));
  const reports = sockgate.errorLog().match(/.*Too many open files.*/g) ?? [];
  assert.ok(reports.length <= most, `more than one in ten seconds from each worker:\n${reports.join('\n')}`);
  assert.doesNotMatch(sockgate.errorLog(), /\[alert\]/);
});

async function askAnew(t: TestContext, port: number): Promise<string> {
  return (await EchoClient.to(t, port)).ask('label');
}

/** How much of a core a process has used for so many ms. */
async function processorShare(pid: number, during: number): Promise<number> {
  const [began, before] = [performance.now(), processorTime(pid)];
  await wait(during);
  return (processorTime(pid) - before) / (performance.now() - began);
}

/** ms of a process. */
function processorTime(pid: number): number {
  const stat = execFileSync('cat', [`/proc/${pid}/stat`], { encoding: 'latin1' });
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
