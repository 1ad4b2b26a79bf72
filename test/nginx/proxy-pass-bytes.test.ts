// What reaches a peer and the log where several things come together: bytes in variables, Host, X-Accel-Redirect, chunks, tunnels.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { acceptKey } from '../../src/websocket/handshake.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf, fieldsOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { rawFrame } from '../support/raw-websocket.ts';
import { type Behaviour, OK, startBackend } from '../support/recording-backend.ts';
import { until } from '../support/until.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const HANDSHAKE = `GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`;
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(KEY)}\r\n\r\n`;

async function start(t: TestContext, server: string, behaviour?: Behaviour, format = '$status') {
  const backend = await startBackend(t, behaviour);
  const gateway = await gatewayFromConfig({
    http: `
      log_format told '${format}';
      upstream backend { server ${backend.address}; }
      server { listen 127.0.0.1:8080; access_log logs/told.log told; ${server} }`,
  });
  t.after(() => gateway.stop());
  return {
    backend,
    gateway,
    client: await RawClient.to(t, gateway.port()),
    lines: () => gateway.lines('logs/told.log'),
  };
}

const get = (path: string, version = '1.1'): string => `GET ${path} HTTP/${version}\r\nHost: a\r\n\r\n`;

test('a URL of variables: bytes beyond ASCII pass as they came', async (t) => {
  const { backend, client } = await start(
    t,
    `set $to backend;
     location /whole/ { proxy_pass http://$to$request_uri; }
     location /uri/ { proxy_pass http://$to$uri; }
     location ~ ^/part/(.*)$ { proxy_pass http://backend/$1; }
     location /fixed/ { proxy_pass http://backend/ä/; }`,
  );
  for (const path of ['/whole/\xc3\xa4?\xc3\xb6', '/uri/%C3%A4', '/part/%C3%A4', '/fixed/x']) client.send(get(path));
  await client.answer(4);
  assert.deepEqual(
    backend.requests.map(({ startLine }) => startLine.split(' ')[1]),
    ['/whole/\xc3\xa4?\xc3\xb6', '/uri/\xc3\xa4', '/\xc3\xa4', '/\xc3\xa4/x'],
  );
});

test('Host: the last one that is set, once; where that is empty, the name of the peer, but to HTTP/1.0', async (t) => {
  const { backend, client } = await start(
    t,
    `location /two { proxy_set_header X-A 1; proxy_set_header Host first; proxy_set_header host $host; proxy_pass http://backend; }
     location /none { proxy_set_header Host ""; proxy_pass http://backend; }
     location /old { proxy_http_version 1.0; proxy_set_header Host ""; proxy_pass http://backend; }`,
  );
  for (const path of ['/two', '/none', '/old']) client.send(get(path));
  await client.answer(3);
  assert.deepEqual(
    backend.requests.map((request) => fieldsOf(request, 'host')),
    [['a'], ['backend'], []],
  );
});

test('X-Accel-Redirect to another peer: its Content-Type is the only one; without one the first stays', async (t) => {
  const answers: Record<string, string> = {
    '/': 'HTTP/1.1 200 OK\r\nX-Accel-Redirect: /typed\r\nContent-Type: a/a\r\nContent-Length: 0\r\n\r\n',
    '/to-plain': 'HTTP/1.1 200 OK\r\nX-Accel-Redirect: /plain\r\nContent-Type: a/a\r\nContent-Length: 0\r\n\r\n',
    '/typed': 'HTTP/1.1 200 OK\r\nContent-Type: b/b\r\nContent-Length: 2\r\n\r\nok',
    '/plain': OK,
  };
  const told = '$upstream_bytes_received';
  const behaviour: Behaviour = ({ startLine }) => answers[startLine.split(' ')[1] ?? ''];
  const { client, lines } = await start(t, 'location / { proxy_pass http://backend; }', behaviour, told);
  client.send(get('/'));
  assert.deepEqual(fieldsOf(await client.answer(), 'content-type'), ['b/b']);
  client.send(get('/to-plain'));
  assert.deepEqual(fieldsOf(await client.answer(2), 'content-type'), ['a/a']);
  const length = (path: string) => answers[path]?.length;
  assert.deepEqual(lines(), [`${length('/')} : ${length('/typed')}`, `${length('/to-plain')} : ${length('/plain')}`]);
});

test('a 502 for a 101 that cannot be passed on has its own reason', async (t) => {
  const { client } = await start(
    t,
    'location / { proxy_pass http://backend; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }',
    () => 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n',
  );
  client.send(HANDSHAKE);
  assert.equal((await client.answer()).startLine, 'HTTP/1.1 502 Bad Gateway');
});

test('a range beyond the answer: 416 and its own reason', async (t) => {
  const { client } = await start(t, 'location / { proxy_pass http://backend; proxy_force_ranges on; }');
  client.send(get('/').replace('\r\n\r\n', '\r\nRange: bytes=9-\r\n\r\n'));
  assert.equal((await client.answer()).startLine, 'HTTP/1.1 416 Requested Range Not Satisfiable');
});

test('a chunked body: $request_length has its framing, $content_length what it came to', async (t) => {
  const { backend, client, lines } = await start(
    t,
    'location / { proxy_pass http://backend; proxy_set_header X-Length $content_length; }',
    undefined,
    '$request_length $content_length',
  );
  const request =
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=1\r\nyou\r\n0\r\nX-T: 1\r\n\r\n';
  client.send(request);
  await client.answer();
  assert.equal(fieldOf(backend.requests[0] as never, 'x-length'), '8');
  assert.deepEqual(lines(), [`${request.length} 8`]);
});

test('$status in the text of return is the one that it is sent with', async (t) => {
  const { client } = await start(
    t,
    `location / { return 202 "$status"; }
     location /bad { error_page 503 @page; return 503; }
     location @page { return 200 '{"code":$status}'; }`,
  );
  for (const path of ['/', '/bad']) client.send(get(path));
  await client.answer(2);
  assert.deepEqual(
    client.answers.map(({ body }) => body.toString()),
    ['202', '{"code":503}'],
  );
});

test('the line of a tunnel: the handshake in $upstream_bytes_*, no frame in $request_length, and it is complete', async (t) => {
  const hello = rawFrame({ opcode: 1, payload: 'hello' });
  const { backend, client, lines } = await start(
    t,
    'location / { proxy_pass http://backend; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }',
    () => Buffer.concat([Buffer.from(SWITCH), hello]),
    '$request_length $upstream_bytes_received $upstream_bytes_sent $request_completion',
  );
  const frame = rawFrame({ opcode: 1, payload: 'from the client', masked: true });
  client.send(HANDSHAKE);
  await client.answer();
  client.send(frame);
  await until('the frame', () => (backend.connections[0]?.rest.length ?? 0) >= frame.length || undefined);
  // Who loses its other side may be told by a close frame of the gateway, which is not the client's.
  const sent = backend.connections[0]?.received.length;
  client.socket.end();
  backend.connections[0]?.socket.end();
  const line = await until('the line', () => lines()[0]);
  assert.equal(line, `${HANDSHAKE.length} ${SWITCH.length + hello.length} ${sent} OK`);
});
