// autoindex, random_index, empty_gif: answers for folders, and for nothing at all.
// https://nginx.org/en/docs/http/ngx_http_autoindex_module.html

import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { RawClient } from '../support/raw-client.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;

const MANY = 1200;
const LONG = 'l'.repeat(60);
const UMLAUTS = 'ü'.repeat(60);

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      autoindex on;
      server {
        listen 127.0.0.1:8080;
        location / { }
        location /rounded/ { alias html/f/; autoindex_exact_size off; }
        location /local/ { alias html/f/; autoindex_localtime on; }
        location /json/ { alias html/f/; autoindex_format json; }
        location /jsonp/ { alias html/empty/; autoindex_format jsonp; }
        location /xml/ { alias html/f/; autoindex_format xml; }
        location /off/ { alias html/f/; autoindex off; }
        location /packed/ { alias html/many/; gzip on; }
        location /with-index/ { alias html/with-index/; }
        location /random/ { alias html/f/; random_index on; autoindex off; }
        location /none/ { alias html/empty/; random_index on; autoindex off; }
        location /nowhere/ { alias html/nowhere/; random_index on; }
        location /gif { empty_gif; location /gif/inner { } }
      }
    `,
    files: {
      'html/f/b.txt': 'x'.repeat(20_000),
      'html/f/a.txt': 'x',
      'html/f/.hidden': '',
      'html/f/<&>"x': '',
      'html/f/a:b?c%': '',
      [`html/f/${LONG}`]: '',
      [`html/f/${UMLAUTS}`]: '',
      'html/with-index/index.html': 'the index',
    },
  });
  const html = join(gateway.prefix, 'html');
  mkdirSync(join(html, 'empty'));
  mkdirSync(join(html, 'f/z-folder'));
  mkdirSync(join(html, 'many'));
  symlinkSync('z-folder', join(html, 'f/y-link'));
  symlinkSync('nowhere', join(html, 'f/dangling'));
  for (let i = 0; i < MANY; i++) writeFileSync(join(html, 'many', `file-${String(i).padStart(5, '0')}`), '');
  utimesSync(join(html, 'f/b.txt'), 784111777, 784111777);
});

after(() => gateway.stop());

/** The body of an answer in chunks. */
async function listing(t: Parameters<typeof RawClient.to>[0], path: string, ...fields: string[]): Promise<string> {
  const client = await RawClient.to(t, gateway.port());
  client.send([`GET ${path} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n'));
  const answer = await client.answer();
  assert.equal(answer.status, 200);
  return (fields.length === 0 ? answer.body : gunzipSync(answer.body)).toString('latin1');
}

test('HTML: folders first, then by name; each with its time and its size; what is hidden is not there', async (t) => {
  const text = await listing(t, '/f/');
  const links = [...text.matchAll(/<a href="([^"]*)">/g)].map(([, link]) => link);
  const name = Array.from(Buffer.from(UMLAUTS), (byte) => `%${byte.toString(16).toUpperCase()}`).join('');
  const files = ['%3C%26%3E%22x', 'a.txt', 'a%3Ab%3Fc%25', 'b.txt', 'dangling', LONG, name];
  assert.deepEqual(links, ['../', 'y-link/', 'z-folder/', ...files]);
  assert.match(text, /^<html>\r\n<head><title>Index of \/f\/<\/title><\/head>\r\n/);
  assert.match(text, /<a href="b\.txt">b\.txt<\/a> {46}06-Nov-1994 08:49 {15}20000\r\n/);
  assert.match(text, /<a href="z-folder\/">z-folder\/<\/a> {42}\d\d-\w{3}-\d{4} \d\d:\d\d {19}-\r\n/);
  assert.match(text, />&lt;&amp;&gt;&quot;x<\/a> {46}\d/);
});

test('HTML: a long name is cut, between characters where it is UTF-8', async (t) => {
  const text = await listing(t, '/f/');
  assert.ok(text.includes(`>${LONG.slice(0, 47)}..&gt;</a> `));
  assert.ok(text.includes(`>${Buffer.from(UMLAUTS.slice(0, 47)).toString('latin1')}..&gt;</a> `));
});

test('HTML: sizes rounded, times of here', async (t) => {
  const rounded = await listing(t, '/rounded/');
  assert.match(rounded, /b\.txt<\/a> +06-Nov-1994 08:49 {5}20K\r\n/);
  assert.match(rounded, /a\.txt<\/a> +\S+ \d\d:\d\d {7}1\r\n/);
  assert.match(rounded, /z-folder\/<\/a> +\S+ \d\d:\d\d {7}-\r\n/);
  const here = new Date(784111777000);
  const time = `${String(here.getHours()).padStart(2, '0')}:${String(here.getMinutes()).padStart(2, '0')}`;
  assert.match(await listing(t, '/local/'), new RegExp(`b\\.txt</a> +\\S+ ${time} `));
});

test('JSON can be read as such', async (t) => {
  const entries = JSON.parse(Buffer.from(await listing(t, '/json/'), 'latin1').toString()) as Record<string, unknown>[];
  assert.deepEqual(
    entries.find(({ name }) => name === 'b.txt'),
    { name: 'b.txt', type: 'file', mtime: 'Sun, 06 Nov 1994 08:49:37 GMT', size: 20_000 },
  );
  assert.equal(entries[0]?.['type'], 'directory');
  assert.equal(entries[0]?.['size'], undefined);
  assert.ok(entries.some(({ name }) => name === '<&>"x'));
  assert.equal(entries.find(({ name }) => name === 'dangling')?.['type'], 'other');
  assert.equal((await ask(gateway.port(), 'GET /json/')).headers.get('content-type'), 'application/json');
});

test('JSONP calls what the client names, if that can be a name', async (t) => {
  assert.equal(await listing(t, '/jsonp/?callback=my.f'), '/* callback */\r\nmy.f([\r\n]);');
  assert.equal(await listing(t, '/jsonp/?callback='), '[\r\n]');
  const { headers } = await ask(gateway.port(), 'GET /jsonp/?callback=f');
  assert.equal(headers.get('content-type'), 'application/javascript');
  assert.equal((await ask(gateway.port(), 'GET /jsonp/?callback=f%28')).status, 400);
  assert.equal((await ask(gateway.port(), 'GET /jsonp/?callback=f;g')).status, 400);
  assert.equal((await ask(gateway.port(), `GET /jsonp/?callback=${'f'.repeat(129)}`)).status, 400);
});

test('XML', async (t) => {
  const text = await listing(t, '/xml/');
  assert.match(
    text,
    /^<\?xml version="1\.0"\?>\r\n<list>\r\n<directory mtime="[\d-]+T[\d:]+Z">y-link<\/directory>\r\n/,
  );
  assert.match(text, /<file mtime="1994-11-06T08:49:37Z" size="20000">b\.txt<\/file>\r\n/);
  assert.match(text, /<file [^>]*>&lt;&amp;&gt;&quot;x<\/file>/);
  assert.equal((await ask(gateway.port(), 'GET /xml/')).headers.get('content-type'), 'text/xml; charset=utf-8');
});

test('a long list arrives whole, and compressed too', async (t) => {
  const text = await listing(t, '/many/');
  assert.equal(text.match(/<a href="file-/g)?.length, MANY);
  assert.ok(text.endsWith('</pre><hr></body>\r\n</html>\r\n'));
  assert.equal(await listing(t, '/packed/', 'Accept-Encoding: gzip'), text.replaceAll('/many/', '/packed/'));
});

test('an index goes before; without autoindex a folder is forbidden; what is no folder is not found', async () => {
  assert.equal((await ask(gateway.port(), 'GET /with-index/')).text, 'the index');
  assert.equal((await ask(gateway.port(), 'GET /off/')).status, 403);
  assert.equal((await ask(gateway.port(), 'GET /missing/')).status, 404);
  assert.equal((await ask(gateway.port(), 'GET /f/a.txt/')).status, 404);
  assert.equal((await ask(gateway.port(), 'POST /f/')).status, 403);
});

test('HEAD is told the type alone', async (t) => {
  const client = await RawClient.to(t, gateway.port(), { isBodiless: () => true });
  client.send('HEAD /f/ HTTP/1.1\r\nHost: a\r\n\r\nHEAD /f/ HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.equal((await client.answer(2)).status, 200);
  assert.equal(client.rest.length, 0);
});

test('random_index: files of the folder, not always the same, never a folder or what is hidden', async () => {
  const seen = new Set<string>();
  for (let i = 0; i < 60; i++) {
    const { status, headers } = await ask(gateway.port(), 'GET /random/');
    assert.equal(status, 200);
    seen.add(headers.get('content-length') ?? '');
  }
  assert.deepEqual([...seen].sort(), ['0', '1', '20000']);
  assert.equal((await ask(gateway.port(), 'GET /none/')).status, 403);
  assert.equal((await ask(gateway.port(), 'GET /nowhere/')).status, 404);
});

test('empty_gif is a picture of one pixel, which a client that has it need not get again', async () => {
  const { status, headers, body } = await ask(gateway.port(), 'GET /gif');
  assert.equal(status, 200);
  assert.equal(headers.get('content-type'), 'image/gif');
  assert.equal(headers.get('content-length'), String(body.length));
  assert.equal(body.toString('latin1', 0, 6), 'GIF89a');
  assert.deepEqual([body.readUInt16LE(6), body.readUInt16LE(8), body.at(-1)], [1, 1, 0x3b]);
  const since = `If-Modified-Since: ${headers.get('last-modified')}`;
  assert.equal((await ask(gateway.port(), 'GET /gif', since)).status, 304);
  assert.equal((await ask(gateway.port(), 'POST /gif')).status, 405);
  assert.equal((await ask(gateway.port(), 'GET /gif/inner')).status, 404);
});
