// WebSocket smuggling: an upgrade that is none. The attacker makes the gateway believe that a tunnel was agreed on, while the backend
// still speaks HTTP, and then speaks to the backend past every location; or the other way round. A tunnel is opened only where the
// client asked for exactly what the backend agreed to; everything else stays HTTP, request by request through the same locations.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptKey } from '../../src/websocket/handshake.ts';
import { fieldOf, namesOf } from '../support/http-reader.ts';
import { rawFrame } from '../support/raw-websocket.ts';
import type { Behaviour } from '../support/recording-backend.ts';
import { OK } from '../support/recording-backend.ts';
import { attackedGateway, UPGRADE } from './attacked-gateway.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const SERVER = `
  location /admin/ { return 403; }
  location = /flag { return 404; }
  location / { proxy_pass http://backend; ${UPGRADE} }
`;
const TEXT = 1;

interface Handshake {
  readonly line?: string;
  /** Instead of the usual ones of these names; '' leaves one out. */
  readonly fields?: Readonly<Record<string, string>>;
  readonly more?: readonly string[];
}

function handshake({ line = 'GET /ws HTTP/1.1', fields = {}, more = [] }: Handshake = {}): string {
  const all = {
    Host: 'a',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': KEY,
    ...fields,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== '');
  return `${[line, ...lines.map(([name, value]) => `${name}: ${value}`), ...more].join('\r\n')}\r\n\r\n`;
}

interface Switching {
  readonly fields?: Readonly<Record<string, string>>;
  readonly status?: string;
}

function switching({ fields = {}, status = '101 Switching Protocols' }: Switching = {}): string {
  const all = { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Accept': acceptKey(KEY), ...fields };
  const lines = Object.entries(all).filter(([, value]) => value !== '');
  return `HTTP/1.1 ${status}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/** Agrees to whatever looks like an upgrade. */
const agrees: Behaviour = (request) => (fieldOf(request, 'upgrade') === undefined ? OK : switching());

test('a version that is not 13 is answered with 426 by us, and the connection stays HTTP: what follows goes through the locations', async (t) => {
  const attacked = await attackedGateway(t, { server: SERVER, behaviour: agrees });
  const client = await attacked.connect();
  client.send(`${handshake({ fields: { 'Sec-WebSocket-Version': '1337' } })}GET /flag HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.answer(2);
  const [first, second] = client.answers;
  assert.deepEqual([first?.status, second?.status], [426, 404]);
  assert.equal(fieldOf(first as NonNullable<typeof first>, 'sec-websocket-version'), '13');
  assert.equal(fieldOf(first as NonNullable<typeof first>, 'upgrade'), 'websocket');
  assert.match(fieldOf(first as NonNullable<typeof first>, 'connection') ?? '', /\bupgrade$/);
  assert.equal(attacked.backend.bytes, 0);
  await attacked.isAlive();
});

test('a backend’s 426, or any other answer but 101, is an answer: the next request is parsed and judged like any other', async (t) => {
  for (const status of ['426 Upgrade Required', '200 OK', '302 Found', '404 Not Found']) {
    const fields = {
      Upgrade: 'websocket',
      Connection: 'Upgrade',
      'Content-Length': '2',
      'Sec-WebSocket-Version': '13',
    };
    const refusal = `${switching({ status, fields })}no`;
    const attacked = await attackedGateway(t, { server: SERVER, behaviour: () => refusal });
    const client = await attacked.connect();
    client.send(`${handshake()}GET /flag HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.answer(2);
    const [first, second] = client.answers;
    assert.deepEqual([first?.status, second?.status], [Number(status.slice(0, 3)), 404]);
    assert.equal(first?.body.toString(), 'no');
    const told = fieldOf(first as NonNullable<typeof first>, 'upgrade');
    assert.equal(told, status.startsWith('426') ? 'websocket' : undefined, 'only 426 tells what to upgrade to');
    assert.equal(attacked.backend.requests.length, 1);
    await attacked.isAlive();
  }
});

test('a handshake that is wrong is refused before anyone is dialled', async (t) => {
  const attacked = await attackedGateway(t, { server: SERVER, behaviour: agrees });
  const wrong: [string, Handshake, number][] = [
    ['POST', { line: 'POST /ws HTTP/1.1' }, 400],
    ['POST with an empty body', { line: 'POST /ws HTTP/1.1', fields: { 'Content-Length': '0' } }, 400],
    ['HEAD', { line: 'HEAD /ws HTTP/1.1' }, 400],
    ['HTTP/1.0', { line: 'GET /ws HTTP/1.0' }, 400],
    ['no key', { fields: { 'Sec-WebSocket-Key': '' } }, 400],
    ['a short key', { fields: { 'Sec-WebSocket-Key': 'YWJj' } }, 400],
    ['two keys', { more: [`Sec-WebSocket-Key: ${KEY}`] }, 400],
    ['no version', { fields: { 'Sec-WebSocket-Version': '' } }, 426],
    ['two versions', { more: ['Sec-WebSocket-Version: 8'] }, 426],
    ['Connection without upgrade', { fields: { Connection: 'keep-alive' } }, 400],
    ['no Connection', { fields: { Connection: '' } }, 400],
    ['websocket and h2c', { fields: { Upgrade: 'websocket, h2c' } }, 400],
    ['websocket and something', { fields: { Upgrade: 'x, websocket' } }, 400],
    ['two Upgrades', { more: ['Upgrade: h2c'] }, 400],
    ['a body', { fields: { 'Content-Length': '5' } }, 400],
    ['a chunked body', { fields: { 'Transfer-Encoding': 'chunked' } }, 400],
  ];
  for (const [name, shape, status] of wrong) {
    const client = await attacked.connect();
    client.send(handshake(shape));
    client.socket.end();
    await client.untilClosed();
    assert.match(client.text, new RegExp(`^HTTP/1\\.1 ${status} `), name);
    assert.equal(attacked.backend.bytes, 0, name);
  }
  await attacked.isAlive();
});

test('the body of a refused handshake is no request and no frame', async (t) => {
  const attacked = await attackedGateway(t, { server: SERVER, behaviour: agrees });
  const body = 'GET /flag HTTP/1.1\r\nHost: a\r\n\r\n';
  const client = await attacked.send(handshake({ fields: { 'Content-Length': `${body.length}` } }) + body);
  assert.deepEqual(
    client.answers.map(({ status }) => status),
    [400],
  );
  assert.equal(attacked.backend.bytes, 0);
  await attacked.isAlive();
});

test('a 101 that is not the answer to what was asked is a 502, the backend is closed, and nothing is tunnelled', async (t) => {
  const wrong: [string, Switching][] = [
    ['no Upgrade', { fields: { Upgrade: '' } }],
    ['another Upgrade', { fields: { Upgrade: 'h2c' } }],
    ['two Upgrades', { fields: { Upgrade: 'websocket, h2c' } }],
    ['no Connection', { fields: { Connection: '' } }],
    ['another Connection', { fields: { Connection: 'keep-alive' } }],
    ['no Accept', { fields: { 'Sec-WebSocket-Accept': '' } }],
    ['the Accept of another key', { fields: { 'Sec-WebSocket-Accept': acceptKey('AAAAAAAAAAAAAAAAAAAAAA==') } }],
    ['a subprotocol that nobody offered', { fields: { 'Sec-WebSocket-Protocol': 'chat' } }],
    ['an extension that nobody offered', { fields: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } }],
    ['NUL in a field', { fields: { X: 'a\0b' } }],
    ['two Accepts', { fields: { 'Sec-WebSocket-Accept': acceptKey(KEY), 'sec-websocket-accept': acceptKey(KEY) } }],
  ];
  for (const [name, shape] of wrong) {
    const attacked = await attackedGateway(t, { server: SERVER, behaviour: () => `${switching(shape)}frames` });
    const client = await attacked.connect();
    client.send(`${handshake()}GET /flag HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.answer(2);
    assert.deepEqual(
      client.answers.map(({ status }) => status),
      [502, 404],
      name,
    );
    assert.doesNotMatch(client.text, /frames|Sec-WebSocket-Accept/, name);
    const connection = await attacked.backend.connection();
    await attacked.backend.until('the close', () => connection.ended || connection.closed);
    assert.equal(connection.rest.length, 0, `${name}: nothing of the client came behind the request`);
    await attacked.isAlive();
  }
});

test('a 101 that nobody asked for is a 502: for a plain request, for a POST, and where the location passes no Upgrade', async (t) => {
  const server = `${SERVER} location /plain { websocket off; proxy_pass http://backend; }`;
  const asked = [
    'GET /ws HTTP/1.1\r\nHost: a\r\n\r\n',
    'POST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi',
    handshake({ line: 'GET /plain HTTP/1.1' }),
  ];
  for (const request of asked) {
    const attacked = await attackedGateway(t, { server, behaviour: () => `${switching()}frames` });
    const client = await attacked.connect();
    client.send(`${request}GET /flag HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.answer(2);
    assert.deepEqual(
      client.answers.map(({ status }) => status),
      [502, 404],
    );
    assert.doesNotMatch(client.text, /frames/);
    await attacked.isAlive();
  }
});

test('h2c is never passed on, not even where the configuration passes $http_upgrade: the request stays a plain one', async (t) => {
  const attacked = await attackedGateway(t, { server: SERVER, behaviour: agrees });
  for (const upgrade of ['h2c', 'H2C', 'x, h2c', 'h2c/1']) {
    const client = await attacked.send(
      `GET /h2 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: ${upgrade}\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
    );
    assert.deepEqual(
      client.answers.map(({ status }) => status),
      [200],
      upgrade,
    );
  }
  for (const request of attacked.backend.requests) {
    assert.deepEqual(
      namesOf(request).filter((name) => /upgrade|http2|connection/.test(name)),
      [],
    );
  }
  assert.equal(attacked.backend.requests.length, 4);
  assert.doesNotMatch(attacked.backend.connections.map(({ text }) => text).join(''), /PRI/);
  await attacked.isAlive();
});

test('another protocol is tunnelled only for a GET without a body, and only where the configuration sends Upgrade', async (t) => {
  const other: Behaviour = (request) =>
    fieldOf(request, 'upgrade') === undefined
      ? OK
      : 'HTTP/1.1 101 S\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nwelcome';
  const attacked = await attackedGateway(t, {
    server: `${SERVER} location /plain { proxy_pass http://backend; }`,
    behaviour: other,
  });
  const fields = 'Host: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n';

  const tunnel = await attacked.connect();
  tunnel.send(`GET /echo HTTP/1.1\r\n${fields}\r\nGET /early HTTP/1.1\r\n\r\n`);
  await tunnel.until('the greeting', () => tunnel.text.endsWith('welcome'));
  assert.match(tunnel.text, /^HTTP\/1\.1 101 .*\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nwelcome$/s);
  await attacked.backend.until(
    'the early bytes',
    () => attacked.backend.connections[0]?.text.endsWith('\r\n\r\nGET /early HTTP/1.1\r\n\r\n') === true,
  );
  tunnel.socket.destroy();

  const plain = [
    `GET /plain HTTP/1.1\r\n${fields}\r\n`,
    `POST /echo HTTP/1.1\r\n${fields}\r\n`,
    `GET /echo HTTP/1.0\r\n${fields}\r\n`,
    'GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n',
  ];
  for (const request of plain) {
    const client = await attacked.connect();
    client.send(request);
    assert.equal((await client.answer()).status, 200, request);
    assert.doesNotMatch(attacked.backend.requests.at(-1)?.head ?? '', /upgrade/i);
  }

  const client = await attacked.connect();
  client.send(`POST /echo HTTP/1.1\r\n${fields}Content-Length: 2\r\n\r\nhiGET /flag HTTP/1.1\r\nHost: a\r\n\r\n`);
  assert.equal((await client.answer(2)).status, 404);
  assert.equal(attacked.backend.requests.at(-1)?.body.toString(), 'hi', 'the body is a body');
  await attacked.isAlive();
});

test('a 101 to another protocol than was asked for is a 502', async (t) => {
  const attacked = await attackedGateway(t, {
    server: SERVER,
    behaviour: () => 'HTTP/1.1 101 S\r\nUpgrade: secret\r\nConnection: upgrade\r\n\r\nwelcome',
  });
  const client = await attacked.connect();
  client.send('GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  assert.equal((await client.answer()).status, 502);
  await attacked.isAlive();
});

test('upgrade requests go through the same locations as all others, however their path is written', async (t) => {
  const attacked = await attackedGateway(t, { server: SERVER, behaviour: agrees });
  const paths = [
    '/admin/ws',
    '//admin/ws',
    '/./admin/ws',
    '/x/../admin/ws',
    '/%61dmin/ws',
    '/admin%2fws',
    '/x%2f..%2fadmin/ws',
    '/x/%2e%2e/admin/ws',
    '/admin/%2e/ws',
    'http://a/admin/ws',
  ];
  for (const path of paths) {
    const client = await attacked.connect();
    client.send(handshake({ line: `GET ${path} HTTP/1.1` }));
    assert.equal((await client.answer()).status, 403, path);
  }
  assert.equal(attacked.backend.bytes, 0);
  await attacked.isAlive();
});

test('what the client’s Connection names is not passed on with a handshake either', async (t) => {
  const attacked = await attackedGateway(t, { server: SERVER, behaviour: agrees });
  const client = await attacked.connect();
  client.send(
    handshake({ fields: { Connection: 'Upgrade, X-Internal-Auth' }, more: ['X-Internal-Auth: root', 'X-Other: 1'] }),
  );
  assert.equal((await client.answer()).status, 101);
  const names = namesOf(await attacked.backend.request());
  assert.ok(!names.includes('x-internal-auth'));
  assert.ok(names.includes('x-other'));
  await attacked.isAlive();
});

test('frames that come in one segment with either head are delivered, intact and in order', async (t) => {
  const fromPeer = Array.from({ length: 20 }, (_, i) => rawFrame({ opcode: TEXT, payload: `peer ${i}` }));
  const fromClient = Array.from({ length: 20 }, (_, i) =>
    rawFrame({ opcode: TEXT, payload: `client ${i}`, masked: true }),
  );
  const attacked = await attackedGateway(t, {
    server: SERVER,
    behaviour: () => Buffer.concat([Buffer.from(switching()), ...fromPeer.slice(0, 10)]),
  });
  const client = await attacked.connect();
  client.send(Buffer.concat([Buffer.from(handshake()), ...fromClient.slice(0, 10)]));
  const connection = await attacked.backend.connection();
  await client.answer();
  for (const frame of fromPeer.slice(10)) connection.send(frame);
  for (const frame of fromClient.slice(10)) client.send(frame);
  const [whole, wholeClient] = [Buffer.concat(fromPeer), Buffer.concat(fromClient)];
  await client.until('all frames of the peer', () => client.rest.length >= whole.length);
  await attacked.backend.until('all frames of the client', () => connection.rest.length >= wholeClient.length);
  assert.deepEqual(client.rest, whole);
  assert.deepEqual(connection.rest, wholeClient);
  client.socket.destroy();
  await attacked.isAlive();
});

test('a client that sends before the 101 loses nothing, however slow the backend is and however much it is', async (t) => {
  const attacked = await attackedGateway(t, { server: SERVER, behaviour: () => undefined });
  const client = await attacked.connect();
  const payload = Buffer.alloc(300_000, 'x');
  const early = rawFrame({ opcode: 2, payload, masked: true });
  client.send(Buffer.concat([Buffer.from(handshake()), early]));
  await attacked.backend.request();
  const connection = await attacked.backend.connection();
  assert.equal(connection.rest.length, 0, 'nothing but the request before the 101');
  connection.send(switching());
  await attacked.backend.until('the frame', () => connection.rest.length >= early.length);
  assert.ok(connection.rest.equals(early));
  client.socket.destroy();
  await attacked.isAlive();
});

test('behind a true 101 the bytes are the backend’s, whatever they look like', async (t) => {
  const attacked = await attackedGateway(t, { server: SERVER, behaviour: agrees });
  const client = await attacked.connect();
  client.send(handshake());
  await client.answer();
  client.send('GET /flag HTTP/1.1\r\nHost: a\r\n\r\n');
  const connection = await attacked.backend.connection();
  await attacked.backend.until('the bytes', () => connection.text.includes('GET /flag'));
  assert.equal(client.answers.length, 1, 'we do not answer any more');
  client.socket.destroy();
  await attacked.isAlive();
});
