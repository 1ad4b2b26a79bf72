// A WebSocket is passed on without a line that says so; with `websocket on` nothing else is, and with `websocket off` the lines decide.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { WsPeer } from '../clients/ws-peer.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf, type HttpMessage, namesOf } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Backend, OK, startBackend } from '../support/recording-backend.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { HANDSHAKE_KEY, openingHandshake, SWITCHING } from '../support/websocket-handshake.ts';

interface Asked {
  readonly answer: HttpMessage;
  /** What the peer was asked; undefined: nothing. */
  readonly request: HttpMessage | undefined;
  readonly backend: Backend;
  readonly log: string;
}

/** Sends one request to a server with these lines, before a backend that agrees to every upgrade. */
async function ask(t: TestContext, server: string, request: string, http = ''): Promise<Asked> {
  const backend = await startBackend(t, (message) => (fieldOf(message, 'upgrade') === undefined ? OK : SWITCHING));
  const gateway = await gatewayFromConfig({
    http: `
      access_log off;
      ${http}
      upstream backend { server ${backend.address}; }
      server { listen 127.0.0.1:8080; ${server} }`,
  });
  t.after(() => gateway.stop());
  const client = await RawClient.to(t, gateway.port());
  client.send(request);
  const answer = await client.answer();
  return { answer, request: backend.requests[0], backend, log: gateway.lines().join('\n') };
}

const lineOf = ({ request }: Asked): string => (request === undefined ? '' : request.startLine);
const sent = ({ request }: Asked, name: string): string | undefined =>
  request === undefined ? undefined : fieldOf(request, name);

const PLAIN = 'GET /ws HTTP/1.1\r\nHost: front.example\r\n\r\n';
const PASS = 'location / { proxy_pass http://backend; }';
const LINES = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "Upgrade";';

describe('websocket auto, the default', () => {
  test('passes a handshake on as one, though nothing in the configuration says so', async (t) => {
    const asked = await ask(t, PASS, openingHandshake('/ws?a=b', { 'Sec-WebSocket-Protocol': 'chat, x' }));
    assert.equal(asked.answer.status, 101);
    assert.equal(lineOf(asked), 'GET /ws?a=b HTTP/1.1');
    assert.equal(sent(asked, 'upgrade'), 'websocket');
    assert.equal(sent(asked, 'connection'), 'upgrade');
    assert.equal(sent(asked, 'sec-websocket-version'), '13');
    assert.equal(sent(asked, 'sec-websocket-key'), HANDSHAKE_KEY);
    assert.equal(sent(asked, 'sec-websocket-protocol'), 'chat, x');
    assert.equal(sent(asked, 'host'), 'backend');
  });

  test('sends each field of a handshake once, whatever the lines are', async (t) => {
    const wrong = `
      proxy_http_version 1.0; proxy_set_header Connection ""; proxy_set_header Upgrade h2c;
      proxy_set_header Sec-WebSocket-Key x; proxy_set_header X-Own own;`;
    const asked = await ask(t, `location / { ${wrong} proxy_pass http://backend; }`, openingHandshake('/ws'));
    assert.equal(asked.answer.status, 101);
    assert.equal(lineOf(asked), 'GET /ws HTTP/1.1');
    const names = namesOf(asked.request as HttpMessage);
    assert.deepEqual(names.toSorted(), [...new Set(names)].toSorted());
    assert.equal(sent(asked, 'connection'), 'upgrade');
    assert.equal(sent(asked, 'sec-websocket-key'), HANDSHAKE_KEY);
    assert.equal(sent(asked, 'x-own'), 'own');
  });

  test('passes the offers of a client on where its other fields are not', async (t) => {
    const fields = {
      'Sec-WebSocket-Protocol': 'chat',
      'Sec-WebSocket-Extensions': 'permessage-deflate',
      Cookie: 'a=b',
    };
    const server = 'location / { proxy_pass_request_headers off; proxy_pass http://backend; }';
    const asked = await ask(t, server, openingHandshake('/ws', fields));
    assert.equal(asked.answer.status, 101);
    assert.equal(sent(asked, 'sec-websocket-protocol'), 'chat');
    assert.equal(sent(asked, 'sec-websocket-extensions'), 'permessage-deflate');
    assert.equal(sent(asked, 'cookie'), undefined);
  });

  test('obeys a line for the extensions, the usual way to have nothing compressed', async (t) => {
    const server = 'location / { proxy_set_header Sec-WebSocket-Extensions ""; proxy_pass http://backend; }';
    const asked = await ask(t, server, openingHandshake('/ws', { 'Sec-WebSocket-Extensions': 'permessage-deflate' }));
    assert.equal(asked.answer.status, 101);
    assert.equal(sent(asked, 'sec-websocket-extensions'), undefined);
  });

  test('passes what is no valid handshake on as a plain request, and says so', async (t) => {
    const asked = await ask(t, PASS, openingHandshake('/ws', { 'Sec-WebSocket-Version': '8' }));
    assert.equal(asked.answer.status, 200);
    assert.equal(sent(asked, 'upgrade'), undefined);
    assert.equal(sent(asked, 'connection'), undefined);
    assert.match(asked.log, /\[info\].* invalid WebSocket handshake, which is passed on as a plain request: .*Version/);
  });

  test('refuses what is no valid handshake where the lines pass Upgrade on', async (t) => {
    const server = `location / { ${LINES} proxy_pass http://backend; }`;
    const asked = await ask(t, server, openingHandshake('/ws', { 'Sec-WebSocket-Key': 'short' }));
    assert.equal(asked.answer.status, 400);
    assert.equal(asked.backend.bytes, 0);
  });

  test('leaves the upgrade to another protocol to the lines', async (t) => {
    const other = openingHandshake('/ws', { Upgrade: 'other/1' });
    const without = await ask(t, PASS, other);
    assert.equal(sent(without, 'upgrade'), undefined);
    const server = `location / { ${LINES} proxy_pass http://backend; }`;
    assert.equal(sent(await ask(t, server, other), 'upgrade'), 'other/1');
  });

  test('concerns a handshake for a made-up upstream as well', async (t) => {
    const asked = await ask(t, 'location / { set $to backend; proxy_pass http://$to; }', openingHandshake('/ws'));
    assert.equal(asked.answer.status, 101);
  });

  test('leaves what the configuration makes another request of a plain one', async (t) => {
    for (const line of ['proxy_method POST;', 'proxy_set_body x;']) {
      const asked = await ask(t, `location / { ${line} proxy_pass http://backend; }`, openingHandshake('/ws'));
      assert.equal(asked.answer.status, 200, line);
      assert.equal(sent(asked, 'upgrade'), undefined, line);
    }
  });

  test('asks for the page of an error as for any page, and for what answers instead as for a WebSocket', async (t) => {
    const page = (how: string) =>
      `location / { error_page 404 ${how} /page; return 404; } location = /page { proxy_pass http://backend; }`;
    const error = await ask(t, page(''), openingHandshake('/ws'));
    assert.equal(error.answer.status, 404);
    assert.equal(sent(error, 'upgrade'), undefined);
    const instead = await ask(t, page('='), openingHandshake('/ws'));
    assert.equal(instead.answer.status, 101);
  });

  test('comes behind who may pass: what is denied reaches nobody', async (t) => {
    for (const line of ['deny all;', 'satisfy any; deny all; auth_basic x; auth_basic_user_file none;', 'internal;']) {
      const asked = await ask(t, `location / { ${line} proxy_pass http://backend; }`, openingHandshake('/ws'));
      assert.ok([401, 403, 404].includes(asked.answer.status), line);
      assert.equal(asked.backend.bytes, 0, line);
    }
  });

  test('is asked about by auth_request as a plain GET', async (t) => {
    const server = `
      location / { auth_request /auth; proxy_pass http://backend; }
      location = /auth { websocket on; proxy_pass http://backend/judge; }`;
    const asked = await ask(t, server, openingHandshake('/ws'));
    assert.equal(asked.answer.status, 101);
    const [judged, passed] = asked.backend.requests as [HttpMessage, HttpMessage];
    assert.equal(judged.startLine, 'GET /judge HTTP/1.1');
    assert.equal(fieldOf(judged, 'upgrade'), undefined);
    assert.equal(fieldOf(passed, 'upgrade'), 'websocket');
  });
});

describe('websocket on', () => {
  const server = `location / { websocket on; proxy_pass http://backend; }`;

  test('passes handshakes on', async (t) => {
    assert.equal((await ask(t, server, openingHandshake('/ws'))).answer.status, 101);
  });

  test('refuses any other request with 426, which names the protocol and its version', async (t) => {
    for (const request of [PLAIN, openingHandshake('/ws', { Upgrade: 'h2c' })]) {
      const { answer, backend } = await ask(t, server, request);
      assert.equal(answer.status, 426);
      assert.equal(fieldOf(answer, 'upgrade'), 'websocket');
      assert.match(fieldOf(answer, 'connection') ?? '', /\bupgrade\b/);
      assert.equal(fieldOf(answer, 'sec-websocket-version'), '13');
      assert.equal(backend.bytes, 0);
    }
  });

  test('names the protocol beside a page of the configuration, too', async (t) => {
    const paged = `error_page 426 /page; location = /page { return 200 "use a WebSocket"; } ${server}`;
    const { answer } = await ask(t, paged, PLAIN);
    assert.equal(answer.status, 426);
    assert.equal(answer.body.toString(), 'use a WebSocket');
    assert.equal(fieldOf(answer, 'upgrade'), 'websocket');
  });

  test('refuses a handshake that is wrong with 400, and without a line that passes it on', async (t) => {
    const { answer, backend, log } = await ask(t, server, openingHandshake('/ws', { 'Sec-WebSocket-Key': '' }));
    assert.equal(answer.status, 400);
    assert.equal(backend.bytes, 0);
    assert.match(log, /invalid WebSocket handshake: there is no "Sec-WebSocket-Key" header/);
  });

  test('is inherited, and ends where a deeper level says so', async (t) => {
    const inner =
      'websocket on; location / { proxy_pass http://backend; } location /plain { websocket auto; proxy_pass http://backend; }';
    assert.equal((await ask(t, inner, PLAIN)).answer.status, 426);
    assert.equal((await ask(t, inner, PLAIN.replace('/ws', '/plain'))).answer.status, 200);
  });
});

describe('websocket off', () => {
  test('passes no handshake on that no line passes on', async (t) => {
    const asked = await ask(t, 'websocket off; location / { proxy_pass http://backend; }', openingHandshake('/ws'));
    assert.equal(asked.answer.status, 200);
    assert.equal(sent(asked, 'upgrade'), undefined);
  });

  test('sends what the lines say, letter by letter', async (t) => {
    const server = `location / { websocket off; ${LINES} proxy_pass http://backend; }`;
    const asked = await ask(t, server, openingHandshake('/ws', { Upgrade: 'WebSocket' }));
    assert.equal(asked.answer.status, 101);
    assert.equal(sent(asked, 'upgrade'), 'WebSocket');
    assert.equal(sent(asked, 'connection'), 'Upgrade');
  });
});

describe('$connection_upgrade', () => {
  const server = `location / {
    websocket off;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header X-Connection "<$connection_upgrade>";
    proxy_pass http://backend;
  }`;

  test('is there without a map', async (t) => {
    const upgraded = await ask(t, server, openingHandshake('/ws'));
    assert.equal(upgraded.answer.status, 101);
    assert.equal(sent(upgraded, 'connection'), 'upgrade');
    const plain = await ask(t, server, PLAIN);
    assert.equal(sent(plain, 'connection'), undefined, 'the connection to the upstream is kept');
    assert.equal(sent(plain, 'x-connection'), '<>');
  });

  test('is what a map of the configuration makes of it, wherever that stands', async (t) => {
    const map = 'map $http_upgrade $connection_upgrade { default upgrade; "" close; }';
    const plain = await ask(t, server, PLAIN, map);
    assert.equal(sent(plain, 'x-connection'), '<close>');
    assert.equal(sent(plain, 'connection'), 'close');
  });

  test('may be given a value by set', async (t) => {
    const asked = await ask(t, `set $connection_upgrade own; ${server}`, PLAIN);
    assert.equal(sent(asked, 'x-connection'), '<own>');
  });
});

describe('/ws, where only /ws/ is a location', () => {
  const server = 'location /ws/ { proxy_pass http://backend; } location /other/ { proxy_pass http://backend/app/; }';

  test('is served by it where it is a handshake, for clients follow no redirect', async (t) => {
    const asked = await ask(t, server, openingHandshake('/ws?a'));
    assert.equal(asked.answer.status, 101);
    assert.equal(lineOf(asked), 'GET /ws?a HTTP/1.1');
    assert.equal(lineOf(await ask(t, server, openingHandshake('/other?a'))), 'GET /app/?a HTTP/1.1');
  });

  test('is redirected where it is any other request, or no valid handshake', async (t) => {
    for (const request of [PLAIN, openingHandshake('/ws', { 'Sec-WebSocket-Key': '' })]) {
      const { answer, backend } = await ask(t, server, request);
      assert.equal(answer.status, 301);
      assert.match(fieldOf(answer, 'location') ?? '', /\/ws\/$/);
      assert.equal(backend.bytes, 0);
    }
  });

  test('is redirected with websocket off', async (t) => {
    assert.equal((await ask(t, `websocket off; ${server}`, openingHandshake('/ws'))).answer.status, 301);
  });

  test('passes nobody whom the location does not let in', async (t) => {
    const closed = 'location /ws/ { deny all; proxy_pass http://backend; }';
    const asked = await ask(t, closed, openingHandshake('/ws'));
    assert.equal(asked.answer.status, 403);
    assert.equal(asked.backend.bytes, 0);
  });
});

test('ws talks over a location that says nothing of WebSockets, compressed, in the subprotocol that was agreed on', async (t) => {
  const peer = await WsPeer.start(t, {
    options: { perMessageDeflate: true, handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false) },
  });
  const gateway = await gatewayFromConfig({
    http: `access_log off; server { listen 127.0.0.1:8080; location /ws/ { proxy_pass http://127.0.0.1:${peer.port}/; } }`,
  });
  t.after(() => gateway.stop());
  const client = await TalkingClient.to(t, `ws://127.0.0.1:${gateway.port()}/ws`, { protocols: ['x', 'chat'] });
  assert.equal(client.socket.protocol, 'chat');
  assert.match(client.socket.extensions, /permessage-deflate/);
  assert.equal(await client.ask('grüße '.repeat(1000)), 'grüße '.repeat(1000));
  assert.equal(peer.request.url, '/');
});
