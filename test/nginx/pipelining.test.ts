// Requests that come before the one ahead of them is answered: answered in order, each with its own body, wherever the stream is cut.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Behaviour, startBackend } from '../support/recording-backend.ts';

/** Answers with what it was asked; `/slow` later than what comes behind it. */
const telling: Behaviour = (request, connection) => {
  const told = `${request.startLine.split(' ')[1]}:${request.body}`;
  const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${told.length}\r\n\r\n${told}`;
  if (!told.startsWith('/slow')) return answer;
  setTimeout(() => connection.send(answer), 60);
  return undefined;
};

async function start(t: TestContext, server = 'location / { proxy_pass http://backend; }') {
  const backend = await startBackend(t, telling);
  const gateway = await gatewayFromConfig({
    http: `
      upstream backend { server ${backend.address}; }
      log_format pipe '$pipe $request_uri $status';
      server {
          listen 127.0.0.1:8080;
          access_log logs/pipe.log pipe;
          location /own { return 200 own; }
          location /file { root html; }
          ${server}
      }`,
    files: { 'html/file': 'file' },
  });
  t.after(() => gateway.stop());
  return { backend, gateway, client: await RawClient.to(t, gateway.port()) };
}

const get = (path: string, ...lines: string[]): string =>
  [`GET ${path} HTTP/1.1`, 'Host: a', ...lines, '', ''].join('\r\n');
const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const postChunks = (path: string, ...chunks: string[]): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunks
    .map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`)
    .join('')}0\r\n\r\n`;

const STREAM =
  get('/slow/1') +
  post('/2', 'hello') +
  get('/own') +
  postChunks('/slow/3', 'two', 'chunks') +
  post('/own', 'nobody reads this') +
  get('/file') +
  postChunks('/own', 'nor', 'this') +
  post('/file', 'nor that') +
  get('/4');
const ANSWERS = ['/slow/1:', '/2:hello', 'own', '/slow/3:twochunks', 'own', 'file', 'own', /405 Not Allowed/, '/4:'];

function expectAnswers(client: RawClient): void {
  assert.equal(client.answers.length, ANSWERS.length);
  for (const [index, expected] of ANSWERS.entries()) {
    const body = client.answers[index]?.body.toString() ?? '';
    if (typeof expected === 'string') assert.equal(body, expected);
    else assert.match(body, expected);
  }
}

test('answers come in the order of their requests, whoever makes them', async (t) => {
  const { client } = await start(t);
  client.send(STREAM);
  await client.answer(ANSWERS.length);
  expectAnswers(client);
});

test('wherever the stream is cut, it means the same', async (t) => {
  for (const size of [1, 7, 64, 200]) {
    const { client } = await start(t);
    for (let at = 0; at < STREAM.length; at += size) {
      client.send(STREAM.slice(at, at + size));
      if (size > 1 || at % 10 === 0) await new Promise(setImmediate);
    }
    await client.answer(ANSWERS.length);
    expectAnswers(client);
  }
});

test('a body of which the gateway gathers nothing is still a body', async (t) => {
  const { client } = await start(t, 'location / { proxy_pass http://backend; proxy_request_buffering off; }');
  client.send(STREAM);
  await client.answer(ANSWERS.length);
  expectAnswers(client);
});

test('a body that is larger than the gateway’s buffer, and comes whole with the next request behind it', async (t) => {
  const { client, backend } = await start(t, 'client_body_buffer_size 1k; location / { proxy_pass http://backend; }');
  const body = 'x'.repeat(50_000);
  client.send(
    get('/warm') + post('/a', body) + postChunks('/b', body.slice(0, 30_000), body.slice(30_000)) + get('/c'),
  );
  await client.answer(4);
  assert.deepEqual(
    client.answers.map((answer) => answer.body.toString()),
    ['/warm:', `/a:${body}`, `/b:${body}`, '/c:'],
  );
  assert.ok(backend.requests.every(({ body: got }) => got.length === 0 || got.length === body.length));
});

test('what follows Connection: close is not executed', async (t) => {
  const { client, backend } = await start(t);
  client.send(get('/1') + get('/2', 'Connection: close') + get('/3'));
  await client.untilEnded();
  assert.deepEqual(
    client.answers.map((answer) => answer.body.toString()),
    ['/1:', '/2:'],
  );
  assert.equal(backend.requests.length, 2);
});

test('a client that ends its half behind its requests gets the answers that we make ourselves', async (t) => {
  const { client } = await start(t);
  client.send(get('/own') + get('/file') + post('/own', 'body') + get('/file'));
  client.socket.end();
  await client.untilClosed();
  assert.deepEqual(
    client.answers.map((answer) => answer.body.toString()),
    ['own', 'file', 'own', 'file'],
  );
});

test('$pipe says which requests came behind another one', async (t) => {
  const { client, gateway } = await start(t);
  client.send(get('/own') + get('/own?2') + get('/slow') + get('/own?3'));
  await client.answer(4);
  client.send(get('/own?4'));
  await client.answer(5);
  assert.deepEqual(gateway.lines('logs/pipe.log'), [
    '. /own 200',
    'p /own?2 200',
    'p /slow 200',
    'p /own?3 200',
    '. /own?4 200',
  ]);
});
