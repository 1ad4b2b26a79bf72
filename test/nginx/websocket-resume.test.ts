// websocket_resume: a client outlives its peer, and another one goes on with it.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { TunnelResumption } from '../../src/serve/tunnel-resumption.ts';
import { Upstream } from '../../src/upstream/upstream.ts';
import { selfSignedCertificate } from '../support/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { rawFrame } from '../support/raw-websocket.ts';
import { ResumePeer, type ResumePeerOptions } from '../support/resume-peer.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { until } from '../support/until.ts';

const LOG = `'$websocket_close_cause $websocket_close_code $websocket_resumes $websocket_lost_messages $upstream_addr'`;

interface Setup {
  readonly peers: readonly ResumePeer[];
  readonly gateway: RunningGateway;
  readonly url: string;
}

/** Peers in an upstream that goes from one to the next, the first one first. */
async function start(
  t: TestContext,
  {
    location = '',
    names = ['one', 'two'],
    options = {},
    more = '',
  }: {
    readonly location?: string;
    readonly names?: readonly string[];
    readonly options?: Partial<ResumePeerOptions>;
    readonly more?: string;
  } = {},
): Promise<Setup> {
  const peers = await Promise.all(names.map((name) => ResumePeer.start(t, { ...options, name })));
  const gateway = await gatewayFromConfig({
    http: `
      log_format resume ${LOG};
      access_log logs/resume.log resume;
      upstream app { ${peers.map(({ port }) => `server 127.0.0.1:${port};`).join(' ')} ${more} }
      server {
        listen 127.0.0.1:8080;
        location / { proxy_pass http://app; websocket_resume on; ${location} }
        location /off { proxy_pass http://app; }
        location /status { websocket_status; }
      }`,
  });
  t.after(() => gateway.stop());
  return { peers, gateway, url: `ws://127.0.0.1:${gateway.port()}/` };
}

const logged = async (gateway: RunningGateway): Promise<string> => {
  await until('a line of the log', () => gateway.lines('logs/resume.log').length > 0);
  return gateway.lines('logs/resume.log')[0] ?? '';
};

test('a client whose peer is reset goes on with the next one, which is told', async (t) => {
  const { peers, gateway, url } = await start(t);
  const [one, two] = peers as [ResumePeer, ResumePeer];
  const client = await TalkingClient.to(t, url);
  assert.equal(await client.ask('a'), 'one: a');
  one.die();
  await until('the next handshake', () => two.handshakes.length === 1);
  assert.equal(await client.ask('b'), 'two: b');
  assert.equal(one.resumeOf(0), undefined);
  assert.equal(two.resumeOf(0), '1');
  assert.equal(two.handshakes[0]?.headers['sec-websocket-key'], one.handshakes[0]?.headers['sec-websocket-key']);
  client.socket.close(1000);
  assert.equal((await client.closed).code, 1000);
  assert.equal(await logged(gateway), `client close 1000 1 0 127.0.0.1:${one.port}, 127.0.0.1:${two.port}`);
  assert.match(gateway.lines().join('\n'), /\[warn\].*recv\(\) failed.*: its client stays.*upstream: "http:\/\/127/);
  assert.match(gateway.lines().join('\n'), /\[notice\].*upstream took a client whose own was lost, after \d+ ms/);
  assert.ok(!gateway.lines().some((line) => line.includes('[error]') && line.includes('upgraded connection')));
  const status = await (await fetch(`http://127.0.0.1:${gateway.port()}/status`)).text();
  assert.match(status, /^resumed 1$/m);
});

test('without it the client goes with its peer', async (t) => {
  const { peers, url } = await start(t);
  const client = await TalkingClient.to(t, `${url}off`);
  await client.ask('a');
  for (const peer of peers) for (const socket of peer.connections) socket.resetAndDestroy();
  assert.equal((await client.closed).code, 1014);
});

for (const [how, lose] of [
  ['ends its half', (peer: ResumePeer) => [...peer.connections].map((socket) => socket.end())],
  ['says 1001', (peer: ResumePeer) => peer.close(1001)],
  ['says 1012', (peer: ResumePeer) => peer.close(1012)],
] as const) {
  test(`a client outlives a peer that ${how}`, async (t) => {
    const { peers, url } = await start(t);
    const [one, two] = peers as [ResumePeer, ResumePeer];
    const client = await TalkingClient.to(t, url);
    await client.ask('a');
    one.stopListening();
    lose(one);
    await until('the next handshake', () => two.handshakes.length === 1);
    assert.equal(await client.ask('b'), 'two: b');
    await until('the end of the first one', () => one.connections.size === 0);
    assert.equal(client.socket.readyState, client.socket.OPEN);
  });
}

test('a close frame that is no farewell of a server goes through', async (t) => {
  const { peers, url } = await start(t);
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  peers[0]?.close(1000);
  assert.equal((await client.closed).code, 1000);
  assert.equal(peers[1]?.handshakes.length, 0);
});

test('what the client sends meanwhile waits and comes in its order', async (t) => {
  const { peers, url } = await start(t, { names: ['one'] });
  const one = peers[0] as ResumePeer;
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  one.die();
  await until('the loss', () => one.connections.size === 0);
  const messages = Array.from({ length: 300 }, (_, i) => `${i}`.padEnd(1000, '.'));
  for (const message of messages) client.socket.send(message);
  const again = await ResumePeer.start(t, { name: 'again', port: one.port });
  for (const message of messages) assert.equal(await client.next(), `again: ${message}`);
  assert.equal(again.resumeOf(0), '1');
});

test('the rest of a message whose beginning the lost peer has had is dropped, and counted', async (t) => {
  const { peers, gateway, url } = await start(t);
  const [one, two] = peers as [ResumePeer, ResumePeer];
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  client.socket.send('beginning', { fin: false });
  const pinged = new Promise((resolve) => [...one.sockets][0]?.once('ping', resolve));
  client.socket.ping();
  await pinged;
  one.die();
  await until('the next handshake', () => two.handshakes.length === 1);
  client.socket.send('end', { fin: true });
  assert.equal(await client.ask('b'), 'two: b');
  assert.deepEqual(two.messages, ['b']);
  client.socket.close();
  await client.closed;
  assert.match(await logged(gateway), /^client close 1005 1 1 /);
});

test('a close frame within a message that was cut reaches the next peer', async (t) => {
  const { peers, url } = await start(t);
  const [one, two] = peers as [ResumePeer, ResumePeer];
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  client.socket.send('beginning', { fin: false });
  const pinged = new Promise((resolve) => [...one.sockets][0]?.once('ping', resolve));
  client.socket.ping();
  await pinged;
  one.die();
  await until('the next one', () => two.sockets.size === 1);
  client.socket.close(4001);
  assert.equal((await client.closed).code, 4001);
  assert.deepEqual(two.closes, [4001]);
});

test('a client that has a part of a message is told 1012', async (t) => {
  const { peers, gateway, url } = await start(t);
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  const [socket] = (peers[0] as ResumePeer).connections;
  socket?.write(rawFrame({ opcode: 1, final: false, payload: 'half' }), () => socket.end());
  assert.equal((await client.closed).code, 1012);
  assert.match(await logged(gateway), /^peer end 1012 0 0 /);
});

test('where nobody comes within websocket_resume_timeout the client is told 1012, and the log says by what', async (t) => {
  const { peers, gateway, url } = await start(t, { names: ['one'], location: 'websocket_resume_timeout 300ms;' });
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  peers[0]?.die();
  assert.equal((await client.closed).code, 1012);
  assert.match(await logged(gateway), /^peer reset 1012 0 0 /);
  assert.match(gateway.lines().join('\n'), /\[error\].*no other upstream for a client.*: none within 300 ms/);
});

test('an application that will not have the client any more ends it', async (t) => {
  const refuses = ({ headers }: { headers: object }) => ('sockgate-resume' in headers ? 410 : undefined);
  const { peers, gateway, url } = await start(t, { options: { refuses } });
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  peers[0]?.die();
  assert.equal((await client.closed).code, 1012);
  assert.match(gateway.lines().join('\n'), /no other upstream for a client.*upstream answered 410/);
});

test('a server that cannot take the client is passed over', async (t) => {
  const { peers, url } = await start(t, {
    names: ['one', 'two', 'three'],
    options: {
      refuses: ({ socket, headers }) => ('sockgate-resume' in headers && socket.localPort === busy ? 503 : undefined),
    },
  });
  const busy = peers[1]?.port;
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  peers[0]?.die();
  await until('a handshake with the last one', () => peers[2]?.sockets.size === 1);
  assert.equal(await client.ask('b'), 'three: b');
});

test('permessage-deflate is agreed on without context, so that the next peer can go on', async (t) => {
  const { peers, url } = await start(t, {
    options: { server: { noServer: true, perMessageDeflate: { threshold: 0 } } },
  });
  const client = await TalkingClient.to(t, url, { perMessageDeflate: { threshold: 0 } });
  const agreed = client.answer.headers['sec-websocket-extensions'] ?? '';
  assert.match(agreed, /server_no_context_takeover/);
  assert.match(agreed, /client_no_context_takeover/);
  const text = 'the same words again and again '.repeat(20);
  for (let i = 0; i < 3; i++) assert.equal(await client.ask(text), `one: ${text}`);
  peers[0]?.die();
  await until('the next handshake', () => peers[1]?.handshakes.length === 1);
  for (let i = 0; i < 3; i++) assert.equal(await client.ask(text), `two: ${text}`);
});

test('the first messages are sent again to the next peer', async (t) => {
  const { peers, url } = await start(t, { location: 'websocket_resume_replay 2;' });
  const client = await TalkingClient.to(t, url);
  for (const message of ['hello', 'login', 'other']) await client.ask(message);
  peers[0]?.die();
  await until('the next handshake', () => peers[1]?.handshakes.length === 1);
  client.socket.send('more');
  assert.deepEqual(
    [await client.next(), await client.next(), await client.next()],
    ['two: hello', 'two: login', 'two: more'],
  );
  assert.deepEqual(peers[1]?.messages, ['hello', 'login', 'more']);
});

test('a client whose first messages are too long to be kept goes with its peer', async (t) => {
  const { peers, url } = await start(t, { location: 'websocket_resume_replay 1 size=10;' });
  const client = await TalkingClient.to(t, url);
  await client.ask('much longer than that');
  peers[0]?.die();
  assert.equal((await client.closed).code, 1012);
});

test('a client that leaves while it has no peer is answered, and nobody is asked for it', async (t) => {
  const { peers, gateway, url } = await start(t, { names: ['one'], location: 'websocket_resume_timeout 60s;' });
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  peers[0]?.die();
  await until('the loss', () => gateway.lines().some((line) => line.includes('its client stays')));
  client.socket.close(4001, 'bye');
  assert.equal((await client.closed).code, 4001);
  assert.match(await logged(gateway), /^client close 4001 0 0 /);
});

test('a client that is cut off while it has no peer leaves nothing behind', async (t) => {
  const { peers, gateway, url } = await start(t, { names: ['one'], location: 'websocket_resume_timeout 60s;' });
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  peers[0]?.die();
  await until('the loss', () => gateway.lines().some((line) => line.includes('its client stays')));
  client.socket.terminate();
  assert.match(await logged(gateway), /^client (?:reset|end) (?:1012 )?-? ?0 0 /);
});

test('a peer that takes clients and loses them again is not fed for ever', async (t) => {
  const { peers, url } = await start(t, { names: ['one'] });
  const one = peers[0] as ResumePeer;
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  const losing = setInterval(() => {
    for (const socket of one.connections) socket.resetAndDestroy();
  }, 5);
  t.after(() => clearInterval(losing));
  assert.equal((await client.closed).code, 1012);
  assert.ok(one.handshakes.length <= 40, `${one.handshakes.length} handshakes`);
});

test('a client cannot say by itself that it has been resumed', async (t) => {
  const { peers, url } = await start(t);
  const client = await TalkingClient.to(t, url, { headers: { 'Sockgate-Resume': '7' } });
  await client.ask('a');
  assert.equal(peers[0]?.resumeOf(0), undefined);
});

const movable = (port: number, server: ResumePeer, location = ''): string => `
  events {}
  http {
    access_log off;
    upstream app { server 127.0.0.1:${server.port}; }
    server {
      listen 127.0.0.1:${port};
      location / { proxy_pass http://app; websocket_resume on; ${location} }
    }
  }`;

test('a reload that removes a server moves its clients, when it has said what it had to say', async (t) => {
  const [one, two] = [await ResumePeer.start(t, { name: 'one' }), await ResumePeer.start(t, { name: 'two' })];
  const port = await freePort();
  const sockgate = await startSockgate(t, { conf: movable(port, one) });
  const clients = await Promise.all(Array.from({ length: 5 }, () => TalkingClient.to(t, `ws://127.0.0.1:${port}/`)));
  for (const client of clients) assert.equal(await client.ask('a'), 'one: a');
  await sockgate.reload(movable(port, two));
  await until('all to be moved', () => two.sockets.size === clients.length);
  for (const client of clients) assert.equal(await client.ask('b'), 'two: b');
  assert.deepEqual(one.closes, [1001, 1001, 1001, 1001, 1001]);
});

test('what a client begins to say while its server is left reaches the next one whole, and once', async (t) => {
  const [one, two] = [await ResumePeer.start(t, { name: 'one' }), await ResumePeer.start(t, { name: 'two' })];
  const port = await freePort();
  const location = 'websocket_close_timeout 500ms; websocket_resume_replay 4;';
  const sockgate = await startSockgate(t, { conf: movable(port, one, location) });
  const client = await TalkingClient.to(t, `ws://127.0.0.1:${port}/`);
  await client.ask('a');
  const [connection] = one.connections;
  assert.ok(connection);
  // Its answer to the close frame never leaves.
  connection.cork();
  const asked = new Promise<void>((resolve) =>
    connection.on('data', (chunk: Buffer) => (chunk[0] === 0x88 ? resolve() : undefined)),
  );
  await sockgate.reload(movable(port, two, location));
  await asked;
  client.socket.send('b');
  client.socket.send('begin', { fin: false });
  await until('the next one', () => two.sockets.size === 1);
  client.socket.send('end', { fin: true });
  for (const message of ['two: a', 'two: b', 'two: beginend']) assert.equal(await client.next(), message);
  assert.equal(await client.ask('c'), 'two: c');
  assert.deepEqual(two.messages, ['a', 'b', 'beginend', 'c']);
});

test('QUIT asks a client to go that has no peer, and waits no longer for one', async (t) => {
  const one = await ResumePeer.start(t, { name: 'one' });
  const port = await freePort();
  const sockgate = await startSockgate(t, {
    conf: `
      events {}
      http {
        access_log off;
        server {
          listen 127.0.0.1:${port};
          location / { proxy_pass http://127.0.0.1:${one.port}; websocket_resume on; websocket_resume_timeout 1h; }
        }
      }`,
  });
  const client = await TalkingClient.to(t, `ws://127.0.0.1:${port}/`);
  await client.ask('a');
  one.die();
  await sockgate.logged(/its client stays/);
  const ended = sockgate.stop('SIGQUIT');
  assert.equal((await client.closed).code, 1012);
  assert.deepEqual(await ended, { code: 0, signal: null });
});

test('a reload that removes the location asks a client to go that has no peer', async (t) => {
  const one = await ResumePeer.start(t, { name: 'one' });
  const port = await freePort();
  const conf = (path: string) => `
    events {}
    http {
      access_log off;
      server {
        listen 127.0.0.1:${port};
        location ${path} { proxy_pass http://127.0.0.1:${one.port}; websocket_resume on; websocket_resume_timeout 1h; }
      }
    }`;
  const sockgate = await startSockgate(t, { conf: conf('/old') });
  const client = await TalkingClient.to(t, `ws://127.0.0.1:${port}/old`);
  await client.ask('a');
  one.die();
  await sockgate.logged(/its client stays/);
  await sockgate.reload(conf('/new'));
  assert.equal((await client.closed).code, 1012);
});

test('a peer that answers no ping is lost, and its client stays', async (t) => {
  const { peers, url } = await start(t, { location: 'proxy_read_timeout 400ms; websocket_ping 100ms;' });
  const [one, two] = peers as [ResumePeer, ResumePeer];
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  for (const socket of one.connections) socket.pause();
  await until('the next handshake', () => two.handshakes.length === 1);
  assert.equal(await client.ask('b'), 'two: b');
});

test('a client that sends without end while it has no peer is slowed, and loses nothing', async (t) => {
  const { peers, gateway, url } = await start(t, { names: ['one'], location: 'websocket_resume_timeout 60s;' });
  const one = peers[0] as ResumePeer;
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  one.die();
  await until('the loss', () => gateway.lines().some((line) => line.includes('its client stays')));
  const message = Buffer.alloc(256 * 1024, 'x');
  const count = 100;
  for (let i = 0; i < count; i++) client.socket.send(message);
  await until('the client to be held up', () => client.socket.bufferedAmount > 0);
  const again = await ResumePeer.start(t, { name: 'again', port: one.port });
  again.echoes = false;
  await until('all of them', () => again.messages.length === count);
  assert.ok(again.messages.every(({ length }) => length === message.length));
});

test('over TLS on both sides the client stays as well', async (t) => {
  const { key, cert } = await selfSignedCertificate();
  const tls = { key, cert };
  const one = await ResumePeer.start(t, { name: 'one', tls });
  const two = await ResumePeer.start(t, { name: 'two', tls });
  const gateway = await gatewayFromConfig({
    files: { 'cert.pem': cert, 'key.pem': key },
    http: `
      upstream app { server 127.0.0.1:${one.port}; server 127.0.0.1:${two.port}; }
      server {
        listen 127.0.0.1:8080 ssl;
        ssl_certificate cert.pem;
        ssl_certificate_key key.pem;
        location / { proxy_pass https://app; websocket_resume on; }
      }`,
  });
  t.after(() => gateway.stop());
  const client = await TalkingClient.to(t, `wss://127.0.0.1:${gateway.port()}/`, { rejectUnauthorized: false });
  assert.equal(await client.ask('a'), 'one: a');
  one.die();
  await until('the next one', () => two.sockets.size === 1);
  assert.equal(await client.ask('b'), 'two: b');
});

test('a server that a reload marks drain loses those that are bound to it by a cookie, too', async (t) => {
  const [one, two] = [await ResumePeer.start(t, { name: 'one' }), await ResumePeer.start(t, { name: 'two' })];
  const port = await freePort();
  const conf = (drain: string) => `
    events {}
    http {
      access_log off;
      upstream app { sticky cookie srv; server 127.0.0.1:${one.port} ${drain}; server 127.0.0.1:${two.port}; }
      server {
        listen 127.0.0.1:${port};
        location / { proxy_pass http://app; websocket_resume on; }
      }
    }`;
  const sockgate = await startSockgate(t, { conf: conf('') });
  const url = `ws://127.0.0.1:${port}/`;
  const first = await TalkingClient.to(t, url);
  assert.equal(await first.ask('a'), 'one: a');
  const bound = await TalkingClient.to(t, url, { headers: { Cookie: first.cookie('srv') } });
  assert.equal(await bound.ask('a'), 'one: a');
  await sockgate.reload(conf('drain'));
  await until('both to be moved', () => two.sockets.size === 2);
  assert.equal(await bound.ask('b'), 'two: b');
  assert.equal(await first.ask('b'), 'two: b');
});

test('a server that takes the connection and says nothing does not use up the time of the others', async (t) => {
  const silent = createServer((socket) => socket.on('error', () => {}).resume());
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const three = await ResumePeer.start(t, { name: 'three' });
  const { peers, gateway, url } = await start(t, {
    names: ['one'],
    location: 'websocket_resume_timeout 2s;',
    more: `server 127.0.0.1:${(silent.address() as AddressInfo).port}; server 127.0.0.1:${three.port};`,
  });
  const client = await TalkingClient.to(t, url);
  assert.equal(await client.ask('a'), 'one: a');
  peers[0]?.die();
  await until('the last one', () => three.sockets.size === 1);
  assert.equal(await client.ask('b'), 'three: b');
  assert.match(gateway.lines().join('\n'), /upstream took a client whose own was lost, after \d+ ms and 2 tries/);
});

test('a fault of ours while another server is chosen ends the client at once', async (t) => {
  const { peers, gateway, url } = await start(t, { location: 'websocket_resume_timeout 1h;' });
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  t.mock.method(Upstream.prototype, 'select', () => {
    throw new Error('the choice failed');
  });
  peers[0]?.die();
  assert.equal((await client.closed).code, 1012);
  assert.match(gateway.lines().join('\n'), /no other upstream for a client whose own was lost: the choice failed/);
});

test('a fault of ours when a peer is lost ends the client with it', async (t) => {
  const { peers, gateway, url } = await start(t);
  const client = await TalkingClient.to(t, url);
  await client.ask('a');
  t.mock.method(TunnelResumption.prototype, 'begin', () => {
    throw new Error('the loss failed');
  });
  peers[0]?.die();
  assert.equal((await client.closed).code, 1012);
  assert.match(await logged(gateway), /^peer reset 1012 0 0 /);
});

test('a client whose removed server dies before it was asked to leave it stays with the next one', async (t) => {
  const [one, two] = [await ResumePeer.start(t, { name: 'one' }), await ResumePeer.start(t, { name: 'two' })];
  const port = await freePort();
  const conf = (server: ResumePeer, more: string) => `
    events {}
    http {
      access_log off;
      websocket_drain_rate 5/s;
      upstream app { server 127.0.0.1:${server.port}; }
      server {
        listen 127.0.0.1:${port};
        location / { proxy_pass http://app; websocket_resume on; }
        ${more}
      }
    }`;
  const sockgate = await startSockgate(t, {
    conf: conf(one, `location /last { proxy_pass http://127.0.0.1:${two.port}; }`),
  });
  const clients = await Promise.all(Array.from({ length: 5 }, () => TalkingClient.to(t, `ws://127.0.0.1:${port}/`)));
  for (const client of clients) assert.equal(await client.ask('a'), 'one: a');
  // It spoke last, so it is asked last.
  const last = await TalkingClient.to(t, `ws://127.0.0.1:${port}/last`);
  await last.ask('a');
  await sockgate.reload(conf(two, ''));
  one.die();
  assert.equal((await last.closed).code, 1012);
  for (const client of clients) assert.equal(await client.ask('b'), 'two: b');
});

test('a server that a reload removes while it is asked does not get the client', async (t) => {
  const one = await ResumePeer.start(t, { name: 'one' });
  const two = await ResumePeer.start(t, { name: 'two' });
  const held: (() => void)[] = [];
  const slow = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (head) => {
      const key = /sec-websocket-key: (.*)\r/i.exec(String(head))?.[1] ?? '';
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      held.push(() =>
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
        ),
      );
    });
  });
  slow.listen(0, '127.0.0.1');
  await once(slow, 'listening');
  t.after(() => slow.close());
  const port = await freePort();
  const conf = (servers: string) => `
    events {}
    http {
      access_log off;
      upstream app { ${servers} }
      server {
        listen 127.0.0.1:${port};
        location / { proxy_pass http://app; websocket_resume on; websocket_resume_timeout 60s; }
      }
    }`;
  const sockgate = await startSockgate(t, {
    conf: conf(`server 127.0.0.1:${one.port}; server 127.0.0.1:${(slow.address() as AddressInfo).port};`),
  });
  const client = await TalkingClient.to(t, `ws://127.0.0.1:${port}/`);
  assert.equal(await client.ask('a'), 'one: a');
  one.die();
  await until('the handshake', () => held.length === 1);
  await sockgate.reload(conf(`server 127.0.0.1:${two.port};`));
  held[0]?.();
  await until('the next one', () => two.sockets.size === 1, 5000);
  assert.equal(await client.ask('b'), 'two: b');
});
