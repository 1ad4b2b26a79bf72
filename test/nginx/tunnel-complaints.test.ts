// The error log tells of a tunnel that ended by somebody's fault: the upstream's as an error, the client's for information, and of others not.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { closeFrame, LoggedTunnel } from '../support/logged-tunnel.ts';
import { rawFrame } from '../support/raw-websocket.ts';
import type { BackendConnection } from '../support/recording-backend.ts';
import { openingHandshake, SWITCHING } from '../support/websocket-handshake.ts';

const PONG = 10;
const WHILE = / while proxying upgraded connection, /;

interface Ended {
  readonly tunnel: LoggedTunnel;
  /** The line of the access log: the cause. */
  readonly cause: string;
}

async function end(
  t: TestContext,
  act: (tunnel: LoggedTunnel) => unknown,
  options: { location?: string; request?: string; answer?: string } = {},
): Promise<Ended> {
  const tunnel = await LoggedTunnel.open(t, { format: '$websocket_close_cause', ...options });
  act(tunnel);
  tunnel.endInOrder();
  return { tunnel, cause: await tunnel.line() };
}

/** Lines are written before the one of the access log. */
function complaints({ tunnel }: Ended): string[] {
  const lines = tunnel.gateway.lines().filter((line) => WHILE.test(line));
  return lines.map((line) => line.replace(/^.*?(\[\w+\]) \S+ \*\d+ /, '$1 ').replace(/, client: .*/, ''));
}

/** As long as it lasts; a frame that nobody asked for is life, too. */
function keepTalking({ socket }: { socket: BackendConnection['socket'] }, masked: boolean): void {
  const timer = setInterval(() => socket.write(rawFrame({ opcode: PONG, masked })), 100);
  socket.once('close', () => clearInterval(timer));
}

const RESET = 'recv() failed (104: Connection reset by peer)';
const TIMED_OUT = 'timed out (110: Connection timed out)';

const faults: readonly [string, string, (tunnel: LoggedTunnel) => unknown, string?][] = [
  ['peer reset', `[error] ${RESET}`, ({ peer }) => peer.socket.resetAndDestroy()],
  ['peer end', '[error] upstream prematurely closed connection', ({ peer }) => peer.socket.end()],
  [
    'peer pong missed',
    `[error] upstream ${TIMED_OUT}`,
    ({ client }) => keepTalking(client, true),
    'websocket_ping 200ms;',
  ],
  ['client reset', `[info] ${RESET}`, ({ client }) => client.socket.resetAndDestroy()],
  ['client end', '[info] client prematurely closed connection', ({ client }) => client.socket.end()],
  ['client pong missed', `[info] client ${TIMED_OUT}`, ({ peer }) => keepTalking(peer, false), 'websocket_ping 200ms;'],
  ['idle', `[error] upstream ${TIMED_OUT}`, () => {}, 'websocket_ping off;'],
];

for (const [cause, said, act, location = ''] of faults) {
  test(`${cause}: ${said}`, async (t) => {
    const ended = await end(t, act, { location: `proxy_read_timeout 1s; ${location}` });
    assert.equal(ended.cause, cause);
    assert.deepEqual(complaints(ended), [`${said} while proxying upgraded connection`]);
  });
}

test('a line tells which client, server, request, upstream and host it was', async (t) => {
  let address = '';
  const { tunnel } = await end(t, ({ peer }) => {
    address = `127.0.0.1:${peer.socket.localPort}`;
    peer.socket.resetAndDestroy();
  });
  const line = await tunnel.complaint(WHILE);
  assert.equal(
    line,
    `[error] ${RESET} while proxying upgraded connection, client: 127.0.0.1, server: front, request: "GET /ws?a HTTP/1.1", ` +
      `upstream: "http://${address}/ws?a", host: "front.example"`,
  );
});

describe('a side that takes nothing any more', () => {
  const MUCH = 64 * 1024 * 1024;
  const flood = rawFrame({ opcode: 2, payload: Buffer.alloc(MUCH) });
  const maskedFlood = rawFrame({ opcode: 2, payload: Buffer.alloc(MUCH), masked: true });

  test('is told as a timeout of the upstream', async (t) => {
    const act = ({ client, peer }: LoggedTunnel): void => {
      peer.socket.pause();
      client.send(maskedFlood);
    };
    const ended = await end(t, act, { location: 'proxy_send_timeout 1s;' });
    assert.equal(ended.cause, 'send timeout to peer');
    assert.deepEqual(complaints(ended), [`[error] upstream ${TIMED_OUT} while proxying upgraded connection`]);
  });

  test('and as one of the client', async (t) => {
    const act = ({ client, peer }: LoggedTunnel): void => {
      client.socket.pause();
      peer.send(flood);
    };
    const ended = await end(t, act, { location: 'send_timeout 1s;' });
    assert.equal(ended.cause, 'send timeout to client');
    assert.deepEqual(complaints(ended), [`[info] client ${TIMED_OUT} while proxying upgraded connection`]);
  });
});

describe('nothing is said', () => {
  test('of a tunnel that either side closes by a frame', async (t) => {
    const byPeer = await end(t, ({ peer }) => peer.socket.end(closeFrame(1011, false)));
    assert.deepEqual([byPeer.cause, complaints(byPeer)], ['peer close', []]);
    const byClient = await end(t, ({ client }) => client.socket.end(closeFrame(1001, true)));
    assert.deepEqual([byClient.cause, complaints(byClient)], ['client close', []]);
  });

  test('of another protocol, which knows no other way to end', async (t) => {
    const other = {
      request: openingHandshake('/', { Upgrade: 'echo' }),
      answer: SWITCHING.replace('websocket', 'echo'),
    };
    const byPeer = await end(t, ({ peer }) => peer.socket.end(), other);
    assert.deepEqual([byPeer.cause, complaints(byPeer)], ['peer end', []]);
    const byClient = await end(t, ({ client }) => client.socket.end(), other);
    assert.deepEqual([byClient.cause, complaints(byClient)], ['client end', []]);
  });
});
