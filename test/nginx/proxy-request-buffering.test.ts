// proxy_request_buffering: on, a body is gathered before a peer is dialled, in memory or in a file; off, it is passed on as it comes.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_request_buffering

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort } from '../support/free-port.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Behaviour, OK, startBackend } from '../support/recording-backend.ts';
import { until } from '../support/until.ts';

async function start(t: TestContext, location: string, behaviour?: Behaviour, server = '') {
  const backend = await startBackend(t, behaviour);
  const gateway = await gatewayFromConfig({
    http: `
      upstream backend { server ${backend.address}; }
      upstream twice { server ${backend.address}; server ${backend.address}; }
      upstream dead { server 127.0.0.1:${await freePort()}; }
      server { listen 127.0.0.1:8080; client_max_body_size 0; ${server} location / { proxy_pass http://backend; ${location} } }`,
  });
  t.after(() => gateway.stop());
  return { backend, gateway, client: await RawClient.to(t, gateway.port()) };
}

const UNAVAILABLE = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n';
const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\n';
const chunk = (data: string): string => `${data.length.toString(16)}\r\n${data}\r\n`;

test('on: nobody is dialled before a small body is whole; chunks become a length', async (t) => {
  const { backend, client } = await start(t, '');
  client.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk('hello')}`);
  await wait(50);
  assert.equal(backend.connections.length, 0);
  client.send(`${chunk(' world')}0\r\n\r\n`);
  assert.equal((await client.answer()).status, 200);
  const request = await backend.request();
  assert.equal(fieldOf(request, 'content-length'), '11');
  assert.equal(request.body.toString(), 'hello world');
});

test('on: nobody is dialled before a body that does not fit is whole in a file; chunks become a length', async (t) => {
  const { backend, gateway, client } = await start(t, 'client_body_buffer_size 1k;');
  client.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk('x'.repeat(5000))}`);
  await wait(50);
  assert.equal(backend.connections.length, 0);
  client.send(`${chunk('y'.repeat(5000))}0\r\n\r\n`);
  assert.equal((await client.answer()).status, 200);
  const request = await backend.request();
  assert.equal(fieldOf(request, 'content-length'), '10000');
  assert.equal(request.body.toString(), 'x'.repeat(5000) + 'y'.repeat(5000));
  assert.match(gateway.read('logs/error.log'), /\[warn\] .* a client request body is buffered to a temporary file /);
  assert.deepEqual(readdirSync(join(gateway.prefix, 'client_body_temp')), [], 'its name is gone at once');
});

test('off: each piece is passed on when it comes, with a length or in chunks', async (t) => {
  const { backend, client } = await start(t, 'proxy_request_buffering off;');
  client.send(`${HEAD}Content-Length: 10\r\n\r\nhello`);
  await backend.until('the first half', () => backend.connections[0]?.text.endsWith('\r\n\r\nhello') === true);
  client.send('world');
  assert.equal((await client.answer()).status, 200);
  client.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk('hello')}`);
  await backend.until('the first chunk', () => backend.connections[0]?.text.endsWith('5\r\nhello\r\n') === true);
  client.send(`${chunk('world')}0\r\n\r\n`);
  assert.equal((await client.answer(2)).status, 200);
  assert.deepEqual(
    backend.requests.map(({ body }) => body.toString()),
    ['helloworld', 'helloworld'],
  );
});

test('off: a backend that does not read slows the client down: what it has not taken is not held', async (t) => {
  {
    const { backend, client } = await start(t, 'proxy_request_buffering off;');
    backend.onConnection = ({ socket }) => socket.pause();
    const size = 64 * 1024 * 1024;
    client.send(`${HEAD}Content-Length: ${size}\r\n\r\n`);
    const piece = Buffer.alloc(1024 * 1024, 'x');
    for (let i = 0; i < 64; i++) client.send(piece);
    await wait(500);
    assert.ok(client.socket.writableLength > size / 2, `${client.socket.writableLength} bytes wait at the client`);
    const connection = await backend.connection();
    connection.socket.resume();
    assert.equal((await client.answer()).status, 200);
    assert.equal(backend.requests[0]?.body.length, size);
  }
});

test('an answer before the body is whole is passed on, and what comes of the body is thrown away', async (t) => {
  const { backend, client } = await start(t, 'proxy_request_buffering off;', () => undefined);
  backend.onConnection = ({ socket }) =>
    socket.once('data', () => socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'));
  client.send(`${HEAD}Content-Length: 10\r\n\r\nhello`);
  assert.equal((await client.answer()).status, 403);
  client.send(`world${HEAD}Content-Length: 3\r\n\r\nhey`);
  assert.equal((await client.answer(2)).body.toString(), 'no');
  assert.equal(backend.connections.length, 2, 'the backend’s connection cannot be used again');
});

test('HTTP/1.0 to the backend: a body has a length, even where it would be passed on as it comes', async (t) => {
  const { backend, client } = await start(
    t,
    'proxy_http_version 1.0; proxy_request_buffering off; client_body_buffer_size 1k;',
  );
  client.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk('hello')}0\r\n\r\n`);
  assert.equal((await client.answer()).status, 200);
  assert.equal(backend.requests[0]?.startLine, 'POST / HTTP/1.0');
  assert.equal(fieldOf(await backend.request(), 'content-length'), '5');
  client.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk('x'.repeat(5000))}0\r\n\r\n`);
  assert.equal((await client.answer(2)).status, 200);
  assert.equal(fieldOf(await backend.request(2), 'content-length'), '5000');
});

test('proxy_pass_request_body off: the backend gets no body, and the next request is read behind it', async (t) => {
  const { backend, client } = await start(t, 'proxy_pass_request_body off;', () => OK);
  client.send(
    `${HEAD}Content-Length: 5\r\n\r\nhello${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk('hello')}0\r\n\r\n`,
  );
  assert.equal((await client.answer(2)).status, 200);
  for (const { head } of backend.requests) assert.doesNotMatch(head, /content-length|transfer-encoding/i);
  assert.equal(backend.requests.length, 2);
});

test('a body in a file goes whole to the next peer, too, and after an error page to another upstream', async (t) => {
  const { backend, client } = await start(
    t,
    `client_body_buffer_size 1k; proxy_next_upstream http_503 non_idempotent;
     location /twice/ { proxy_pass http://twice; }
     location /page/ { error_page 502 = @other; proxy_pass http://dead; }`,
    (_request, { requests }) => (requests.length === 1 && backend.requests.length === 1 ? UNAVAILABLE : OK),
    'location @other { proxy_pass http://backend; } ',
  );
  client.send(`POST /twice/ HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(200_000)}`);
  assert.equal((await client.answer()).status, 200);
  client.send(`POST /page/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n${'y'.repeat(5000)}`);
  assert.equal((await client.answer(2)).status, 200);
  assert.deepEqual(
    backend.requests.map(({ body }) => body.length),
    [200_000, 200_000, 5000],
  );
});

test('client_body_in_file_only: on leaves each body in a file, clean removes it after the request', async (t) => {
  for (const [how, left] of [
    ['on', 1],
    ['clean', 0],
  ] as const) {
    const { backend, gateway, client } = await start(
      t,
      `client_body_in_file_only ${how}; client_body_temp_path bodies 1 2; proxy_pass_request_body off;
       proxy_set_header X-File $request_body_file; proxy_set_header X-Body "[$request_body]";`,
    );
    client.send(`${HEAD}Content-Length: 5\r\n\r\nhello`);
    await client.answer();
    const request = await backend.request();
    assert.match(fieldOf(request, 'x-file') ?? '', /\/bodies\/(\d)\/(\d\d)\/\d{7}\2\1$/);
    assert.equal(fieldOf(request, 'x-body'), '[]');
    assert.equal(request.body.length, 0);
    const path = `bodies${(fieldOf(request, 'x-file') ?? '').split('/bodies')[1]}`;
    if (left === 0) await until('the file to be gone', () => gateway.read(path) === '');
    else assert.equal(gateway.read(path), 'hello');
  }
});

test('a body that cannot be written is a 500, and the log says why', async (t) => {
  const { backend, gateway, client } = await start(t, 'client_body_buffer_size 1k; client_body_temp_path /dev/null/x;');
  client.send(`${HEAD}Content-Length: 5000\r\n\r\n${'x'.repeat(5000)}`);
  assert.equal((await client.answer()).status, 500);
  assert.equal(backend.connections.length, 0);
  assert.match(
    gateway.read('logs/error.log'),
    /\[crit\] .*(?:open|mkdir)\(\) "\/dev\/null\/x.* failed \(20: Not a directory\)/,
  );
});

test('off: what came with the head leaves with the head; a body that came whole has a length, and is $request_body', async (t) => {
  const { backend, client } = await start(t, 'proxy_request_buffering off; add_header X-Body "$request_body";');
  const firsts: string[] = [];
  backend.onConnection = ({ socket }) => socket.once('data', (bytes: Buffer) => firsts.push(bytes.toString('latin1')));
  client.send(`${HEAD}Content-Length: 10\r\n\r\nhello`);
  await backend.until('the first half', () => firsts.length === 1);
  assert.match(firsts[0] ?? '', /\r\n\r\nhello$/);
  client.send('world');
  assert.equal(fieldOf(await client.answer(), 'x-body'), undefined);
  client.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk('hello')}${chunk(' you')}0\r\n\r\n`);
  assert.equal(fieldOf(await client.answer(2), 'x-body'), 'hello you');
  assert.equal(fieldOf(await backend.request(2), 'content-length'), '9');
});
