// keepalive of an upstream: connections to peers are used again, where the answer was whole and the peer agrees.
// https://nginx.org/en/docs/http/ngx_http_upstream_module.html#keepalive

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Behaviour, OK, startBackend } from '../support/recording-backend.ts';

async function start(t: TestContext, upstream = '', location = '', behaviour?: Behaviour) {
  const backend = await startBackend(t, behaviour);
  const gateway = await gatewayFromConfig({
    http: `
      upstream backend { server ${backend.address}; ${upstream} }
      server {
          listen 127.0.0.1:8080;
          location / { proxy_pass http://backend; ${location} }
          location /other { proxy_pass http://backend; }
      }`,
  });
  t.after(() => gateway.stop());
  const client = await RawClient.to(t, gateway.port());
  /** Asks one after the other. @returns how many connections that took */
  const askEach = async (...paths: string[]): Promise<number> => {
    const [asked, made] = [client.answers.length, backend.connections.length];
    for (const [index, path] of paths.entries()) {
      client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      await client.answer(asked + index + 1);
    }
    return backend.connections.length - made;
  };
  return { backend, gateway, askEach };
}

test('by default a connection serves one request after the other, of one location', async (t) => {
  const { askEach } = await start(t);
  assert.equal(await askEach('/1', '/2', '/3'), 1);
  assert.equal(await askEach('/other', '/other'), 1);
});

test('written without local, all locations share them', async (t) => {
  const { askEach } = await start(t, 'keepalive 4;');
  assert.equal(await askEach('/1', '/other', '/2'), 1);
});

test('keepalive 0, an answer with Connection: close, and HTTP/1.0 keep none', async (t) => {
  const closing = OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
  const cases: [string, Behaviour][] = [
    ['keepalive 0;', () => OK],
    ['', () => closing],
    ['', () => OK.replace('HTTP/1.1', 'HTTP/1.0')],
  ];
  for (const [upstream, behaviour] of cases) {
    const { askEach } = await start(t, upstream, '', behaviour);
    assert.equal(await askEach('/1', '/2'), 2);
  }
});

test('keepalive_requests and keepalive_timeout end them', async (t) => {
  const few = await start(t, 'keepalive 4; keepalive_requests 2;');
  assert.equal(await few.askEach('/1', '/2', '/3', '/4'), 2);
  const short = await start(t, 'keepalive 4; keepalive_timeout 100ms;');
  await short.askEach('/1');
  await wait(50);
  const connection = await short.backend.connection();
  await short.backend.until('the close', () => connection.ended || connection.closed);
  assert.equal(await short.askEach('/2'), 1);
});

test('requests that come at the same time have their own connections, of which so many are kept', async (t) => {
  const backend = await startBackend(t, (_, connection) => void setTimeout(() => connection.send(OK), 50));
  const gateway = await gatewayFromConfig({
    http: `
      upstream backend { server ${backend.address}; keepalive 2; }
      server { listen 127.0.0.1:8080; location / { proxy_pass http://backend; } }`,
  });
  t.after(() => gateway.stop());
  const clients = await Promise.all(Array.from({ length: 5 }, () => RawClient.to(t, gateway.port())));
  for (const client of clients) client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  for (const client of clients) await client.answer();
  assert.equal(backend.connections.length, 5);
  await backend.until(
    'three to be closed',
    () => backend.connections.filter((one) => one.ended || one.closed).length === 3,
  );
});

test('what a peer says while nobody asks it closes its connection; it is not the answer to the next request', async (t) => {
  const { backend, askEach } = await start(t);
  await askEach('/1');
  const connection = await backend.connection();
  connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
  await backend.until('the close', () => connection.ended || connection.closed);
  assert.equal(await askEach('/2'), 1);
});

test('after a body that the peer did not want its connection is not used again', async (t) => {
  const { backend, gateway } = await start(t, '', 'proxy_request_buffering off;', () => undefined);
  backend.onConnection = ({ socket }) => socket.once('data', () => socket.write(OK));
  const client = await RawClient.to(t, gateway.port());
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello');
  await client.answer();
  client.send('worldGET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.equal((await client.answer(2)).status, 200);
  assert.equal(backend.connections.length, 2);
});
