// proxy_next_upstream: after a failure another peer is asked, unless that could do something twice.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { sendAlone } from '../support/raw-client.ts';
import { type Behaviour, OK, startBackend } from '../support/recording-backend.ts';

const LEAVES: Behaviour = (_, { socket }) => void socket.destroy();

/** Two peers: the first one fails as told, or is not there at all; the second one is well. */
async function start(t: TestContext, failing: Behaviour | undefined, location = '') {
  const good = await startBackend(t);
  const bad = failing === undefined ? undefined : await startBackend(t, failing);
  const first = bad?.address ?? `127.0.0.1:${await freePort()}`;
  const gateway = await gatewayFromConfig({
    http: `
      log_format tries '$status $upstream_status';
      upstream both { server ${first} max_fails=0; server ${good.address} max_fails=0; }
      server { listen 127.0.0.1:8080; access_log logs/tries.log tries; location / { proxy_pass http://both; ${location} } }`,
  });
  t.after(() => gateway.stop());
  const send = async (request: string) => (await sendAlone(t, gateway.port(), request)).answers[0]?.status;
  return { good, bad, gateway, send };
}

const get = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const post = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello';

test('a peer that refuses the connection: the next one is asked, with the body again', async (t) => {
  const { good, gateway, send } = await start(t, undefined);
  assert.equal(await send(get), 200);
  assert.equal(await send(post), 200);
  assert.equal(await send(post), 200);
  assert.deepEqual(
    good.requests.map(({ body }) => body.toString()),
    ['', 'hello', 'hello'],
  );
  assert.match(gateway.lines('logs/tries.log').join(), /200 502, 200/);
});

test('a peer that leaves without an answer: GET is asked again of the next one, POST is not', async (t) => {
  const { good, bad, send } = await start(t, LEAVES);
  assert.equal(await send(get), 200);
  assert.equal(await send(get), 200);
  const statuses = [await send(post), await send(post)].sort();
  assert.deepEqual(statuses, [200, 502]);
  assert.equal(good.requests.filter(({ body }) => body.length > 0).length, 1, 'nobody does the same twice');
  assert.equal(bad?.requests.filter(({ body }) => body.length > 0).length, 1);
});

test('non_idempotent asks again for POST, too', async (t) => {
  const { good, send } = await start(t, LEAVES, 'proxy_next_upstream error non_idempotent;');
  assert.deepEqual([await send(post), await send(post)], [200, 200]);
  assert.equal(good.requests.length, 2);
});

test('off, and a single try, ask nobody else', async (t) => {
  for (const location of ['proxy_next_upstream off;', 'proxy_next_upstream_tries 1;']) {
    const { good, send } = await start(t, undefined, location);
    assert.deepEqual([await send(get), await send(get)].sort(), [200, 502], location);
    assert.equal(good.requests.length, 1);
  }
});

test('a status asks the next one where it is named, and is passed on where it is not', async (t) => {
  const unavailable = OK.replace('200 OK', '503 Busy');
  const passed = await start(t, () => unavailable);
  assert.deepEqual([await passed.send(get), await passed.send(get)].sort(), [200, 503]);
  const retried = await start(t, () => unavailable, 'proxy_next_upstream http_503;');
  assert.deepEqual([await retried.send(get), await retried.send(get)], [200, 200]);
});

test('an answer that breaks off is not made up for by another peer', async (t) => {
  const broken: Behaviour = (_, { socket }) => {
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
    return undefined;
  };
  const { send } = await start(t, broken);
  const statuses = [await send(get), await send(get)];
  assert.deepEqual(
    statuses.filter((status) => status !== undefined),
    [200],
    'one answer is whole, the other one is seen not to be',
  );
});

test('a kept connection that the peer has closed meanwhile is replaced without anybody noticing', async (t) => {
  let count = 0;
  const backend = await startBackend(t, (_, { socket }) => {
    if (++count === 1) return OK;
    if (count === 2) {
      socket.destroy();
      return undefined;
    }
    return OK;
  });
  const gateway = await gatewayFromConfig({
    http: `
      upstream one { server ${backend.address}; }
      server { listen 127.0.0.1:8080; location / { proxy_pass http://one; } }`,
  });
  t.after(() => gateway.stop());
  assert.equal((await sendAlone(t, gateway.port(), get)).answers[0]?.status, 200);
  assert.equal((await sendAlone(t, gateway.port(), get)).answers[0]?.status, 200);
  assert.equal(backend.connections.length, 2);
});
