// auth_request before a tunnel: a handshake goes to the backend only once the authority has let it in, with what the authority says of the client.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { acceptKey } from '../../src/websocket/handshake.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { fieldOf, fieldsOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Backend, startBackend } from '../support/recording-backend.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(KEY)}\r\n\r\n`;

interface Scene {
  readonly gateway: RunningGateway;
  readonly backend: Backend;
  readonly authority: Backend;
  /** A handshake, with what is to be the authority's status. */
  open(status: number, path?: string): Promise<RawClient>;
}

async function start(t: TestContext): Promise<Scene> {
  const backend = await startBackend(t, () => SWITCH);
  const authority = await startBackend(t, (request) => {
    const lines = [
      `HTTP/1.1 ${fieldOf(request, 'x-status')} X`,
      'X-User: alice',
      'WWW-Authenticate: Bearer',
      'Content-Length: 0',
    ];
    return `${lines.join('\r\n')}\r\n\r\n`;
  });
  const gateway = await gatewayFromConfig({
    http: `server {
      listen 127.0.0.1:8080;
      location / {
        auth_request /authority;
        auth_request_set $user $upstream_http_x_user;
        proxy_set_header X-User $user;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade;
        proxy_pass http://${backend.address};
      }
      location /dead/ { auth_request /nobody; proxy_pass http://${backend.address}; }
      location = /authority { internal; proxy_pass http://${authority.address}; proxy_pass_request_body off; }
      location = /nobody { internal; proxy_pass http://127.0.0.1:1; }
    }`,
  });
  t.after(() => gateway.stop());
  const open = async (status: number, path = '/ws'): Promise<RawClient> => {
    const client = await RawClient.to(t, gateway.port());
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    const fields = [...upgrade, `Sec-WebSocket-Key: ${KEY}`, `X-Status: ${status}`];
    client.send([`GET ${path} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n'));
    return client;
  };
  return { gateway, backend, authority, open };
}

test('a handshake that is let in becomes a tunnel, and the backend is told who it is', async (t) => {
  const { backend, authority, open } = await start(t);
  const client = await open(204);
  const answer = await client.answer();
  assert.equal(answer.status, 101);
  assert.deepEqual(fieldsOf(await backend.request(), 'x-user'), ['alice']);
  assert.equal(fieldOf(await authority.request(), 'upgrade'), undefined);
  const connection = await backend.connection();
  client.send('to the backend');
  await backend.until('the bytes', () => connection.rest.toString() === 'to the backend');
  connection.send('to the client');
  await client.until('the bytes', () => client.rest.toString() === 'to the client');
});

test('one that is not gets 401 with the challenge, 403, or 500 for whatever else is said; the backend hears of none', async (t) => {
  const { backend, open, gateway } = await start(t);
  for (const [said, status, challenge] of [
    [401, 401, ['Bearer']],
    [403, 403, []],
    [500, 500, []],
    [302, 500, []],
  ] as const) {
    const answer = await (await open(said)).answer();
    assert.deepEqual([answer.status, fieldsOf(answer, 'www-authenticate')], [status, challenge]);
  }
  assert.equal(backend.connections.length, 0);
  assert.match(gateway.read('logs/error.log'), /auth request unexpected status: 302/);
});

test('an authority that is not there lets nobody in', async (t) => {
  const { backend, open, gateway } = await start(t);
  assert.equal((await (await open(204, '/dead/ws')).answer()).status, 500);
  assert.equal(backend.connections.length, 0);
  assert.match(gateway.read('logs/error.log'), /auth request unexpected status: 502/);
});

test('who writes the X-User of the authority himself is not believed', async (t) => {
  const { backend, open, gateway } = await start(t);
  const client = await RawClient.to(t, gateway.port());
  client.send('GET / HTTP/1.1\r\nHost: a\r\nX-Status: 200\r\nX-User: root\r\n\r\n');
  assert.deepEqual(fieldsOf(await backend.request(), 'x-user'), ['alice']);
  assert.equal((await (await open(200)).answer()).status, 101);
});
