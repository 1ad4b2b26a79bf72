// Expect: 100-continue: a client that asks before it sends its body is told to go on when somebody wants the body, and not before.
// RFC 9110 section 10.1.1.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { startBackend } from '../support/recording-backend.ts';

async function start(t: TestContext, more = '') {
  const backend = await startBackend(t);
  const gateway = await gatewayFromConfig({
    http: `
      server {
          listen 127.0.0.1:8080;
          location / { proxy_pass http://${backend.address}; ${more} }
          location /own { return 200 own; }
          location /closed { return 403; }
      }`,
  });
  t.after(() => gateway.stop());
  return { backend, client: await RawClient.to(t, gateway.port()) };
}

const expecting = (path: string, framing = 'Content-Length: 5', version = '1.1'): string =>
  `POST ${path} HTTP/${version}\r\nHost: a\r\n${framing}\r\nExpect: 100-continue\r\n\r\n`;
const statuses = ({ answers }: RawClient): number[] => answers.map(({ status }) => status);

for (const buffering of ['on', 'off']) {
  test(`the client is told to go on, and its body passed on: proxy_request_buffering ${buffering}`, async (t) => {
    const { backend, client } = await start(t, `proxy_request_buffering ${buffering};`);
    client.send(expecting('/'));
    assert.equal((await client.answer()).status, 100);
    client.send('hello');
    assert.equal((await client.answer(2)).status, 200);
    const request = await backend.request();
    assert.equal(request.body.toString(), 'hello');
    assert.equal(fieldOf(request, 'expect'), undefined, 'the question was for us');
    client.send(`${expecting('/', 'Transfer-Encoding: chunked')}`);
    assert.equal((await client.answer(3)).status, 100);
    client.send('5\r\nworld\r\n0\r\n\r\n');
    assert.equal((await client.answer(4)).status, 200);
    assert.equal(backend.requests[1]?.body.toString(), 'world');
  });
}

test('a body that nobody wants is not asked for, and the connection closes, for it may come all the same', async (t) => {
  for (const [path, status] of [
    ['/own', 200],
    ['/closed', 403],
  ] as const) {
    const { client } = await start(t);
    client.send(expecting(path));
    await client.untilEnded();
    assert.deepEqual(statuses(client), [status]);
    assert.equal(fieldOf(client.answers[0] as NonNullable<(typeof client.answers)[0]>, 'connection'), 'close');
  }
});

test('a body that is too large is refused before it is sent', async (t) => {
  const { backend, client } = await start(t, 'client_max_body_size 4;');
  client.send(expecting('/'));
  await client.untilEnded();
  assert.deepEqual(statuses(client), [413]);
  assert.equal(backend.bytes, 0);
});

test('a client that does not wait is served all the same', async (t) => {
  const { backend, client } = await start(t);
  client.send(`${expecting('/')}helloGET /own HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.answer(3);
  assert.deepEqual(statuses(client), [100, 200, 200]);
  assert.equal((await backend.request()).body.toString(), 'hello');
});

test('a request without a body, and one of HTTP/1.0, are not told to go on', async (t) => {
  const { client } = await start(t);
  client.send(expecting('/', 'X: y'));
  client.send(expecting('/own', 'Content-Length: 0'));
  client.send(`${expecting('/', 'Content-Length: 5', '1.0')}hello`);
  await client.untilEnded();
  assert.deepEqual(statuses(client), [200, 200, 200]);
});

test('a client that announces an empty body, and waits, is told to go on where the body is wanted', async (t) => {
  const { client } = await start(t);
  client.send(expecting('/', 'Content-Length: 0'));
  await client.answer(2);
  assert.deepEqual(statuses(client), [100, 200]);
});

test('a client that waits for ever is too slow: 408', async (t) => {
  const { client } = await start(t, 'client_body_timeout 300ms;');
  client.send(expecting('/'));
  await client.untilEnded();
  assert.deepEqual(statuses(client), [100, 408]);
});

test('an expectation that nobody knows is nobody’s', async (t) => {
  const { client } = await start(t);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: wonders\r\n\r\n');
  await wait(50);
  assert.deepEqual(statuses(client), []);
  client.send('hello');
  assert.equal((await client.answer()).status, 200);
});
