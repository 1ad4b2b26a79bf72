// client_max_body_size: 413 before anyone is dialled where the length is told, and as soon as it is exceeded where it is not.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#client_max_body_size

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf, type HttpMessage } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { startBackend } from '../support/recording-backend.ts';

async function start(t: TestContext, location: string) {
  const backend = await startBackend(t);
  const gateway = await gatewayFromConfig({
    http: `
      client_max_body_size 10;
      server {
          listen 127.0.0.1:8080;
          location / { proxy_pass http://${backend.address}; ${location} }
          location /large { proxy_pass http://${backend.address}; client_max_body_size 1m; }
          location /any { proxy_pass http://${backend.address}; client_max_body_size 0; }
      }`,
  });
  t.after(() => gateway.stop());
  return { backend, gateway, client: await RawClient.to(t, gateway.port()) };
}

const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\n';
const NEXT = 'GET /next HTTP/1.1\r\nHost: a\r\n\r\n';

test('a length that is too large: 413, the connection closes, the backend is not dialled', async (t) => {
  const { backend, gateway, client } = await start(t, '');
  client.send(`${HEAD}Content-Length: 11\r\n\r\nhello world${NEXT}`);
  await client.untilEnded();
  const [answer] = client.answers as [HttpMessage];
  assert.deepEqual(
    client.answers.map(({ status }) => status),
    [413],
  );
  assert.equal(fieldOf(answer, 'connection'), 'close');
  assert.match(answer.body.toString(), /<title>413 Request Entity Too Large<\/title>/);
  assert.equal(backend.connections.length, 0);
  assert.match(gateway.lines().join(), /\[error\] .*client intended to send too large body: 11 bytes/);
});

test('the client can read the answer while it is still sending', async (t) => {
  const { client } = await start(t, '');
  client.send(`${HEAD}Content-Length: 50000000\r\n\r\n`);
  for (let i = 0; i < 500; i++) client.send(Buffer.alloc(100_000));
  await client.untilEnded();
  assert.deepEqual(
    client.answers.map(({ status }) => status),
    [413],
  );
  assert.equal(client.error, undefined);
});

test('the limit of the location counts that a rewrite leads to, and not for the page of the refusal', async (t) => {
  const gateway = await gatewayFromConfig({
    http: `server {
      listen 127.0.0.1:8080;
      client_max_body_size 5;
      error_page 413 /page;
      rewrite ^/at-server$ /narrow;
      location /at-location { client_max_body_size 20; rewrite ^ /narrow last; }
      location /narrow { return 200 taken; }
      location /page { return 200 "page"; }
    }`,
  });
  t.after(() => gateway.stop());
  const client = async (path: string): Promise<[number, string]> => {
    const one = await RawClient.to(t, gateway.port());
    one.send(`POST ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\n0123456789`);
    await one.untilEnded();
    const [{ status, body }] = one.answers as [HttpMessage];
    return [status, body.toString()];
  };
  assert.deepEqual(await client('/at-server'), [413, 'page']);
  assert.deepEqual(await client('/at-location'), [413, 'page']);
});

for (const buffering of ['on', 'off']) {
  test(`chunks that become too many: 413; proxy_request_buffering ${buffering}`, async (t) => {
    const { backend, client } = await start(t, `proxy_request_buffering ${buffering};`);
    client.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
    if (buffering === 'off') await backend.until('the beginning', () => backend.bytes > 0);
    client.send(`6\r\n world\r\n0\r\n\r\n${NEXT}`);
    await client.untilEnded();
    assert.deepEqual(
      client.answers.map(({ status }) => status),
      [413],
    );
    assert.equal(backend.requests.length, 0, 'the backend never sees a whole request');
    assert.equal(backend.connections.length, buffering === 'on' ? 0 : 1);
    for (const connection of backend.connections)
      await backend.until('the close', () => connection.ended || connection.closed);
  });
}

test('what is just small enough passes; a location may have its own limit, and 0 is none', async (t) => {
  const { backend, client } = await start(t, '');
  client.send(`${HEAD}Content-Length: 10\r\n\r\n0123456789`);
  client.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n`);
  client.send(`${HEAD.replace('/', '/large')}Content-Length: 11\r\n\r\nhello world`);
  client.send(`${HEAD.replace('/', '/any')}Content-Length: 2000000\r\n\r\n`);
  client.send(Buffer.alloc(2_000_000));
  assert.equal((await client.answer(4)).status, 200);
  assert.deepEqual(
    backend.requests.map(({ body }) => body.length),
    [10, 10, 11, 2_000_000],
  );
});

test('a rewrite to a location with a smaller limit is no way around it: the backend is not dialled', async (t) => {
  const { backend, gateway, client } = await start(
    t,
    `proxy_request_buffering off; } location /up { client_max_body_size 1m; rewrite ^ /small last; } error_page 413 /sorry; location = /sorry { return 200 sorry;`,
  );
  client.send('POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world');
  await client.untilEnded();
  assert.deepEqual(
    client.answers.map(({ status, body }) => [status, body.toString()]),
    [[413, 'sorry']],
    'its page is not held to the limit',
  );
  assert.equal(backend.connections.length, 0);
  assert.match(gateway.lines().join(), /too large body: 11 bytes/);
});
