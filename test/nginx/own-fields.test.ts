// What every answer says of us, Server and Date, beside what add_header and a peer say; and a peer's own words for its status.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { exchangeBytes } from '../support/raw-http.ts';
import { startBackend } from '../support/recording-backend.ts';

const OURS = /^sockgate\/[0-9.]+$/;
const NOW = /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/;
const THEN = 'Mon, 01 Jan 2001 00:00:00 GMT';

interface Fields {
  readonly line: string;
  readonly server: readonly string[];
  readonly date: readonly string[];
}

/** Asks a server of that configuration; what it says of the three. */
async function start(t: TestContext, locations: string): Promise<(path: string) => Promise<Fields>> {
  const gateway = await gatewayFromConfig({ http: `server { listen 127.0.0.1:8080; ${locations} }` });
  t.after(() => gateway.stop());
  return async (path) => {
    const request = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    const bytes = await exchangeBytes(gateway.port(), Buffer.from(request));
    const [head = ''] = bytes.toString('latin1').split('\r\n\r\n');
    const [line = '', ...fields] = head.split('\r\n');
    const named = (name: string): string[] =>
      fields.filter((field) => field.startsWith(`${name}: `)).map((field) => field.slice(name.length + 2));
    return { line, server: named('Server'), date: named('Date') };
  };
}

test('add_header adds a Server and a Date beside our own', async (t) => {
  const asked = await start(t, 'location / { add_header Server mine; add_header Date today; return 200 x; }');
  const { server, date } = await asked('/');
  assert.equal(server.length, 2);
  assert.match(server[0] ?? '', OURS);
  assert.equal(server[1], 'mine');
  assert.match(date[0] ?? '', NOW);
  assert.equal(date[1], 'today');
});

test('with proxy_pass_header Server the peer says it, or nobody does; a Date there always is', async (t) => {
  const saying = await startBackend(
    t,
    () => `HTTP/1.1 200 OK\r\nServer: peer\r\nDate: ${THEN}\r\nContent-Length: 2\r\n\r\nok`,
  );
  const silent = await startBackend(t, () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  const failing = await startBackend(t, () => 'HTTP/1.1 500 No\r\nServer: peer\r\nContent-Length: 2\r\n\r\nno');
  const asked = await start(
    t,
    `proxy_pass_header Server; proxy_pass_header Date; error_page 500 /page; proxy_intercept_errors on;
     location /saying { proxy_pass http://${saying.address}; }
     location /silent { proxy_pass http://${silent.address}; }
     location /failing { proxy_pass http://${failing.address}; }
     location /hidden { proxy_pass_header X; proxy_pass http://${saying.address}; }
     location /page { return 200 page; }`,
  );
  const saidByPeer = await asked('/saying');
  assert.deepEqual([saidByPeer.server, saidByPeer.date], [['peer'], [THEN]]);
  const unsaid = await asked('/silent');
  assert.deepEqual(unsaid.server, []);
  assert.match(unsaid.date.join(), NOW);
  for (const path of ['/failing', '/hidden']) {
    const { server, date } = await asked(path);
    assert.match(server.join(), OURS, path);
    assert.match(date.join(), NOW, path);
  }
});

test("a peer's status without a reason is passed on without one", async (t) => {
  const spaced = await startBackend(t, () => 'HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok');
  const bare = await startBackend(t, () => 'HTTP/1.1 404\r\nContent-Length: 2\r\n\r\nno');
  const asked = await start(
    t,
    `location /spaced { proxy_pass http://${spaced.address}; }
     location /bare { proxy_pass http://${bare.address}; }
     location /page { proxy_intercept_errors on; error_page 404 /spaced; proxy_pass http://${bare.address}; }
     location /ours { proxy_intercept_errors on; error_page 404 = /spaced; proxy_pass http://${bare.address}; }`,
  );
  assert.equal((await asked('/spaced')).line, 'HTTP/1.1 200 ');
  assert.equal((await asked('/bare')).line, 'HTTP/1.1 404 ');
  assert.equal((await asked('/page')).line, 'HTTP/1.1 404 Not Found');
  assert.equal((await asked('/ours')).line, 'HTTP/1.1 200 ');
});
