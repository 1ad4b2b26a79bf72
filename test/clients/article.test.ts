// The three configurations of "The Ultimate Guide to Nginx Websocket WSS", character for character; only addresses become loopback ones.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { selfSignedCertificate } from '../support/certificates.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { type StartedGateway, startGateway } from './start-gateway.ts';
import { WsPeer } from './ws-peer.ts';

const SCHEMES = ['ws', 'wss'] as const;
/** What each of the three peers says before an echo. */
const NAMES = ['one ', 'two ', 'three '] as const;

const article = (file: string): string => readFileSync(join(import.meta.dirname, 'article', file), 'utf8');

function connect(t: TestContext, gateway: StartedGateway, scheme: string, path = '/websocket/', cookie?: string) {
  const headers = cookie === undefined ? {} : { cookie };
  return TalkingClient.to(t, gateway.url(scheme, path), { ca: gateway.ca, headers });
}

test('1-websocket.conf: a WebSocket is upgraded and passed through both ways', async (t) => {
  const peer = await WsPeer.start(t);
  const http = `upstream backend { server 127.0.0.1:${peer.port}; }`;
  const gateway = await startGateway(t, { http, server: article('1-websocket.conf') });
  for (const scheme of SCHEMES) {
    await t.test(scheme, async (t) => {
      const client = await connect(t, gateway, scheme, '/websocket/room?id=1');
      assert.equal(await client.ask('hello'), 'hello');
      assert.deepEqual(await client.askBytes(Buffer.alloc(100_000, 7)), Buffer.alloc(100_000, 7));
      // The location is replaced by the URI of proxy_pass; the typographic quotes are not part of the value.
      assert.equal(peer.request.url, '/room?id=1');
      assert.equal(peer.request.headers.connection, 'upgrade');
      assert.equal(peer.request.headers.host, 'backend');
      client.socket.close(1000, 'bye');
      assert.deepEqual(await client.closed, { code: 1000, reason: 'bye' });
    });
  }
  assert.match(gateway.sockgate.errorLog(), /\[warn\].*in .*nginx\.conf:\d+/);
});

/** Without what a WebSocket needs in nginx. */
const withoutBoilerplate = (conf: string): string =>
  conf.replaceAll(/proxy_http_version 1\.1;|proxy_set_header (?:Upgrade|Connection) [^;]*;/g, '');

test('1-websocket.conf and 2-wss.conf: without the lines on headers and on the version they do the same', async (t) => {
  const plain = await WsPeer.start(t);
  const secure = await startTlsPeer(t);
  for (const [file, port] of [
    ['1-websocket.conf', plain.port],
    ['2-wss.conf', secure.port],
  ] as const) {
    const server = withoutBoilerplate(article(file));
    assert.doesNotMatch(server, /upgrade|http_version/i);
    const gateway = await startGateway(t, { http: `upstream backend { server 127.0.0.1:${port}; }`, server });
    for (const scheme of SCHEMES)
      assert.equal(await (await connect(t, gateway, scheme, '/websocket/room')).ask('hello'), 'hello');
    // Clients follow no redirect.
    assert.equal(await (await connect(t, gateway, 'ws', '/websocket')).ask('hello'), 'hello');
  }
});

test('2-wss.conf: TLS to a backend whose certificate nobody vouches for, and its sessions are resumed', async (t) => {
  const peer = await startTlsPeer(t);
  const http = `upstream backend { server 127.0.0.1:${peer.port}; }`;
  const gateway = await startGateway(t, { http, server: article('2-wss.conf') });
  for (const scheme of SCHEMES) {
    await t.test(scheme, async (t) => {
      const before = peer.sessions.length;
      for (let turn = 0; turn < 3; turn++) {
        const client = await connect(t, gateway, scheme, '/websocket/room');
        assert.equal(await client.ask('hello'), 'hello');
        client.socket.close();
        await client.closed;
      }
      assert.deepEqual(peer.sessions.slice(before), [before > 0, true, true]);
    });
  }
});

test('2-wss.conf: with proxy_ssl_session_reuse off each handshake is a whole one', async (t) => {
  const peer = await startTlsPeer(t);
  const http = `upstream backend { server 127.0.0.1:${peer.port}; }`;
  const server = article('2-wss.conf').replace('proxy_ssl_session_reuse on', 'proxy_ssl_session_reuse off');
  const gateway = await startGateway(t, { http, server });
  for (let turn = 0; turn < 3; turn++) assert.equal(await (await connect(t, gateway, 'wss')).ask('hello'), 'hello');
  assert.deepEqual(peer.sessions, [false, false, false]);
});

test('3-balancing.conf: the same client stays at its peer, and moves when that peer is killed', async (t) => {
  const peers = await Promise.all(NAMES.map((name) => WsPeer.start(t, { name })));
  const [upstream, location] = balancing(peers);
  const gateway = await startGateway(t, { http: upstream, server: location, workers: 2 });
  for (const scheme of SCHEMES) {
    await t.test(scheme, async (t) => {
      const first = await connect(t, gateway, scheme);
      const said = await first.ask('hello');
      const cookie = first.cookie('route');
      assert.equal(first.setCookie?.replace(cookie, 'route=…'), cookieLine(scheme));
      const stays = await Promise.all(Array.from({ length: 12 }, () => connect(t, gateway, scheme, undefined, cookie)));
      for (const client of stays) {
        assert.equal(await client.ask('hello'), said);
        assert.equal(client.setCookie, undefined);
      }
      // Without a cookie it is the client's address that counts.
      assert.equal(await (await connect(t, gateway, scheme)).ask('hello'), said);

      const killed = peers.find((_, index) => said.startsWith(NAMES[index] as string)) as WsPeer;
      killed.kill();
      assert.deepEqual(await first.closed, { code: 1014, reason: '' });
      const moved = await connect(t, gateway, scheme, undefined, cookie);
      const saidNow = await moved.ask('hello');
      assert.notEqual(saidNow, said);
      const follows = moved.cookie('route');
      assert.notEqual(follows, cookie);
      const there = await connect(t, gateway, scheme, undefined, follows);
      assert.equal(await there.ask('hello'), saidNow);
      assert.equal(there.setCookie, undefined);
    });
  }
});

test('3-balancing.conf: clients are spread over the peers, and the cookie tells nothing of them', async (t) => {
  const peers = await Promise.all(NAMES.map((name) => WsPeer.start(t, { name })));
  const [upstream, location] = balancing(peers);
  const gateway = await startGateway(t, { http: upstream, server: location });
  const cookies = new Map<string, string>();
  for (let number = 1; number <= 60; number++) {
    const client = await TalkingClient.to(t, gateway.url('ws', '/websocket/'), { localAddress: `127.0.2.${number}` });
    const peer = await client.ask('');
    const cookie = client.cookie('route');
    assert.equal(cookies.get(peer) ?? cookie, cookie);
    cookies.set(peer, cookie);
  }
  assert.deepEqual([...cookies.keys()].sort(), [...NAMES].sort());
  for (const cookie of cookies.values()) {
    const value = cookie.slice('route='.length);
    assert.match(value, /^[\w-]{16,}$/);
    const decoded = Buffer.from(value, 'base64url').toString('latin1');
    for (const { port } of peers) assert.doesNotMatch(value + decoded, new RegExp(`127|${port}`));
  }
});

/** The file's two lines, the addresses replaced in the order in which they stand there. */
function balancing(peers: readonly WsPeer[]): [string, string] {
  const ports = peers.map(({ port }) => port);
  const text = article('3-balancing.conf').replace(/192\.168\.1\.\d+:8080/g, () => `127.0.0.1:${ports.shift()}`);
  assert.equal(ports.length, 0);
  const at = text.indexOf('location');
  return [text.slice(0, at), text.slice(at)];
}

function cookieLine(scheme: string): string {
  return `route=…; Path=/; HttpOnly; SameSite=Lax${scheme === 'wss' ? '; Secure' : ''}`;
}

interface TlsPeer {
  readonly port: number;
  /** Of each connection: whether its TLS session was one of an earlier connection. */
  readonly sessions: readonly boolean[];
}

async function startTlsPeer(t: TestContext): Promise<TlsPeer> {
  const tls = await selfSignedCertificate({ names: ['backend.example'] });
  const sessions: boolean[] = [];
  const peer = await WsPeer.start(t, { tls, onTls: (socket) => sessions.push(socket.isSessionReused()) });
  return { port: peer.port, sessions };
}
