// Bodies that fit no memory pass both ways, whole and unchanged, while the memory of the gateway stays where it was.
// SOCKGATE_LARGE_BODY=10g node --test test/nginx/large-bodies.test.ts

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { ask } from '../support/raw-http.ts';
import { residentBytes, UNCOLLECTED } from '../support/resident-bytes.ts';
import { type Sockgate, startSockgate } from '../support/start-sockgate.ts';

const MEGABYTE = 1024 * 1024;
/** Bytes of each body. */
const SIZE = readSize(process.env['SOCKGATE_LARGE_BODY'] ?? '256m');
/** The most that memory may grow by, whatever the body's size: buffers of both sides, and what the garbage collector leaves lying. */
const GROWTH = 64 * MEGABYTE + UNCOLLECTED;
const SAMPLE_EVERY = 20;
/** Not a multiple of anything that is read or written at once, so that what is lost, doubled or moved shows. */
const PATTERN = randomBytes(MEGABYTE + 13);

function readSize(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+)([mg]?)$/.exec(text) ?? [];
  return Number(digits) * (unit === 'g' ? 1024 * MEGABYTE : unit === 'm' ? MEGABYTE : 1);
}

/** Compares what comes with the pattern, repeated. */
class PatternReader {
  length = 0;
  wrongAt = -1;

  read(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && this.wrongAt < 0; ) {
      const offset = this.length % PATTERN.length;
      const count = Math.min(bytes.length - at, PATTERN.length - offset);
      if (bytes.compare(PATTERN, offset, offset + count, at, at + count) !== 0) this.wrongAt = this.length;
      this.length += count;
      at += count;
    }
  }
}

async function writePattern(socket: Socket, chunked: boolean): Promise<void> {
  for (let left = SIZE; left > 0 && !socket.destroyed; left -= PATTERN.length) {
    const piece = PATTERN.subarray(0, Math.min(left, PATTERN.length));
    if (chunked) socket.write(`${piece.length.toString(16)}\r\n`);
    const flows = socket.write(piece);
    if (chunked) socket.write('\r\n');
    if (!flows) await once(socket, 'drain');
  }
  if (chunked) socket.write('0\r\n\r\n');
}

/** Takes a message apart that is too large to be kept: its head is text, its payload goes to the reader. */
class BodyReader {
  head = '';
  readonly #reader: PatternReader;
  /** Of the chunk: bytes that are still to come; and the line with the next one's size, as far as it has. */
  #left = 0;
  #line = '';

  constructor(reader: PatternReader) {
    this.#reader = reader;
  }

  read(bytes: Buffer): void {
    const payload = this.head.endsWith('\r\n\r\n') ? bytes : this.#behindHead(bytes);
    if (/chunked/i.test(this.head)) this.#readChunks(payload);
    else this.#reader.read(payload);
  }

  #behindHead(bytes: Buffer): Buffer {
    const before = this.head.length;
    const text = this.head + bytes.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    this.head = end < 0 ? text : text.slice(0, end + 4);
    return bytes.subarray(this.head.length - before);
  }

  #readChunks(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#left === 0) {
        this.#readSize(bytes[at++] as number);
        continue;
      }
      const count = Math.min(this.#left, bytes.length - at);
      this.#reader.read(bytes.subarray(at, at + count));
      this.#left -= count;
      at += count;
    }
  }

  #readSize(byte: number): void {
    this.#line += String.fromCharCode(byte);
    if (!this.#line.endsWith('\r\n')) return;
    this.#left = Number.parseInt(this.#line, 16) || 0; // behind a chunk the line is empty
    this.#line = '';
  }
}

/** @returns the head, once the whole body has come */
function readBody(socket: Socket, reader: PatternReader): Promise<string> {
  const body = new BodyReader(reader);
  return new Promise((resolve, reject) => {
    socket.on('close', () => reject(new Error(`closed after ${reader.length} bytes`)));
    socket.on('error', reject);
    socket.on('data', (bytes: Buffer) => {
      body.read(bytes);
      if (reader.wrongAt >= 0) reject(new Error(`the byte at ${reader.wrongAt} is wrong`));
      if (reader.length === SIZE) resolve(body.head);
    });
  });
}

async function start(t: TestContext, location: string, behave: (socket: Socket) => void): Promise<[number, Sockgate]> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    behave(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const port = await freePort();
  const sockgate = await startSockgate(t, {
    conf: `
      events {}
      http {
          client_max_body_size 0;
          server {
              listen 127.0.0.1:${port};
              location = /ok { return 200 ok; }
              location / { proxy_pass http://127.0.0.1:${(server.address() as AddressInfo).port}; ${location} }
          }
      }`,
  });
  await ask(port, 'GET /ok');
  return [port, sockgate];
}

/** Runs it while the gateway's memory is looked at. */
async function staysFlat(sockgate: Sockgate, transfer: Promise<unknown>): Promise<void> {
  const before = residentBytes(sockgate.pid);
  let peak = before;
  const sampling = setInterval(() => {
    peak = Math.max(peak, residentBytes(sockgate.pid));
  }, SAMPLE_EVERY);
  await transfer.finally(() => clearInterval(sampling));
  assert.ok(peak - before < GROWTH, `it grew by ${Math.round((peak - before) / MEGABYTE)} MB`);
}

function dial(t: TestContext, port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  return socket;
}

for (const framing of ['Content-Length', 'chunked']) {
  for (const buffering of ['on', 'off']) {
    test(`a request body of ${SIZE} bytes, ${framing}, proxy_request_buffering ${buffering}`, {
      timeout: 600_000,
    }, async (t) => {
      const reader = new PatternReader();
      const [port, sockgate] = await start(t, `proxy_request_buffering ${buffering};`, (socket) => {
        void readBody(socket, reader).then(
          () => socket.write('HTTP/1.1 204 No Content\r\n\r\n'),
          () => socket.destroy(),
        );
      });
      const client = dial(t, port);
      const answer = once(client, 'data') as Promise<[Buffer]>;
      const field = framing === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${SIZE}`;
      client.write(`PUT / HTTP/1.1\r\nHost: a\r\n${field}\r\n\r\n`);
      await staysFlat(sockgate, Promise.all([writePattern(client, framing === 'chunked'), answer]));
      assert.match((await answer)[0].toString(), /^HTTP\/1\.1 204 /);
      assert.deepEqual([reader.length, reader.wrongAt], [SIZE, -1]);
    });
  }
}

for (const framing of ['Content-Length', 'chunked', 'close']) {
  for (const buffering of ['on', 'off']) {
    test(`an answer of ${SIZE} bytes, ${framing}, proxy_buffering ${buffering}`, { timeout: 600_000 }, async (t) => {
      const field =
        framing === 'chunked'
          ? 'Transfer-Encoding: chunked\r\n'
          : framing === 'close'
            ? ''
            : `Content-Length: ${SIZE}\r\n`;
      const [port, sockgate] = await start(t, `proxy_buffering ${buffering};`, (socket) => {
        socket.once('data', () => {
          socket.write(`HTTP/1.1 200 OK\r\n${field}\r\n`);
          void writePattern(socket, framing === 'chunked').then(() => socket.end());
        });
      });
      const reader = new PatternReader();
      const client = dial(t, port);
      const body = readBody(client, reader);
      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await staysFlat(sockgate, body);
      assert.match(await body, framing === 'Content-Length' ? /Content-Length/ : /Transfer-Encoding: chunked/);
      assert.deepEqual([reader.length, reader.wrongAt], [SIZE, -1]);
    });
  }
}
