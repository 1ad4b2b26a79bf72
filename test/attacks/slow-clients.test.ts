// Slow clients (slowloris, slowhttptest -H -B -X): each holds a connection for as long as it can by saying, or hearing, a byte at a time.
// Every wait for a client has an end that the configuration names, and what a waiting connection costs is bounded.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { bestOf } from '../support/best-of.ts';
import { selfSignedCertificate } from '../support/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { RawClient } from '../support/raw-client.ts';
import { ask } from '../support/raw-http.ts';
import { residentBytes } from '../support/resident-bytes.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { until } from '../support/until.ts';
import { attackedGateway, UPGRADE } from './attacked-gateway.ts';

/** ms; the timeouts of these tests. Longer than a machine that is busy hesitates, shorter than a reader's patience. */
const TIMEOUT = 400;
/** ms beyond a timeout within which it must have been noticed: far less than the minute that holds where none is set. */
const GRACE = 8000;
const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\n';

/** Sends a text byte by byte until the other side ends. */
async function drip(client: RawClient, text: string, every = 40): Promise<void> {
  for (const byte of text) {
    if (client.ended || client.closed) return;
    client.send(byte);
    await wait(every);
  }
}

/** Waits for the end that the gateway makes, `atLeast` so many ms after the client began to connect. */
async function endsAfter(client: RawClient, atLeast: number, during: Promise<void> = Promise.resolve()): Promise<void> {
  await client.untilEnded();
  const took = performance.now() - client.begunAt;
  await during;
  assert.ok(took >= atLeast - 1, `it ended after ${took} ms`);
  assert.ok(took < atLeast + GRACE, `it ended after ${took} ms`);
}

const statuses = (client: RawClient): number[] => client.answers.map(({ status }) => status);

test('a head that trickles in: 408 when client_header_timeout is over, however often a byte comes', async (t) => {
  const attacked = await attackedGateway(t, { http: `client_header_timeout ${TIMEOUT}ms;` });
  const client = await attacked.connect();
  client.send('GET / HTTP/1.1\r\n');
  await endsAfter(client, TIMEOUT, drip(client, `Host: a\r\nX: ${'x'.repeat(500)}`));
  assert.deepEqual(statuses(client), [408]);
  assert.equal(attacked.backend.bytes, 0);
  const [line = ''] = attacked.gateway.lines('logs/access.log');
  assert.match(line, /"GET \/ HTTP\/1\.1" 408 /, 'the log tells what had come');
  await attacked.isAlive();
});

test('a request line that trickles in: 408', async (t) => {
  const attacked = await attackedGateway(t, { http: `client_header_timeout ${TIMEOUT}ms;` });
  const client = await attacked.connect();
  await endsAfter(client, TIMEOUT, drip(client, `GET /${'x'.repeat(500)}`));
  assert.deepEqual(statuses(client), [408]);
  await attacked.isAlive();
});

test('a connection that says nothing, or only empty lines, is closed without a word', async (t) => {
  const attacked = await attackedGateway(t, { http: `client_header_timeout ${TIMEOUT}ms;` });
  for (const text of ['', '\r\n'.repeat(100)]) {
    const client = await attacked.connect();
    await endsAfter(client, TIMEOUT, drip(client, text));
    assert.equal(client.text, '');
  }
  assert.deepEqual(attacked.gateway.lines('logs/access.log'), []);
  await attacked.isAlive();
});

test('who waits before its first byte gets no more time for its head', async (t) => {
  const attacked = await attackedGateway(t, { http: `client_header_timeout ${2 * TIMEOUT}ms;` });
  const most = 1.5 * TIMEOUT;
  const took = await bestOf(most, async () => {
    const client = await attacked.connect();
    await wait(1.5 * TIMEOUT);
    client.send('G');
    const began = performance.now();
    await client.untilEnded();
    assert.deepEqual(statuses(client), [408]);
    return performance.now() - began;
  });
  assert.ok(took < most, 'the time began when it connected');
});

test('between requests keepalive_timeout holds, and client_header_timeout from the first byte of the next head on', async (t) => {
  const attacked = await attackedGateway(t, {
    http: `client_header_timeout ${TIMEOUT}ms; keepalive_timeout ${2 * TIMEOUT}ms;`,
  });
  const silent = await attacked.connect();
  silent.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await silent.answer();
  await endsAfter(silent, 2 * TIMEOUT, drip(silent, '\r\n'.repeat(100)));
  assert.deepEqual(statuses(silent), [200]);
  const slow = await attacked.connect();
  slow.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await slow.answer();
  await endsAfter(slow, TIMEOUT, drip(slow, `GET / HTTP/1.1\r\n${'X: x\r\n'.repeat(100)}`));
  assert.deepEqual(statuses(slow), [200, 408]);
  await attacked.isAlive();
});

test('a body that stops: 408 when client_body_timeout is over, whether the gateway gathers it or passes it on', async (t) => {
  for (const buffering of ['on', 'off']) {
    const attacked = await attackedGateway(t, {
      http: `client_body_timeout ${TIMEOUT}ms;`,
      server: `location / { proxy_pass http://backend; proxy_request_buffering ${buffering}; }`,
    });
    for (const framing of ['Content-Length: 100\r\n\r\nhello', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhel']) {
      const client = await attacked.connect();
      client.send(`${HEAD}${framing}`);
      await endsAfter(client, TIMEOUT);
      assert.deepEqual(statuses(client), [408]);
    }
    assert.equal(attacked.backend.connections.length, buffering === 'on' ? 0 : 2);
    for (const connection of attacked.backend.connections)
      await attacked.backend.until('the close', () => connection.ended || connection.closed);
    assert.equal(attacked.backend.requests.length, 0, 'no request was complete');
    await attacked.isAlive();
  }
});

test('a slow body that goes on within client_body_timeout is served', async (t) => {
  const attacked = await attackedGateway(t, { http: `client_body_timeout ${TIMEOUT}ms;` });
  const client = await attacked.connect();
  client.send(`${HEAD}Connection: close\r\nContent-Length: 20\r\n\r\n`);
  await drip(client, 'x'.repeat(20), TIMEOUT / 10);
  await client.untilEnded();
  assert.deepEqual(statuses(client), [200]);
  assert.equal((await attacked.backend.request()).body.toString(), 'x'.repeat(20));
});

test('what is thrown away of a body that nobody wants has its time, too: lingering_timeout and lingering_time', async (t) => {
  const attacked = await attackedGateway(t, {
    http: `lingering_timeout ${TIMEOUT}ms; lingering_time ${3 * TIMEOUT}ms;`,
    server: 'client_max_body_size 10; location / { return 200 early; } location /big { proxy_pass http://backend; }',
  });
  const silent = await attacked.connect();
  silent.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello');
  assert.equal((await silent.answer()).status, 200);
  await endsAfter(silent, TIMEOUT);

  const talking = await attacked.connect();
  const began = performance.now();
  talking.send('POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nhello');
  assert.equal((await talking.answer()).status, 413);
  while (!talking.closed && performance.now() - began < 3 * TIMEOUT + GRACE) {
    talking.send('x');
    await wait(TIMEOUT / 10);
  }
  assert.ok(talking.closed, 'talking on does not keep it open');
  assert.ok(performance.now() - began > 2 * TIMEOUT, 'it was listened to');
  await attacked.isAlive();
});

const LARGE = 24 * 1024 * 1024;

function readNothing(t: TestContext, port: number, request: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => {
      socket.pause();
      socket.write(request);
      resolve(socket);
    });
    socket.on('error', () => {});
    t.after(() => socket.destroy());
  });
}

test('a client that takes nothing of a large answer: send_timeout closes it, and the backend with it', async (t) => {
  const attacked = await attackedGateway(t, {
    http: `send_timeout ${TIMEOUT}ms;`,
    server: 'root html; location /file { } location / { proxy_pass http://backend; proxy_max_temp_file_size 0; }',
    behaviour: (_, { socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${LARGE}\r\n\r\n`);
      socket.write(Buffer.alloc(LARGE));
      return undefined;
    },
    files: { 'html/file': Buffer.alloc(LARGE) },
  });
  for (const path of ['/file', '/proxied']) {
    const began = performance.now();
    await readNothing(t, attacked.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await attacked.gateway.lines();
    while (!attacked.gateway.lines('logs/access.log').some((line) => line.includes(path))) {
      assert.ok(performance.now() - began < 3 * GRACE, `${path} is held for ever`);
      await wait(20);
    }
    assert.ok(performance.now() - began > TIMEOUT * 0.8);
    assert.match(attacked.gateway.lines().join('\n'), /client timed out .* while sending to client/);
  }
  const { connections } = attacked.backend;
  await attacked.backend.until('the close', () =>
    connections.every((one) => one.closed || one.ended || one.error !== undefined),
  );
  await attacked.isAlive();
});

test('a client that takes an answer slowly, but steadily, gets all of it, however long that takes', async (t) => {
  const SEND_TIMEOUT = 2500;
  const PAUSE = 800;
  const attacked = await attackedGateway(t, {
    http: `send_timeout ${SEND_TIMEOUT}ms;`,
    server: 'root html; location / { }',
    files: { 'html/file': Buffer.alloc(LARGE, 'x') },
  });
  const socket = await readNothing(t, attacked.port, 'GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const began = performance.now();
  let received = 0;
  socket.on('data', (bytes: Buffer) => {
    received += bytes.length;
    socket.pause();
  });
  while (!socket.destroyed && performance.now() - began < 30_000) {
    // Enough at a time for the kernel to tell the sender of it.
    const goal = received + 6 * 1024 * 1024;
    while (received < goal && !socket.destroyed) {
      socket.resume();
      await wait(1);
    }
    await wait(PAUSE);
  }
  assert.ok(received > LARGE, `${received} bytes came`);
  assert.ok(performance.now() - began > SEND_TIMEOUT);
  await attacked.isAlive();
});

test('with reset_timedout_connection, who takes nothing is reset', async (t) => {
  const attacked = await attackedGateway(t, {
    http: `send_timeout ${TIMEOUT}ms; reset_timedout_connection on;`,
    server: 'root html; location / { }',
    files: { 'html/file': Buffer.alloc(LARGE) },
  });
  const socket = await readNothing(t, attacked.port, 'GET /file HTTP/1.1\r\nHost: a\r\n\r\n');
  const { port } = attacked;
  const mine = socket.localPort as number;
  assert.ok(isKnownToTheSystem(port, mine));
  while (attacked.gateway.lines('logs/access.log').length === 0) await wait(20);
  await until('it to be gone, though nothing of it was taken', () => !isKnownToTheSystem(port, mine));
  await attacked.isAlive();
});

/** Whether the system still has our end of a connection: after a reset it has not, after an orderly close with bytes unsent it has. */
function isKnownToTheSystem(localPort: number, remotePort: number): boolean {
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');
  const ends = new RegExp(`: \\w+:${hex(localPort)} \\w+:${hex(remotePort)} `);
  return ends.test(readFileSync('/proc/net/tcp', 'latin1'));
}

test('a client that pipelines without reading is not read any more, and closed when send_timeout is over', async (t) => {
  const attacked = await attackedGateway(t, {
    // The head is long, so that a few answers are more than the kernel holds.
    http: `send_timeout ${TIMEOUT}ms; keepalive_requests 100000000; add_header X "${'x'.repeat(2000)}";`,
    server: `location / { return 200 ${'x'.repeat(1000)}; } location /head { return 204; } location = /file { root html; }`,
    files: { 'html/file': 'x' },
  });
  for (const line of ['GET / HTTP/1.1', 'GET /head HTTP/1.1', 'HEAD / HTTP/1.1', 'HEAD /file HTTP/1.1']) {
    const requests = Buffer.from(`${line}\r\nHost: a\r\n\r\n`.repeat(1000));
    const before = attacked.gateway.lines('logs/access.log').length;
    const socket = await readNothing(t, attacked.port, '');
    let refused = 0;
    const began = performance.now();
    while (!socket.destroyed && performance.now() - began < 4 * GRACE) {
      if (!socket.write(requests)) {
        refused++;
        await wait(10);
      }
    }
    assert.ok(socket.destroyed && refused > 0, `${line}: it is held for ever`);
    assert.ok(attacked.gateway.lines('logs/access.log').length - before < 50_000, 'what nobody reads is not made');
  }
  await attacked.isAlive();
});

test('a TLS handshake that does not go on is given up after client_header_timeout: before, in and after the ClientHello', async (t) => {
  const { cert, key } = await selfSignedCertificate();
  const attacked = await attackedGateway(t, {
    http: `
      client_header_timeout ${TIMEOUT}ms;
      server { listen 127.0.0.1:8443 ssl; ssl_certificate own.crt; ssl_certificate_key own.key; location / { return 200 secret; } }
    `,
    files: { 'own.crt': cert, 'own.key': key },
  });
  const port = attacked.gateway.port('127.0.0.1:8443');
  const hello = await recordClientHello();
  const parts: [string, Buffer][] = [
    ['nothing', Buffer.alloc(0)],
    ['one byte', hello.subarray(0, 1)],
    ['half of it', hello.subarray(0, hello.length >> 1)],
    ['all of it', hello],
  ];
  for (const [name, part] of parts) {
    const client = await RawClient.to(t, port);
    client.send(part);
    await endsAfter(client, TIMEOUT);
    client.socket.destroy();
    assert.doesNotMatch(client.text, /HTTP/, name);
  }
  const dripping = await RawClient.to(t, port);
  await endsAfter(dripping, TIMEOUT, drip(dripping, hello.toString('latin1')));
  const good = await RawClient.to(t, port, { tls: {} });
  good.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  assert.equal((await good.answer()).body.toString(), 'secret');
  await attacked.isAlive();
});

test('after the TLS handshake the head has its time', async (t) => {
  const { cert, key } = await selfSignedCertificate();
  const attacked = await attackedGateway(t, {
    http: `
      client_header_timeout ${TIMEOUT}ms;
      server { listen 127.0.0.1:8443 ssl; ssl_certificate own.crt; ssl_certificate_key own.key; location / { return 200 secret; } }
    `,
    files: { 'own.crt': cert, 'own.key': key },
  });
  const client = await RawClient.to(t, attacked.gateway.port('127.0.0.1:8443'), { tls: {} });
  await endsAfter(client, TIMEOUT, drip(client, `GET /${'x'.repeat(500)}`));
  assert.deepEqual(statuses(client), [408]);
});

/** What Node's client says first. */
async function recordClientHello(): Promise<Buffer> {
  const { createServer } = await import('node:net');
  const { connect: connectTls } = await import('node:tls');
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = connectTls({ port, host: '127.0.0.1' });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  client.destroy();
  server.close();
  return hello;
}

test('a WebSocket handshake that trickles in: 408; one that the backend does not answer: 504', async (t) => {
  const attacked = await attackedGateway(t, {
    http: `client_header_timeout ${TIMEOUT}ms; proxy_read_timeout ${TIMEOUT}ms;`,
    server: `location / { proxy_pass http://backend; ${UPGRADE} }`,
    behaviour: () => undefined,
  });
  const upgrade =
    'GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  const slow = await attacked.connect();
  await endsAfter(slow, TIMEOUT, drip(slow, upgrade));
  assert.deepEqual(statuses(slow), [408]);
  assert.equal(attacked.backend.bytes, 0);
  const whole = await attacked.connect();
  whole.send(`${upgrade}\r\n`);
  assert.equal((await whole.answer()).status, 504);
  const connection = await attacked.backend.connection();
  await attacked.backend.until('the close', () => connection.ended || connection.closed);
  await attacked.isAlive();
});

const CROWD = 1000;
/** Bytes of the process for each connection that has sent a part of a head. */
const COST = 24 * 1024;

test(`${CROWD} slow clients at once: others are served meanwhile, and what they cost is bounded`, async (t) => {
  const port = await freePort();
  const sockgate = await startSockgate(t, {
    conf: `
      worker_processes 1;
      events { worker_connections 4096; }
      http {
          client_header_timeout 60s;
          server { listen 127.0.0.1:${port}; location / { return 200 ok; } }
      }`,
  });
  await ask(port, 'GET /');
  const before = residentBytes(sockgate.pid);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (let i = 0; i < CROWD; i += 100) {
    const some = Array.from({ length: 100 }, () => connect(port, '127.0.0.1'));
    sockets.push(...some);
    for (const socket of some) socket.on('error', () => {});
    await Promise.all(some.map((socket) => once(socket, 'connect')));
    for (const socket of some) socket.write(`GET /${'x'.repeat(800)} HTTP/1.1\r\nHost: a\r\nX: `);
  }
  for (let i = 0; i < 5; i++) {
    for (const socket of sockets) socket.write('x');
    const took = await bestOf(1000, async () => {
      const began = performance.now();
      assert.equal((await ask(port, 'GET /')).status, 200);
      return performance.now() - began;
    });
    assert.ok(took < 1000, `it took ${took} ms`);
  }
  const each = (residentBytes(sockgate.pid) - before) / CROWD;
  assert.ok(each < COST, `each costs ${Math.round(each)} bytes`);
});
