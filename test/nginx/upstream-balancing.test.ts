// Balancing and stickiness with WebSockets, several workers and reloads: what one worker does, the others know.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { freePort } from '../support/free-port.ts';
import { type Sockgate, startSockgate } from '../support/start-sockgate.ts';
import { until } from '../support/until.ts';

const WORKERS = 3;

/** A peer that says who it is as soon as somebody is there, and hands out a session where it is asked to. */
async function startPeer(t: TestContext, name: string): Promise<string> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  server.on('headers', (headers, { url }) => {
    const session = new URL(url ?? '/', 'http://peer').searchParams.get('session');
    if (session !== null) headers.push(`Set-Cookie: sid=${session}; Path=/`);
  });
  server.on('connection', (socket) => socket.send(name));
  t.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Group {
  readonly gateway: Sockgate;
  readonly conf: string;
  readonly port: number;
}

/** A gateway before three peers, `a`, `b`, `c`. @param upstream what stands in the group, with their names for their addresses */
async function startGroup(t: TestContext, upstream: string): Promise<Group> {
  const addresses = new Map<string, string>();
  for (const name of ['a', 'b', 'c']) addresses.set(name, await startPeer(t, name));
  const port = await freePort();
  const conf = `
    worker_processes ${WORKERS};
    events {}
    http {
        access_log off;
        upstream group { ${upstream.replace(/\bPEER_([abc])\b/g, (_, name: string) => addresses.get(name) ?? '')} }
        server {
            listen 127.0.0.1:${port};
            location / {
                proxy_pass http://group;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection upgrade;
            }
        }
    }`;
  return { gateway: await startSockgate(t, { conf }), conf, port };
}

interface Tunnel {
  readonly socket: WebSocket;
  /** Who is at the other end; a status where there is no tunnel. */
  readonly peer: string;
  /** What the 101 set. */
  readonly cookies: readonly string[];
}

async function open(t: TestContext, { port }: Group, path = '/', cookie = ''): Promise<Tunnel> {
  const headers = cookie === '' ? {} : { Cookie: cookie };
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
  t.after(() => socket.terminate());
  let cookies: readonly string[] = [];
  socket.on('upgrade', (response) => {
    cookies = response.headers['set-cookie'] ?? [];
  });
  return new Promise((resolve, reject) => {
    socket.once('message', (data) => resolve({ socket, peer: String(data), cookies }));
    socket.once('unexpected-response', (_, { statusCode }) => resolve({ socket, peer: `${statusCode}`, cookies }));
    socket.once('error', reject);
  });
}

async function openSeveral(t: TestContext, group: Group, count: number, path = '/', cookie = ''): Promise<Tunnel[]> {
  const tunnels: Tunnel[] = [];
  for (let i = 0; i < count; i++) tunnels.push(await open(t, group, path, cookie));
  return tunnels;
}

const peersOf = (tunnels: readonly Tunnel[]): string => tunnels.map(({ peer }) => peer).join('');
const sorted = (text: string): string => [...text].sort().join('');

async function close({ socket }: Tunnel): Promise<void> {
  socket.close();
  await once(socket, 'close');
}

test('sticky cookie: a 101 sets the cookie, which leads back through any worker and after a reload', async (t) => {
  const group = await startGroup(
    t,
    'server PEER_a route=a; server PEER_b route=b; server PEER_c; sticky cookie srv path=/ httponly;',
  );
  const tunnels = await openSeveral(t, group, 2);
  assert.equal(peersOf(tunnels), 'ab');
  assert.deepEqual(tunnels[1]?.cookies, ['srv=b; httponly; path=/']);
  assert.equal(peersOf(await openSeveral(t, group, 6, '/', 'srv=b')), 'bbbbbb');
  await group.gateway.reload(group.conf, WORKERS);
  const again = await openSeveral(t, group, 6, '/', 'srv=b');
  assert.equal(peersOf(again), 'bbbbbb');
  assert.deepEqual(again[5]?.cookies, ['srv=b; httponly; path=/']);
});

test('sticky learn: what a 101 sets is learned at once, by all workers, and outlives a reload', async (t) => {
  const group = await startGroup(
    t,
    `server PEER_a; server PEER_b; server PEER_c;
     sticky learn create=$upstream_cookie_sid lookup=$cookie_sid zone=sessions:64k;`,
  );
  const [first, second] = [await open(t, group), await open(t, group, '/?session=mine')];
  assert.equal(first.peer + second.peer, 'ab');
  assert.equal(peersOf(await openSeveral(t, group, 6, '/', 'sid=mine')), 'bbbbbb', 'while the tunnel is still open');
  await group.gateway.reload(group.conf, WORKERS);
  assert.equal(peersOf(await openSeveral(t, group, 6, '/', 'sid=mine')), 'bbbbbb');
  assert.notEqual(peersOf(await openSeveral(t, group, 3, '/', 'sid=another')), 'bbb');
});

test('sticky above the method stays in force', async (t) => {
  const group = await startGroup(
    t,
    'sticky route $arg_route; least_conn; server PEER_a route=a; server PEER_b route=b; server PEER_c route=c;',
  );
  assert.equal(peersOf(await openSeveral(t, group, 5, '/?route=c')), 'ccccc');
  assert.equal(sorted(peersOf(await openSeveral(t, group, 4))), 'aabb', 'and the method too');
});

test('least_conn counts the tunnels of all workers until they end', async (t) => {
  const group = await startGroup(t, 'least_conn; server PEER_a; server PEER_b weight=2; server PEER_c;');
  const tunnels = await openSeveral(t, group, 12);
  assert.equal(sorted(peersOf(tunnels)), 'aaabbbbbbccc');
  const left = tunnels.filter(({ peer }) => peer === 'c');
  for (const tunnel of left) await close(tunnel);
  const next = await openSeveral(t, group, 3);
  assert.equal(peersOf(next), 'ccc');
});

test('max_conns holds over all workers and reloads, for those that are bound as well', async (t) => {
  const group = await startGroup(
    t,
    `server PEER_a max_conns=3 route=a; server PEER_b max_conns=2 route=b; server PEER_c down;
     sticky route $arg_route;`,
  );
  const asked = await Promise.all(Array.from({ length: 12 }, () => open(t, group)));
  assert.equal(sorted(peersOf(asked.filter(({ peer }) => peer !== '502'))), 'aaabb');
  assert.equal(asked.filter(({ peer }) => peer === '502').length, 7);
  const mine = asked.find(({ peer }) => peer === 'a') as Tunnel;
  await close(mine);
  await until('one place of a', async () => (await open(t, group, '/?route=b')).peer === 'a');
  await group.gateway.reload(group.conf, WORKERS);
  assert.equal(peersOf(await openSeveral(t, group, 4, '/?route=a')), '502'.repeat(4));
});
