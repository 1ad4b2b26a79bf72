// More connections than there may be: those that are served go on, the rest waits or is closed, and all is well when there is room again.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { ProbedGateway } from './probed-gateway.ts';
import type { RawClient } from './raw-client.ts';

const REQUEST = 'GET /alive HTTP/1.1\r\nHost: x\r\n\r\n';

async function askAll(gateway: ProbedGateway, count: number): Promise<RawClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => gateway.client()));
  for (const client of clients) client.send(REQUEST);
  return clients;
}

const answered = (clients: readonly RawClient[]): number => clients.filter(({ status }) => status === 200).length;

test('beyond worker_connections clients wait until others leave, and the log says so once', async (t) => {
  const gateway = await ProbedGateway.start(t, { events: 'worker_connections 40;' });
  const clients = await askAll(gateway, 120);
  await until('some to be served', () => answered(clients) > 20);
  await gateway.sockgate.logged(/\[alert\] .*40 worker_connections are not enough/);
  assert.ok(answered(clients) <= 40, `${answered(clients)} were served at once`);
  while (answered(clients) < clients.length) {
    const before = answered(clients);
    for (const { socket, status } of clients) if (status === 200) socket.destroy();
    await until('more to be served', () => answered(clients) > before);
  }
  for (const { socket } of clients) socket.destroy();
  await until('room', () => gateway.sockets < 10);
  await gateway.alive(/worker_connections are not enough/);
  assert.equal(gateway.sockgate.count(/worker_connections are not enough/g), 1);
});

const canLimit = spawnSync('prlimit', ['--version']).status === 0;

test('with no descriptor left nothing crashes, and all is well when there are some again', {
  skip: canLimit ? false : 'prlimit is not installed',
}, async (t) => {
  // Who has other rights than we may not be limited by us.
  const gateway = await ProbedGateway.start(t, { main: process.geteuid?.() === 0 ? 'user root;' : '' });
  const { pid } = gateway.sockgate;
  const open = readdirSync(`/proc/${pid}/fd`).length;
  assert.equal(spawnSync('prlimit', ['--pid', String(pid), `--nofile=${open + 20}:`]).status, 0);
  const held = await gateway.echo();
  const clients = await askAll(gateway, 60);
  await gateway.sockgate.logged(/accept4\(\) failed \(24: Too many open files\)/);
  assert.equal(await held.ask('still there?'), 'still there?');
  assert.ok(answered(clients) > 5 && answered(clients) < 25, `${answered(clients)} were served`);
  for (const { socket } of clients) socket.destroy();
  held.socket.terminate();
  await until('room', () => gateway.sockets < 10);
  await until('a connection to be served again', async () => {
    const client = await gateway.sends(REQUEST).catch(() => undefined);
    await client?.until('an answer', () => client.bytes > 0 || client.closed || client.ended, 2000).catch(() => {});
    client?.socket.destroy();
    return client?.status === 200;
  });
  await gateway.alive(/Too many open files/);
  assert.ok(gateway.sockgate.count(/Too many open files/g) <= 3, 'once in an interval');
});
