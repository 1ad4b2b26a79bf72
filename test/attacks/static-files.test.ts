// Attacks on files: paths that lead out of the folder that is served (`..` in all spellings, the missing slash of an alias, NUL), ranges
// that make the server send, or remember, many times a file's size, a file that changes under its readers, and readers of one big file
// that take it slowly, all at once.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, ftruncateSync, openSync, symlinkSync, truncateSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { bestOf } from '../support/best-of.ts';
import { freePort } from '../support/free-port.ts';
import { fieldOf, type HttpMessage } from '../support/http-reader.ts';
import { ask } from '../support/raw-http.ts';
import { openDescriptors, residentBytes, UNCOLLECTED } from '../support/resident-bytes.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { unreadBytes } from '../support/unread-bytes.ts';
import { until } from '../support/until.ts';
import { type AttackedGateway, attackedGateway } from './attacked-gateway.ts';

const SECRET = 'nobody may read this';

async function get(attacked: AttackedGateway, path: string, ...lines: string[]): Promise<HttpMessage> {
  const client = await attacked.send(
    [`GET ${path} HTTP/1.1`, 'Host: a', 'Connection: close', ...lines, '', ''].join('\r\n'),
  );
  assert.equal(client.answers.length, 1, `${path}: ${client.text}`);
  return client.answers[0] as HttpMessage;
}

test('no spelling of a path leads out of the root or of an alias', async (t) => {
  const attacked = await attackedGateway(t, {
    server: `
      root html;
      location / { }
      location /i { alias data/; }
      location /slash/ { alias data/; }
      location ~ ^/re/(.*)$ { alias data/$1; }
      location ~ ^/anywhere/(?<file>.+)$ { alias data/$file; }
      location /args/ { alias data/$arg_file; }
      location = /exact { alias data/ok; }
    `,
    files: { 'html/ok': 'ok', 'data/ok': 'ok', secret: SECRET, 'data-secret/ok': SECRET, htmlsecret: SECRET },
  });
  const up = [
    '..',
    '%2e%2e',
    '.%2e',
    '%2E.',
    '..%2f',
    '%2e%2e%2f',
    '%252e%252e',
    '..;',
    '..\\',
    '..%5c',
    '%c0%ae%c0%ae',
    '..%00',
  ];
  const places = ['', '/i', '/slash', '/re', '/anywhere', '/x/..'];
  for (const place of places) {
    for (const step of up) {
      for (const path of [
        `${place}/${step}/secret`,
        `${place}/${step}/${step}/${step}/etc/passwd`,
        `${place}${step}/secret`,
      ]) {
        const answer = await get(attacked, path);
        assert.match(`${answer.status}`, /^40[0-5]$/, path);
        assert.doesNotMatch(answer.body.toString(), /nobody may|root:/, path);
      }
    }
  }
  for (const path of [
    '/i../secret',
    '/i../data-secret/ok',
    '/i..%2fsecret',
    '/args/?file=../secret',
    '/args/?file=%2e%2e/secret',
  ]) {
    const answer = await get(attacked, path);
    assert.match(`${answer.status}`, /^40[0-5]$/, path);
    assert.doesNotMatch(answer.body.toString(), /nobody may/, path);
  }
  for (const path of ['/ok', '/i/ok', '/slash/ok', '/re/ok', '/exact', '/x/../ok', '/%6fk', '//ok', '/./ok'])
    assert.equal((await get(attacked, path)).body.toString(), 'ok', path);
  await attacked.isAlive();
});

test('a symbolic link is followed, as in nginx; one that leads in a circle or nowhere harms nobody', async (t) => {
  const attacked = await attackedGateway(t, { server: 'root html; location / { }', files: { 'html/ok': 'ok' } });
  const html = join(attacked.gateway.prefix, 'html');
  symlinkSync('ok', join(html, 'link'));
  symlinkSync('circle', join(html, 'circle'));
  symlinkSync('nowhere', join(html, 'dangling'));
  assert.equal((await get(attacked, '/link')).body.toString(), 'ok');
  assert.equal((await get(attacked, '/circle')).status, 403);
  assert.equal((await get(attacked, '/dangling')).status, 404);
  assert.equal((await get(attacked, `/${'a'.repeat(300)}`)).status, 404, 'a name that no file can have');
  assert.equal((await get(attacked, `/${'a/'.repeat(3000)}b`)).status, 404);
  await attacked.isAlive();
});

test('ranges cannot make an answer larger than the file, nor cost more than reading the header', async (t) => {
  const size = 100_000;
  const attacked = await attackedGateway(t, {
    server: 'root html; location / { }',
    files: { 'html/f': Buffer.alloc(size, 'x') },
  });
  const abuses: [string, number][] = [
    ['bytes=0-', 206],
    [`bytes=${'0-,'.repeat(1000)}0-`, 200],
    [`bytes=${Array.from({ length: 1300 }, (_, i) => `${i}-${i}`).join(',')}`.slice(0, 7000), 200],
    [`bytes=${'5-1,'.repeat(500)}0-0`, 206],
    ['bytes=0-99999999999999999999999999', 416],
    ['bytes=99999999999999999999999999-', 416],
    ['bytes=-99999999999999999999999999', 416],
    ['bytes=-9223372036854775807', 206],
    ['bytes=9223372036854775806-9223372036854775807', 416],
    ['bytes=0-9223372036854775807', 206],
    ['bytes=18446744073709551615-0', 416],
    ['bytes=-0', 416],
    ['bytes=--5', 416],
    ['bytes=5', 416],
    ['bytes=0x0-0x10', 416],
    ['bytes=0-0\t,1-1', 416],
    ['bytes=', 200],
    ['octets=0-1', 200],
  ];
  for (const [range, status] of abuses) {
    const answer = await get(attacked, '/f', `Range: ${range}`);
    assert.equal(answer.status, status, range.slice(0, 60));
    assert.ok(answer.body.length < size + 8192, `${range.slice(0, 60)}: ${answer.body.length} bytes`);
  }
  await attacked.isAlive();
});

test('a range of another state of the file is not patched together with this one', async (t) => {
  const attacked = await attackedGateway(t, { server: 'root html; location / { }', files: { 'html/f': '0123456789' } });
  const whole = await get(attacked, '/f');
  const etag = fieldOf(whole, 'etag') ?? '';
  const date = fieldOf(whole, 'last-modified') ?? '';
  const conditions: [string, number][] = [
    [etag, 206],
    [date, 206],
    ['"another"', 200],
    [`W/${etag}`, 200],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 200],
    ['garbage', 200],
  ];
  for (const [condition, status] of conditions) {
    const answer = await get(attacked, '/f', 'Range: bytes=0-3', `If-Range: ${condition}`);
    assert.equal(answer.status, status, condition);
  }
});

test('a file that becomes shorter while it is sent: the client sees that it is not all, and nobody else notices', async (t) => {
  const size = 32 * 1024 * 1024;
  const attacked = await attackedGateway(t, {
    server: 'root html; location / { }',
    files: { 'html/f': Buffer.alloc(size, 'x') },
  });
  const client = await attacked.connect();
  client.socket.pause();
  client.send('GET /f HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(
    'the beginning of it to come',
    () => (unreadBytes(client.socket.localPort as number, attacked.port) ?? 0) > 0,
  );
  truncateSync(join(attacked.gateway.prefix, 'html/f'), 1000);
  client.socket.resume();
  await client.untilEnded();
  assert.equal(client.answers.length, 0, 'the answer is not whole');
  assert.ok(client.received.length < size);
  assert.match(attacked.gateway.lines().join('\n'), /truncated/);
  await attacked.isAlive(/truncated/);
});

/** Bytes; the soak can take more. The file has holes only, so it costs no disk. */
const BIG = Number(process.env['SOCKGATE_BIG_FILE'] ?? 1024 ** 3);
const READERS = 100;
/** What a reader may cost that takes its bytes slowly: what waits to be written, and what is being read. */
const COST = 256 * 1024;

test(`${READERS} slow readers of one file of ${BIG} bytes: memory is bounded by readers, others are served, no descriptor stays`, async (t) => {
  const port = await freePort();
  const sockgate = await startSockgate(t, {
    conf: `
      events {}
      http { server { listen 127.0.0.1:${port}; root html; location = /ok { return 200 ok; } } }`,
    files: { 'html/': '' },
  });
  const file = openSync(join(sockgate.prefix, 'html/big'), 'w');
  ftruncateSync(file, BIG);
  closeSync(file);
  await ask(port, 'GET /ok');
  const before = residentBytes(sockgate.pid);
  const descriptors = openDescriptors(sockgate.pid);
  const readers = Array.from({ length: READERS }, () => connect(port, '127.0.0.1'));
  let received = 0;
  t.after(() => {
    for (const reader of readers) reader.destroy();
  });
  await Promise.all(
    readers.map((reader) =>
      begin(reader, (bytes) => {
        received += bytes;
      }),
    ),
  );
  for (let i = 0; i < 10; i++) {
    for (const reader of readers) reader.resume();
    await wait(50);
    for (const reader of readers) reader.pause();
    const took = await bestOf(1000, async () => {
      const began = performance.now();
      assert.equal((await ask(port, 'GET /ok')).status, 200);
      return performance.now() - began;
    });
    assert.ok(took < 1000, `it took ${took} ms`);
  }
  const each = (residentBytes(sockgate.pid) - before - UNCOLLECTED) / READERS;
  assert.ok(each < COST, `each costs ${Math.round(each)} bytes`);
  assert.ok(received > READERS * 64 * 1024, `${received} bytes came`);
  for (const reader of readers) reader.destroy();
  await until('all files to be closed', () => openDescriptors(sockgate.pid) <= descriptors);
});

async function begin(reader: Socket, count: (bytes: number) => void): Promise<void> {
  reader.on('error', () => {});
  reader.on('data', (bytes: Buffer) => count(bytes.length));
  reader.pause();
  await once(reader, 'connect');
  reader.write('GET /big HTTP/1.1\r\nHost: a\r\n\r\n');
}
