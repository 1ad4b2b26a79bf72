// gzip, gunzip and gzip_static: which answers are compressed or expanded, for whom, and what else that changes.
// https://nginx.org/en/docs/http/ngx_http_gzip_module.html

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { fieldOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { ask, type RawAnswer } from '../support/raw-http.ts';
import { startBackend } from '../support/recording-backend.ts';

let gateway: RunningGateway;

const TEXT = Buffer.from('A line of a page.\n'.repeat(1000));
/** Longer than everything that may wait on its way. */
const LONG = Buffer.from(
  Array.from({ length: 400_000 }, (_, index) => String(index * 7919).padStart(10, '0')).join(''),
);
const ACCEPT = 'Accept-Encoding: gzip';

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      types { text/html html; text/css css; image/png png; }
      log_format ratio '$uri $gzip_ratio';
      access_log logs/ratio.log ratio;
      gzip on;
      server {
        listen 127.0.0.1:8080;
        location / { }
        location /off/ { alias html/; gzip off; }
        location /types/ { alias html/; gzip_types text/css; }
        location /all/ { alias html/; gzip_types *; }
        location /long-only/ { alias html/; gzip_min_length 1m; }
        location /old/ { alias html/; gzip_http_version 1.0; }
        location /vary/ { alias html/; gzip_vary on; }
        location /disabled/ { alias html/; gzip_disable "Robot/[0-9]" msie6; }
        location /proxied/ {
          alias html/;
          add_header Cache-Control $arg_cc;
          location /proxied/any/ { alias html/; gzip_proxied any; }
          location /proxied/auth/ { alias html/; gzip_proxied auth; }
          location /proxied/none/ { alias html/; gzip_proxied no_last_modified no_etag; }
          location /proxied/cc/ { alias html/; gzip_proxied no-cache private; }
          location /proxied/past/ { alias html/; expires -1; gzip_proxied expired; }
          location /proxied/future/ { alias html/; expires 1h; gzip_proxied expired; }
        }
        location /error { return 404; }
        location /moved { return 302 /; }
        location /encoded { default_type text/html; add_header Content-Encoding br; return 200 "${'x'.repeat(100)}"; }
        location /strong { default_type text/html; add_header ETag mine; return 200 "${'x'.repeat(100)}"; }
        location /static/ { alias html/; gzip_static on; gzip off; }
        location /vary-static/ { alias html/; gzip_static on; gzip_vary on; gzip off; }
        location /always/ { alias html/; gzip_static always; gzip off; }
        location /gunzip/ { alias html/; gzip_static always; gunzip on; gzip off; gzip_vary on; }
      }
    `,
    files: {
      'html/a.html': TEXT,
      'html/a.css': TEXT,
      'html/short.html': 'short',
      'html/long.html': LONG,
      'html/packed.html.gz': gzipSync(TEXT),
      'html/twice.html.gz': Buffer.concat([gzipSync('one '), gzipSync('two')]),
      'html/long-packed.html.gz': gzipSync(LONG),
      'html/broken.html.gz': Buffer.concat([gzipSync(LONG).subarray(0, 200_000), Buffer.alloc(1000, 0xff)]),
      'html/empty.html.gz': gzipSync(''),
    },
  });
});

after(() => gateway.stop());

const get = (path: string, ...fields: string[]): Promise<RawAnswer> => ask(gateway.port(), `GET ${path}`, ...fields);

async function isCompressed(path: string, ...fields: string[]): Promise<boolean> {
  const { headers } = await get(path, ...fields);
  return headers.get('content-encoding') === 'gzip';
}

/** The body of an answer that keeps its connection. */
async function bodyOf(path: string, ...fields: string[]): Promise<Buffer> {
  const client = connect(gateway.port(), '127.0.0.1');
  client.write([`GET ${path} HTTP/1.1`, 'Host: a', ...fields, 'Connection: close', '', ''].join('\r\n'));
  const chunks: Buffer[] = [];
  client.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(client, 'close');
  const whole = Buffer.concat(chunks);
  return unchunked(whole.subarray(whole.indexOf('\r\n\r\n') + 4));
}

function unchunked(bytes: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const line = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    if (size === 0) return Buffer.concat(pieces);
    pieces.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
  throw new Error('the last chunk is missing');
}

test('a page is compressed for who accepts it: in chunks, without a length, in one piece with itself', async () => {
  const { headers, status } = await get('/a.html', ACCEPT);
  assert.equal(status, 200);
  assert.equal(headers.get('content-encoding'), 'gzip');
  assert.equal(headers.get('content-length'), undefined);
  assert.equal(headers.get('accept-ranges'), undefined);
  assert.match(headers.get('etag') ?? '', /^W\/"/);
  assert.ok(headers.has('last-modified'));
  assert.ok(gunzipSync(await bodyOf('/a.html', ACCEPT)).equals(TEXT));
  assert.ok(gunzipSync(await bodyOf('/long.html', ACCEPT)).equals(LONG));
});

test('HEAD is told what GET would be', async (t) => {
  const client = await RawClient.to(t, gateway.port(), { isBodiless: () => true });
  client.send(`HEAD /a.html HTTP/1.1\r\nHost: a\r\n${ACCEPT}\r\n\r\n`);
  const answer = await client.answer();
  assert.equal(fieldOf(answer, 'content-encoding'), 'gzip');
  assert.equal(fieldOf(answer, 'content-length'), undefined);
});

test('who does not accept it gets the page as it is', async () => {
  for (const accepted of [
    '',
    'deflate',
    'x-gzip',
    'gzip;q=0',
    'gzip;q=0.000',
    'gzip; q=2',
    'br, gzip;q=0',
    'gzip;p=1',
  ]) {
    const { headers, body } = await get('/a.html', `Accept-Encoding: ${accepted}`);
    assert.equal(headers.get('content-encoding'), undefined, accepted);
    assert.ok(body.equals(TEXT));
    assert.equal(headers.get('accept-ranges'), 'bytes');
  }
  assert.equal(await isCompressed('/a.html'), false);
});

test('q-values and lists are read', async () => {
  for (const accepted of [
    'gzip',
    'GZip',
    'gzip,deflate',
    'deflate, gzip',
    'br;q=1, gzip;q=0.001',
    'gzip; q=1.000',
    'gzip ;q=1',
  ])
    assert.equal(await isCompressed('/a.html', `Accept-Encoding: ${accepted}`), true, accepted);
});

test('types, lengths, versions and places decide', async () => {
  assert.equal(await isCompressed('/a.css', ACCEPT), false);
  assert.equal(await isCompressed('/types/a.css', ACCEPT), true);
  assert.equal(await isCompressed('/types/a.html', ACCEPT), true);
  assert.equal(await isCompressed('/all/a.css', ACCEPT), true);
  assert.equal(await isCompressed('/off/a.html', ACCEPT), false);
  assert.equal(await isCompressed('/short.html', ACCEPT), false);
  assert.equal(await isCompressed('/long-only/a.html', ACCEPT), false);
});

test('statuses: 200, 403 and 404 are compressed, others not; what is encoded already stays', async () => {
  assert.equal(await isCompressed('/error', ACCEPT), true);
  assert.equal(await isCompressed('/off/', ACCEPT), false);
  assert.equal(await isCompressed('/moved', ACCEPT), false);
  assert.equal((await get('/encoded', ACCEPT)).headers.get('content-encoding'), 'br');
});

test('a tag that is none is taken away', async () => {
  assert.equal((await get('/strong', ACCEPT)).headers.get('etag'), undefined);
});

test('HTTP/1.0 gets it only where gzip_http_version says so, and it ends with the connection', async (t) => {
  for (const [path, compressed] of [
    ['/a.html', false],
    ['/old/a.html', true],
  ] as const) {
    const client = await RawClient.to(t, gateway.port());
    client.send(`GET ${path} HTTP/1.0\r\n${ACCEPT}\r\nConnection: keep-alive\r\n\r\n`);
    const answer = await client.answer();
    assert.equal(fieldOf(answer, 'content-encoding') === 'gzip', compressed);
    assert.ok((compressed ? gunzipSync(answer.body) : answer.body).equals(TEXT));
  }
});

test('gzip_vary tells caches, also with the plain form, but not of what is never compressed', async () => {
  assert.equal((await get('/vary/a.html', ACCEPT)).headers.get('vary'), 'Accept-Encoding');
  assert.equal((await get('/vary/a.html')).headers.get('vary'), 'Accept-Encoding');
  assert.equal((await get('/vary/a.css')).headers.get('vary'), undefined);
  assert.equal((await get('/a.html', ACCEPT)).headers.get('vary'), undefined);
});

test('gzip_disable keeps browsers out', async () => {
  const agent = (name: string) => isCompressed('/disabled/a.html', ACCEPT, `User-Agent: ${name}`);
  assert.equal(await agent('Robot/1'), false);
  assert.equal(await agent('robot/1'), false);
  assert.equal(await agent('Robot/x'), true);
  assert.equal(await agent('Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)'), false);
  assert.equal(await agent('Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)'), true);
  assert.equal(await agent('Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)'), true);
});

test('gzip_proxied: what came through a proxy is compressed where the answer allows it', async () => {
  const via = (path: string, ...more: string[]) => isCompressed(path, ACCEPT, 'Via: 1.1 proxy', ...more);
  assert.equal(await via('/a.html'), false);
  assert.equal(await via('/proxied/any/a.html'), true);
  assert.equal(await via('/proxied/auth/a.html?cc=public'), false);
  assert.equal(await via('/proxied/auth/a.html?cc=public', 'Authorization: Basic YTpi'), true);
  assert.equal(await via('/proxied/none/a.html'), false);
  assert.equal(await via('/proxied/past/a.html'), true);
  assert.equal(await via('/proxied/future/a.html'), false);
  assert.equal(await via('/proxied/cc/a.html?cc=no-cache'), true);
  assert.equal(await via('/proxied/cc/a.html?cc=max-age=1,private'), true);
  assert.equal(await via('/proxied/cc/a.html?cc=no-store'), false);
  assert.equal(await via('/proxied/cc/a.html?cc=public'), false);
});

test('a range of what is compressed is none; without compression it is', async () => {
  assert.equal((await get('/a.html', ACCEPT, 'Range: bytes=0-9')).status, 200);
  assert.equal((await get('/a.html', 'Range: bytes=0-9')).status, 206);
});

test('what the client has already is 304, and not compressed', async () => {
  const etag = (await get('/a.html', ACCEPT)).headers.get('etag');
  const { status, headers } = await get('/a.html', ACCEPT, `If-None-Match: ${etag}`);
  assert.equal(status, 304);
  assert.equal(headers.get('content-encoding'), undefined);
});

test('$gzip_ratio is how much shorter it became', async () => {
  await get('/a.html?for=ratio', ACCEPT);
  await get('/short.html');
  const lines = gateway.lines('logs/ratio.log');
  assert.match(
    lines.find((line) => line.startsWith('/a.html ') && !line.endsWith('-')) ?? '',
    /^\/a\.html \d{2,3}\.\d\d$/,
  );
  assert.ok(lines.includes('/short.html -'));
});

test('the connection is used on behind a compressed answer', async (t) => {
  const client = await RawClient.to(t, gateway.port());
  const request = `GET /a.html HTTP/1.1\r\nHost: a\r\n${ACCEPT}\r\n\r\n`;
  client.send(request + request);
  assert.ok(gunzipSync((await client.answer()).body).equals(TEXT));
  assert.ok(gunzipSync((await client.answer(2)).body).equals(TEXT));
});

test('gzip_static: the file beside it goes to who accepts it; always: to everybody', async () => {
  const packed = await get('/static/packed.html', ACCEPT);
  assert.equal(packed.headers.get('content-encoding'), 'gzip');
  assert.equal(packed.headers.get('content-type'), 'text/html');
  assert.equal(packed.headers.get('content-length'), String(packed.body.length));
  assert.equal(packed.headers.get('accept-ranges'), 'bytes');
  assert.ok(gunzipSync(packed.body).equals(TEXT));
  assert.equal((await get('/static/packed.html')).status, 404);
  assert.ok(gunzipSync((await get('/always/packed.html')).body).equals(TEXT));
  assert.equal((await get('/static/a.html', ACCEPT)).headers.get('content-encoding'), undefined);
});

test('gzip_static with gzip_vary tells of the other form where there is one', async () => {
  assert.equal((await get('/vary-static/packed.html', ACCEPT)).headers.get('vary'), 'Accept-Encoding');
  assert.equal((await get('/vary-static/a.html')).headers.get('vary'), undefined);
});

test('gunzip expands for who does not accept it, several members as well', async () => {
  const answer = await get('/gunzip/packed.html');
  assert.equal(answer.headers.get('content-encoding'), undefined);
  assert.equal(answer.headers.get('vary'), 'Accept-Encoding');
  assert.match(answer.headers.get('etag') ?? '', /^W\//);
  assert.ok((await bodyOf('/gunzip/packed.html')).equals(TEXT));
  assert.ok((await bodyOf('/gunzip/long-packed.html')).equals(LONG));
  assert.equal((await bodyOf('/gunzip/twice.html')).toString(), 'one two');
  assert.equal((await bodyOf('/gunzip/empty.html')).length, 0);
  assert.equal(await isCompressed('/gunzip/packed.html', ACCEPT), true);
});

test('what cannot be expanded is cut, and told', async (t) => {
  const client = await RawClient.to(t, gateway.port());
  client.send('GET /gunzip/broken.html HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.untilEnded();
  assert.equal(client.answers.length, 0);
  assert.match(gateway.lines().join('\n'), /\[error\] .*inflate\(\) failed: /);
});

test('a client that goes in the middle of it costs nobody else anything', async (t) => {
  const client = await RawClient.to(t, gateway.port());
  client.send(`GET /long.html HTTP/1.1\r\nHost: a\r\n${ACCEPT}\r\n\r\n`);
  await client.until('the first bytes', () => client.received.length > 0);
  client.socket.resetAndDestroy();
  await client.untilClosed();
  assert.ok(gunzipSync(await bodyOf('/a.html', ACCEPT)).equals(TEXT));
});

test('with proxy_buffering off, what a backend has sent so far arrives, compressed', async (t) => {
  let send = (_: string): void => {};
  const backend = await startBackend(t, (_, connection) => {
    connection.send('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n');
    send = (text) => connection.send(text);
    send('5\r\nfirst\r\n');
    return undefined;
  });
  const proxy = await gatewayFromConfig({
    http: `server { listen 127.0.0.1:8080; gzip on; location / { proxy_pass http://${backend.address}; proxy_buffering off; } }`,
  });
  t.after(() => proxy.stop());
  const client = await RawClient.to(t, proxy.port());
  client.send(`GET / HTTP/1.1\r\nHost: a\r\n${ACCEPT}\r\n\r\n`);
  await client.until('what a flush gives', () => client.text.includes('\x00\x00\xff\xff'));
  send('6\r\nsecond\r\n0\r\n\r\n');
  assert.equal(gunzipSync((await client.answer()).body).toString(), 'firstsecond');
});

test('with proxy_buffering off, what comes byte by byte in one piece is flushed once', async (t) => {
  const bytes = '1\r\na\r\n'.repeat(3000);
  const backend = await startBackend(
    t,
    () => `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n${bytes}0\r\n\r\n`,
  );
  const proxy = await gatewayFromConfig({
    http: `server { listen 127.0.0.1:8080; gzip on; location / { proxy_pass http://${backend.address}; proxy_buffering off; } }`,
  });
  t.after(() => proxy.stop());
  const client = await RawClient.to(t, proxy.port());
  client.send(`GET / HTTP/1.1\r\nHost: a\r\n${ACCEPT}\r\n\r\n`);
  const { body } = await client.answer();
  assert.equal(gunzipSync(body).toString(), 'a'.repeat(3000));
  assert.ok(body.length < 300, `${body.length} bytes: a flush makes five at least`);
});
