// queue and websocket_connect_wait: what they take.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';

async function warningsOf(upstream: string): Promise<readonly string[]> {
  const gateway = await gatewayFromConfig({
    http: `upstream app { server 127.0.0.1:1; ${upstream} } server { listen 127.0.0.1:8080; }`,
  });
  gateway.stop();
  return gateway.warnings;
}

const mistake = (http: string, message: RegExp): Promise<void> =>
  assert.rejects(gatewayFromConfig({ http: `${http} server { listen 127.0.0.1:8080; }` }), message);

test('queue stands behind the method; the other way round is a warning', async () => {
  assert.deepEqual(await warningsOf('least_conn; queue 10 timeout=5s;'), []);
  assert.match((await warningsOf('queue 10; least_conn;')).join(), /load balancing method redefined/);
});

test('what queue does not take is told', async () => {
  const inUpstream = (queue: string): string => `upstream app { server 127.0.0.1:1; ${queue} }`;
  await mistake(inUpstream('queue 0;'), /queue/);
  await mistake(inUpstream('queue many;'), /queue/);
  await mistake(inUpstream('queue 5 timeout=soon;'), /invalid parameter "timeout=soon"/);
  await mistake(inUpstream('queue 5 wait=1s;'), /invalid parameter "wait=1s"/);
  await mistake('queue 5;', /"queue" directive is not allowed here/);
});

test('what websocket_connect_wait does not take is told', async () => {
  await mistake('websocket_connect_wait soon;', /websocket_connect_wait/);
  await mistake('websocket_connect_wait 5s max=0;', /invalid parameter "max=0"/);
  await mistake('websocket_connect_wait 5s rate=5;', /invalid parameter "rate=5"/);
});
