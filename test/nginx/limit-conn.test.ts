// limit_conn: how many there may be at once for a key, tunnels among them until they close; and the counts return to 0.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { acceptKey } from '../../src/websocket/handshake.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { fieldOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { ask } from '../support/raw-http.ts';
import { type Backend, startBackend } from '../support/recording-backend.ts';
import { until } from '../support/until.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(KEY)}\r\n\r\n`;
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
const ZONE = 'limit_conn_zone $arg_k zone=conns:1m;';

interface Scene {
  readonly gateway: RunningGateway;
  readonly backend: Backend;
  /** Asks with a connection that stays. */
  open(path: string, ...fields: string[]): Promise<RawClient>;
  get(path: string): Promise<number>;
}

/** What begins with /wait is never answered. */
async function start(t: TestContext, server: string, http = ZONE): Promise<Scene> {
  const backend = await startBackend(t, (request) => {
    if (fieldOf(request, 'upgrade') !== undefined) return SWITCH;
    return request.head.startsWith('GET /wait') ? undefined : OK;
  });
  const gateway = await gatewayFromConfig({
    http: `
      log_format said '$status $limit_conn_status';
      ${http}
      server {
          listen 127.0.0.1:8080;
          access_log logs/access.log said;
          ${server}
          location / {
              proxy_pass http://${backend.address};
              proxy_set_header Upgrade $http_upgrade;
              proxy_set_header Connection upgrade;
          }
      }`,
  });
  t.after(() => gateway.stop());
  const open = async (path: string, ...fields: string[]): Promise<RawClient> => {
    const client = await RawClient.to(t, gateway.port());
    client.send([`GET ${path} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n'));
    return client;
  };
  return { gateway, backend, open, get: async (path) => (await ask(gateway.port(), `GET ${path}`)).status };
}

test('a request counts until it has been answered, by its key; those without a key do not', async (t) => {
  const { backend, open, get, gateway } = await start(t, 'limit_conn conns 1;');
  const waiting = await open('/wait?k=a');
  await backend.request();
  assert.equal(await get('/?k=a'), 503);
  assert.equal(await get('/?k=b'), 200);
  assert.equal(await get('/'), 200);
  assert.match(
    gateway.read('logs/error.log'),
    /\[error\].* limiting connections by zone "conns", client: 127\.0\.0\.1/,
  );
  const connection = await backend.connection();
  connection.send(OK);
  assert.equal((await waiting.answer()).status, 200);
  assert.equal(await get('/?k=a'), 200);
  assert.deepEqual(gateway.lines('logs/access.log'), [
    '503 REJECTED',
    '200 PASSED',
    '200 -',
    '200 PASSED',
    '200 PASSED',
  ]);
});

test('a client that goes before its answer is counted no more', async (t) => {
  const { backend, open, get } = await start(t, 'limit_conn conns 1;');
  const waiting = await open('/wait?k=a');
  await backend.request();
  waiting.socket.resetAndDestroy();
  await until('it is free again', async () => (await get('/?k=a')) === 200);
});

test('a tunnel counts until it closes, and a request that was refused does not', async (t) => {
  const { gateway, open, get } = await start(t, 'limit_conn conns 2; websocket_close_timeout 100ms;');
  const upgrade = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${KEY}`,
  ];
  const tunnels = [await open('/ws?k=a', ...upgrade), await open('/ws?k=a', ...upgrade)];
  for (const tunnel of tunnels) assert.equal((await tunnel.answer()).status, 101);
  for (let i = 0; i < 3; i++) assert.equal(await get('/?k=a'), 503);
  assert.equal((await (await open('/ws?k=a', ...upgrade)).answer()).status, 503);
  // Its line is written when it has closed. To try for a place instead would be to hold it.
  const closed = (): number => gateway.lines('logs/access.log').filter((line) => line === '101 PASSED').length;
  tunnels[0]?.socket.resetAndDestroy();
  await until('the first to close', () => closed() === 1);
  assert.equal(await get('/?k=a'), 200);
  tunnels[1]?.socket.resetAndDestroy();
  await until('the second to close', () => closed() === 2);
  for (let i = 0; i < 2; i++) assert.equal((await (await open('/ws?k=a', ...upgrade)).answer()).status, 101);
  assert.equal(await get('/?k=a'), 503);
});

test('several limits hold together: who is refused by one counts for none', async (t) => {
  const { backend, open, get } = await start(
    t,
    'limit_conn conns 2; limit_conn others 1;',
    `${ZONE} limit_conn_zone $arg_o zone=others:1m;`,
  );
  await open('/wait?k=a&o=x');
  await backend.request();
  for (let i = 0; i < 5; i++) assert.equal(await get('/?k=a&o=x'), 503);
  assert.equal(await get('/?k=a&o=y'), 200);
});

test('in a dry run nothing is refused, but told; the status and the level may be others', async (t) => {
  const { backend, open, get, gateway } = await start(
    t,
    'limit_conn conns 1; limit_conn_dry_run on; limit_conn_log_level info;',
  );
  await open('/wait?k=a');
  await backend.request();
  assert.equal(await get('/?k=a'), 200);
  assert.match(gateway.read('logs/error.log'), /\[info\].* limiting connections, dry run, by zone "conns"/);
  assert.deepEqual(gateway.lines('logs/access.log'), ['200 REJECTED_DRY_RUN']);
  const other = await start(t, 'limit_conn conns 1; limit_conn_status 429;');
  await other.open('/wait?k=a');
  await other.backend.request();
  assert.equal(await other.get('/?k=a'), 429);
});

test('a key that is too long is not limited, and told', async (t) => {
  const { backend, open, get, gateway } = await start(t, 'limit_conn conns 1;');
  const key = 'x'.repeat(256);
  await open(`/wait?k=${key}`);
  await backend.request();
  assert.equal(await get(`/?k=${key}`), 200);
  assert.match(gateway.read('logs/error.log'), /the value of the "\$arg_k" key is more than 255 bytes: "xxx/);
});

describe('a mistake is told in nginx’s words', () => {
  const mistakes: readonly (readonly [string, string, RegExp])[] = [
    ['limit_conn conns 0;', ZONE, /invalid number of connections "0"/],
    ['limit_conn conns 65536;', ZONE, /connection limit must be less 65536/],
    ['limit_conn conns 1; limit_conn conns 2;', ZONE, /"limit_conn" directive is duplicate/],
    ['limit_conn none 1;', '', /zero size shared memory zone "none"/],
    ['', `${ZONE} limit_conn_zone $arg_x zone=conns:1m;`, /limit_conn_zone "conns" is already bound to key "\$arg_k"/],
    ['', 'limit_conn_zone $arg_x zone=a;', /invalid zone size "zone=a"/],
    ['', 'limit_conn_zone $arg_x conns;', /invalid parameter "conns"/],
  ];
  for (const [server, http, message] of mistakes) {
    test(`${server} ${http}`, async (t) => {
      await assert.rejects(start(t, server, http), message);
    });
  }
});
