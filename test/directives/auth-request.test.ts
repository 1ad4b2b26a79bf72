// auth_request: another location, or the server behind it, lets clients in; what it says becomes variables.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';
import { startBackend } from '../support/recording-backend.ts';
import { until } from '../support/until.ts';

test('auth_request', async (t) => {
  const authority = await startBackend(t, ({ startLine, head }) => {
    const path = startLine.split(' ')[1] ?? '';
    const status = /^\/status\/(\d+)/.exec(path)?.[1] ?? '200';
    if (path.startsWith('/silent')) return undefined;
    const body = head.replaceAll('\r\n', '|');
    return `HTTP/1.1 ${status} X\r\nX-User: alice\r\nWWW-Authenticate: Basic realm="one"\r\nWWW-Authenticate: Bearer\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  });
  const gateway = await gatewayFromConfig({
    http: `
      log_format short "$uri $status";
      access_log logs/access.log short;
      default_type text/plain;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      server {
        listen 127.0.0.1:8080;
        set $from_server 1;
        location /static/ { auth_request /ok; }
        location /file/ { auth_request /files/ok.txt; }
        location /none/ { auth_request /none.txt; }
        location /nested/ { auth_request /nested-auth; }
        location = /nested-auth { auth_request /no; return 204; }
        location /off/ { auth_request /no; location /off/free/ { auth_request off; } }
        location /peer/ { auth_request /peer-auth; }
        location /user/ {
          auth_request /peer-auth;
          auth_request_set $user $upstream_http_x_user;
          auth_request_set $asked $uri;
          auth_request_set $said $upstream_status;
          add_header X-User "$user $asked $said $shared";
        }
        location /page/ { auth_request /no401; error_page 401 = /files/ok.txt; }
        location /any/ { satisfy any; auth_request /peer-auth; deny all; }
        location /any-free/ { satisfy any; auth_request /peer-auth; allow all; }
        location /logged/ { auth_request /logged-auth; }
        location = /ok { internal; return 204; }
        location = /no { internal; return 403; }
        location = /no401 { add_header WWW-Authenticate x always; return 401; }
        location = /logged-auth { log_subrequest on; return 204; }
        location = /peer-auth {
          internal;
          set $shared "of the subrequest";
          proxy_pass http://${authority.address}/status/$arg_status?of=$request_uri&method=$request_method;
          proxy_pass_request_body off;
        }
        location /silent/ { auth_request /silent-auth; }
        location = /silent-auth { proxy_pass http://${authority.address}/silent; }
        location = /files/ok.txt { auth_request off; }
      }`,
    files: Object.fromEntries(
      [
        'static/a',
        'file/a',
        'none/a',
        'nested/a',
        'off/a',
        'off/free/a',
        'peer/a',
        'user/a',
        'any/a',
        'any-free/a',
        'logged/a',
        'files/ok.txt',
      ].map((name) => [`html/${name}`, name]),
    ),
  });
  t.after(() => gateway.stop());

  const at = (path: string, ...fields: string[]) => ask(gateway.port(), `GET ${path}`, ...fields);
  const statusOf = async (path: string, ...fields: string[]) => (await at(path, ...fields)).status;
  const lastAsked = () => authority.connections.flatMap(({ requests }) => requests).at(-1);

  await t.test('lets in whom the other location answers with 2xx', async () => {
    const { status, text } = await at('/static/a');
    assert.deepEqual([status, text], [200, 'static/a']);
    assert.equal(await statusOf('/file/a'), 200);
    assert.equal(await statusOf('/off/a'), 403);
    assert.equal(await statusOf('/off/free/a'), 200);
  });

  await t.test('does not apply the conditions of the request to that answer', async () => {
    assert.equal(await statusOf('/file/a', 'If-None-Match: *'), 304, 'of the file itself');
    assert.equal(await statusOf('/file/a', 'Range: bytes=0-0'), 206);
  });

  await t.test('answers 500 for any other status, and says so in the error log', async () => {
    assert.equal(await statusOf('/none/a'), 500);
    assert.match(gateway.read('logs/error.log'), /auth request unexpected status: 404, client/);
    assert.match(
      gateway.read('logs/error.log'),
      /, request: "GET \/none\/a HTTP\/1\.1", subrequest: "\/none\.txt", host/,
    );
  });

  await t.test('is not asked about the asking itself', async () => {
    assert.equal(await statusOf('/nested/a'), 200);
  });

  await t.test('asks as GET without the body, with the fields of the client', async () => {
    const { status } = await ask(gateway.port(), 'POST /peer/a?x=y', 'X-Token: t', 'Content-Length: 0');
    assert.equal(status, 405, 'the file itself takes no POST');
    assert.equal(lastAsked()?.startLine, 'GET /status/?of=/peer/a?x=y&method=POST HTTP/1.1');
    assert.match(lastAsked()?.head ?? '', /\r\nX-Token: t\r\n/);
    assert.doesNotMatch(lastAsked()?.head ?? '', /Content-Length|Transfer-Encoding/);
  });

  await t.test('is asked about an upgrade as about any other request', async () => {
    assert.equal(await statusOf('/peer/a', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: x'), 200);
    assert.doesNotMatch(lastAsked()?.head ?? '', /\r\n(Upgrade|Connection: upgrade)/i);
  });

  await t.test('lets error_page answer a 401, with what it asks for', async () => {
    const page = await at('/page/a');
    assert.deepEqual([page.status, page.text, page.headers.get('www-authenticate')], [200, 'files/ok.txt', 'x']);
  });

  await t.test('makes variables of the answer, and shares those that are set', async () => {
    const { headers } = await at('/user/a');
    assert.equal(headers.get('x-user'), 'alice /peer-auth 200 of the subrequest');
  });

  await t.test('is one of those that satisfy any', async () => {
    assert.equal(await statusOf('/any/a'), 200);
    const before = authority.connections.flatMap(({ requests }) => requests).length;
    assert.equal(await statusOf('/any-free/a'), 200);
    assert.equal(
      authority.connections.flatMap(({ requests }) => requests).length,
      before,
      'nobody is asked for nothing',
    );
  });

  await t.test('is in the access log only with log_subrequest', async () => {
    await at('/logged/a');
    gateway.flushLogs();
    const lines = gateway.lines('logs/access.log');
    assert.deepEqual(lines.slice(-2), ['/logged-auth 204', '/logged/a 200']);
    assert.ok(!lines.some((line) => line.startsWith('/ok') || line.startsWith('/peer-auth')));
  });

  await t.test('that is not answered is given up when the client leaves', async () => {
    const socket = connect(gateway.port(), '127.0.0.1');
    socket.write('GET /silent/a HTTP/1.1\r\nHost: a\r\n\r\n');
    const asked = await until('the authority is asked', () =>
      authority.connections.find(({ text }) => text.includes('GET /silent')),
    );
    socket.destroy();
    await until('it is given up', () => asked.closed || asked.ended);
    assert.equal(await statusOf('/static/a'), 200);
  });
});

test('a 401 of a peer reaches the client with all that it asks for; a 403 is one', async (t) => {
  const peer = await startBackend(t, ({ startLine }) => {
    const status = startLine.includes('/401') ? '401 Unauthorized' : '403 Forbidden';
    return `HTTP/1.1 ${status}\r\nWWW-Authenticate: Basic realm="one"\r\nWWW-Authenticate: Bearer\r\nContent-Length: 2\r\n\r\nno`;
  });
  const proxied = await gatewayFromConfig({
    http: `server {
        listen 127.0.0.1:8080;
        location /a { auth_request /auth/401; }
        location /b { auth_request /hidden/401; }
        location /c { auth_request /auth/403; }
        location /auth/ { proxy_pass http://${peer.address}; }
        location /hidden/ { proxy_pass http://${peer.address}; proxy_hide_header WWW-Authenticate; }
      }`,
  });
  t.after(() => proxied.stop());
  for (const path of ['/a', '/b']) {
    const { status, whole, text } = await ask(proxied.port(), `GET ${path}`);
    assert.equal(status, 401);
    assert.match(whole, /WWW-Authenticate: Basic realm="one"\r\nWWW-Authenticate: Bearer\r\n/);
    assert.match(text, /401 Authorization Required/);
  }
  const { status, headers } = await ask(proxied.port(), 'GET /c');
  assert.deepEqual([status, headers.get('www-authenticate')], [403, undefined]);
});
