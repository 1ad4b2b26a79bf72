// Workers that die, hang or fail: replaced, said at [alert], and forgotten in shared memory.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/until.ts';
import { EchoClient } from './echo-client.ts';
import { startEcho } from './start-echo.ts';

test('a worker that dies is replaced at once, and that is said at [alert]', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  const client = await EchoClient.to(t, port);
  await client.ask('die');
  await client.closed;
  await sockgate.logged(/\[alert\] \d+#\d+: worker process \d+ exited with code 3\n/);
  await sockgate.logged(/start worker process \d+\n/, 2);
  assert.equal(await (await EchoClient.to(t, port)).ask('label'), 'one');
});

test('a worker whose loop hangs is replaced, while the others go on', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core: { workerProcesses: 2 } });
  const clients = await Promise.all(Array.from({ length: 40 }, () => EchoClient.to(t, port)));
  const workers = await Promise.all(clients.map((client) => client.ask('worker')));
  const [one, other] = [workers.indexOf('0'), workers.indexOf('1')].map((index) => clients[index] as EchoClient);
  await one?.ask('hang');
  await one?.closed;
  await sockgate.logged(
    /\[alert\] \d+#\d+: worker process \d+ is caught in a loop \(no sign of life in \d+ ms of processor time\): it is ended/,
  );
  await sockgate.logged(/start worker process \d+\n/, 3);
  assert.equal(await other?.ask('label'), 'one');
});

test('what a dead worker had counted is forgotten, what the others count stays', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core: { workerProcesses: 2 } });
  const clients = await Promise.all(Array.from({ length: 40 }, () => EchoClient.to(t, port)));
  const workers = await Promise.all(clients.map((client) => client.ask('worker')));
  for (const client of clients) await client.ask('take');
  const ofFirst = workers.filter((worker) => worker === '0').length;
  const survivor = clients[workers.indexOf('1')] as EchoClient;
  assert.equal(await survivor.ask('taken'), '40');
  await clients[workers.indexOf('0')]?.ask('die');
  await sockgate.logged(/start worker process \d+\n/, 3);
  assert.equal(await survivor.ask('taken'), String(40 - ofFirst));
});

test('a worker that starts after a reload has the new configuration', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  await sockgate.reload(JSON.stringify({ label: 'two', listen: [port] }));
  await (await EchoClient.to(t, port)).ask('die');
  await sockgate.logged(/start worker process \d+\n/, 3);
  assert.equal(await (await EchoClient.to(t, port)).ask('label'), 'two');
});

test('a worker that loads a configuration for long is left in peace', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  const client = await EchoClient.to(t, port);
  await client.ask('label');
  await sockgate.reload(JSON.stringify({ label: 'two', listen: [port], loadingTime: 2_000 }));
  assert.equal(await client.ask('label'), 'two');
  assert.doesNotMatch(sockgate.errorLog(), /\[alert\]/);
});

test('an uncaught error costs no other connection, and is said at [alert] with its place', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  const bystander = await EchoClient.to(t, port);
  const client = await EchoClient.to(t, port);
  await client.ask('throw');
  await sockgate.logged(/\[alert\] \d+#\d+: uncaught Error: thrown on demand at .*echo-engine/);
  assert.equal(await bystander.ask('label'), 'one');
  assert.equal(sockgate.count(/start worker process/g), 2);
});

test('a worker that does nothing but fail is replaced', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  await (await EchoClient.to(t, port)).ask('throw for ever');
  await sockgate.logged(/\[alert\] \d+#\d+: worker process \d+ exited with code 70/);
  await sockgate.logged(/start worker process \d+\n/, 2);
});

/** A worker that dies takes along who waits to be accepted: who has an answer has a worker that lives. */
async function answeringClient(t: TestContext, port: number): Promise<EchoClient | undefined> {
  const client = await EchoClient.to(t, port).catch(() => undefined);
  return (await client?.ask('label')) === 'one' ? client : undefined;
}

test('a worker that keeps dying is replaced more and more slowly', async (t) => {
  const port = await freePort();
  const sockgate = await startEcho(t, { label: 'one', listen: [port] });
  const times: number[] = [];
  for (let death = 1; death <= 4; death++) {
    const client = await until('somebody who answers', () => answeringClient(t, port));
    const died = performance.now();
    await client.ask('die');
    await sockgate.logged(/start worker process \d+\n/, death + 1);
    times.push(performance.now() - died);
  }
  // 0, 100, 200, 400 ms and the time that a start takes.
  assert.ok((times[3] as number) > 400, `${times}`);
});

test('a reload while a worker is being replaced reaches that worker, too', async (t) => {
  const port = await freePort();
  const core = { workerProcesses: 2 };
  const sockgate = await startEcho(t, { label: 'one', listen: [port], core });
  const client = await EchoClient.to(t, port);
  await client.ask('die');
  sockgate.configure(JSON.stringify({ label: 'two', listen: [port], core }));
  sockgate.signal('SIGHUP');
  // Whether the reload or the replacement comes first: in the end nobody has the old one.
  await until('two workers with the new configuration', () => sockgate.count(/start worker process \d+\n/g) >= 4);
  const clients = await Promise.all(Array.from({ length: 30 }, () => EchoClient.to(t, port)));
  const labels = await Promise.all(clients.map((one) => one.ask('label')));
  assert.deepEqual([...new Set(labels)], ['two']);
});
