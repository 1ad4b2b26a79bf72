// `sticky engineio` byte by byte: whatever a peer's first words look like, they pass unchanged and at once, and what they say is known by then.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { acceptOf } from '../faults/raw-client.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf, type HttpMessage } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { rawFrame } from '../support/raw-websocket.ts';
import { type Backend, type BackendConnection, startBackend } from '../support/recording-backend.ts';
import { until } from '../support/until.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const FIELDS = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\n${FIELDS}Sec-WebSocket-Accept: ${acceptOf(KEY)}\r\n\r\n`;
const HANDSHAKE = `GET /?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n${FIELDS}Sec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n`;
const POLL = '/?EIO=4&transport=polling';

const open = (sid: string): string => `0{"sid":"${sid}","upgrades":["websocket"]}`;

interface Setup {
  readonly port: number;
  readonly backends: readonly Backend[];
}

/** Three peers that answer a request for a session with their number; anything else is answered by `first`. */
async function start(
  t: TestContext,
  first: (connection: BackendConnection, request: HttpMessage) => void,
  more = '',
): Promise<Setup> {
  const backends: Backend[] = [];
  for (let number = 0; number < 3; number++) {
    const behaviour = (request: HttpMessage, connection: BackendConnection): string | undefined => {
      if (request.startLine.includes('sid=')) return `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${number}`;
      first(connection, request);
      return undefined;
    };
    backends.push(await startBackend(t, behaviour));
  }
  const gateway = await gatewayFromConfig({
    http: `
      upstream chat { ${backends.map(({ address }) => `server ${address};`).join(' ')} sticky engineio; }
      server {
        listen 127.0.0.1:8080;
        location / {
          proxy_pass http://chat;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection upgrade;
          ${more}
        }
      }`,
  });
  t.after(() => gateway.stop());
  return { port: gateway.port(), backends };
}

async function get(t: TestContext, port: number, target: string, method = 'GET'): Promise<HttpMessage> {
  const client = await RawClient.to(t, port, { isBodiless: () => method === 'HEAD' });
  client.send(`${method} ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
  return client.answer();
}

/** Who is asked for a session, one time after the other. */
async function askedFor(t: TestContext, port: number, sid: string): Promise<string> {
  let who = '';
  for (let i = 0; i < 4; i++) who += (await get(t, port, `${POLL}&sid=${sid}`)).body;
  return who;
}

/** Everything is answered with this. */
const saying = (answer: Buffer | string) => (connection: BackendConnection) => connection.send(answer);

const withLength = (body: Buffer | string, fields = ''): Buffer =>
  Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${fields}Content-Length: ${body.length}\r\n\r\n`), Buffer.from(body)]);

test('what has come of an open packet is passed on before the rest comes', async (t) => {
  const { port, backends } = await start(t, (connection) => {
    connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0{"sid":"abcdefg\r\n');
  });
  const client = await RawClient.to(t, port);
  client.send(`GET ${POLL} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.until('the first half', () => client.text.endsWith('0{"sid":"abcdefg\r\n'));
  assert.equal(new Set(await askedFor(t, port, 'abcdefg')).size, 3);
  const [connection] = (backends[0] as Backend).connections as [BackendConnection];
  connection.send('8\r\nhijkl"}!\r\n');
  await client.until('the second half', () => client.text.endsWith('hijkl"}!\r\n'));
  assert.equal(await askedFor(t, port, 'abcdefghijkl'), '0000');
  connection.send('0\r\n\r\n');
  assert.equal((await client.answer()).body.toString(), '0{"sid":"abcdefghijkl"}!');
});

test('a session whose name is written with escapes is the same one', async (t) => {
  const { port } = await start(t, saying(withLength(open('a/b=='))));
  await get(t, port, POLL);
  assert.equal(await askedFor(t, port, 'a%2fb%3D%3D'), '0000');
});

for (const buffering of ['on', 'off']) {
  test(`long answers pass unchanged, with proxy_buffering ${buffering}`, async (t) => {
    const long = Buffer.concat([Buffer.from(open('plain')), randomBytes(3_000_000)]);
    const packed = gzipSync(Buffer.concat([Buffer.from(open('packed')), randomBytes(3_000_000)]));
    const { port } = await start(
      t,
      (connection, { startLine }) =>
        connection.send(
          startLine.includes('packed') ? withLength(packed, 'Content-Encoding: gzip\r\n') : withLength(long),
        ),
      `proxy_buffering ${buffering};`,
    );
    assert.ok((await get(t, port, POLL)).body.equals(long));
    assert.ok((await get(t, port, `${POLL}&packed`)).body.equals(packed));
    assert.equal(await askedFor(t, port, 'plain'), '0000');
    assert.equal(await askedFor(t, port, 'packed'), '1111');
  });
}

test('what other filters make of an answer does not matter', async (t) => {
  const { port } = await start(t, saying(withLength(open('s'))), 'sub_filter sid SID; sub_filter_types *; gzip on;');
  assert.equal((await get(t, port, POLL)).body.toString(), open('s').replace('sid', 'SID'));
  assert.equal(await askedFor(t, port, 's'), '0000');
});

test('an answer to HEAD teaches nothing and has no body', async (t) => {
  const { port } = await start(t, saying('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'));
  const answer = await get(t, port, POLL, 'HEAD');
  assert.equal(fieldOf(answer, 'content-length'), '5');
  assert.equal(answer.body.length, 0);
});

const FRAME = rawFrame({ opcode: 1, payload: open('s') });
const MORE = rawFrame({ opcode: 1, payload: '2probe' });

const TUNNELS: Readonly<Record<string, readonly Buffer[]>> = {
  'with the 101': [Buffer.concat([Buffer.from(SWITCH), FRAME, MORE])],
  'behind the 101': [Buffer.from(SWITCH), Buffer.concat([FRAME, MORE])],
  'in two pieces, the first with the 101': [
    Buffer.concat([Buffer.from(SWITCH), FRAME.subarray(0, 9)]),
    Buffer.concat([FRAME.subarray(9), MORE]),
  ],
  'byte by byte': [Buffer.from(SWITCH), ...[...FRAME, ...MORE].map((byte) => Buffer.of(byte))],
};

for (const [how, pieces] of Object.entries(TUNNELS)) {
  test(`a session of a WebSocket whose open packet comes ${how}`, async (t) => {
    const { port, backends } = await start(t, () => {});
    const client = await RawClient.to(t, port);
    client.send(HANDSHAKE);
    await (backends[0] as Backend).request();
    const connection = await (backends[0] as Backend).connection();
    let sent = -SWITCH.length;
    for (const piece of pieces) {
      connection.send(piece);
      sent += piece.length;
      await client.until('what was sent', () => client.text.split('\r\n\r\n')[1]?.length === sent);
    }
    assert.ok(client.received.subarray(-sent).equals(Buffer.concat([FRAME, MORE])));
    assert.equal(await askedFor(t, port, 's'), '0000');
    client.socket.destroy();
  });
}

test('a session of a WebSocket is forgotten when its server closes that', async (t) => {
  const { port, backends } = await start(t, (connection) =>
    connection.send(Buffer.concat([Buffer.from(SWITCH), FRAME])),
  );
  const client = await RawClient.to(t, port);
  client.send(HANDSHAKE);
  await client.until('the open packet', () => client.text.includes(open('s')));
  assert.equal(await askedFor(t, port, 's'), '0000');
  const [connection] = (backends[0] as Backend).connections as [BackendConnection];
  connection.socket.end(rawFrame({ opcode: 8 }));
  await client.untilEnded();
  client.socket.end();
  await until('all peers', async () => new Set(await askedFor(t, port, 's')).size === 3);
});

test('a tunnel that says nothing of a session is a tunnel like others', async (t) => {
  const { port, backends } = await start(t, (connection) => connection.send(SWITCH));
  const client = await RawClient.to(t, port);
  client.send(HANDSHAKE);
  await client.until('the 101', () => client.text.includes('\r\n\r\n'));
  const [connection] = (backends[0] as Backend).connections as [BackendConnection];
  const frames = [rawFrame({ opcode: 2, payload: randomBytes(100_000) }), FRAME, rawFrame({ opcode: 8 })];
  for (const frame of frames) connection.send(frame);
  const all = Buffer.concat(frames);
  await client.until('all frames', () => client.received.length >= all.length + SWITCH.length);
  assert.ok(client.received.subarray(-all.length).equals(all));
  assert.equal(new Set(await askedFor(t, port, 's')).size, 3);
  connection.socket.end();
  await client.untilEnded();
});
