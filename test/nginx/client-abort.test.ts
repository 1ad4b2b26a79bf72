// A client that leaves before its answer is complete: 499 in the log, and the backend's connection is closed, unless proxy_ignore_client_abort.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ignore_client_abort

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Backend, type Behaviour, OK, startBackend } from '../support/recording-backend.ts';
import { until } from '../support/until.ts';

async function start(t: TestContext, location = '', behaviour: Behaviour = () => undefined) {
  const backend = await startBackend(t, behaviour);
  const gateway = await gatewayFromConfig({
    http: `
      log_format short '$status $body_bytes_sent $upstream_status';
      server {
          listen 127.0.0.1:8080;
          access_log logs/short.log short;
          location / { proxy_pass http://${backend.address}; ${location} }
      }`,
  });
  t.after(() => gateway.stop());
  const logged = () => until('a line in the log', () => gateway.lines('logs/short.log')[0]);
  return { backend, gateway, logged, client: await RawClient.to(t, gateway.port()) };
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

async function untilLeft(backend: Backend): Promise<void> {
  const connection = await backend.connection();
  await backend.until('the close', () => connection.ended || connection.closed);
}

const leaving: readonly [string, (client: RawClient) => void][] = [
  ['ends its half', ({ socket }) => void socket.end()],
  ['closes', ({ socket }) => void socket.destroy()],
  ['resets', ({ socket }) => void socket.resetAndDestroy()],
];

for (const [how, leave] of leaving) {
  test(`a client that ${how} while it waits: 499, and the backend is left`, async (t) => {
    const { backend, client, logged } = await start(t);
    client.send(GET);
    await backend.request();
    leave(client);
    await untilLeft(backend);
    assert.equal(await logged(), '499 0 -');
    await client.untilClosed();
    assert.equal(client.text, '');
  });

  test(`a client that ${how} in the middle of an answer: its status stays, and the backend is left`, async (t) => {
    const beginning = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello';
    const { backend, client, logged } = await start(t, '', () => beginning);
    client.send(GET);
    await client.until('the beginning', () => client.text.endsWith('hello'));
    leave(client);
    await untilLeft(backend);
    assert.equal(await logged(), '200 5 200');
  });

  test(`with proxy_ignore_client_abort, a client that ${how} changes nothing for the backend`, async (t) => {
    const { backend, client, logged } = await start(t, 'proxy_ignore_client_abort on;');
    client.send(GET);
    await backend.request();
    leave(client);
    const connection = await backend.connection();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(connection.ended || connection.closed, false);
    connection.send(OK);
    await untilLeft(backend);
    assert.equal(await logged(), '200 2 200');
  });
}

test('a client that leaves while a peer is being connected to', async (t) => {
  const backend = await startBackend(t);
  // Nobody answers there: the documentation's own network (RFC 5737) is not reached, or refuses; either will do.
  const gateway = await gatewayFromConfig({
    http: `
      server {
          listen 127.0.0.1:8080;
          location / { proxy_pass http://192.0.2.1:81; proxy_connect_timeout 2s; }
          location /good { proxy_pass http://${backend.address}; }
      }`,
  });
  t.after(() => gateway.stop());
  const client = await RawClient.to(t, gateway.port());
  client.send(GET);
  client.socket.resetAndDestroy();
  const other = await RawClient.to(t, gateway.port());
  other.send('GET /good HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.equal((await other.answer()).status, 200);
});

test('a client that ends its half in the middle of its body is told 400, and the backend is left, whatever is to be ignored', async (t) => {
  for (const location of [
    'proxy_request_buffering off;',
    'proxy_request_buffering off; proxy_ignore_client_abort on;',
  ]) {
    const { backend, client, logged } = await start(t, location);
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello');
    await backend.until('the beginning', () => backend.connections[0]?.text.endsWith('hello') === true);
    client.socket.end();
    await untilLeft(backend);
    assert.match(await logged(), /^400 /);
    await client.untilClosed();
    assert.equal(client.answers[0]?.status, 400, 'it may still listen');
  }
});

test('a client that goes in the middle of its body: the backend is left, whatever is to be ignored', async (t) => {
  for (const [, leave] of leaving) {
    const { backend, client, logged } = await start(t, 'proxy_request_buffering off; proxy_ignore_client_abort on;');
    client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await backend.until('the beginning', () => backend.connections[0]?.text.endsWith('hello\r\n') === true);
    leave(client);
    await untilLeft(backend);
    assert.match(await logged(), /^(?:400|499) /);
    assert.equal(backend.requests.length, 0);
  }
});

test('a client that leaves while its body is gathered: nobody was dialled', async (t) => {
  const { backend, client, logged } = await start(t);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello');
  client.socket.end();
  assert.match(await logged(), /^400 /);
  assert.equal(backend.connections.length, 0);
});

test('1000 clients that leave while they wait leave nothing behind', async (t) => {
  const { backend, gateway } = await start(t);
  const port = gateway.port();
  for (let round = 0; round < 10; round++) {
    const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.to(t, port)));
    for (const client of clients) client.send(GET);
    await backend.request((round + 1) * 100);
    for (const [index, client] of clients.entries()) (leaving[index % 3] as (typeof leaving)[0])[1](client);
    await backend.until('all to be left', () => backend.connections.every((one) => one.ended || one.closed));
    for (const { socket } of backend.connections) socket.destroy();
  }
  await until('1000 lines in the log', () => gateway.lines('logs/short.log').length === 1000);
  assert.deepEqual([...new Set(gateway.lines('logs/short.log'))], ['499 0 -']);
});
