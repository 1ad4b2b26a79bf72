// What a connection of HTTP/1.1 does, over TLS: there a write always completes later, and the end of a stream is said by close_notify.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { selfSignedCertificate } from '../support/certificates.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf, type HttpMessage } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { startBackend } from '../support/recording-backend.ts';

const LARGE = 4 * 1024 * 1024;

async function start(t: TestContext, http = '') {
  const { cert, key } = await selfSignedCertificate();
  const backend = await startBackend(t, ({ body }, { socket }) => {
    socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}${'x'.repeat(LARGE)}`);
    return undefined;
  });
  const gateway = await gatewayFromConfig({
    http: `
      ${http}
      client_max_body_size 0;
      server {
          listen 127.0.0.1:8443 ssl;
          ssl_certificate a.crt;
          ssl_certificate_key a.key;
          root html;
          location / { }
          location /own { return 200 own; }
          location /proxied { proxy_pass http://${backend.address}; }
      }`,
    files: { 'a.crt': cert, 'a.key': key, 'html/large': Buffer.alloc(LARGE, 'f') },
  });
  t.after(() => gateway.stop());
  const open = (): Promise<RawClient> => RawClient.to(t, gateway.port(), { tls: {} });
  return Object.assign(open, { gateway });
}

const get = (path: string, ...lines: string[]): string =>
  [`GET ${path} HTTP/1.1`, 'Host: a', ...lines, '', ''].join('\r\n');

test('a large last answer arrives whole, whether its length is told or its end is the close, at a reader’s own pace', async (t) => {
  const open = await start(t);
  for (const request of [
    get('/large', 'Connection: close'),
    get('/proxied', 'Connection: close'),
    'GET /proxied HTTP/1.0\r\n\r\n',
    'GET /large HTTP/1.0\r\n\r\n',
  ]) {
    const client = await open();
    client.socket.pause();
    client.send(request);
    await new Promise((resolve) => setTimeout(resolve, 100));
    client.socket.resume();
    await client.untilEnded();
    assert.equal(client.answers[0]?.body.length, LARGE, request);
    client.socket.end();
    await client.untilClosed();
    assert.equal(client.error, undefined, 'the end is said in order');
  }
});

test('requests follow each other, pipelined, with bodies, and large answers between', async (t) => {
  const open = await start(t);
  const client = await open();
  const body = 'b'.repeat(100_000);
  client.send(get('/own') + get('/large'));
  client.send(`POST /proxied HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}${get('/own')}`);
  await client.answer(4);
  assert.deepEqual(
    client.answers.map((answer) => answer.body.length),
    [3, LARGE, body.length + LARGE, 3],
  );
});

test('a client that ends its half behind its request gets its answer', async (t) => {
  const open = await start(t);
  for (const path of ['/own', '/large']) {
    const client = await open();
    client.send(get(path));
    client.socket.end();
    await client.untilClosed();
    assert.equal(client.answers[0]?.body.length, path === '/own' ? 3 : LARGE);
  }
});

test('a refused request is told why, though the client goes on sending', async (t) => {
  const open = await start(t, 'large_client_header_buffers 2 1k;');
  const client = await open();
  client.send(`GET /${'x'.repeat(2000)} HTTP/1.1\r\n`);
  for (let i = 0; i < 100; i++) client.send('x'.repeat(10_000));
  await client.untilEnded();
  assert.deepEqual(
    client.answers.map(({ status }) => status),
    [414],
  );
  assert.equal(client.error, undefined);
});

test('an idle connection is closed in order when keepalive_timeout is over', async (t) => {
  const open = await start(t, 'keepalive_timeout 200ms;');
  const client = await open();
  client.send(get('/own'));
  assert.equal(fieldOf((await client.answer()) as HttpMessage, 'connection'), 'keep-alive');
  await client.untilEnded();
  assert.equal(client.error, undefined);
});

test('a connection is closed once its last answer has left, though the client keeps its own half open', async (t) => {
  const open = await start(t, 'lingering_timeout 30s; lingering_time 60s;');
  const { gateway } = open;
  for (const path of ['/own', '/large']) {
    const client = await open();
    client.send(get(path, 'Connection: close'));
    await client.untilEnded();
    const began = Date.now();
    await gateway.untilAllClosed();
    assert.ok(Date.now() - began < 20_000, `${path}: ${Date.now() - began} ms`);
  }
});
