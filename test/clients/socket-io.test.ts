// Socket.IO over three servers with `sticky route`: polling that upgrades, polling alone, WebSocket alone; its sessions live in one
// server each. And one server that is reached in all four ways of TLS.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Server } from 'socket.io';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { type Certificate, selfSignedCertificate } from '../support/certificates.ts';
import { startFourWays } from './four-ways.ts';
import { PASS_UPGRADE, type StartedGateway, startGateway } from './start-gateway.ts';

/** Clients at a time: each comes from an address of its own, so that they are spread. */
const CLIENTS = 16;

interface ChatServer {
  readonly name: string;
  readonly port: number;
  /** The transports of the sessions that it has had, as they were at the end of the talk. */
  readonly transports: string[];
  /** What it was asked for with a session that it never had: the sign of a client that was led astray. */
  strays: number;
}

async function startChatServer(t: TestContext, name: string, certificate?: Certificate): Promise<ChatServer> {
  const server = certificate === undefined ? createServer() : createTlsServer(certificate);
  const sockets = new Server(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => sockets.close());
  const chat: ChatServer = { name, port: (server.address() as AddressInfo).port, transports: [], strays: 0 };
  // A client that closes may have a request under way for a session that has ended by then: that was led right.
  const own = new Set<string | undefined>();
  sockets.engine.on('connection', ({ id }: { id: string }) => own.add(id));
  sockets.engine.on('connection_error', ({ context }: { context?: { sid?: string } }) => {
    if (!own.has(context?.sid)) chat.strays++;
  });
  sockets.on('connection', (socket) => {
    socket.on('say', (words: string, bytes: Uint8Array, heard: (...answer: unknown[]) => void) => {
      chat.transports.push(socket.conn.transport.name);
      heard(name, words.toUpperCase(), bytes);
    });
    socket.on('talk', (count: number) => {
      for (let number = 0; number < count; number++) socket.emit('part', number);
    });
  });
  return chat;
}

type ClientWish = Partial<ManagerOptions & SocketOptions>;

/** @param number which client: it comes from 127.0.1.NUMBER */
function startClient(t: TestContext, gateway: StartedGateway, number: number, wish: ClientWish): Socket {
  const localAddress = `127.0.1.${number + 1}`;
  const agent = new Agent({ keepAlive: true, localAddress } as ConstructorParameters<typeof Agent>[0]);
  const client = io(gateway.url('http', '/'), {
    forceNew: true,
    reconnection: false,
    withCredentials: true,
    agent: agent as unknown as string,
    ...wish,
  });
  t.after(() => {
    client.close();
    agent.destroy();
  });
  return client;
}

/** Connects, upgrades where it may, and talks. @returns the name of its server */
async function talk(client: Socket, upgrades: boolean): Promise<string> {
  const { engine } = client.io;
  const upgraded = upgrades ? once(engine as unknown as EventTarget, 'upgrade') : undefined;
  await new Promise<void>((resolve, reject) => {
    client.once('connect', resolve);
    client.once('connect_error', reject);
  });
  await upgraded;
  const bytes = Buffer.from([0, 1, 255]);
  const [name, words, same] = await new Promise<[string, string, Buffer]>((resolve) => {
    client.emit('say', 'grüße', bytes, (...answer: [string, string, Buffer]) => resolve(answer));
  });
  assert.equal(words, 'GRÜSSE');
  assert.deepEqual(Buffer.from(same), bytes);
  const parts: number[] = [];
  const all = new Promise<void>((resolve) => {
    client.on('part', (number: number) => parts.push(number) === 50 && resolve());
  });
  client.emit('talk', 50);
  await all;
  assert.deepEqual(parts, [...Array(50).keys()]);
  return name;
}

test('Socket.IO over three servers', async (t) => {
  const servers = await Promise.all(['a', 'b', 'c'].map((name) => startChatServer(t, name)));
  const gateway = await startGateway(t, {
    http: `upstream chat { ${servers.map(({ port }) => `server 127.0.0.1:${port};`).join(' ')} sticky route; }`,
    server: `location / { proxy_pass http://chat; ${PASS_UPGRADE} }`,
    workers: 2,
  });

  const kinds: Readonly<Record<string, { wish: ClientWish; upgrades: boolean; ends: string }>> = {
    'polling, then upgraded': { wish: {}, upgrades: true, ends: 'websocket' },
    'polling only': { wish: { transports: ['polling'] }, upgrades: false, ends: 'polling' },
    'WebSocket only': { wish: { transports: ['websocket'] }, upgrades: false, ends: 'websocket' },
    'polling without cookies': { wish: { withCredentials: false }, upgrades: true, ends: 'websocket' },
  };
  for (const [name, { wish, upgrades, ends }] of Object.entries(kinds)) {
    await t.test(name, async (t) => {
      for (const server of servers) server.transports.length = 0;
      const clients = Array.from({ length: CLIENTS }, (_, number) => startClient(t, gateway, number, wish));
      const names = await Promise.all(clients.map((client) => talk(client, upgrades)));
      assert.deepEqual(
        servers.map(({ strays }) => strays),
        [0, 0, 0],
      );
      assert.deepEqual(new Set(servers.flatMap(({ transports }) => transports)), new Set([ends]));
      assert.ok(new Set(names).size > 1, `all ${CLIENTS} clients are at ${names[0]}`);
    });
  }
});

test('Socket.IO, polling that upgrades', async (t) => {
  const plain = await startChatServer(t, 'plain');
  const tls = await startChatServer(t, 'tls', await selfSignedCertificate());
  const { gateway, ways } = await startFourWays(t, { plain: plain.port, tls: tls.port });
  for (const way of ways) {
    await t.test(way.name, async (t) => {
      const server = way.isTlsToPeer ? tls : plain;
      server.transports.length = 0;
      const options = { forceNew: true, reconnection: false, path: `${way.prefix}/socket.io/`, ca: gateway.ca };
      const client = io(way.url('/', 'http').replace(way.prefix, ''), options);
      t.after(() => client.close());
      assert.equal(await talk(client, true), server.name);
      assert.deepEqual([server.transports, server.strays], [['websocket'], 0]);
    });
  }
});
