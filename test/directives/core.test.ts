// error_log: which lines of which level go where; the rest of the core is held to its settings in load-snapshot.test.ts.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  const dead = `127.0.0.1:${await freePort()}`;
  const pass = `proxy_pass http://${dead}`;
  gateway = await gatewayFromConfig({
    main: 'error_log logs/main.log error; error_log logs/main-crit.log crit;',
    http: `
      access_log off;
      log_not_found on;
      server {
        listen 127.0.0.1:8080;
        location /main { ${pass}; }
        location /own { error_log logs/own.log; ${pass}; location /own/inner { ${pass}; } }
        location /crit { error_log logs/crit.log crit; ${pass}; }
        location /two { error_log logs/two-a.log warn; error_log logs/two-b.log crit; ${pass}; }
        location /quiet { log_not_found off; }
        location / { }
      }
      server { listen 127.0.0.1:8081; error_log logs/server.log; location / { ${pass}; } }
    `,
  });
});

after(() => gateway.stop());

/** How many lines of each log a request has made. */
async function made(path: string, address?: string): Promise<Record<string, number>> {
  const names = ['main', 'main-crit', 'own', 'crit', 'two-a', 'two-b', 'server'];
  const counts = () => names.map((name) => gateway.lines(`logs/${name}.log`).length);
  const before = counts();
  await ask(gateway.port(address), `GET ${path}`);
  const grown = counts().map((count, index) => [names[index] as string, count - (before[index] as number)] as const);
  return Object.fromEntries(grown.filter(([, count]) => count > 0));
}

describe('error_log', () => {
  test('of the main level takes what no other does, in each file what is severe enough for it', async () => {
    assert.deepEqual(await made('/main'), { main: 1 });
  });

  test('of a level replaces those above, for the levels below, too', async () => {
    assert.deepEqual(await made('/own'), { own: 1 });
    assert.deepEqual(await made('/own/inner'), { own: 1 });
    assert.deepEqual(await made('/x', '127.0.0.1:8081'), { server: 1 });
  });

  test('leaves out what is less severe than its level', async () => {
    assert.deepEqual(await made('/crit'), {});
  });

  test('may stand several times, each with a level of its own', async () => {
    assert.deepEqual(await made('/two'), { 'two-a': 1 });
  });

  test('has lines of this form', async () => {
    await ask(gateway.port(), 'GET /own?a=b', 'Host: h.test');
    assert.match(
      gateway.lines('logs/own.log').at(-1) ?? '',
      /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d \[error\] \d+#\d+: \*\d+ connect\(\) failed \(111: Connection refused\) while connecting to upstream, client: 127\.0\.0\.1, server: , request: "GET \/own\?a=b HTTP\/1\.1", upstream: "http:\/\/127\.0\.0\.1:\d+\/own\?a=b", host: "h\.test"$/,
    );
  });
});

test('log_not_found says whether a missing file is a line', async () => {
  assert.deepEqual(await made('/missing'), { main: 1 });
  assert.deepEqual(await made('/quiet/missing'), {});
});
