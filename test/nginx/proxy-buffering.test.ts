// proxy_buffering: what a slow client has not taken of an answer waits in memory, then in a temporary file, then at the backend.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { RawClient } from '../support/raw-client.ts';
import { startBackend } from '../support/recording-backend.ts';
import { until } from '../support/until.ts';

const SIZE = 24 * 1024 * 1024;
const BODY = Buffer.from(
  Buffer.alloc(SIZE, 'The same words again, and again others. ').map((byte, index) => byte ^ (index >> 16)),
);
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** The backend answers with SIZE bytes, framed as the query says. */
async function start(t: TestContext, location: string, body = BODY, missing = 0) {
  const backend = await startBackend(t, ({ startLine }, { socket }) => {
    const field = startLine.includes('?no') ? 'X-Accel-Buffering: no\r\n' : '';
    socket.write(`HTTP/1.1 200 OK\r\n${field}Content-Length: ${body.length + missing}\r\n\r\n`);
    socket.write(body);
    if (missing > 0) socket.end();
    return undefined;
  });
  const gateway = await gatewayFromConfig({
    http: `
      upstream backend { server ${backend.address}; }
      server { listen 127.0.0.1:8080; location / { proxy_pass http://backend; ${location} } }`,
  });
  t.after(() => gateway.stop());
  const client = await RawClient.to(t, gateway.port());
  return { backend, gateway, client };
}

const get = (path = '/'): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

/** So much of the answer has not left the backend. */
const waiting = async (backend: Awaited<ReturnType<typeof startBackend>>): Promise<number> =>
  (await backend.connection()).socket.writableLength;

test('a client that does not read costs the backend nothing: its answer waits in a file without a name', async (t) => {
  const { backend, gateway, client } = await start(t, '');
  client.socket.pause();
  client.send(get());
  await backend.request();
  await until('the backend to be done', async () => (await waiting(backend)) === 0);
  assert.deepEqual(readdirSync(join(gateway.prefix, 'proxy_temp')), []);
  assert.match(
    gateway.read('logs/error.log'),
    /\[warn\] .* an upstream response is buffered to a temporary file \S*\/proxy_temp\/\d{10} while reading upstream/,
  );
  client.socket.resume();
  assert.equal(digest((await client.answer()).body), digest(BODY));
  client.send(get());
  assert.equal(digest((await client.answer(2)).body), digest(BODY), 'and the connection goes on');
});

test('proxy_max_temp_file_size bounds the file, 0 forbids it, and X-Accel-Buffering: no as well: then the backend waits', async (t) => {
  for (const [location, path] of [
    ['proxy_max_temp_file_size 1m;', '/'],
    ['proxy_max_temp_file_size 0;', '/'],
    ['', '/?no'],
    ['proxy_buffering off;', '/'],
  ] as const) {
    const { backend, client } = await start(t, location);
    client.socket.pause();
    client.send(get(path));
    await backend.request();
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok((await waiting(backend)) > SIZE / 4, location);
    client.socket.resume();
    assert.equal(digest((await client.answer()).body), digest(BODY));
  }
});

test('a file that cannot be written is told to the log, and the backend waits instead: nothing is lost', async (t) => {
  const { backend, gateway, client } = await start(t, 'proxy_temp_path /dev/null/x;');
  client.socket.pause();
  client.send(get());
  await backend.request();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok((await waiting(backend)) > SIZE / 4);
  client.socket.resume();
  assert.equal(digest((await client.answer()).body), digest(BODY));
  assert.match(gateway.read('logs/error.log'), /\[crit\] .*\(\) "\/dev\/null\/x.* failed \(20: Not a directory\)/);
});

test('an answer that the backend cuts is cut for a slow client, too, behind all that has come of it', async (t) => {
  const { backend, client } = await start(t, '', BODY, 5);
  client.socket.pause();
  client.send(get());
  await backend.request();
  await until('the backend to be done', async () => (await waiting(backend)) === 0);
  client.socket.resume();
  await client.untilEnded();
  const { received } = client;
  assert.equal(digest(received.subarray(received.indexOf('\r\n\r\n') + 4)), digest(BODY));
});

test('proxy_limit_rate: an answer is read no faster than that, variables included', async (t) => {
  const { client } = await start(t, 'proxy_limit_rate $arg_rate;', BODY.subarray(0, 200_000));
  const began = performance.now();
  client.send(get('/?rate=100k'));
  assert.equal((await client.answer()).body.length, 200_000);
  assert.ok(performance.now() - began > 700, 'a second’s worth at once, the other has its time');
  client.send(get('/?rate='));
  assert.equal((await client.answer(2)).body.length, 200_000);
});
