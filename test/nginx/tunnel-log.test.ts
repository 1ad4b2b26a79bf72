// Each tunnel that has ended is one line in the access log, written when it ends, that says who ended it and why.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { acceptKey } from '../../src/websocket/handshake.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { rawFrame } from '../support/raw-websocket.ts';
import { type BackendConnection, startBackend } from '../support/recording-backend.ts';
import { until } from '../support/until.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const HANDSHAKE = `GET /ws?a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`;
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(KEY)}\r\n\r\n`;
const [TEXT, CLOSE, PONG] = [1, 8, 10];

interface OpenTunnel {
  readonly client: RawClient;
  readonly peer: BackendConnection;
  /** The line of the log, once it is there. */
  line(): Promise<string>;
  lines(): string[];
}

async function openTunnel(t: TestContext, location = ''): Promise<OpenTunnel> {
  const backend = await startBackend(t, (request) => (fieldOf(request, 'upgrade') === undefined ? undefined : SWITCH));
  const gateway = await gatewayFromConfig({
    http: `
      log_format tunnels '$request|$status|$body_bytes_sent|$websocket_close_by|$websocket_close_cause';
      server {
          listen 127.0.0.1:8080;
          access_log logs/tunnels.log tunnels;
          location / {
              proxy_pass http://${backend.address};
              proxy_set_header Upgrade $http_upgrade;
              proxy_set_header Connection upgrade;
              ${location}
          }
      }`,
  });
  t.after(() => gateway.stop());
  const client = await RawClient.to(t, gateway.port());
  client.send(HANDSHAKE);
  assert.equal((await client.answer()).status, 101);
  const lines = () => gateway.lines('logs/tunnels.log');
  return { client, peer: await backend.connection(), lines, line: () => until('the line', () => lines()[0]) };
}

const closeFrame = (masked: boolean): Buffer => rawFrame({ opcode: CLOSE, payload: Buffer.from([3, 232]), masked });

const ends: readonly [string, string, (tunnel: OpenTunnel) => void, string?][] = [
  ['the client closes by a frame', 'client|client close', ({ client }) => client.socket.end(closeFrame(true))],
  ['the client ends its half', 'client|client end', ({ client }) => void client.socket.end()],
  ['the client resets', 'client|client reset', ({ client }) => void client.socket.resetAndDestroy()],
  ['the peer closes by a frame', 'peer|peer close', ({ peer }) => peer.socket.end(closeFrame(false))],
  ['the peer ends its half', 'peer|peer end', ({ peer }) => void peer.socket.end()],
  ['the peer resets', 'peer|peer reset', ({ peer }) => void peer.socket.resetAndDestroy()],
  ['nothing passes for proxy_read_timeout', 'gateway|idle', () => {}, 'websocket_ping off; proxy_read_timeout 1s;'],
  [
    'the client does not answer a ping',
    'client|client pong missed',
    ({ peer }) => talk(peer),
    'proxy_read_timeout 1s;',
  ],
];

/** As long as it lasts; a frame that nobody asked for is life, too. */
function talk({ socket }: BackendConnection): void {
  const timer = setInterval(() => socket.write(rawFrame({ opcode: PONG })), 100);
  socket.once('close', () => clearInterval(timer));
}

for (const [how, said, act, location] of ends) {
  test(`when ${how}`, async (t) => {
    const tunnel = await openTunnel(t, location);
    const frame = rawFrame({ opcode: TEXT, payload: 'hello' });
    tunnel.peer.send(frame);
    await tunnel.client.until('the frame', () => tunnel.client.rest.length === frame.length);
    assert.deepEqual(tunnel.lines(), [], 'nothing is written while it is open');
    act(tunnel);
    // Whoever is still there ends in order.
    if (!tunnel.client.closed) void once(tunnel.client.socket, 'end').then(() => tunnel.client.socket.end());
    if (!tunnel.peer.closed) void once(tunnel.peer.socket, 'end').then(() => tunnel.peer.socket.end());
    const line = await tunnel.line();
    const [request, status, bytes, by, cause] = line.split('|');
    assert.deepEqual([request, status, `${by}|${cause}`], ['GET /ws?a HTTP/1.1', '101', said]);
    assert.ok(Number(bytes) >= frame.length);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(tunnel.lines().length, 1);
  });
}

test('what became no tunnel has no end to tell of', async (t) => {
  const backend = await startBackend(t);
  const gateway = await gatewayFromConfig({
    http: `
      log_format tunnels '$status|$websocket_close_by|$websocket_close_cause';
      server {
          listen 127.0.0.1:8080;
          access_log logs/tunnels.log tunnels;
          location / { proxy_pass http://${backend.address}; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }
      }`,
  });
  t.after(() => gateway.stop());
  const client = await RawClient.to(t, gateway.port());
  client.send(HANDSHAKE);
  assert.equal((await client.answer()).status, 200);
  assert.deepEqual(gateway.lines('logs/tunnels.log'), ['200|-|-']);
});
