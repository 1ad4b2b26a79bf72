// Answers of 1xx before the answer itself: early_hints passes them on to clients of HTTP/1.1, but for 100, which is ours.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { namesOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { OK, startBackend } from '../support/recording-backend.ts';

const HINTS =
  'HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\nServer: other\r\n\r\n';

async function start(t: TestContext, interim: string, earlyHints = 'early_hints "" 1;') {
  const backend = await startBackend(t, () => interim + OK);
  const gateway = await gatewayFromConfig({
    http: `
      upstream backend { server ${backend.address}; }
      server { listen 127.0.0.1:8080; location / { ${earlyHints} proxy_pass http://backend; } }`,
  });
  t.after(() => gateway.stop());
  return { backend, client: await RawClient.to(t, gateway.port()) };
}

const get = (version = '1.1'): string => `GET / HTTP/${version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n`;
const statuses = ({ answers }: RawClient): number[] => answers.map(({ status }) => status);

test('they come before the answer, in order, and both connections stay', async (t) => {
  const { backend, client } = await start(t, `${HINTS}HTTP/1.1 102 Processing\r\n\r\n${HINTS}`);
  client.send(get());
  await client.answer(4);
  client.send(get());
  await client.answer(8);
  assert.deepEqual(statuses(client), [103, 102, 103, 200, 103, 102, 103, 200]);
  assert.equal(backend.connections.length, 1);
});

test('what concerns one hop, or is the backend’s secret, does not pass with them', async (t) => {
  const { client } = await start(t, HINTS);
  client.send(get());
  assert.deepEqual(namesOf(await client.answer()), ['link']);
});

test('a 100 of the backend is not passed on: nobody asked it', async (t) => {
  const { client } = await start(t, 'HTTP/1.1 100 Continue\r\n\r\n');
  client.send(get());
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi');
  await client.answer(2);
  assert.deepEqual(statuses(client), [200, 200]);
});

test('HTTP/1.0 knows none of them', async (t) => {
  const { client } = await start(t, HINTS);
  client.send(get('1.0'));
  await client.answer();
  assert.deepEqual(statuses(client), [200]);
});

test('without end they are no answer: 502', async (t) => {
  const { client } = await start(t, HINTS.repeat(1000));
  client.send(get());
  await client.until('the 502', () => client.answers.some(({ status }) => status === 502));
  assert.ok(client.answers.length < 100);
});

test('without early_hints, or where all its values are empty or 0, they are not passed on', async (t) => {
  for (const earlyHints of ['', 'early_hints "" 0 $arg_no;']) {
    const { client } = await start(t, HINTS, earlyHints);
    client.send(get());
    await client.answer();
    assert.deepEqual(statuses(client), [200]);
  }
});
