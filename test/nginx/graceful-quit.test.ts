// QUIT: idle connections are closed, answers that are under way are finished, whatever their heads have promised, and then it exits with 0.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { fieldOf, type HttpMessage } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { OK, startBackend } from '../support/recording-backend.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { unreadBytes } from '../support/unread-bytes.ts';
import { until } from '../support/until.ts';

const LARGE = 16 * 1024 * 1024;

async function start(t: TestContext) {
  const backend = await startBackend(t, ({ startLine }) => (startLine.includes('/slow') ? undefined : OK));
  const port = await freePort();
  const sockgate = await startSockgate(t, {
    conf: `
      events {}
      http {
          server {
              listen 127.0.0.1:${port};
              location / { proxy_pass http://${backend.address}; }
              location = /large { root html; }
              location = /own { return 200 own; }
          }
      }`,
    files: { 'html/large': Buffer.alloc(LARGE) },
  });
  return { backend, port, sockgate };
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

test('idle connections are closed, in order; so are those that have said nothing yet', async (t) => {
  const { port, sockgate } = await start(t);
  const used = await RawClient.to(t, port);
  used.send(get('/own'));
  await used.answer();
  const fresh = await RawClient.to(t, port);
  // What still waits in the queue of a listening socket is reset when that closes: an answer to who came later says that it has been accepted.
  const later = await RawClient.to(t, port);
  later.send(get('/own'));
  await later.answer();
  const { code } = await sockgate.stop('SIGQUIT');
  assert.equal(code, 0);
  for (const client of [used, fresh, later]) {
    await client.untilEnded();
    assert.equal(client.error, undefined);
  }
});

test('an answer whose head is not made yet says that it is the last; nothing behind it is executed', async (t) => {
  const { backend, port, sockgate } = await start(t);
  const client = await RawClient.to(t, port);
  client.send(get('/slow'));
  await backend.request();
  sockgate.signal('SIGQUIT');
  await sockgate.logged(/gracefully shutting down/);
  client.send(get('/own'));
  (await backend.connection()).send(OK);
  await client.untilEnded();
  assert.deepEqual(
    client.answers.map(({ status }) => status),
    [200],
  );
  assert.equal(fieldOf(client.answers[0] as HttpMessage, 'connection'), 'close');
  client.socket.end();
  assert.equal((await sockgate.exited()).code, 0);
});

test('an answer whose head had said that the connection stays is finished, and the connection closed then', async (t) => {
  const { backend, port, sockgate } = await start(t);
  const client = await RawClient.to(t, port);
  client.send(get('/slow'));
  await backend.request();
  const connection = await backend.connection();
  connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
  await client.until('the beginning', () => client.text.endsWith('hello'));
  sockgate.signal('SIGQUIT');
  await sockgate.logged(/gracefully shutting down/);
  connection.send('world');
  await client.untilEnded();
  assert.equal(client.answers[0]?.body.toString(), 'helloworld');
  assert.equal(fieldOf(client.answers[0] as HttpMessage, 'connection'), 'keep-alive');
  assert.equal((await sockgate.exited()).code, 0);
});

test('a client that takes a large answer slowly gets all of it', async (t) => {
  const { port, sockgate } = await start(t);
  const client = await RawClient.to(t, port);
  client.socket.pause();
  client.send(get('/large'));
  // The head and the beginning wait in the kernel by now.
  await until('the head', () => (unreadBytes(client.socket.localPort as number, port) ?? 0) > 0);
  sockgate.signal('SIGQUIT');
  await sockgate.logged(/gracefully shutting down/);
  client.socket.resume();
  await client.untilEnded();
  assert.equal(client.answers[0]?.body.length, LARGE);
  assert.equal((await sockgate.exited()).code, 0);
});

test('a head that is under way is still heard, and its answer the last', async (t) => {
  const { port, sockgate } = await start(t);
  const client = await RawClient.to(t, port);
  client.send('GET /own HTTP/1.1\r\n');
  await until('it to be read', () => unreadBytes(port, client.socket.localPort as number) === 0);
  sockgate.signal('SIGQUIT');
  await sockgate.logged(/gracefully shutting down/);
  client.send('Host: a\r\n\r\n');
  await client.untilEnded();
  assert.equal(client.answers[0]?.body.toString(), 'own');
  assert.equal(fieldOf(client.answers[0] as HttpMessage, 'connection'), 'close');
  assert.equal((await sockgate.exited()).code, 0);
});

test('keepalive_min_timeout: an idle connection is served until then, and is closed after it', async (t) => {
  const port = await freePort();
  const sockgate = await startSockgate(t, {
    conf: `
      events {}
      http {
          server { listen 127.0.0.1:${port}; keepalive_min_timeout 2s; location / { return 200 own; } }
      }`,
  });
  const [asking, silent] = [await RawClient.to(t, port), await RawClient.to(t, port)];
  for (const client of [asking, silent]) {
    client.send(get('/'));
    await client.answer();
  }
  const began = performance.now();
  sockgate.signal('SIGQUIT');
  await sockgate.logged(/gracefully shutting down/);
  asking.send(get('/'));
  assert.equal(fieldOf(await asking.answer(2), 'connection'), 'close');
  await asking.untilEnded();
  await silent.untilEnded();
  assert.equal(silent.error, undefined);
  assert.ok(performance.now() - began > 1000, 'the silent one was waited for');
});

test('what goes on without its client ends with worker_shutdown_timeout, too', async (t) => {
  const backend = await startBackend(t, () => undefined);
  const port = await freePort();
  const sockgate = await startSockgate(t, {
    conf: `
      worker_shutdown_timeout 200ms;
      events {}
      http {
          server {
              listen 127.0.0.1:${port};
              location / { proxy_pass http://${backend.address}; proxy_ignore_client_abort on; }
          }
      }`,
  });
  const gone = await RawClient.to(t, port);
  gone.send(get('/gone'));
  await backend.request();
  gone.socket.resetAndDestroy();
  const there = await RawClient.to(t, port);
  there.send(get('/there'));
  await backend.request(2);
  const { code } = await sockgate.stop('SIGQUIT');
  assert.equal(code, 0);
});
