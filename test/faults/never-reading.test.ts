// Sides that never read: what is sent to them waits at its source, memory stays bounded, and a send timeout ends it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { until } from '../support/until.ts';
import { frameHead } from './live-tunnel.ts';
import { PASS_UPGRADE, ProbedGateway } from './probed-gateway.ts';
import { type PeerConnection, scriptedPeer } from './scripted-peer.ts';

const CONNECTIONS = 20;
/** What may be taken in the gateway's memory for each, beyond some for the process itself. */
const PER_CONNECTION = 100 * 1024;
/** Channels over streams read into a new buffer each time, which is garbage for a while. */
const SLACK = (process.env['SOCKGATE_CHANNEL'] === 'stream' ? 160 : 12) * 1024 * 1024;
const PIECE = Buffer.alloc(256 * 1024, 'x');
/** Most that a source can get rid of: what the kernel's buffers of both connections may grow to, and what the gateway may hold. */
const MOST_TAKEN = 2 * (largestBuffer('tcp_rmem') + largestBuffer('tcp_wmem')) + PER_CONNECTION;
/** ms; longer than it takes to see that nothing flows any more, even on a machine that stalls. */
const SEND_TIMEOUT = 4000;

/** In bytes; the last of three numbers. */
function largestBuffer(name: string): number {
  return Number(/\d+\s*$/.exec(readFileSync(`/proc/sys/net/ipv4/${name}`, 'latin1'))?.[0]);
}

/** Writes without end as long as somebody takes it. @returns how much was taken so far */
function pour(socket: PeerConnection['socket']): () => number {
  const more = (): void => {
    while (!socket.destroyed && socket.write(PIECE));
  };
  socket.on('drain', more);
  more();
  return () => socket.bytesWritten - socket.writableLength;
}

async function start(t: TestContext, behave: (connection: PeerConnection) => void) {
  const peer = await scriptedPeer(t, behave);
  const gateway = await ProbedGateway.start(t, {
    server: `
      send_timeout ${SEND_TIMEOUT}ms; proxy_send_timeout ${SEND_TIMEOUT}ms; websocket_close_timeout ${SEND_TIMEOUT}ms;
      client_max_body_size 0;
      location /ws { proxy_pass http://${peer.address}; ${PASS_UPGRADE} }
      location /plain { proxy_pass http://${peer.address}; proxy_max_temp_file_size 0; }
      location /unbuffered { proxy_pass http://${peer.address}; proxy_buffering off; proxy_request_buffering off; }`,
  });
  return { peer, gateway };
}

/** Nothing more is taken for a while, others are served meanwhile; then memory is as it should be, and a timeout ends it. */
async function staysBounded(gateway: ProbedGateway, taken: (() => number)[], before: number): Promise<void> {
  const all = (): number => taken.reduce((sum, each) => sum + each(), 0);
  const client = await gateway.echo();
  let [last, still] = [-1, 0];
  await until('the flow to stand still', async () => {
    assert.equal(await client.ask('and I?'), 'and I?');
    still = all() === last ? still + 1 : 0;
    last = all();
    return taken.length === CONNECTIONS && still > 5;
  });
  const grown = gateway.memory - before;
  assert.ok(grown < CONNECTIONS * PER_CONNECTION + SLACK, `memory has grown by ${grown} bytes`);
  for (const each of taken) assert.ok(each() < MOST_TAKEN, `${each()} bytes were taken`);
  client.socket.terminate();
}

for (const path of ['/ws', '/plain', '/unbuffered']) {
  test(`clients that never read what comes from ${path}: their peers wait, nobody else does, send_timeout closes`, async (t) => {
    const taken: (() => number)[] = [];
    const { peer, gateway } = await start(t, (connection) => {
      if (path === '/ws') {
        connection.onUpgrade(() => {
          connection.socket.write(frameHead(2 ** 40, 0));
          taken.push(pour(connection.socket));
        });
        return;
      }
      connection.onRequest(() => {
        connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${2 ** 40}\r\n\r\n`);
        taken.push(pour(connection.socket));
      });
    });
    const before = gateway.memory;
    const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => gateway.client()));
    for (const client of clients) {
      if (path === '/ws') await client.upgrade(path);
      else client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      client.socket.pause();
    }
    await staysBounded(gateway, taken, before);
    await peer.allClosed(4 * SEND_TIMEOUT);
    for (const { socket } of [...peer.connections, ...clients]) socket.destroy();
    await gateway.alive();
  });
}

// A body that is buffered is gathered in a file, however large: client_max_body_size is its bound.
for (const path of ['/ws', '/unbuffered']) {
  test(`peers that never read what goes to ${path}: their clients wait, nobody else does, proxy_send_timeout closes`, async (t) => {
    const { peer, gateway } = await start(t, (connection) => {
      if (path === '/ws') connection.onUpgrade(() => connection.socket.pause());
      else connection.socket.pause();
    });
    const before = gateway.memory;
    const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => gateway.client()));
    const taken: (() => number)[] = [];
    for (const client of clients) {
      if (path === '/ws') (await client.upgrade(path)).send(maskedHead());
      else client.send(`PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${2 ** 40}\r\n\r\n`);
      taken.push(pour(client.socket));
    }
    await staysBounded(gateway, taken, before);
    for (const client of clients) client.socket.resume();
    await Promise.all(clients.map((client) => client.over(4 * SEND_TIMEOUT)));
    for (const { socket } of [...peer.connections, ...clients]) socket.destroy();
    await gateway.alive();
  });
}

/** The beginning of a client's frame that never ends. */
function maskedHead(): Buffer {
  return Buffer.concat([frameHead(2 ** 40, 0x80), Buffer.alloc(4)]);
}
