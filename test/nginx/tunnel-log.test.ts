// Each tunnel that has ended is one line in the access log, written when it ends, that says who ended it and why; `websocket_log` has
// it written when it opens, too or instead.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { closeFrame, LoggedTunnel } from '../support/logged-tunnel.ts';
import { RawClient } from '../support/raw-client.ts';
import { rawFrame } from '../support/raw-websocket.ts';
import { type BackendConnection, startBackend } from '../support/recording-backend.ts';
import { until } from '../support/until.ts';
import { openingHandshake, SWITCHING } from '../support/websocket-handshake.ts';

const FORMAT = '$request|$status|$body_bytes_sent|$websocket_close_by|$websocket_close_cause';
const PONG = 10;

const ends: readonly [string, string, (tunnel: LoggedTunnel) => void, string?][] = [
  ['the client closes by a frame', 'client|client close', ({ client }) => client.socket.end(closeFrame(1000, true))],
  ['the client ends its half', 'client|client end', ({ client }) => void client.socket.end()],
  ['the client resets', 'client|client reset', ({ client }) => void client.socket.resetAndDestroy()],
  ['the peer closes by a frame', 'peer|peer close', ({ peer }) => peer.socket.end(closeFrame(1000, false))],
  ['the peer ends its half', 'peer|peer end', ({ peer }) => void peer.socket.end()],
  ['the peer resets', 'peer|peer reset', ({ peer }) => void peer.socket.resetAndDestroy()],
  ['nothing passes for proxy_read_timeout', 'gateway|idle', () => {}, 'websocket_ping off; proxy_read_timeout 1s;'],
  [
    'the client does not answer a ping',
    'client|client pong missed',
    ({ peer }) => keepTalking(peer),
    'proxy_read_timeout 1s;',
  ],
];

/** As long as it lasts; a frame that nobody asked for is life, too. */
function keepTalking({ socket }: BackendConnection): void {
  const timer = setInterval(() => socket.write(rawFrame({ opcode: PONG })), 100);
  socket.once('close', () => clearInterval(timer));
}

for (const [how, said, act, location] of ends) {
  test(`when ${how}`, async (t) => {
    const tunnel = await LoggedTunnel.open(t, { format: FORMAT, ...(location === undefined ? {} : { location }) });
    await tunnel.talk([], ['hello']);
    assert.deepEqual(tunnel.lines, [], 'nothing is written while it is open');
    act(tunnel);
    tunnel.endInOrder();
    const [request, status, bytes, by, cause] = (await tunnel.line()).split('|');
    assert.deepEqual([request, status, `${by}|${cause}`], ['GET /ws?a HTTP/1.1', '101', said]);
    assert.ok(Number(bytes) >= 'hello'.length);
    await wait(50);
    assert.equal(tunnel.lines.length, 1);
  });
}

test('what became no tunnel has no end to tell of', async (t) => {
  const backend = await startBackend(t);
  const gateway = await gatewayFromConfig({
    http: `
      log_format tunnels '$status|$websocket_event|$websocket_duration|$websocket_close_by|$websocket_close_cause|$websocket_close_code|$websocket_peer_close_code|$websocket_messages_in|$websocket_bytes_out|$websocket_ping_rtt';
      server {
          listen 127.0.0.1:8080;
          access_log logs/tunnels.log tunnels;
          websocket_log open;
          location / { proxy_pass http://${backend.address}; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }
      }`,
  });
  t.after(() => gateway.stop());
  const client = await RawClient.to(t, gateway.port());
  client.send(openingHandshake('/'));
  assert.equal((await client.answer()).status, 200);
  assert.deepEqual(gateway.lines('logs/tunnels.log'), ['200|-|-|-|-|-|-|-|-|-']);
});

describe('websocket_log', () => {
  const format =
    '$websocket_event|$status|$websocket_messages_out|$websocket_close_cause|$request_time|$upstream_response_time|$websocket_duration';

  test('open writes the line at the 101, and none at the end', async (t) => {
    const tunnel = await LoggedTunnel.open(t, { format, location: 'websocket_log open;' });
    const line = await tunnel.line();
    assert.match(line, /^open\|101\|0\|-\|\d\.\d{3}\|\d\.\d{3}\|-$/);
    tunnel.client.socket.end(closeFrame(1000, true));
    tunnel.endInOrder();
    await once(tunnel.client.socket, 'close');
    await until('the end at the peer', () => tunnel.peer.closed);
    await wait(50);
    assert.deepEqual(tunnel.lines, [line]);
  });

  test('both writes two, and what a request took is the time until the 101 on each', async (t) => {
    const tunnel = await LoggedTunnel.open(t, { format, location: 'websocket_log both;' });
    await tunnel.talk([], ['hello']);
    await wait(400);
    tunnel.client.socket.end(closeFrame(1000, true));
    tunnel.endInOrder();
    const [opened, ended] = [(await tunnel.line(1)).split('|'), (await tunnel.line(2)).split('|')] as const;
    assert.deepEqual(opened.slice(0, 4), ['open', '101', '0', '-']);
    assert.deepEqual(ended.slice(0, 4), ['close', '101', '1', 'client close']);
    assert.deepEqual(ended.slice(4, 6), opened.slice(4, 6));
    assert.ok(Number(ended[6]) >= 0.39, ended[6]);
  });

  test('a map of what is known only at the end is asked again then, also where a condition of the log has asked it before', async (t) => {
    const tunnel = await LoggedTunnel.open(t, {
      format: '$what $websocket_event',
      http: `
        map $websocket_close_cause $what { '' nothing; default $websocket_close_cause; }
        map $websocket_event $ends { close 1; default 0; }
        log_format whole '$ends $what';
        access_log logs/ends.log whole if=$ends;`,
      location: 'websocket_log both; access_log logs/tunnels.log tunnels; access_log logs/ends.log whole if=$ends;',
    });
    assert.equal(await tunnel.line(), 'nothing open');
    tunnel.client.socket.end();
    tunnel.endInOrder();
    assert.equal(await tunnel.line(2), 'client end close');
    assert.deepEqual(tunnel.gateway.lines('logs/ends.log'), ['1 client end']);
  });

  test('with the predefined format a line says behind it what it is', async (t) => {
    const tunnel = await LoggedTunnel.open(t, {
      format: '-',
      location: 'websocket_log both; access_log logs/tunnels.log;',
    });
    assert.match(await tunnel.line(), / 101 0 "-" "-" "open"$/);
    tunnel.client.socket.end();
    tunnel.endInOrder();
    assert.match(await tunnel.line(2), / 101 \d+ "-" "-" "client: client end"$/);
  });

  test('a tunnel of another protocol has a line, too', async (t) => {
    const tunnel = await LoggedTunnel.open(t, {
      format: '$websocket_event|$websocket_messages_in|$websocket_bytes_in|$websocket_bytes_out|$websocket_close_code',
      location: 'websocket_log both;',
      request: openingHandshake('/', { Upgrade: 'echo' }),
      answer: SWITCHING.replace('websocket', 'echo'),
    });
    assert.equal(await tunnel.line(), 'open|-|0|0|-');
    tunnel.client.socket.end('abc');
    tunnel.peer.socket.end('defgh');
    assert.equal(await tunnel.line(2), 'close|-|3|5|-');
  });
});
