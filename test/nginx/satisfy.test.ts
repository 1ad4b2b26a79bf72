// satisfy: addresses, a password and an authority together; which of them are asked, what the client is told, and whom auth_delay keeps waiting.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { acceptKey } from '../../src/websocket/handshake.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { RawClient } from '../support/raw-client.ts';
import { ask, type RawAnswer } from '../support/raw-http.ts';
import { startBackend } from '../support/recording-backend.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const INSIDE = 'X-Real-IP: 192.0.2.1';
const OUTSIDE = 'X-Real-IP: 198.51.100.1';
const as = (password: string): string => `Authorization: Basic ${btoa(`me:${password}`)}`;

async function start(t: TestContext, server: string): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    http: `
      access_log off;
      set_real_ip_from 127.0.0.1;
      auth_basic_user_file passwords;
      server { listen 127.0.0.1:8080; ${server} }`,
    files: { passwords: 'me:{PLAIN}right\n', 'html/page': 'a page' },
  });
  t.after(() => gateway.stop());
  return gateway;
}

const at = (gateway: RunningGateway, path: string, ...fields: string[]): Promise<RawAnswer> =>
  ask(gateway.port(), `GET ${path}`, ...fields);

async function statuses(gateway: RunningGateway, path: string): Promise<number[]> {
  const found: number[] = [];
  for (const fields of [[INSIDE, as('right')], [INSIDE], [OUTSIDE, as('right')], [OUTSIDE, as('wrong')], [OUTSIDE]])
    found.push((await at(gateway, path, ...fields)).status);
  return found;
}

const BOTH = 'allow 192.0.2.0/24; deny all; auth_basic x;';

test('a level takes any from above, and may go back to all', async (t) => {
  const gateway = await start(
    t,
    `satisfy any; ${BOTH} location /any { alias html/page; } location /all { satisfy all; alias html/page; }`,
  );
  assert.deepEqual(await statuses(gateway, '/any'), [200, 200, 200, 401, 401]);
  assert.deepEqual(await statuses(gateway, '/all'), [200, 401, 403, 403, 403]);
});

test('with all a password is asked for only where the address may come; with any a refusal by address is not in the log', async (t) => {
  const gateway = await start(
    t,
    `${BOTH} location /any { satisfy any; alias html/page; } location /all { alias html/page; }`,
  );
  const refused = await at(gateway, '/all', OUTSIDE);
  assert.deepEqual([refused.status, refused.headers.get('www-authenticate')], [403, undefined]);
  const asked = await at(gateway, '/all', INSIDE);
  assert.deepEqual([asked.status, asked.headers.get('www-authenticate')], [401, 'Basic realm="x"']);
  const before = gateway.lines().filter((line) => line.includes('forbidden by rule')).length;
  assert.equal(before, 1);
  assert.equal((await at(gateway, '/any', OUTSIDE)).status, 401);
  assert.equal(gateway.lines().filter((line) => line.includes('forbidden by rule')).length, before);
});

test('of address, password and authority any is enough, and all are needed with all', async (t) => {
  const gateway = await start(
    t,
    `${BOTH} auth_request /authority;
     location = /authority { auth_request off; satisfy all; allow all; auth_basic off; if ($http_x_token = good) { return 204; } return 403; }
     location /any { satisfy any; alias html/page; }
     location /all { alias html/page; }`,
  );
  const token = 'X-Token: good';
  assert.equal((await at(gateway, '/any', OUTSIDE, token)).status, 200);
  assert.equal((await at(gateway, '/any', OUTSIDE, as('right'))).status, 200);
  assert.equal((await at(gateway, '/any', INSIDE)).status, 200);
  const refused = await at(gateway, '/any', OUTSIDE);
  // A password would help: that outweighs the refusals before and behind it.
  assert.deepEqual([refused.status, refused.headers.get('www-authenticate')], [401, 'Basic realm="x"']);
  assert.equal((await at(gateway, '/all', INSIDE, as('right'), token)).status, 200);
  assert.equal((await at(gateway, '/all', INSIDE, as('right'))).status, 403);
  assert.equal((await at(gateway, '/all', INSIDE, token)).status, 401);
  assert.equal((await at(gateway, '/all', OUTSIDE, as('right'), token)).status, 403);
});

test('auth_delay keeps those waiting who are asked for a password, and neither those let in nor those turned away', async (t) => {
  const gateway = await start(
    t,
    `${BOTH} location /any { satisfy any; auth_delay 150ms; alias html/page; } location /all { auth_delay 1h; alias html/page; }`,
  );
  const began = performance.now();
  assert.equal((await at(gateway, '/any', OUTSIDE, as('wrong'))).status, 401);
  assert.ok(performance.now() - began >= 149, `${performance.now() - began} ms`);
  // An hour would not be over: that these are answered at all says that nothing is held back.
  assert.equal((await at(gateway, '/all', INSIDE, as('right'))).status, 200);
  assert.equal((await at(gateway, '/all', OUTSIDE, as('wrong'))).status, 403);
});

test('a handshake is held to the same: a tunnel for the address or for the password, a 401 for neither', async (t) => {
  const backend = await startBackend(
    t,
    () =>
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(KEY)}\r\n\r\n`,
  );
  const gateway = await start(
    t,
    `satisfy any; ${BOTH} location / { proxy_pass http://${backend.address}; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }`,
  );
  const found: number[] = [];
  for (const fields of [[INSIDE], [OUTSIDE, as('right')], [OUTSIDE, as('wrong')], [OUTSIDE]]) {
    const client = await RawClient.to(t, gateway.port());
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    client.send(
      ['GET /ws HTTP/1.1', 'Host: a', ...upgrade, `Sec-WebSocket-Key: ${KEY}`, ...fields, '', ''].join('\r\n'),
    );
    found.push((await client.answer()).status);
  }
  assert.deepEqual(found, [101, 101, 401, 401]);
  assert.equal(backend.requests.length, 2);
});
