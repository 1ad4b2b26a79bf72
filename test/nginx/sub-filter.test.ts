// sub_filter: strings in answers replaced by others, in files and in what a backend sends.
// https://nginx.org/en/docs/http/ngx_http_sub_module.html

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Behaviour, startBackend } from '../support/recording-backend.ts';

const PAGE = 'one two One TWO three';
const LONG = `${'x'.repeat(9000)}needle`.repeat(40);

const page: Behaviour = ({ startLine }, connection) => {
  const zipped = startLine.includes('zipped');
  const body = zipped ? gzipSync(LONG) : Buffer.from(startLine.includes('long') ? LONG : PAGE);
  const encoding = zipped ? 'Content-Encoding: gzip\r\n' : '';
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nAccept-Ranges: bytes\r\nETag: "v1"\r\n';
  connection.send(`${head}Last-Modified: Mon, 28 Sep 1970 06:00:00 GMT\r\n${encoding}`);
  connection.send(Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]));
  return undefined;
};

test('strings in answers are replaced as the configuration says', async (t) => {
  const backend = await startBackend(t, page);
  const gateway = await gatewayFromConfig({
    http: `
      types { text/html html; text/css css; }
      sub_filter one 1;
      server {
        listen 127.0.0.1:8080;
        location / { }
        location /off/ { alias html/; sub_filter_once off; }
        location /own/ { alias html/; sub_filter TWO '$arg_by'; sub_filter_once off; }
        location /several/ { alias html/; sub_filter three 3; sub_filter two 2; }
        location /asked/ { alias html/; sub_filter $arg_what -; sub_filter_once off; sub_filter_types text/css; }
        location /any/ { alias html/; sub_filter_types *; }
        location /return { default_type text/html; return 200 "one $arg_x"; }
        location /peer/ { proxy_pass http://${backend.address}; sub_filter needle pin; sub_filter_once off; }
        location /kept/ { proxy_pass http://${backend.address}; sub_filter_last_modified on; }
        location /packed/ { proxy_pass http://${backend.address}; sub_filter needle pin; sub_filter_once off; gunzip on; }
        location /pack/ { proxy_pass http://${backend.address}; sub_filter needle pin; sub_filter_once off; gzip on; }
      }
    `,
    files: { 'html/a.html': PAGE, 'html/a.css': PAGE, 'html/empty.html': '' },
  });
  t.after(() => gateway.stop());
  const client = await RawClient.to(t, gateway.port());
  let asked = 0;
  const get = (path: string, ...fields: string[]) => {
    client.send([`GET ${path} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n'));
    return client.answer(++asked);
  };
  const text = async (path: string) => (await get(path)).body.toString('latin1');

  await t.test('each once, unless sub_filter_once is off', async () => {
    assert.equal(await text('/a.html'), '1 two One TWO three');
    assert.equal(await text('/off/a.html'), '1 two 1 TWO three');
    assert.equal(await text('/several/a.html'), 'one 2 One TWO 3');
  });

  await t.test('a level that has strings of its own has only these; both sides may have variables', async () => {
    assert.equal(await text('/own/a.html?by=zwei'), 'one zwei One zwei three');
    assert.equal(await text('/own/a.html'), 'one  One  three');
    assert.equal(await text('/asked/a.html?what=E'), 'on- two On- TWO thr--');
    assert.equal(await text('/asked/a.css?what=o'), '-ne tw- -ne TW- three');
    assert.equal(await text('/asked/a.html'), PAGE);
  });

  await t.test('only in answers of the types that are said', async () => {
    assert.equal(await text('/a.css'), PAGE);
    assert.equal(await text('/any/a.css'), '1 two One TWO three');
    assert.equal(await text('/return?x=y'), '1 y');
  });

  await t.test('the head says nothing that is not true any more', async () => {
    const changed = await get('/a.html', 'Range: bytes=0-3');
    assert.equal(changed.status, 200);
    for (const gone of ['last-modified', 'etag', 'accept-ranges', 'content-length'])
      assert.equal(fieldOf(changed, gone), undefined, gone);
    const kept = await get('/kept/');
    assert.equal(fieldOf(kept, 'etag'), 'W/"v1"');
    assert.equal(fieldOf(kept, 'last-modified'), 'Mon, 28 Sep 1970 06:00:00 GMT');
    assert.equal(fieldOf(kept, 'accept-ranges'), undefined);
    const empty = await get('/empty.html');
    assert.equal(fieldOf(empty, 'content-length'), '0');
    assert.notEqual(fieldOf(empty, 'etag'), undefined);
  });

  await t.test('a string that the pieces of a body cut is replaced', async () => {
    assert.equal(await text('/peer/long'), LONG.replaceAll('needle', 'pin'));
  });

  await t.test('what is compressed already passes as it is, unless it is expanded first', async () => {
    const zipped = await get('/peer/zipped', 'Accept-Encoding: gzip');
    assert.equal(gunzipSync(zipped.body).toString(), LONG);
    assert.equal(await text('/packed/zipped'), LONG.replaceAll('needle', 'pin'));
  });

  await t.test('what is compressed by us is compressed afterwards', async () => {
    const zipped = await get('/pack/long', 'Accept-Encoding: gzip');
    assert.equal(fieldOf(zipped, 'content-encoding'), 'gzip');
    assert.equal(gunzipSync(zipped.body).toString(), LONG.replaceAll('needle', 'pin'));
  });
});

test('an answer that is not buffered is held back no longer than a string might begin', async (t) => {
  const backend = await startBackend(t, (_, connection) => {
    connection.send('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 20\r\n\r\nhello nee');
    return undefined;
  });
  const gateway = await gatewayFromConfig({
    http: `server {
      listen 127.0.0.1:8080;
      location / { proxy_pass http://${backend.address}; proxy_buffering off; sub_filter needle pin; }
    }`,
  });
  t.after(() => gateway.stop());
  const client = await RawClient.to(t, gateway.port());
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until('what cannot be a beginning', () => client.text.includes('hello '));
  assert.doesNotMatch(client.text, /nee/);
});
