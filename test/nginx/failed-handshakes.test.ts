// A handshake that fails is the matter of one client: only what says that a peer is not there counts to max_fails.
// https://nginx.org/en/docs/http/ngx_http_upstream_module.html#max_fails

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Backend, type Behaviour, OK, startBackend } from '../support/recording-backend.ts';
import { until } from '../support/until.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

const answer = (status: string, accept = ACCEPT): string =>
  `HTTP/1.1 ${status}\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;

/** What the path says that it does. */
const peer: Behaviour = ({ startLine }, { socket }) => {
  if (startLine.includes('/leaves')) {
    socket.destroy();
    return undefined;
  }
  if (startLine.includes('/resets')) {
    socket.resetAndDestroy();
    return undefined;
  }
  if (startLine.includes('/429')) return 'HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n';
  if (startLine.includes('/503')) return 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n';
  if (startLine.includes('/400')) return 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n';
  if (startLine.includes('/wrong')) return answer('101 Switching Protocols', 'wrong');
  if (startLine.includes('/silent')) return undefined;
  return startLine.includes('/ws') ? answer('101 Switching Protocols') : OK;
};

interface Group {
  readonly gateway: RunningGateway;
  readonly backends: readonly Backend[];
}

/** @param tries of `proxy_next_upstream_tries`; 0: one of each peer */
async function start(t: TestContext, tries: number, location = ''): Promise<Group> {
  const backends = [await startBackend(t, peer), await startBackend(t, peer)];
  const servers = backends.map(({ address }) => `server ${address} max_fails=1 fail_timeout=1h;`).join(' ');
  const gateway = await gatewayFromConfig({
    http: `
      upstream app { ${servers} }
      server {
        listen 127.0.0.1:8080;
        location / {
          proxy_pass http://app;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection upgrade;
          proxy_next_upstream error timeout http_429 http_503;
          proxy_next_upstream_tries ${tries};
          ${location}
        }
      }`,
  });
  t.after(() => gateway.stop());
  return { gateway, backends };
}

async function ask(t: TestContext, { gateway }: Group, path: string, upgrade = true): Promise<string> {
  const client = await RawClient.to(t, gateway.port());
  const lines = upgrade
    ? `Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n`
    : 'Connection: close\r\n';
  client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`);
  await until(`an answer to ${path}`, () => client.text.includes('\r\n\r\n'));
  client.socket.destroy();
  return client.text.slice(9, 12);
}

/** How many of the two still get requests. */
async function living(t: TestContext, group: Group): Promise<number> {
  const seen = new Set<string>();
  const before = group.backends.map(({ requests }) => requests.length);
  for (let i = 0; i < 4; i++) seen.add(await ask(t, group, '/plain', false));
  assert.ok(seen.size === 1, [...seen].join());
  return group.backends.filter(({ requests }, index) => requests.length > (before[index] ?? 0)).length;
}

for (const path of ['/leaves', '/resets', '/wrong']) {
  test(`a handshake that ends with ${path.slice(1)} is a 502 for one client, and its peer stays`, async (t) => {
    const group = await start(t, 1);
    for (let i = 0; i < 6; i++) assert.equal(await ask(t, group, path), '502');
    assert.equal(await ask(t, group, '/ws'), '101');
    assert.equal(await living(t, group), 2);
    assert.doesNotMatch(group.gateway.read('logs/error.log'), /temporarily disabled/);
  });
}

for (const status of ['400', '429']) {
  test(`a handshake that is answered with ${status} is passed on, and its peer stays`, async (t) => {
    const group = await start(t, 0);
    for (let i = 0; i < 6; i++) assert.equal(await ask(t, group, `/${status}`), status);
    assert.equal(await living(t, group), 2);
  });
}

test('a handshake that ends without an answer is still tried with the next peer, and neither is disabled', async (t) => {
  const group = await start(t, 0);
  assert.equal(await ask(t, group, '/leaves'), '502');
  assert.deepEqual(
    group.backends.map(({ requests }) => requests.length),
    [1, 1],
  );
  assert.equal(await living(t, group), 2);
});

test('a handshake that is answered with a 5xx of proxy_next_upstream disables the peer', async (t) => {
  const group = await start(t, 0);
  assert.equal(await ask(t, group, '/503'), '503');
  assert.equal(await living(t, group), 1);
});

test('the same with an ordinary request disables the peer, as in nginx', async (t) => {
  const group = await start(t, 1);
  assert.equal(await ask(t, group, '/leaves', false), '502');
  assert.equal(await living(t, group), 1);
});

test('a handshake that is not answered in time disables the peer', async (t) => {
  const group = await start(t, 1, 'proxy_read_timeout 100ms;');
  assert.equal(await ask(t, group, '/silent'), '504');
  assert.equal(await living(t, group), 1);
});
