// `return` with statuses that are no usual end of an exchange: interim ones, those without a body, nginx's own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { ask, exchangeBytes } from '../support/raw-http.ts';

const STATUSES = [0, 1, 99, 100, 101, 103, 199, 304, 498];
const server = `server {
  listen 127.0.0.1:8080;
  ${STATUSES.map((status) => `location = /${status} { return ${status}; }`).join('\n')}
  location / { return 200 next; }
}`;

test('after a status below 200 the connection ends: the next answer would be taken for that of this request', async (t) => {
  const gateway = await gatewayFromConfig({ http: server });
  t.after(() => gateway.stop());
  for (const status of STATUSES.filter((one) => one < 200)) {
    const requests = `GET /${status} HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    const bytes = (await exchangeBytes(gateway.port(), Buffer.from(requests))).toString('latin1');
    assert.match(bytes, new RegExp(`^HTTP/1\\.1 ${`${status}`.padStart(3, '0')} `));
    assert.doesNotMatch(bytes, /Content-Length|next/, `${status}`);
    assert.ok(bytes.endsWith('\r\n\r\n'), `${status}`);
  }
});

test('304 says nothing of the length of what the client has already', async (t) => {
  const gateway = await gatewayFromConfig({ http: server });
  t.after(() => gateway.stop());
  const requests = 'GET /304 HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
  const bytes = (await exchangeBytes(gateway.port(), Buffer.from(requests))).toString('latin1');
  const [notModified = '', next = ''] = bytes.split('\r\n\r\n');
  assert.match(notModified, /^HTTP\/1\.1 304 Not Modified\r\n/);
  assert.doesNotMatch(notModified, /Content-Length/);
  assert.match(next, /^HTTP\/1\.1 200 OK\r\n/);
});

test('498 has the page of 404, as in nginx', async (t) => {
  const gateway = await gatewayFromConfig({ http: server });
  t.after(() => gateway.stop());
  const { whole, headers, text } = await ask(gateway.port(), 'GET /498');
  assert.ok(whole.startsWith('HTTP/1.1 498 \r\n'), whole);
  assert.equal(headers.get('content-type'), 'text/html');
  assert.match(text, /<title>404 Not Found<\/title>/);
});
