// Ranges and conditions of files beside what add_header, error_page and expires make of the answer.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#max_ranges

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      server {
        listen 127.0.0.1:8080;
        location / { add_header X-Usual 1; add_header X-Always 1 always; }
        location /page/ { alias html/; error_page 416 412 /wrong.html; add_header X-Usual 1; }
        location /dated/ { alias html/; add_header Last-Modified "Mon, 28 Sep 1970 06:00:00 GMT"; add_header ETag '"mine"'; }
        location /undated/ { alias html/; add_header Last-Modified ""; add_header ETag ""; }
        location /one/ { alias html/; max_ranges 1; }
        location /asked/ { alias html/; auth_request /short.txt; }
        location /none/ { alias html/; max_ranges 0; }
      }
    `,
    files: { 'html/short.txt': 'x', 'html/a.txt': '0123456789', 'html/wrong.html': 'a page' },
  });
});

after(() => gateway.stop());

const get = (path: string, ...fields: string[]) => ask(gateway.port(), `GET ${path}`, ...fields);
const times = (text: string, field: string): number => text.split(`\r\n${field}: `).length - 1;

test('a range that there is not is 416, with the fields of the location, each once', async () => {
  const { status, headers, whole } = await get('/a.txt', 'Range: bytes=10-');
  assert.equal(status, 416);
  assert.equal(headers.get('content-range'), 'bytes */10');
  assert.equal(headers.get('content-type'), 'text/html');
  for (const gone of ['etag', 'last-modified', 'accept-ranges']) assert.equal(headers.get(gone), undefined, gone);
  assert.deepEqual([times(whole, 'X-Usual'), times(whole, 'X-Always')], [1, 1]);
});

test('error_page answers for 416 and 412, with the fields of where it stands', async () => {
  for (const field of ['Range: bytes=10-', 'If-Match: "other"']) {
    const { status, text, whole } = await get('/page/a.txt', field);
    assert.equal(status, field.startsWith('Range') ? 416 : 412);
    assert.equal(text, 'a page');
    assert.deepEqual([times(whole, 'X-Usual'), times(whole, 'X-Always')], [0, 1]);
    assert.equal(times(whole, 'Content-Length'), 1);
  }
});

test('If-Range is compared with what add_header made of date and tag', async () => {
  const status = async (path: string, value: string) =>
    (await get(path, 'Range: bytes=0-1', `If-Range: ${value}`)).status;
  assert.equal(await status('/dated/a.txt', 'Mon, 28 Sep 1970 06:00:00 GMT'), 206);
  assert.equal(await status('/dated/a.txt', '"mine"'), 206);
  assert.equal(await status('/dated/a.txt', '"other"'), 200);
  const { headers } = await get('/a.txt');
  assert.equal(await status('/a.txt', headers.get('etag') ?? ''), 206);
  assert.equal(await status('/undated/a.txt', headers.get('etag') ?? ''), 200);
  assert.equal(await status('/undated/a.txt', headers.get('last-modified') ?? ''), 200);
});

test('max_ranges: more than that is the whole; 0 takes no ranges at all', async () => {
  assert.equal((await get('/one/a.txt', 'Range: bytes=0-1')).status, 206);
  assert.equal((await get('/one/a.txt', 'Range: bytes=0-1,3-4')).status, 200);
  const { status, headers } = await get('/none/a.txt', 'Range: bytes=0-1');
  assert.equal(status, 200);
  assert.equal(headers.get('accept-ranges'), undefined);
});

test('several ranges carry the fields of the location', async () => {
  const { status, headers, text } = await get('/a.txt', 'Range: bytes=0-1,8-');
  assert.equal(status, 206);
  assert.equal(headers.get('x-usual'), '1');
  assert.match(headers.get('content-type') ?? '', /^multipart\/byteranges; boundary=\d{20}$/);
  assert.match(text, /Content-Type: text\/plain\r\nContent-Range: bytes 0-1\/10\r\n\r\n01\r\n/);
  assert.equal(headers.get('content-length'), String(text.length));
});

test('the file of a subrequest has no ranges: they are of what the client asks for', async () => {
  const { status, text } = await get('/asked/a.txt', 'Range: bytes=5-6');
  assert.equal(status, 206);
  assert.equal(text, '56');
});
