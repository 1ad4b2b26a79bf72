// The charset of answers: told in their head, and their bodies turned into another one.
// https://nginx.org/en/docs/http/ngx_http_charset_module.html

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

let backend: RunningGateway;
let gateway: RunningGateway;

const KOI8 = Buffer.from([0x41, 0xc1, 0xc2, 0xa3, 0xff]);
const AS_UTF8 = 'A\u0430\u0431\u20ac?';

before(async () => {
  backend = await gatewayFromConfig({
    http: `
      types {}
      default_type "text/html; charset=KOI8-R";
      server { listen 127.0.0.1:8080; add_header X-Accel-Charset $arg_accel; }
    `,
    files: { 'html/koi8.html': KOI8 },
  });
  const peer = `http://127.0.0.1:${backend.port()}/`;
  gateway = await gatewayFromConfig({
    http: `
      types { text/html html; text/css css; }
      charset_map koi8-r utf-8 { C1 D0B0; C2 D0B1; A3 E282AC; }
      charset_map koi8-r windows-1251 { C1 E0; C2 E1; 41 5A; }
      server {
        listen 127.0.0.1:8080;
        location / { charset utf-8; }
        location /any/ { alias html/; charset utf-8; charset_types *; }
        location /css/ { alias html/; charset utf-8; charset_types text/css; }
        location /asked/ { alias html/; charset $arg_c; }
        location /named/ { alias html/; charset $uri; }
        location /off/ { alias html/; }
        location /moved { charset utf-8; return 302 /; }
        location /utf8/ { alias html/; source_charset koi8-r; charset UTF-8; }
        location /zipped/ { alias html/; source_charset koi8-r; charset UTF-8; gzip on; gzip_min_length 0; }
        location /zipped-before/ { alias html/; source_charset koi8-r; charset UTF-8; add_header Content-Encoding br; }
        location /windows/ { alias html/; source_charset koi8-r; charset windows-1251; }
        location /koi8/ { alias html/; source_charset utf-8; charset koi8-r; }
        location /unmapped/ { alias html/; source_charset koi8-r; charset $arg_c; }
        location /told/ { proxy_pass ${peer}; charset utf-8; }
        location /overridden/ { proxy_pass ${peer}; charset utf-8; override_charset on; }
        location /accel/ { proxy_pass ${peer}; }
        location /ignoring/ { proxy_ignore_headers X-Accel-Charset; proxy_pass ${peer}; }
      }
    `,
    files: {
      'html/a.html': 'abc',
      'html/a.css': 'abc',
      'html/koi8.html': KOI8,
      'html/utf8.html': Buffer.from('A\u0430\u0431\u20ac\u{1f600}\u00e4', 'utf8'),
      'html/broken.html': Buffer.from([0xc1, 0x80, 0x41, 0xd0, 0x41, 0xe0, 0x80, 0x80, 0xff, 0xd0]),
    },
  });
});

after(() => Promise.all([gateway.stop(), backend.stop()]));

const get = (path: string, ...fields: string[]) => ask(gateway.port(), `GET ${path}`, ...fields);
const type = async (path: string) => (await get(path)).headers.get('content-type');

/** The body, its chunks put together. */
function bodyOf({ body, headers }: Awaited<ReturnType<typeof get>>): Buffer {
  if (headers.get('transfer-encoding') !== 'chunked') return body;
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = body.indexOf('\r\n', at);
    const size = Number.parseInt(body.toString('latin1', at, end), 16);
    if (!(size > 0)) return Buffer.concat(chunks);
    chunks.push(body.subarray(end + 2, end + 2 + size));
    at = end + 4 + size;
  }
}

test('the charset stands in Content-Type of those types that it is told for', async () => {
  assert.equal(await type('/a.html'), 'text/html; charset=utf-8');
  assert.equal(await type('/a.css'), 'text/css');
  assert.equal(await type('/css/a.css'), 'text/css; charset=utf-8');
  assert.equal(await type('/css/a.html'), 'text/html; charset=utf-8');
  assert.equal(await type('/any/a.css'), 'text/css; charset=utf-8');
  assert.equal(await type('/off/a.html'), 'text/html');
});

test('a page that is an error tells it as well, a redirect does not', async () => {
  assert.equal(await type('/none'), 'text/html; charset=utf-8');
  assert.equal(await type('/moved'), 'text/html');
});

test('a variable says which charset; where it says none, none is told', async () => {
  assert.equal(await type('/asked/a.html?c=ascii'), 'text/html; charset=ascii');
  assert.equal(await type('/asked/a.html'), 'text/html');
  assert.equal(await type('/asked/a.html?c='), 'text/html');
});

test('a line break in a variable counts as no charset', async () => {
  const { headers, status } = await get('/named/%0d%0aX-Injected:%20yes');
  assert.equal(status, 404);
  assert.equal(headers.get('x-injected'), undefined);
  assert.equal(headers.get('content-type'), 'text/html');
});

test('bytes become UTF-8, and what the map does not name becomes a question mark', async () => {
  const answer = await get('/utf8/koi8.html');
  assert.equal(answer.headers.get('content-type'), 'text/html; charset=UTF-8');
  assert.equal(bodyOf(answer).toString('utf8'), AS_UTF8);
  assert.equal(answer.headers.get('accept-ranges'), undefined);
  assert.equal((await get('/utf8/koi8.html', 'Range: bytes=0-0')).status, 200);
});

test('UTF-8 becomes bytes, and what has none becomes a reference', async () => {
  const answer = await get('/koi8/utf8.html');
  assert.equal(bodyOf(answer).toString('latin1'), 'A\xc1\xc2\xa3&#128512;&#228;');
});

test('what is no UTF-8 becomes question marks, and a character that the end cuts is left out', async () => {
  assert.equal(bodyOf(await get('/koi8/broken.html')).toString('latin1'), '??A?A??');
});

test('byte for byte, the length stays and a range is one', async () => {
  const whole = await get('/windows/koi8.html');
  assert.equal(whole.headers.get('content-length'), '5');
  assert.equal(whole.headers.get('content-type'), 'text/html; charset=windows-1251');
  assert.deepEqual([...whole.body], [0x5a, 0xe0, 0xe1, 0x3f, 0x3f]);
  const part = await get('/windows/koi8.html', 'Range: bytes=1-2');
  assert.equal(part.status, 206);
  assert.deepEqual([...part.body], [0xe0, 0xe1]);
});

test('heads between ranges are not turned: where the map changes ASCII, several ranges are the whole', async () => {
  assert.equal((await get('/windows/koi8.html', 'Range: bytes=0-0,2-2')).status, 200);
});

test('what is converted is compressed after that', async () => {
  const answer = await get('/zipped/koi8.html', 'Accept-Encoding: gzip');
  assert.equal(answer.headers.get('content-encoding'), 'gzip');
  assert.equal(gunzipSync(bodyOf(answer)).toString('utf8'), AS_UTF8);
});

test('what has an encoding already stays as it is', async () => {
  const { headers, body } = await get('/zipped-before/koi8.html');
  assert.equal(headers.get('content-type'), 'text/html');
  assert.deepEqual(body, KOI8);
});

test('without a map nothing is converted, and the log says so', async () => {
  const { headers, body } = await get('/unmapped/koi8.html?c=ebcdic');
  assert.equal(headers.get('content-type'), 'text/html');
  assert.deepEqual(body, KOI8);
  assert.match(gateway.lines().join('\n'), /no "charset_map" between the charsets "koi8-r" and "ebcdic"/);
});

test('an answer that tells its charset keeps it, unless override_charset is on', async () => {
  const told = await get('/told/koi8.html');
  assert.equal(told.headers.get('content-type'), 'text/html; charset=KOI8-R');
  assert.deepEqual(told.body, KOI8);
  const overridden = await get('/overridden/koi8.html');
  assert.equal(overridden.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.equal(bodyOf(overridden).toString('utf8'), AS_UTF8);
});

test('X-Accel-Charset of a peer says which charset, one that the configuration knows', async () => {
  const answer = await get('/accel/koi8.html?accel=utf-8');
  assert.equal(answer.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.equal(bodyOf(answer).toString('utf8'), AS_UTF8);
  assert.deepEqual((await get('/ignoring/koi8.html?accel=utf-8')).body, KOI8);
  assert.deepEqual((await get('/accel/koi8.html')).body, KOI8);
  assert.deepEqual((await get('/accel/koi8.html?accel=ebcdic')).body, KOI8);
  assert.match(gateway.lines().join('\n'), /unknown charset "ebcdic" to override/);
});
