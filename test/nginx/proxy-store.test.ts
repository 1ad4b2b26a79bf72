// proxy_store: an answer that came whole becomes a file, with the rights, the time and the place that are configured.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_store

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Behaviour, startBackend } from '../support/recording-backend.ts';
import { until } from '../support/until.ts';

const BODY = 'What is worth keeping.';
const WHOLE = `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
const MODIFIED = 'Mon, 28 Sep 1970 06:00:00 GMT';

async function start(t: TestContext, location: string, behaviour: Behaviour = () => WHOLE, more = '') {
  const backend = await startBackend(t, behaviour);
  const gateway = await gatewayFromConfig({
    http: `
      log_format short '$status $body_bytes_sent';
      upstream backend { server ${backend.address}; }
      server {
          listen 127.0.0.1:8080;
          access_log logs/short.log short;
          root files;
          location / { proxy_pass http://backend; ${location} }
          ${more}
      }`,
  });
  t.after(() => gateway.stop());
  const at = (...path: string[]): string => join(gateway.prefix, ...path);
  return {
    backend,
    gateway,
    at,
    client: () => RawClient.to(t, gateway.port(), { isBodiless: () => location.includes('# HEAD') }),
    stored: (path: string) => (existsSync(at(path)) ? readFileSync(at(path), 'latin1') : undefined),
    temporary: () => (existsSync(at('proxy_temp')) ? readdirSync(at('proxy_temp')) : []),
    crit: () => gateway.lines('logs/error.log').filter((line) => line.includes('[crit]')),
  };
}

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

test('an answer is a file under root as soon as its client has all of it, in folders that are made for it', async (t) => {
  const { at, client, stored, temporary } = await start(t, 'proxy_store on;');
  const asking = await client();
  asking.send(get('/deep/er/a%20b.txt?query', 'Connection: close\r\n'));
  await asking.untilEnded();
  assert.equal(asking.answers[0]?.body.toString(), BODY);
  assert.equal(stored('files/deep/er/a b.txt'), BODY);
  assert.equal(modeOf(at('files/deep/er/a b.txt')), '600');
  assert.equal(modeOf(at('files/deep')), '700');
  assert.deepEqual(temporary(), []);
});

test('proxy_store_access: rights of files, and of folders, which are entered by whoever may read', async (t) => {
  const before = process.umask(0o022);
  t.after(() => process.umask(before));
  for (const [access, file, folder] of [
    ['user:rw group:rw all:r', '664', '755'],
    ['group:r', '640', '750'],
    ['all:r', '604', '705'],
    // Into such a folder nobody but root can put a file, as with nginx.
    ...(process.getuid?.() === 0 ? ([['user:r all:r', '404', '505']] as const) : []),
  ] as const) {
    const { at, client } = await start(t, `proxy_store on; proxy_store_access ${access};`);
    const asking = await client();
    asking.send(get('/folder/file'));
    await asking.answer();
    await until('the file', () => existsSync(at('files/folder/file')) || undefined);
    assert.equal(modeOf(at('files/folder/file')), file);
    assert.equal(modeOf(at('files/folder')), folder);
    chmodSync(at('files/folder'), 0o700);
  }
});

test('a path with variables, which know of the answer; an empty one, and one with .., is none', async (t) => {
  for (const [place, query, expected] of [
    ['$document_root/$upstream_http_x_kind$arg_name', '', ['good']],
    ['$document_root/$upstream_http_x_kind$arg_name', '?name=.txt', ['good.txt']],
    ['$document_root/$arg_name', '?name=../up', []],
    ['$arg_name', '', []],
  ] as const) {
    const { at, client, temporary, gateway } = await start(t, `proxy_store ${place};`, () =>
      WHOLE.replace('\r\n\r\n', '\r\nX-Kind: good\r\n\r\n'),
    );
    const asking = await client();
    asking.send(get(`/${query}`, 'Connection: close\r\n'));
    await asking.untilEnded();
    assert.equal(asking.answers[0]?.body.toString(), BODY);
    assert.deepEqual(existsSync(at('files')) ? readdirSync(at('files')) : [], expected);
    await until('no temporary file', () => temporary().length === 0 || undefined);
    assert.equal(existsSync(at('up')), false);
    assert.equal(gateway.read('logs/error.log').includes('/../up" is refused'), query.includes('..'));
  }
});

test('the file has the time of Last-Modified, and takes the place of the one that was there', async (t) => {
  let body = 'first';
  const { at, client, stored } = await start(
    t,
    'proxy_store $document_root$uri-$upstream_status;',
    () => `HTTP/1.1 200 OK\r\nLast-Modified: ${MODIFIED}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  const asking = await client();
  asking.send(get('/a'));
  await asking.answer();
  assert.equal(await until('the file', () => stored('files/a-200')), 'first');
  assert.equal(statSync(at('files/a-200')).mtimeMs, Date.parse(MODIFIED));
  body = 'and another one';
  asking.send(get('/a'));
  await asking.answer(2);
  await until('the other file', () => stored('files/a-200') === body || undefined);
});

test('however an answer is framed and however large it is, all of its body is in the file, also an empty one', async (t) => {
  const large = Buffer.alloc(3_000_000, 'one word and then another ');
  const { client, at } = await start(
    t,
    'proxy_store on; gzip on; gzip_types *; gzip_min_length 0;',
    ({ startLine }, { socket }) => {
      if (startLine.includes('/chunked')) {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        for (let at = 0; at < large.length; at += 100_000)
          socket.write(`186a0\r\n${large.toString('latin1', at, at + 100_000)}\r\n`);
        return '0\r\n\r\n';
      }
      if (startLine.includes('/empty')) return 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.end(large);
      return undefined;
    },
  );
  const asking = await client();
  let count = 0;
  for (const [path, expected] of [
    ['/chunked', large],
    ['/until-end', large],
    ['/empty', Buffer.alloc(0)],
  ] as const) {
    asking.send(get(path, 'Accept-Encoding: gzip\r\n'));
    await asking.answer(++count);
    await until('the file', () => existsSync(at(`files${path}`)) || undefined);
    assert.ok(readFileSync(at(`files${path}`)).equals(expected), path);
  }
});

test('no file comes of another status, of HEAD, of an answer that was cut, or without buffering', async (t) => {
  const cases: readonly (readonly [string, string, Behaviour, string])[] = [
    ['another status', '', () => 'HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno', 'GET'],
    ['a part', '', () => 'HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nno', 'GET'],
    ['HEAD', '# HEAD', () => 'HTTP/1.1 200 OK\r\n\r\n', 'HEAD'],
    ['cut', '', (_, { socket }) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegin'), 'GET'],
    ['unbuffered', 'proxy_buffering off;', () => WHOLE, 'GET'],
    ['unbuffered', '', () => WHOLE.replace('\r\n\r\n', '\r\nX-Accel-Buffering: no\r\n\r\n'), 'GET'],
    ['off', 'location /a { proxy_pass http://backend; proxy_store off; }', () => WHOLE, 'GET'],
  ];
  for (const [name, location, behaviour, method] of cases) {
    const { client, at, temporary, gateway } = await start(t, `proxy_store on; ${location}\n`, behaviour);
    const asking = await client();
    asking.send(get('/a', 'Connection: close\r\n').replace('GET', method));
    await asking.untilEnded();
    await until('the line in the log', () => gateway.lines('logs/short.log')[0]);
    assert.equal(existsSync(at('files')), false, name);
    await until(`${name}: no temporary file`, () => temporary().length === 0 || undefined);
  }
});

test('a request that is asked with GET for a HEAD makes a file', async (t) => {
  const { client, stored } = await start(t, 'proxy_store on; proxy_method GET; # HEAD\n');
  const asking = await client();
  asking.send(get('/a').replace('GET', 'HEAD'));
  await asking.answer();
  assert.equal(await until('the file', () => stored('files/a')), BODY);
});

const leaving: readonly [string, (client: RawClient) => void][] = [
  ['ends its half', ({ socket }) => void socket.end()],
  ['closes', ({ socket }) => void socket.destroy()],
  ['resets', ({ socket }) => void socket.resetAndDestroy()],
];

for (const [how, leave] of leaving) {
  test(`a client that ${how}, before the answer or within it, takes nothing from the file`, async (t) => {
    const { backend, client, stored, gateway, temporary } = await start(t, 'proxy_store on;', () => undefined);
    const [early, late] = [await client(), await client()];
    early.send(get('/early'));
    await backend.request();
    late.send(get('/late'));
    await backend.request(2);
    const [first, second] = backend.connections;
    second?.send(WHOLE.slice(0, -5));
    await late.until('the beginning', () => late.text.includes('What'));
    leave(early);
    leave(late);
    await new Promise((resolve) => setTimeout(resolve, 100));
    first?.send(WHOLE);
    second?.send(WHOLE.slice(-5));
    assert.equal(await until('the early one', () => stored('files/early')), BODY);
    assert.equal(await until('the late one', () => stored('files/late')), BODY);
    await until('two lines in the log', () => gateway.lines('logs/short.log').length === 2 || undefined);
    assert.deepEqual(temporary(), []);
  });
}

test('an answer of which client and backend leave in the middle leaves no file behind', async (t) => {
  const { backend, client, at, temporary, gateway } = await start(
    t,
    'proxy_store on; proxy_buffers 2 4k; proxy_buffer_size 4k; proxy_busy_buffers_size 4k;',
    (_, { socket }) => void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(50_000)}`),
  );
  const asking = await client();
  asking.send(get('/a'));
  await until('a temporary file', () => temporary().length === 1 || undefined);
  asking.socket.resetAndDestroy();
  (await backend.connection()).socket.resetAndDestroy();
  await until('its end', () => temporary().length === 0 || undefined);
  await until('the line in the log', () => gateway.lines('logs/short.log')[0]);
  assert.equal(existsSync(at('files')), false);
});

test('a client that takes nothing, or is given little at a time, and goes: the file is made without it', async (t) => {
  const large = Buffer.alloc(12_000_000, 'one word and then another ');
  for (const location of [
    '',
    'limit_rate 1k;',
    'proxy_max_temp_file_size 0;',
    'proxy_max_temp_file_size 0; send_timeout 30ms;',
  ]) {
    const { client, at, backend, gateway } = await start(t, `proxy_store on; ${location}`, (_, { socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n`);
      socket.write(large);
      return undefined;
    });
    const asking = await client();
    asking.socket.pause();
    asking.send(get('/a'));
    await backend.request();
    await new Promise((resolve) => setTimeout(resolve, 100));
    asking.socket.resetAndDestroy();
    await until('the file', () => existsSync(at('files/a')) || undefined);
    assert.ok(readFileSync(at('files/a')).equals(large), location);
    await until('the line in the log', () => gateway.lines('logs/short.log')[0]);
  }
});

test('proxy_limit_rate holds back what the client gets, and nothing is stored twice', async (t) => {
  const body = 'y'.repeat(30_000);
  const { client, stored } = await start(
    t,
    'proxy_store on; proxy_limit_rate 20k;',
    () => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  const asking = await client();
  asking.send(get('/a'));
  assert.equal((await asking.answer()).body.length, body.length);
  assert.equal(await until('the file', () => stored('files/a')), body);
});

test('a file that cannot be in its place is told to the log, and its client has its answer', async (t) => {
  const { client, crit, temporary, gateway } = await start(t, 'proxy_store on;');
  const asking = await client();
  asking.send(get('/'));
  assert.equal((await asking.answer()).body.toString(), BODY);
  await until('the line', () => crit()[0]);
  assert.match(
    crit().join('\n'),
    /rename\(\) "\S+\/proxy_temp\/\d{10}" to "\S+\/files\/" failed \(20: Not a directory\) while reading upstream, client:/,
  );
  await until('no temporary file', () => temporary().length === 0 || undefined);
  assert.equal(gateway.lines('logs/short.log').length, 1);
});

test('a temporary file that cannot be written costs no answer, and makes no file', async (t) => {
  const { client, at, crit } = await start(t, 'proxy_store on; proxy_temp_path /dev/null/x;');
  const asking = await client();
  asking.send(get('/a'));
  assert.equal((await asking.answer()).body.toString(), BODY);
  assert.match(
    (await until('the line', () => crit()[0])) as string,
    /"\/dev\/null\/x.* failed \(20: Not a directory\)/,
  );
  assert.equal(existsSync(at('files')), false);
});

const OTHER_DISK = '/dev/shm';
const isOtherDisk = existsSync(OTHER_DISK) && statSync(OTHER_DISK).dev !== statSync('/tmp').dev;

test('a place on another file system gets a copy', { skip: !isOtherDisk && 'there is none' }, async (t) => {
  const folder = mkdtempSync(join(OTHER_DISK, 'sockgate-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const { client, temporary } = await start(t, `proxy_store ${folder}$uri; proxy_store_access all:r;`, () =>
    WHOLE.replace('\r\n\r\n', `\r\nLast-Modified: ${MODIFIED}\r\n\r\n`),
  );
  const asking = await client();
  asking.send(get('/a/b', 'Connection: close\r\n'));
  await asking.untilEnded();
  assert.equal(readFileSync(join(folder, 'a/b'), 'latin1'), BODY);
  assert.equal(statSync(join(folder, 'a/b')).mtimeMs, Date.parse(MODIFIED));
  assert.equal(modeOf(join(folder, 'a/b')), '604');
  assert.deepEqual(readdirSync(join(folder, 'a')), ['b']);
  await until('no temporary file', () => temporary().length === 0 || undefined);
});

test('what is not there is fetched once: error_page, an internal location, alias', async (t) => {
  const { client, backend, stored } = await start(
    t,
    '',
    () => WHOLE,
    `
    location /images/ { root files; error_page 404 = /fetch$uri; log_not_found off; }
    location /fetch/ { internal; proxy_pass http://backend/; proxy_store on; alias files/; }`,
  );
  const asking = await client();
  for (const count of [1, 2]) {
    asking.send(get('/images/a.png'));
    assert.equal((await asking.answer(count)).body.toString(), BODY);
    assert.equal(await until('the file', () => stored('files/images/a.png')), BODY);
  }
  assert.equal(backend.requests.length, 1);
});
