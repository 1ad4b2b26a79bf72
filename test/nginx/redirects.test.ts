// absolute_redirect, server_name_in_redirect and port_in_redirect: where a redirect leads that we make ourselves, whoever of us makes it.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

async function start(t: TestContext, http: string): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    http: `access_log off; ${http}`,
    files: { 'html/folder/index.html': 'index' },
  });
  t.after(() => gateway.stop());
  return gateway;
}

/** The path of each module that redirects. */
const MAKERS = `
  location /return { return 301 /to?x=y; }
  location /rewrite { rewrite ^ /to?x=y? permanent; }
  location /passed/ { proxy_pass http://127.0.0.1:1; }`;
const PATHS: readonly [path: string, to: string][] = [
  ['/return', '/to?x=y'],
  ['/rewrite', '/to?x=y'],
  ['/folder', '/folder/'],
  ['/folder?a=b', '/folder/?a=b'],
  ['/passed?a=b', '/passed/?a=b'],
];

async function assertAllLeadTo(gateway: RunningGateway, origin: string, host = 'Host: asked.example'): Promise<void> {
  for (const [path, to] of PATHS) {
    const { status, headers } = await ask(gateway.port('127.0.0.1:8080'), `GET ${path}`, host);
    assert.ok(status === 301 || status === 302, `${path}: ${status}`);
    assert.equal(headers.get('location'), `${origin}${to}`, path);
  }
}

test('every redirect leads to the name that was asked for and the port of the server', async (t) => {
  const gateway = await start(t, `server { listen 127.0.0.1:8080; server_name first.example; ${MAKERS} }`);
  await assertAllLeadTo(gateway, 'http://asked.example:8080');
  await assertAllLeadTo(gateway, 'http://asked.example:8080', 'Host: ASKED.example:99');
});

test('with absolute_redirect off every one is a path, whatever the other two say', async (t) => {
  const gateway = await start(
    t,
    `absolute_redirect off; server_name_in_redirect on; port_in_redirect on;
     server { listen 127.0.0.1:8080; server_name first.example; ${MAKERS} }`,
  );
  await assertAllLeadTo(gateway, '');
});

test('with server_name_in_redirect every one leads to the first name of the server, whichever was asked for', async (t) => {
  const gateway = await start(
    t,
    `server_name_in_redirect on; server { listen 127.0.0.1:8080; server_name first.example asked.example; ${MAKERS} }`,
  );
  await assertAllLeadTo(gateway, 'http://first.example:8080');
});

test('with port_in_redirect off none has a port; port 80 is never named', async (t) => {
  const gateway = await start(
    t,
    `server { listen 127.0.0.1:8080; port_in_redirect off; ${MAKERS} }
     server { listen 127.0.0.1:80; location / { return 301 /to; } }`,
  );
  await assertAllLeadTo(gateway, 'http://asked.example');
  const { headers } = await ask(gateway.port('127.0.0.1:80'), 'GET /', 'Host: asked.example');
  assert.equal(headers.get('location'), 'http://asked.example/to');
});

test('an inner level has what stands above, or its own', async (t) => {
  const gateway = await start(
    t,
    `absolute_redirect off;
     server {
       listen 127.0.0.1:8080;
       location /above { return 301 /to; }
       location /own { absolute_redirect on; port_in_redirect off; return 301 /to;
         location /own/inner { port_in_redirect on; return 301 /to; } }
     }`,
  );
  const to = async (path: string): Promise<string | undefined> =>
    (await ask(gateway.port(), `GET ${path}`, 'Host: asked.example')).headers.get('location');
  assert.equal(await to('/above'), '/to');
  assert.equal(await to('/own'), 'http://asked.example/to');
  assert.equal(await to('/own/inner'), 'http://asked.example:8080/to');
});
