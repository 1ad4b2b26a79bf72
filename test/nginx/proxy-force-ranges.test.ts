// proxy_force_ranges: a range out of an answer that the backend has sent whole.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_force_ranges

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { startBackend } from '../support/recording-backend.ts';

const BODY = '0123456789'.repeat(20_000);
const LENGTH = BODY.length;

test('one range is cut out of what the backend sends; a wrong one is 416; several are the whole', async (t) => {
  const backend = await startBackend(t, ({ startLine }, connection) => {
    const chunked = startLine.includes(' /chunks ');
    const length = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${LENGTH}`;
    connection.send(`HTTP/1.1 200 OK\r\n${length}\r\nAccept-Ranges: none\r\nX-Own: 1\r\nETag: "x"\r\n\r\n`);
    connection.send(chunked ? `${LENGTH.toString(16)}\r\n${BODY}\r\n0\r\n\r\n` : BODY);
    return undefined;
  });
  const gateway = await gatewayFromConfig({
    http: `server {
      listen 127.0.0.1:8080;
      location / { proxy_pass http://${backend.address}; proxy_force_ranges on; add_header X-Ours 1; }
      location /off/ { proxy_pass http://${backend.address}; }
    }`,
  });
  t.after(() => gateway.stop());
  const client = await RawClient.to(t, gateway.port());
  let asked = 0;
  const get = (path: string, ...fields: string[]) => {
    client.send([`GET ${path} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n'));
    return client.answer(++asked);
  };

  for (const [range, from, to] of [
    ['5-9', 5, 10],
    ['100000-150000', 100_000, 150_001],
    [`${LENGTH - 3}-`, LENGTH - 3, LENGTH],
    ['-1', LENGTH - 1, LENGTH],
    ['0-', 0, LENGTH],
  ] as const) {
    const answer = await get('/', `Range: bytes=${range}`);
    assert.equal(answer.status, 206);
    assert.equal(fieldOf(answer, 'content-range'), `bytes ${from}-${to - 1}/${LENGTH}`);
    assert.equal(answer.body.toString(), BODY.slice(from, to));
    assert.equal(fieldOf(answer, 'x-own'), '1');
  }

  const whole = await get('/');
  assert.equal(whole.status, 200);
  assert.equal(fieldOf(whole, 'accept-ranges'), 'bytes');
  assert.equal(whole.body.length, LENGTH);
  assert.equal((await get('/', 'Range: bytes=0-1,3-4')).status, 200);
  assert.equal((await get('/', 'Range: bytes=0-1', 'If-Range: "y"')).status, 200);
  assert.equal((await get('/', 'Range: bytes=0-1', 'If-Range: "x"')).status, 206);
  assert.equal((await get('/off/', 'Range: bytes=0-1')).status, 200);
  assert.equal((await get('/chunks', 'Range: bytes=0-1')).status, 200);

  const wrong = await get('/', `Range: bytes=${LENGTH}-`);
  assert.equal(wrong.status, 416);
  assert.equal(fieldOf(wrong, 'content-range'), `bytes */${LENGTH}`);
  assert.equal((await get('/', 'Range: bytes=1-1')).body.toString(), '1');
});
