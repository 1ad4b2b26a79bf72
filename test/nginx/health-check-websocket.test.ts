// health_check type=websocket: the opening handshake, a ping and its pong, perhaps a message, and Close with 1000.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import { selfSignedCertificate } from '../support/certificates.ts';
import { startCheckedPeer } from '../support/checked-peer.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { until } from '../support/until.ts';

const CHECK = 'type=websocket interval=20ms mandatory';

interface Setup {
  readonly check?: string;
  readonly http?: string;
  readonly location?: string;
  readonly scheme?: 'http' | 'https';
}

async function start(t: TestContext, port: number, setup: Setup = {}): Promise<RunningGateway> {
  const { check = '', http = '', location = '', scheme = 'http' } = setup;
  const gateway = await gatewayFromConfig({
    http: `
      ${http}
      upstream app { zone app 64k; server 127.0.0.1:${port}; }
      server {
        listen 127.0.0.1:8080;
        location / { proxy_pass ${scheme}://app; ${location} health_check ${CHECK} ${check}; }
      }
    `,
  });
  t.after(() => gateway.stop());
  return gateway;
}

const told = (gateway: RunningGateway, text: RegExp): Promise<string> =>
  until(`${text} in the log:\n${gateway.read('logs/error.log')}`, () =>
    gateway.lines().find((line) => text.test(line)),
  );
const verdict = (gateway: RunningGateway): Promise<string> => told(gateway, /peer is (un)?healthy/);

type Talk = (socket: WebSocket, request: IncomingMessage) => void;

async function webSocketPeer(t: TestContext, talk: Talk = () => {}): Promise<number> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', talk);
  await once(server, 'listening');
  t.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Answers each handshake rightly, and then does as the test says. */
async function rawPeer(t: TestContext, talk: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes) => {
      const key = /sec-websocket-key: (\S+)/i.exec(String(bytes))?.[1] ?? '';
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
      talk(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('a server that speaks WebSocket is healthy; it sees a handshake, a ping and a Close with 1000', async (t) => {
  const seen: string[] = [];
  const port = await webSocketPeer(t, (socket, request) => {
    seen.push(`${request.url} ${request.headers.host}`);
    socket.on('ping', () => seen.push('ping'));
    socket.on('close', (code) => seen.push(`closed ${code}`));
  });
  const location = 'proxy_set_header Host chat.test;';
  const gateway = await start(t, port, { check: 'uri=/chat?probe=1', location });
  assert.match(await verdict(gateway), /peer is healthy while waiting for pong, health check "" of peer/);
  await until('the Close', () => seen.length >= 3);
  assert.deepEqual(seen.slice(0, 3), ['/chat?probe=1 chat.test', 'ping', 'closed 1000']);
});

test('the lines that a location passes an upgrade on by do not make it two', async (t) => {
  let header: readonly string[] = [];
  const port = await webSocketPeer(t, (_, request) => {
    header = request.rawHeaders;
  });
  const http = 'map $http_upgrade $connection_mine { default upgrade; "" close; }';
  const location = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_mine;';
  await verdict(await start(t, port, { location, http }));
  const names = header.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  assert.deepEqual(names.toSorted(), ['connection', 'host', 'sec-websocket-key', 'sec-websocket-version', 'upgrade']);
});

test('neither proxy_http_version 1.0 nor dropped fields keep the handshake from being one', async (t) => {
  const port = await webSocketPeer(t);
  const location = 'proxy_http_version 1.0; proxy_pass_request_headers off; proxy_method POST;';
  assert.match(await verdict(await start(t, port, { location })), /peer is healthy/);
});

test('a server that answers with a page is unhealthy', async (t) => {
  const peer = await startCheckedPeer(t, 'page');
  const gateway = await start(t, peer.port);
  assert.match(await verdict(gateway), /peer is unhealthy while checking handshake/);
  await told(gateway, /\[info\].* upstream sent invalid answer to the upgrade: status is not 101, status 200/);
});

test('a server whose application hangs is unhealthy, though it accepts and upgrades', async (t) => {
  const port = await rawPeer(t, () => {});
  const gateway = await start(t, port, { location: 'proxy_read_timeout 100ms;' });
  await told(gateway, /\[error\].* upstream timed out .* while waiting for pong/);
  assert.match(await verdict(gateway), /peer is unhealthy while waiting for pong/);
});

for (const [what, frame, reason] of [
  ['closes', Buffer.of(0x88, 2, 0x03, 0xf3), /upstream closed with code 1011/],
  ['sends what is no frame', Buffer.from('HTTP'), /upstream sent no valid frame: reserved bits/],
  ['sends nothing but pings', Buffer.alloc(2 * 200, Buffer.of(0x89, 0)), /upstream sends too many pings/],
  ['sends masked frames', Buffer.of(0x8a, 0x80, 1, 2, 3, 4), /upstream sent no valid frame: frame masked/],
] as const) {
  test(`a server that ${what} is unhealthy`, async (t) => {
    const port = await rawPeer(t, (socket) => socket.write(frame));
    const gateway = await start(t, port);
    await told(gateway, reason);
    assert.match(await verdict(gateway), /peer is unhealthy/);
  });
}

test('a pong with another payload is no answer, and pings of the server are answered', async (t) => {
  const pongs: Buffer[] = [];
  const port = await rawPeer(t, (socket) => {
    socket.write(Buffer.of(0x8a, 1, 0x41));
    socket.write(Buffer.of(0x89, 1, 0x42));
    socket.on('data', (bytes) => pongs.push(bytes));
  });
  const gateway = await start(t, port, { location: 'proxy_read_timeout 100ms;' });
  assert.match(await verdict(gateway), /peer is unhealthy/);
  assert.ok(Buffer.concat(pongs).includes(Buffer.of(0x8a, 0x81)), 'a masked pong of one byte');
});

test('a server that hangs up is unhealthy', async (t) => {
  const port = await rawPeer(t, (socket) => socket.end());
  const gateway = await start(t, port);
  await told(gateway, /upstream prematurely closed connection while waiting for pong/);
});

test('a message can be sent and expected, in several frames and behind others', async (t) => {
  const port = await webSocketPeer(t, (socket) => {
    socket.send('welcome');
    socket.on('message', (data) => {
      if (String(data) !== '{"type":"ping","to":"Zoë"}') return;
      socket.send('news');
      socket.send('{"type":', { fin: false });
      socket.send('"pong"}', { fin: true });
    });
  });
  const http = `
    match good { send '{"type":"ping","to":"Zoë"}'; expect '{"type":"pong"'; }
    match bad { send '{"type":"ping"}'; expect ~ "pong"; }`;
  const good = await start(t, port, { http, check: 'match=good' });
  assert.match(await verdict(good), /peer is healthy while checking message, health check "good"/);
  const bad = await start(t, port, { http, check: 'match=bad', location: 'proxy_read_timeout 100ms;' });
  assert.match(await verdict(bad), /peer is unhealthy while checking message, health check "bad"/);
});

test('a greeting is enough where nothing is sent', async (t) => {
  const port = await webSocketPeer(t, (socket) => socket.send('hello, world'));
  const gateway = await start(t, port, { http: 'match greets { expect ~* "^HELLO"; }', check: 'match=greets' });
  assert.match(await verdict(gateway), /peer is healthy/);
});

test('the answer to the handshake can be looked at as well', async (t) => {
  const port = await webSocketPeer(t);
  const http = 'match good { status 101; header Upgrade = websocket; } match bad { header X-Version ~ ^2; }';
  assert.match(await verdict(await start(t, port, { http, check: 'match=good' })), /peer is healthy/);
  const bad = await start(t, port, { http, check: 'match=bad' });
  assert.match(await verdict(bad), /peer is unhealthy while checking header/);
});

test('a subprotocol is offered where the location sets one', async (t) => {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    handleProtocols: (offered) => [...offered][0] ?? false,
  });
  await once(server, 'listening');
  t.after(() => server.close());
  const location = 'proxy_set_header Sec-WebSocket-Protocol mqtt;';
  const gateway = await start(t, (server.address() as AddressInfo).port, {
    location,
    http: 'match mqtt { header Sec-WebSocket-Protocol = mqtt; }',
    check: 'match=mqtt',
  });
  assert.match(await verdict(gateway), /peer is healthy/);
});

test('over TLS it is the same', async (t) => {
  const server = createHttpsServer(await selfSignedCertificate());
  const sockets = new WebSocketServer({ server });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const client of sockets.clients) client.terminate();
    server.close();
  });
  const gateway = await start(t, (server.address() as AddressInfo).port, { scheme: 'https' });
  assert.match(await verdict(gateway), /peer is healthy/);
});

test('a server without WebSocket that has hung is known as such, and one that has not is found again', async (t) => {
  let answers = true;
  const port = await rawPeer(t, (socket) => {
    socket.on('data', (bytes) => {
      // The pong is the unmasked ping.
      if (!answers || bytes[0] !== 0x89) return;
      const payload = bytes.subarray(6).map((byte, index) => byte ^ (bytes[2 + (index % 4)] as number));
      socket.write(Buffer.concat([Buffer.of(0x8a, payload.length), payload]));
    });
  });
  const gateway = await start(t, port, { location: 'proxy_read_timeout 200ms;' });
  await told(gateway, /peer is healthy/);
  answers = false;
  await told(gateway, /peer is unhealthy while waiting for pong/);
  answers = true;
  await until('health', () => gateway.lines().filter((line) => line.includes('peer is healthy')).length === 2);
});
