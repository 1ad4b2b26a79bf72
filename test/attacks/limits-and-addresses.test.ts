// Too much from one client, and a client that says it is somebody else: floods of requests and of tunnels stay within `limit_req` and
// `limit_conn`, whose counts return to 0; X-Forwarded-For, X-Real-IP and PROXY headers are believed of trusted proxies alone, so that
// neither limits nor logs can be led astray.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { acceptKey } from '../../src/websocket/handshake.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf, fieldsOf } from '../support/http-reader.ts';
import { proxyBinary, proxyLine } from '../support/proxy-header.ts';
import { type RawClient, sendAlone } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { type AttackedGateway, attackedGateway, UPGRADE } from './attacked-gateway.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(KEY)}\r\n\r\n`;
const HANDSHAKE = `GET /limited HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`;
const get = (path: string, ...lines: string[]): string =>
  [`GET ${path} HTTP/1.1`, 'Host: a', 'Connection: close', ...lines, '', ''].join('\r\n');

const statusOf = ({ answers }: RawClient): number | undefined => answers[0]?.status;

function limited(t: TestContext): Promise<AttackedGateway> {
  return attackedGateway(t, {
    http: `
      limit_conn_zone $binary_remote_addr zone=conns:1m;
      limit_req_zone $binary_remote_addr zone=reqs:1m rate=1r/m;
      set_real_ip_from 192.0.2.0/24;
      real_ip_header X-Forwarded-For;
      real_ip_recursive on;`,
    server: `
      location /limited { limit_conn conns 3; proxy_pass http://backend; ${UPGRADE} }
      location /rate { limit_req zone=reqs burst=4 nodelay; proxy_pass http://backend; }
      location / { proxy_pass http://backend; proxy_set_header X-Real-IP $remote_addr; }`,
    behaviour: (request) =>
      fieldOf(request, 'upgrade') === 'websocket' ? SWITCH : 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  });
}

test('a flood of tunnels gets as many as it may have; they count until they close, and then all of them are free again', async (t) => {
  const attacked = await limited(t);
  const flood = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const client = await attacked.connect();
      client.send(HANDSHAKE);
      return { client, status: (await client.answer()).status };
    }),
  );
  const open = flood.filter(({ status }) => status === 101);
  assert.equal(open.length, 3);
  assert.equal(flood.filter(({ status }) => status === 503).length, 17);
  assert.equal(statusOf(await attacked.send(get('/limited'))), 503, 'a plain request is held to the same');
  for (const { client } of flood) client.socket.resetAndDestroy();
  await until('all have gone', async () => statusOf(await attacked.send(get('/limited'))) === 200);
  for (let i = 0; i < 3; i++) {
    const client = await attacked.connect();
    client.send(HANDSHAKE);
    assert.equal((await client.answer()).status, 101);
  }
  await attacked.isAlive();
});

test('a flood of requests gets as many as its burst, whoever they say they come from', async (t) => {
  const attacked = await limited(t);
  const statuses: (number | undefined)[] = [];
  for (let i = 0; i < 12; i++) {
    const lies = [`X-Forwarded-For: 203.0.113.${i}`, `X-Real-IP: 203.0.113.${i}`, `Forwarded: for=203.0.113.${i}`];
    statuses.push(statusOf(await attacked.send(get('/rate', ...lies))));
  }
  assert.deepEqual(statuses, [...Array(5).fill(200), ...Array(7).fill(503)]);
  assert.ok(attacked.gateway.lines('logs/access.log').every((line) => line.startsWith('127.0.0.1 ')));
  await attacked.isAlive();
});

test('the backend is told the address of the socket where the sender is not trusted', async (t) => {
  const attacked = await limited(t);
  await attacked.send(get('/', 'X-Forwarded-For: 192.0.2.1, 10.0.0.1', 'X-Real-IP: 192.0.2.1'));
  assert.deepEqual(fieldsOf(await attacked.backend.request(), 'x-real-ip'), ['127.0.0.1']);
  await attacked.isAlive();
});

test('a PROXY header where none is spoken is a bad request, and names nobody', async (t) => {
  const attacked = await limited(t);
  const header = { source: '192.0.2.1', sourcePort: 1, destination: '192.0.2.2', destinationPort: 2 };
  for (const head of [proxyLine(header), proxyBinary(header)]) {
    const { text } = await attacked.send(Buffer.concat([head, Buffer.from(get('/'))]));
    assert.match(text, /^(?:HTTP\/1\.1 400 |<html>)/);
  }
  assert.equal(attacked.backend.requests.length, 0);
  assert.ok(attacked.gateway.lines('logs/access.log').every((line) => line.startsWith('127.0.0.1 ')));
  await attacked.isAlive();
});

const PLACES = `
  limit_conn_zone $binary_remote_addr zone=places:1m;
  limit_req_zone $binary_remote_addr zone=handshakes:1m rate=1r/s;`;

async function statusesOfFlood(
  attacked: AttackedGateway,
  size: number,
): Promise<{ client: RawClient; status: number }[]> {
  const clients = await Promise.all(Array.from({ length: size }, () => attacked.connect()));
  for (const client of clients) client.send(HANDSHAKE);
  return Promise.all(clients.map(async (client) => ({ client, status: (await client.answer()).status })));
}

test('handshakes at once get as many tunnels as their burst, the others a 429; a tunnel that lives on does not hold its place in the rate', async (t) => {
  const attacked = await attackedGateway(t, {
    http: PLACES,
    server: `location /limited {
      limit_req zone=handshakes burst=4 nodelay; limit_req_status 429;
      proxy_pass http://backend; ${UPGRADE}
    }`,
    behaviour: () => SWITCH,
  });
  const flood = await statusesOfFlood(attacked, 8);
  assert.deepEqual(flood.map(({ status }) => status).sort(), [...Array(5).fill(101), ...Array(3).fill(429)]);
  assert.equal(attacked.backend.requests.length, 5, 'the backend has seen nothing of the others');
  await until('the rate lets in one more', async () => (await statusesOfFlood(attacked, 1))[0]?.status === 101);
  assert.ok(
    flood.every(({ client, status }) => status !== 101 || !client.ended),
    'the first ones are open all the while',
  );
  await attacked.isAlive();
});

test('a limit_conn_status of its own is what those get who have no place; closed tunnels leave theirs to the next', async (t) => {
  const attacked = await attackedGateway(t, {
    http: PLACES,
    server: `location /limited {
      limit_conn places 3; limit_conn_status 429;
      proxy_pass http://backend; ${UPGRADE}
    }`,
    behaviour: () => SWITCH,
  });
  const round = async (): Promise<number[]> => {
    const flood = await statusesOfFlood(attacked, 8);
    for (const { client } of flood) client.socket.resetAndDestroy();
    return flood.map(({ status }) => status).sort();
  };
  const expected = [...Array(3).fill(101), ...Array(5).fill(429)];
  assert.deepEqual(await round(), expected);
  await until('all three are free again', async () => (await round()).join() === expected.join());
  await attacked.isAlive();
});

test('a PROXY header of a sender that is not trusted is told as a claim, and neither rules nor limits nor logs believe it', async (t) => {
  const gateway = await gatewayFromConfig({
    http: `
      log_format told '$remote_addr claims $proxy_protocol_addr';
      access_log logs/access.log told;
      limit_req_zone $binary_remote_addr zone=reqs:1m rate=1r/m;
      server {
        listen 127.0.0.1:8080 proxy_protocol;
        set_real_ip_from 192.0.2.0/24;
        real_ip_header proxy_protocol;
        location /for-claimed { allow 192.0.2.0/24; deny all; try_files /none =404; }
        location /for-socket { allow 127.0.0.1; deny all; try_files /none =404; }
        location /against-claimed { deny 192.0.2.0/24; try_files /none =404; }
        location /rate { limit_req zone=reqs; limit_req_status 429; try_files /none =404; }
        location / { return 200 "$remote_addr $realip_remote_addr $proxy_protocol_addr"; }
      }`,
  });
  t.after(() => gateway.stop());
  let claims = 0;
  const send = (path: string): Promise<RawClient> => {
    const header = { source: `192.0.2.${++claims}`, sourcePort: 1, destination: '192.0.2.99', destinationPort: 2 };
    const head = claims % 2 === 0 ? proxyLine(header) : proxyBinary(header);
    return sendAlone(t, gateway.port(), Buffer.concat([head, Buffer.from(get(path))]));
  };
  for (const claimed of ['192.0.2.1', '192.0.2.2'])
    assert.equal((await send('/')).answers[0]?.body.toString(), `127.0.0.1 127.0.0.1 ${claimed}`);
  const statuses: (number | undefined)[] = [];
  for (const path of ['/for-claimed', '/for-socket', '/against-claimed', '/rate', '/rate', '/rate'])
    statuses.push(statusOf(await send(path)));
  assert.deepEqual(statuses, [403, 404, 404, 404, 429, 429]);
  assert.deepEqual(
    gateway.lines('logs/access.log'),
    Array.from({ length: claims }, (_, i) => `127.0.0.1 claims 192.0.2.${i + 1}`),
  );
  assert.match(gateway.read('logs/error.log'), /access forbidden by rule, client: 127\.0\.0\.1,/);
});
