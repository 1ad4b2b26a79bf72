// stub_status: what is counted, when it is counted no more, and over how many workers.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { acceptKey } from '../../src/websocket/handshake.ts';
import { ConnectionCounts } from '../../src/zones/connection-counts.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { fieldOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { ask, exchangeBytes } from '../support/raw-http.ts';
import { startBackend } from '../support/recording-backend.ts';
import { until } from '../support/until.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(KEY)}\r\n\r\n`;

async function start(t: TestContext): Promise<RunningGateway> {
  const backend = await startBackend(t, (request) => (fieldOf(request, 'upgrade') === undefined ? undefined : SWITCH));
  const gateway = await gatewayFromConfig({
    http: `
      access_log off;
      server {
        listen 127.0.0.1:8080;
        location / { return 204; }
        location /status { stub_status; }
        location /variables { return 200 "$connections_active $connections_reading $connections_writing $connections_waiting"; }
        location /proxied {
          proxy_pass http://${backend.address};
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection upgrade;
        }
      }
      server { listen 127.0.0.1:8081 proxy_protocol; }`,
  });
  t.after(() => gateway.stop());
  return gateway;
}

const numbers = async (gateway: RunningGateway): Promise<string> => (await ask(gateway.port(), 'GET /variables')).text;

test('the page is that of nginx, and counts the request that asks for it', async (t) => {
  const gateway = await start(t);
  await ask(gateway.port(), 'GET /');
  const { text, headers } = await ask(gateway.port(), 'GET /status');
  assert.equal(
    text,
    'Active connections: 1 \nserver accepts handled requests\n 2 2 2 \nReading: 0 Writing: 1 Waiting: 0 \n',
  );
  assert.equal(headers.get('content-type'), 'text/plain');
  assert.equal((await ask(gateway.port(), 'HEAD /status')).status, 200);
  assert.equal((await ask(gateway.port(), 'POST /status', 'Content-Length: 0')).status, 405);
});

test('connections wait, are read, are written to, and all is as before when they have gone', async (t) => {
  const gateway = await start(t);
  assert.equal(await numbers(gateway), '1 0 1 0');
  const clients: RawClient[] = [];
  const open = async (bytes: string): Promise<RawClient> => {
    const client = await RawClient.to(t, gateway.port());
    clients.push(client);
    client.send(bytes);
    return client;
  };
  await open('');
  await until('one that has said nothing', async () => (await numbers(gateway)) === '2 0 1 1');
  await (await open('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).answer();
  assert.equal(await numbers(gateway), '3 0 1 2');
  const slow = await open('GET / HTTP/1.1\r\nHo');
  await until('one whose head is coming', async () => (await numbers(gateway)) === '4 1 1 2');
  slow.send('st: a\r\n\r\n');
  await slow.answer();
  assert.equal(await numbers(gateway), '4 0 1 3');
  slow.send('GET / HT');
  await until('its next head', async () => (await numbers(gateway)) === '4 1 1 2');
  await open('GET /proxied HTTP/1.1\r\nHost: a\r\n\r\n');
  await until('one that is not answered', async () => (await numbers(gateway)) === '5 1 2 2');
  const upgrade = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}`;
  const tunnel = await open(`GET /proxied HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n\r\n`);
  assert.equal((await tunnel.answer()).status, 101);
  assert.equal(await numbers(gateway), '6 1 3 2');
  const greeting = await RawClient.to(t, gateway.port('127.0.0.1:8081'));
  clients.push(greeting);
  greeting.send('PROXY TC');
  await until('one before its PROXY header', async () => (await numbers(gateway)) === '7 1 3 3');
  for (const client of clients) client.socket.resetAndDestroy();
  await until('all have gone', async () => (await numbers(gateway)) === '1 0 1 0');
});

test('what is no request counts as one while it is refused', async (t) => {
  const gateway = await start(t);
  await exchangeBytes(gateway.port(), Buffer.from('nonsense\r\n\r\n'));
  assert.match((await ask(gateway.port(), 'GET /status')).text, / 2 2 2 \nReading: 0 Writing: 1 Waiting: 0/);
});

test('the counts are those of all workers; of one that died nothing is left but what it had counted for ever', () => {
  const leader = ZoneDirectory.create();
  leader.useWorkers(2);
  leader.beginConfiguration();
  const all = ConnectionCounts.of(leader);
  const [one, two] = [0, 1].map((worker) => ConnectionCounts.of(ZoneDirectory.join(leader.state(), worker))) as [
    ConnectionCounts,
    ConnectionCounts,
  ];
  for (const counts of [one, two, two]) {
    counts.accept();
    counts.change(1);
    counts.requestBegins();
  }
  two.requestEnds();
  two.headBegins();
  assert.deepEqual([all.accepted, all.requests, all.active, all.reading, all.writing, all.waiting], [3, 3, 3, 1, 2, 0]);
  leader.zeroColumn(1);
  assert.deepEqual([all.accepted, all.requests, all.active, all.reading, all.writing, all.waiting], [3, 3, 1, 0, 1, 0]);
});
