// listen: unix sockets on both sides, the options of a socket, and what of them Node cannot set.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { answerOf, ask } from '../support/raw-http.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

async function start(t: TestContext, http: string): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({ http: `access_log off; ${http}` });
  t.after(() => gateway.stop());
  return gateway;
}

function askUnix(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(path, () => socket.write('GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(answerOf(Buffer.concat(chunks)).text));
  });
}

test('a unix socket is an address like any other, of a server and of a peer', async (t) => {
  const path = join(temporaryFolder(t, {}), 'a.sock');
  const gateway = await start(
    t,
    `
    upstream group { server unix:${path}; }
    server { listen unix:${path}; return 200 "[$remote_addr|$remote_port|$server_addr|$server_port|$uri|$http_host]"; }
    server {
      listen 127.0.0.1:8080;
      location /plain { proxy_pass http://unix:${path}; }
      location /uri/ { proxy_pass http://unix:${path}:/under/; }
      location /group { proxy_pass http://group; }
    }`,
  );
  const told = (uri: string, host: string): string => `[unix:||unix:${path}||${uri}|${host}]`;
  assert.equal(await askUnix(path), told('/x', 'a'));
  const port = gateway.port('127.0.0.1:8080');
  assert.equal((await ask(port, 'GET /plain')).text, told('/plain', 'localhost'));
  assert.equal((await ask(port, 'GET /uri/y')).text, told('/under/y', 'localhost'));
  assert.equal((await ask(port, 'GET /group')).text, told('/group', 'group'));
});

test('options that Node cannot set are told, and the server listens all the same', async (t) => {
  const gateway = await start(
    t,
    'server { listen 127.0.0.1:8080 rcvbuf=64k sndbuf=64k fastopen=5 deferred bind reuseport http2; return 200 ok; }',
  );
  const named = gateway.warnings.map((line) => /"(\w+)" of "listen"/.exec(line)?.[1]);
  assert.deepEqual(named.toSorted(), ['deferred', 'fastopen', 'http2', 'rcvbuf', 'sndbuf']);
  assert.equal((await ask(gateway.port(), 'GET /')).text, 'ok');
});

test('so_keepalive is on, off, or times of its own', async (t) => {
  const gateway = await start(
    t,
    'server { listen 127.0.0.1:1 so_keepalive=on; listen 127.0.0.1:2 so_keepalive=off; listen 127.0.0.1:3 so_keepalive=30m::10; listen 127.0.0.1:4; }',
  );
  const settings = (port: number) => gateway.listener(`127.0.0.1:${port}`).options.soKeepalive;
  assert.deepEqual(settings(1), { on: true, idle: 0, interval: 0, count: 0 });
  assert.deepEqual(settings(2), { on: false, idle: 0, interval: 0, count: 0 });
  assert.deepEqual(settings(3), { on: true, idle: 1_800_000, interval: 0, count: 10 });
  assert.equal(settings(4), undefined);
  const told = gateway.warnings.filter((line) => line.includes('the interval and count of "so_keepalive"'));
  assert.equal(told.length, Number.parseInt(process.versions.node, 10) >= 24 ? 0 : 1);
});

test('the options of an address are those of the server that gives some', async (t) => {
  const gateway = await start(
    t,
    'server { listen 127.0.0.1:8080; server_name a; } server { listen 127.0.0.1:8080 backlog=7 ; server_name b; }',
  );
  assert.equal(gateway.listener('127.0.0.1:8080').options.backlog, 7);
});

test('an address is ssl as soon as one of its servers says so', async (t) => {
  await assert.rejects(
    start(t, 'server { listen 127.0.0.1:8443; server_name a; } server { listen 127.0.0.1:8443 ssl; server_name b; }'),
    /no "ssl_certificate" is defined for the "listen ... ssl" directive/,
  );
});
