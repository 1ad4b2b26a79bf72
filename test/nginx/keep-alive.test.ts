// keepalive_timeout, keepalive_requests, keepalive_time, and what HTTP/1.0 and HTTP/0.9 make of a connection.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_timeout

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf, type HttpMessage } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';

async function connectTo(t: TestContext, http: string): Promise<RawClient> {
  const gateway = await gatewayFromConfig({
    http: `${http} server { listen 127.0.0.1:8080; location / { return 200 $connection_requests; } }`,
  });
  t.after(() => gateway.stop());
  return RawClient.to(t, gateway.port());
}

const get = (version = '1.1', ...lines: string[]): string =>
  [`GET / HTTP/${version}`, 'Host: a', ...lines, '', ''].join('\r\n');
const said = (answer: HttpMessage): [string, string | undefined] => [
  answer.body.toString(),
  fieldOf(answer, 'connection'),
];

test('a connection of HTTP/1.1 stays for the next request', async (t) => {
  const client = await connectTo(t, '');
  for (const count of [1, 2, 3]) {
    client.send(get());
    assert.deepEqual(said(await client.answer(count)), [`${count}`, 'keep-alive']);
  }
  assert.equal(client.ended, false);
});

test('Connection: close is the last request, in whatever list and case it stands', async (t) => {
  for (const value of ['close', 'Close', 'keep-alive, close', 'x,CLOSE ,y']) {
    const client = await connectTo(t, '');
    client.send(get('1.1', `Connection: ${value}`) + get());
    await client.untilEnded();
    assert.deepEqual(client.answers.map(said), [['1', 'close']], value);
  }
});

test('keepalive_requests: so many, and the last answer says so', async (t) => {
  const client = await connectTo(t, 'keepalive_requests 3;');
  client.send(get().repeat(5));
  await client.untilEnded();
  assert.deepEqual(client.answers.map(said), [
    ['1', 'keep-alive'],
    ['2', 'keep-alive'],
    ['3', 'close'],
  ]);
  client.socket.end();
  await client.untilClosed();
  assert.equal(client.error, undefined, 'what was sent beyond it does not reset the connection');
});

test('keepalive_timeout 0: every answer is the last', async (t) => {
  const client = await connectTo(t, 'keepalive_timeout 0;');
  client.send(get());
  await client.untilEnded();
  assert.deepEqual(client.answers.map(said), [['1', 'close']]);
});

test('keepalive_timeout: an idle connection is closed after it, and its second value is told to the client', async (t) => {
  const client = await connectTo(t, 'keepalive_timeout 300ms 30s;');
  const began = performance.now();
  client.send(get());
  const answer = await client.answer();
  assert.equal(fieldOf(answer, 'keep-alive'), 'timeout=30');
  await client.untilEnded();
  const took = performance.now() - began;
  // By default it would be 75 s, and by the second value 30 s.
  assert.ok(took > 250 && took < 25_000, `${took} ms`);
});

test('keepalive_time: a request that comes later is the last', async (t) => {
  const client = await connectTo(t, 'keepalive_time 1500ms;');
  client.send(get());
  assert.deepEqual(said(await client.answer()), ['1', 'keep-alive']);
  await wait(1550);
  client.send(get());
  await client.untilEnded();
  assert.deepEqual(said(await client.answer(2)), ['2', 'close']);
});

test('HTTP/1.0 must ask for it', async (t) => {
  const plain = await connectTo(t, '');
  plain.send(get('1.0'));
  await plain.untilEnded();
  assert.deepEqual(plain.answers.map(said), [['1', 'close']]);
  assert.match(plain.text, /^HTTP\/1\.1 200 /, 'we answer as what we are');
  const asking = await connectTo(t, '');
  asking.send(get('1.0', 'Connection: keep-alive'));
  assert.deepEqual(said(await asking.answer()), ['1', 'keep-alive']);
  asking.send(get('1.0', 'Connection: Keep-Alive'));
  assert.deepEqual(said(await asking.answer(2)), ['2', 'keep-alive']);
  asking.send(get('1.0'));
  await asking.untilEnded();
  assert.deepEqual(said(await asking.answer(3)), ['3', 'close']);
});

test('HTTP/1.0 needs no Host', async (t) => {
  const client = await connectTo(t, '');
  client.send('GET / HTTP/1.0\r\n\r\n');
  await client.untilEnded();
  assert.equal(client.answers[0]?.status, 200);
});

test('HTTP/0.9 gets the body alone, and the close as its end', async (t) => {
  const client = await connectTo(t, '');
  client.send('GET /\r\n');
  await client.untilEnded();
  assert.equal(client.text, '1');
});

test('empty lines before a request are skipped', async (t) => {
  const client = await connectTo(t, '');
  client.send(`\r\n\r\n${get()}\r\n\n${get()}`);
  await client.answer(2);
  assert.deepEqual(
    client.answers.map(({ status }) => status),
    [200, 200],
  );
});

test('a client that ends its half between two requests is closed; one that ends it in the middle of a head is told 400', async (t) => {
  const idle = await connectTo(t, '');
  idle.send(get());
  await idle.answer();
  idle.socket.end();
  await idle.untilClosed();
  assert.equal(idle.answers.length, 1);
  const cut = await connectTo(t, '');
  cut.send('GET / HTTP/1.1\r\nHost');
  cut.socket.end();
  await cut.untilClosed();
  assert.deepEqual(
    cut.answers.map(({ status }) => status),
    [400],
  );
});

test('keepalive_disable: old Internet Explorers after a POST, Safari where it is named, nobody with none', async (t) => {
  const agents = {
    msie: 'Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)',
    patched: 'Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)',
    opera: 'Mozilla/4.0 (compatible; MSIE 5.0; Windows) Opera 7',
    safari: 'Mozilla/5.0 (Macintosh; Mac OS X 10_15) AppleWebKit/605 Version/17 Safari/605',
    chrome: 'Mozilla/5.0 (Macintosh; Mac OS X 10_15) AppleWebKit/537 Chrome/120 Safari/537',
  };
  const kept = async (directive: string, method: string, agent: keyof typeof agents): Promise<boolean> => {
    const client = await connectTo(t, directive);
    client.send(`${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nUser-Agent: ${agents[agent]}\r\n\r\n`);
    return fieldOf(await client.answer(), 'connection') === 'keep-alive';
  };
  assert.deepEqual([await kept('', 'POST', 'msie'), await kept('', 'GET', 'msie')], [false, true]);
  assert.deepEqual([await kept('', 'POST', 'patched'), await kept('', 'POST', 'opera')], [true, true]);
  assert.equal(await kept('', 'GET', 'safari'), true);
  assert.equal(await kept('keepalive_disable safari;', 'GET', 'safari'), false);
  assert.equal(await kept('keepalive_disable safari;', 'GET', 'chrome'), true);
  assert.equal(await kept('keepalive_disable safari;', 'POST', 'msie'), true);
  assert.equal(await kept('keepalive_disable msie6 safari;', 'POST', 'msie'), false);
  assert.equal(await kept('keepalive_disable none;', 'POST', 'msie'), true);
});

test('max_headers: so many fields, and one more is a 400', async (t) => {
  const client = await connectTo(t, 'max_headers 3;');
  client.send(get('1.1', 'A: 1', 'B: 2'));
  assert.equal((await client.answer()).status, 200);
  client.send(get('1.1', 'A: 1', 'B: 2', 'C: 3'));
  await client.untilEnded();
  assert.equal((await client.answer(2)).status, 400);
});
