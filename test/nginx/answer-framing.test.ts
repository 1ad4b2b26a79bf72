// How the end of an answer is told: a length, chunks, the close; answers without a body; and answers that are cut.
// RFC 9112 sections 6 and 8; https://nginx.org/en/docs/http/ngx_http_proxy_module.html

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf, type HttpMessage } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { type BackendConnection, startBackend } from '../support/recording-backend.ts';

/** Sends an answer in one piece, and ends the connection behind it where it has no other end. */
function answering(answer: string, ends = false) {
  return (_: HttpMessage, connection: BackendConnection): undefined => {
    connection.send(answer);
    if (ends) connection.socket.end();
  };
}

async function start(t: TestContext, answer: string, ends = false, more = '') {
  const backend = await startBackend(t, answering(answer, ends));
  const gateway = await gatewayFromConfig({
    http: `
      upstream backend { server ${backend.address}; }
      server { listen 127.0.0.1:8080; location / { proxy_pass http://backend; ${more} } }`,
  });
  t.after(() => gateway.stop());
  return { backend, gateway };
}

async function ask(t: TestContext, port: number, method = 'GET', version = '1.1'): Promise<RawClient> {
  const client = await RawClient.to(t, port, { isBodiless: () => method === 'HEAD' });
  client.send(`${method} / HTTP/${version}\r\nHost: a\r\n\r\n`);
  return client;
}

const LENGTH = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
const CHUNKS = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n';
const CLOSE = 'HTTP/1.1 200 OK\r\n\r\nhello';
const OLD = 'HTTP/1.0 200 OK\r\n\r\nhello';

test('a length stays a length', async (t) => {
  const { gateway } = await start(t, LENGTH);
  const answer = await (await ask(t, gateway.port())).answer();
  assert.equal(fieldOf(answer, 'content-length'), '5');
  assert.equal(fieldOf(answer, 'transfer-encoding'), undefined);
  assert.equal(answer.body.toString(), 'hello');
});

test('chunks become chunks of our own, without extensions and trailers, and the connection stays', async (t) => {
  const { gateway } = await start(t, CHUNKS);
  const client = await ask(t, gateway.port());
  const answer = await client.answer();
  assert.equal(fieldOf(answer, 'transfer-encoding'), 'chunked');
  assert.equal(answer.body.toString(), 'hello');
  assert.deepEqual(answer.trailers, []);
  assert.doesNotMatch(client.text, /x=y/);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.equal((await client.answer(2)).body.toString(), 'hello');
});

test('an answer that ends with the backend’s connection becomes chunks, and the client’s connection stays', async (t) => {
  for (const answer of [CLOSE, OLD]) {
    const { gateway } = await start(t, answer, true);
    const client = await ask(t, gateway.port());
    const first = await client.answer();
    assert.equal(fieldOf(first, 'transfer-encoding'), 'chunked');
    assert.equal(first.body.toString(), 'hello');
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal((await client.answer(2)).body.toString(), 'hello');
  }
});

test('to HTTP/1.0 what has no length ends with the connection', async (t) => {
  for (const [answer, ends] of [
    [CHUNKS, false],
    [CLOSE, true],
  ] as const) {
    const { gateway } = await start(t, answer, ends);
    const client = await RawClient.to(t, gateway.port());
    client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    await client.untilEnded();
    assert.equal(fieldOf(client.answers[0] as HttpMessage, 'transfer-encoding'), undefined);
    assert.equal(fieldOf(client.answers[0] as HttpMessage, 'connection'), 'close');
    assert.equal(client.answers[0]?.body.toString(), 'hello');
  }
});

test('a length lets HTTP/1.0 keep its connection', async (t) => {
  const { gateway } = await start(t, LENGTH);
  const client = await RawClient.to(t, gateway.port());
  client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'.repeat(2));
  assert.equal((await client.answer(2)).body.toString(), 'hello');
});

test('HTTP/0.9 gets the body alone', async (t) => {
  for (const [answer, ends] of [
    [LENGTH, false],
    [CHUNKS, false],
    [CLOSE, true],
  ] as const) {
    const { gateway } = await start(t, answer, ends);
    const client = await RawClient.to(t, gateway.port());
    client.send('GET /\r\n');
    await client.untilEnded();
    assert.equal(client.text, 'hello');
  }
});

test('answers to HEAD, 204 and 304 have no body, whatever they say of its length', async (t) => {
  const cases: [string, string][] = [
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
    ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['HEAD', 'HTTP/1.1 404 Not Found\r\n\r\n'],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "x"\r\n\r\n'],
  ];
  for (const [method, answer] of cases) {
    const { gateway, backend } = await start(t, answer);
    const client = await ask(t, gateway.port(), method);
    await client.answer();
    client.send(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
    const second = await client.answer(2);
    assert.equal(second.status, Number(answer.slice(9, 12)));
    assert.equal(client.rest.length, 0, answer);
    assert.equal(fieldOf(second, 'content-length'), /Length: (\d+)/.exec(answer)?.[1]);
    assert.equal(backend.connections.length, 1, 'the backend’s connection is used again');
  }
});

test('an error page to HEAD has the length of the page and no page', async (t) => {
  const gateway = await gatewayFromConfig({ http: 'server { listen 127.0.0.1:8080; return 404; }' });
  t.after(() => gateway.stop());
  const client = await ask(t, gateway.port(), 'HEAD');
  const answer = await client.answer();
  assert.ok(Number(fieldOf(answer, 'content-length')) > 100);
  client.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.answer(2);
  assert.equal(client.rest.length, 0);
});

test('an empty body is one with the length 0, or no chunk but the last', async (t) => {
  for (const answer of [
    'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ]) {
    const { gateway } = await start(t, answer);
    const client = await ask(t, gateway.port());
    assert.equal((await client.answer()).body.length, 0);
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal((await client.answer(2)).body.length, 0);
  }
});

test('an answer that is cut is never made to look whole', async (t) => {
  const cut: [string, string][] = [
    ['1.1', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'],
    ['1.1', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
    ['1.1', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello'],
    ['1.1', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n'],
    ['1.0', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'],
  ];
  for (const [version, answer] of cut) {
    const { gateway } = await start(t, answer, true);
    const client = await ask(t, gateway.port(), 'GET', version);
    await client.untilEnded();
    assert.equal(client.answers.length, 0, answer);
    assert.match(client.text, /^HTTP\/1\.1 200 .*hello/s, 'what had come is delivered');
    assert.match(gateway.lines().join(), /upstream prematurely closed connection while reading upstream/);
  }
});

test('where the close would be the end of the body, an answer that is cut ends with a reset', async (t) => {
  const { gateway } = await start(t, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', true);
  const client = await ask(t, gateway.port(), 'GET', '1.0');
  await client.untilClosed();
  assert.equal(client.error?.code, 'ECONNRESET');
});

test('trailers are passed on with proxy_pass_trailers', async (t) => {
  const { gateway } = await start(t, CHUNKS, false, 'proxy_pass_trailers on;');
  const answer = await (await ask(t, gateway.port())).answer();
  assert.deepEqual(answer.trailers, ['X-Sum: 1']);
});

test('bytes behind an answer are nobody’s: the next request gets its own answer, on a new connection', async (t) => {
  const { gateway, backend } = await start(t, `${LENGTH}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother`);
  const client = await ask(t, gateway.port());
  assert.equal((await client.answer()).body.toString(), 'hello');
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.equal((await client.answer(2)).body.toString(), 'hello');
  assert.equal(backend.connections.length, 2);
});

test('$body_bytes_sent and $bytes_sent count what was sent, the framing of chunks as well', async (t) => {
  const backend = await startBackend(t, answering(CHUNKS));
  const gateway = await gatewayFromConfig({
    http: `
      log_format sent '$body_bytes_sent $bytes_sent';
      access_log logs/sent.log sent;
      server { listen 127.0.0.1:8080; location / { proxy_pass http://${backend.address}; } }`,
  });
  t.after(() => gateway.stop());
  const client = await ask(t, gateway.port());
  await client.answer();
  const headLength = client.text.indexOf('\r\n\r\n') + 4;
  const { length } = client.received;
  assert.deepEqual(gateway.lines('logs/sent.log'), [`${length - headLength} ${length}`]);
});

test('chunked_transfer_encoding off: an answer of unknown length ends with its connection', async (t) => {
  const { gateway } = await start(t, CHUNKS, false, 'chunked_transfer_encoding off;');
  const client = await ask(t, gateway.port());
  await client.untilEnded();
  const [head = '', body] = client.text.split('\r\n\r\n');
  assert.doesNotMatch(head, /transfer-encoding|content-length/i);
  assert.match(head, /\r\nConnection: close(?:\r\n|$)/);
  assert.equal(body, 'hello');
});
