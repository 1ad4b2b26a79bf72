// A fault of our own in one connection: it costs that connection alone, and is said at [alert].

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { ProbedGateway } from './probed-gateway.ts';

const PRELOAD = new URL('throwing-exchange.ts', import.meta.url).href;

test('what one exchange throws costs no other connection, and is said at [alert]', async (t) => {
  const gateway = await ProbedGateway.start(t, {
    env: { NODE_OPTIONS: `--import ${PRELOAD}` },
    server: 'location / { return 200 fine; }',
  });
  const other = await gateway.echo();
  for (const [path, alert] of [
    ['/throws', /\[alert\] .*injected: at once/],
    ['/throws-later', /\[alert\] .*injected: later/],
    ['/rejects', /\[alert\] .*injected: rejected/],
  ] as const) {
    // No more than one such line is written in a second.
    await until(`${alert} in the error log`, async () => {
      const client = await gateway.get(path);
      if (path === '/throws') await client.over();
      else await client.head();
      assert.equal(client.status, path === '/throws' ? 0 : 200);
      client.socket.destroy();
      return alert.test(gateway.sockgate.errorLog());
    });
    assert.equal(await other.ask('still there?'), 'still there?');
  }
  other.socket.terminate();
  await gateway.alive(/injected/);
});

test('many faults in a row cost many connections, and nobody else’s', async (t) => {
  const gateway = await ProbedGateway.start(t, {
    env: { NODE_OPTIONS: `--import ${PRELOAD}` },
    server: 'location / { return 200 fine; }',
  });
  const other = await gateway.echo();
  for (let i = 0; i < 100; i++) {
    const client = await gateway.get('/throws');
    await client.over();
    client.socket.destroy();
  }
  assert.equal(await other.ask('still there?'), 'still there?');
  assert.ok(gateway.sockgate.count(/\[alert\]/g) < 10, 'not a line for each');
  other.socket.terminate();
  await gateway.alive(/injected/);
});
