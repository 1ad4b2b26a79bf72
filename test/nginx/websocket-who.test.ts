// Who may connect: from which pages, in which subprotocols, with which extensions.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { WsPeer } from '../clients/ws-peer.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf, type HttpMessage } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Backend, OK, startBackend } from '../support/recording-backend.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { HANDSHAKE_KEY, openingHandshake, SWITCHING } from '../support/websocket-handshake.ts';

class Server {
  readonly backend: Backend;
  readonly #t: TestContext;
  readonly #gateway: Awaited<ReturnType<typeof gatewayFromConfig>>;

  private constructor(t: TestContext, backend: Backend, gateway: Awaited<ReturnType<typeof gatewayFromConfig>>) {
    this.#t = t;
    this.backend = backend;
    this.#gateway = gateway;
  }

  /** @param lines of `server`. @param more fields of the peer's 101 */
  static async start(t: TestContext, lines: string, more = ''): Promise<Server> {
    const switching = SWITCHING.replace(/\r\n$/, `${more}\r\n`);
    const backend = await startBackend(t, (message) => (fieldOf(message, 'upgrade') === undefined ? OK : switching));
    const gateway = await gatewayFromConfig({
      http: `
        access_log off;
        upstream backend { server ${backend.address}; }
        server { listen 127.0.0.1:8080; ${lines} }`,
      main: 'error_log logs/error.log;',
    });
    t.after(() => gateway.stop());
    return new Server(t, backend, gateway);
  }

  async ask(request: string): Promise<HttpMessage> {
    const client = await RawClient.to(this.#t, this.#gateway.port());
    client.send(request);
    return client.answer();
  }

  /** @returns the status */
  async shake(path: string, fields: Readonly<Record<string, string>> = {}): Promise<number> {
    return (await this.ask(openingHandshake(path, fields))).status;
  }

  /** What the peer was sent last of this field. */
  sent(name: string): string | undefined {
    return fieldOf(this.backend.requests.at(-1) as HttpMessage, name);
  }

  get log(): string {
    return this.#gateway.lines().join('\n');
  }
}

describe('websocket_allow_origin', () => {
  const from = (origin: string) => ({ Origin: origin });
  const PASS = 'location / { proxy_pass http://backend; }';

  test('self lets pages of the same host in, and refuses others with 403 and a line in the error log', async (t) => {
    const server = await Server.start(t, `websocket_allow_origin self; ${PASS}`);
    assert.equal(await server.shake('/', from('https://front.example')), 101);
    const { bytes } = server.backend;
    assert.equal(await server.shake('/', from('https://evil.example')), 403);
    assert.equal(await server.shake('/', from('null')), 403);
    assert.equal(server.backend.bytes, bytes, 'nobody was asked');
    assert.match(
      server.log,
      /\[error\].* cross-site WebSocket handshake forbidden: origin "https:\/\/evil\.example" is not allowed, client: 127/,
    );
  });

  test('lets whoever sends no origin in, unless one is required', async (t) => {
    const server = await Server.start(
      t,
      `websocket_allow_origin self none; ${PASS} location /strict { websocket_allow_origin self required; proxy_pass http://backend; }`,
    );
    assert.equal(await server.shake('/'), 101);
    assert.equal(await server.shake('/strict'), 403);
    assert.match(server.log, /cross-site WebSocket handshake forbidden: it has no origin/);
  });

  test('takes names, what is below them, and expressions, on several lines', async (t) => {
    const server = await Server.start(
      t,
      `websocket_allow_origin app.example https://only.example *.below.example .both.example;
       websocket_allow_origin ~^https://pr-\\d+\\.example$ dev.example:* bücher.example null;
       ${PASS}`,
    );
    const allowed = [
      'http://app.example',
      'https://only.example',
      'https://a.below.example',
      'https://both.example',
      'https://a.both.example',
      'https://pr-7.example',
      'http://dev.example:3000',
      'https://xn--bcher-kva.example',
      'null',
    ];
    for (const origin of allowed) assert.equal(await server.shake('/', from(origin)), 101, origin);
    const refused = ['http://only.example', 'https://below.example', 'https://pr-x.example', 'https://front.example'];
    for (const origin of refused) assert.equal(await server.shake('/', from(origin)), 403, origin);
  });

  test('is taken from above only where a level has none of its own, and off ends it', async (t) => {
    const server = await Server.start(
      t,
      `websocket_allow_origin a.example;
       location / { proxy_pass http://backend; }
       location /own { websocket_allow_origin b.example; proxy_pass http://backend; }
       location /open { websocket_allow_origin off; proxy_pass http://backend; }`,
    );
    const statuses = async (path: string) => [
      await server.shake(path, from('https://a.example')),
      await server.shake(path, from('https://b.example')),
    ];
    assert.deepEqual(await statuses('/'), [101, 403]);
    assert.deepEqual(await statuses('/own'), [403, 101]);
    assert.deepEqual(await statuses('/open'), [101, 101]);
  });

  test('concerns handshakes only, and those that the lines pass on as well', async (t) => {
    const server = await Server.start(
      t,
      `websocket_allow_origin self; ${PASS}
       location /lines { websocket off; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_pass http://backend; }
       location /plain { websocket off; proxy_pass http://backend; }`,
    );
    const evil = 'Origin: https://evil.example';
    assert.equal((await server.ask(`GET / HTTP/1.1\r\nHost: front.example\r\n${evil}\r\n\r\n`)).status, 200);
    assert.equal(await server.shake('/lines', from('https://evil.example')), 403);
    assert.equal(await server.shake('/plain', from('https://evil.example')), 200);
  });

  test('takes several origins in one handshake for none that is allowed', async (t) => {
    const server = await Server.start(t, `websocket_allow_origin self; ${PASS}`);
    const twice = openingHandshake('/', { Origin: 'https://front.example' }).replace(
      /\r\n\r\n$/,
      '\r\nOrigin: https://evil.example\r\n\r\n',
    );
    assert.equal((await server.ask(twice)).status, 403);
  });

  test('may be answered with a page of its own, which is asked for as any page', async (t) => {
    const server = await Server.start(
      t,
      `websocket_allow_origin self; ${PASS} error_page 403 /why; location = /why { proxy_pass http://backend; }`,
    );
    const answer = await server.ask(openingHandshake('/', { Origin: 'https://evil.example' }));
    assert.deepEqual([answer.status, answer.body.toString()], [403, 'ok']);
    assert.equal(server.sent('upgrade'), undefined);
  });

  test('comes behind a password: who has none learns nothing else', async (t) => {
    const server = await Server.start(
      t,
      'websocket_allow_origin self; location / { auth_basic x; auth_basic_user_file none; proxy_pass http://backend; }',
    );
    assert.equal(await server.shake('/', from('https://evil.example')), 401);
  });
});

describe('websocket_subprotocols', () => {
  const offering = (...offers: string[]) => ({ 'Sec-WebSocket-Protocol': offers.join(', ') });
  const LINES = 'websocket_subprotocols chat v2.chat; location / { proxy_pass http://backend; }';

  test('offers the peer only those that are named', async (t) => {
    const server = await Server.start(t, LINES);
    assert.equal(await server.shake('/', offering('other', 'v2.chat', 'chat')), 101);
    assert.equal(server.sent('sec-websocket-protocol'), 'v2.chat, chat');
    assert.equal(await server.shake('/'), 101);
    assert.equal(server.sent('sec-websocket-protocol'), undefined);
  });

  test('refuses a client that offers only others with 400, and the error log says so', async (t) => {
    const server = await Server.start(t, LINES);
    assert.equal(await server.shake('/', offering('other', 'Chat')), 400);
    assert.equal(server.backend.bytes, 0);
    assert.match(server.log, /\[error\].* none of the subprotocols that the client offers is allowed: "other, Chat"/);
  });

  test('refuses the answer of a peer that chooses one that it was not offered', async (t) => {
    const server = await Server.start(t, LINES, 'Sec-WebSocket-Protocol: other\r\n');
    assert.equal(await server.shake('/', offering('other', 'chat')), 502);
  });

  test('goes before a line of proxy_set_header; any passes the offers on as they are', async (t) => {
    const line = 'proxy_set_header Sec-WebSocket-Protocol $http_sec_websocket_protocol;';
    const server = await Server.start(
      t,
      `websocket_subprotocols chat; location / { ${line} proxy_pass http://backend; }
       location /any { websocket_subprotocols any; proxy_pass http://backend; }`,
    );
    assert.equal(await server.shake('/', offering('other', 'chat')), 101);
    assert.equal(server.sent('sec-websocket-protocol'), 'chat');
    assert.equal(await server.shake('/any', offering('other')), 101);
    assert.equal(server.sent('sec-websocket-protocol'), 'other');
  });
});

describe('websocket_extensions', () => {
  const OFFER = {
    'Sec-WebSocket-Extensions': 'x-own; a="b, c",  permessage-deflate; client_max_window_bits, permessage-deflate',
  };
  const PASS = 'location / { proxy_pass http://backend; }';

  test('any, the default, passes the line of the client on untouched', async (t) => {
    const server = await Server.start(t, PASS);
    assert.equal(await server.shake('/', OFFER), 101);
    assert.equal(server.sent('sec-websocket-extensions'), OFFER['Sec-WebSocket-Extensions']);
  });

  test('permessage-deflate offers only that, with its parameters', async (t) => {
    const server = await Server.start(t, `websocket_extensions permessage-deflate; ${PASS}`);
    assert.equal(await server.shake('/', OFFER), 101);
    const offered = 'permessage-deflate; client_max_window_bits, permessage-deflate';
    assert.equal(server.sent('sec-websocket-extensions'), offered);
  });

  test('off offers none, and a peer that answers with one is refused', async (t) => {
    const server = await Server.start(
      t,
      `websocket_extensions off; ${PASS}`,
      'Sec-WebSocket-Extensions: permessage-deflate\r\n',
    );
    assert.equal(await server.shake('/', OFFER), 502);
    assert.equal(server.sent('sec-websocket-extensions'), undefined);
    assert.equal(server.sent('sec-websocket-key'), HANDSHAKE_KEY);
  });
});

test('ws on both sides agrees on what is left of its offers', async (t) => {
  const peer = await WsPeer.start(t, {
    options: { perMessageDeflate: true, handleProtocols: (offered) => [...offered][0] ?? false },
  });
  const gateway = await gatewayFromConfig({
    http: `
      access_log off;
      server {
        listen 127.0.0.1:8080;
        websocket_allow_origin https://app.example;
        websocket_subprotocols chat;
        websocket_extensions off;
        location / { proxy_pass http://127.0.0.1:${peer.port}; }
      }`,
  });
  t.after(() => gateway.stop());
  const url = `ws://127.0.0.1:${gateway.port()}/`;
  const client = await TalkingClient.to(t, url, { protocols: ['other', 'chat'], origin: 'https://app.example' });
  assert.equal(client.socket.protocol, 'chat');
  assert.equal(client.socket.extensions, '');
  assert.equal(await client.ask('hello'), 'hello');
  await assert.rejects(TalkingClient.to(t, url, { origin: 'https://evil.example' }), /Unexpected server response: 403/);
});
