// Work that a client can have done for it: compressing a large file. A WebSocket that has nothing to do with it goes on.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createGunzip } from 'node:zlib';
import { ProbedGateway } from '../faults/probed-gateway.ts';
import { bestOf } from '../support/best-of.ts';

/** For how long the worker's own work may hold up 99 of 100 echoes at most, in ms. */
const P99_MOST = 50;
const SIZE = 100 * 1024 * 1024;
/** Of all that the gateway has for it: less than the file. In bytes. */
const MEMORY_MOST = 96 * 1024 * 1024;

/** Not as dull as one letter, so that zlib has something to do. */
function largeText(): Buffer {
  const piece = Buffer.from(Array.from({ length: 20_000 }, (_, index) => `${index * 7919} words and words\n`).join(''));
  return Buffer.alloc(SIZE, piece);
}

/** Reads the whole answer of a connection that closes behind it. @returns how many bytes the body has when it is expanded */
function expandedLength(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const expand = createGunzip();
    let length = 0;
    let head: Buffer | undefined = Buffer.alloc(0);
    // HTTP/1.0: the body has no framing, and ends with the connection.
    socket.write('GET /large.txt HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n');
    socket.on('data', (bytes: Buffer) => {
      if (head === undefined) {
        expand.write(bytes);
        return;
      }
      head = Buffer.concat([head, bytes]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      assert.match(head.toString('latin1', 0, end), /content-encoding: gzip/i);
      expand.write(head.subarray(end + 4));
      head = undefined;
    });
    socket.on('end', () => expand.end());
    socket.on('error', reject);
    expand.on('error', reject);
    expand.on('data', (bytes: Buffer) => {
      length += bytes.length;
    });
    expand.on('end', () => resolve(length));
  });
}

test('while 100 MB are compressed, the echoes of a WebSocket stay fast, and memory stays small', async (t) => {
  const gateway = await ProbedGateway.start(t, {
    server:
      'location = /large.txt { root html; gzip on; gzip_types *; gzip_http_version 1.0; default_type text/plain; }',
    files: { 'html/large.txt': largeText() },
  });
  const p99 = await bestOf(P99_MOST, () => p99WhileCompressing(t, gateway));
  assert.ok(p99 < P99_MOST, `p99 is ${p99.toFixed(1)} ms`);
  await gateway.alive();
});

async function p99WhileCompressing(t: TestContext, gateway: ProbedGateway): Promise<number> {
  const client = await gateway.echo();
  const before = gateway.memory;
  let most = before;
  let isOver = false;
  const compressed = expandedLength(gateway.port).finally(() => {
    isOver = true;
  });
  const times: number[] = [];
  while (!isOver) {
    times.push(await gateway.timeEcho(client));
    if (times.length % 50 === 0) most = Math.max(most, gateway.memory);
  }
  assert.equal(await compressed, SIZE);
  client.socket.terminate();
  times.sort((a, b) => a - b);
  const p99 = times[Math.floor(times.length * 0.99)] as number;
  t.diagnostic(`${times.length} echoes, p99 ${p99.toFixed(1)} ms, ${((most - before) / 2 ** 20).toFixed(0)} MB more`);
  assert.ok(times.length > 20, 'there was time for echoes');
  assert.ok(most - before < MEMORY_MOST, `${most - before} bytes more`);
  return p99;
}
