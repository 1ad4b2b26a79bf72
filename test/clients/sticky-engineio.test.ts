// Socket.IO with its default transports over four servers and two workers, without a cookie: `sticky engineio`.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import type { ServerOptions } from 'socket.io';
import { Fetch, io, type ManagerOptions, NodeWebSocket, type Socket, type SocketOptions } from 'socket.io-client';
import { WebSocket } from 'ws';
import { SocketIoServer } from './socket-io-server.ts';
import { PASS_UPGRADE, type StartedGateway, startGateway } from './start-gateway.ts';

const CLIENTS = 24;
const SERVERS = ['a', 'b', 'c', 'd'];
const WORKERS = 2;
/** ms after which a server answers a poll in any case. */
const LONGEST_POLL = 1000;

type ClientWish = Partial<ManagerOptions & SocketOptions>;

/** Four servers behind two workers; all clients have the same address. */
class Group {
  readonly servers: readonly SocketIoServer[];
  readonly gateway: StartedGateway;

  private constructor(servers: readonly SocketIoServer[], gateway: StartedGateway) {
    this.servers = servers;
    this.gateway = gateway;
  }

  static async start(t: TestContext, sticky: string, wish: Partial<ServerOptions> = {}): Promise<Group> {
    const options = { pingInterval: LONGEST_POLL, allowEIO3: true, ...wish };
    const servers = await Promise.all(SERVERS.map((name) => SocketIoServer.start(t, name, options)));
    const gateway = await startGateway(t, {
      http: `upstream chat { ${servers.map(({ port }) => `server 127.0.0.1:${port};`).join(' ')} ${sticky} }`,
      server: `location / { proxy_pass http://chat; ${PASS_UPGRADE} }`,
      workers: WORKERS,
    });
    return new Group(servers, gateway);
  }

  get strays(): number {
    return this.servers.reduce((sum, { strays }) => sum + strays, 0);
  }

  /** Each of its requests comes on a connection of its own, so that any worker may get it. */
  client(t: TestContext, wish: ClientWish, scheme = 'http'): Socket {
    const { ca } = this.gateway;
    const agent = scheme === 'https' ? new TlsAgent({ keepAlive: false, ca }) : new Agent({ keepAlive: false });
    const client = io(this.gateway.url(scheme, '/'), {
      forceNew: true,
      reconnection: false,
      timeout: 60_000,
      agent: agent as unknown as string,
      ca,
      ...wish,
    });
    t.after(() => {
      client.close();
      agent.destroy();
    });
    return client;
  }

  /** The same configuration once more; until the one before has gone. */
  async reload(): Promise<void> {
    const { sockgate } = this.gateway;
    const before = sockgate.count(/exited with code 0/g);
    sockgate.signal('SIGHUP');
    await sockgate.logged(/exited with code 0/g, before + WORKERS);
  }
}

async function connected(client: Socket): Promise<void> {
  if (client.connected) return;
  await new Promise<void>((resolve, reject) => {
    client.once('connect', resolve);
    client.once('connect_error', reject);
  });
}

/** Until the transport is another one than at first. */
async function upgraded(client: Socket): Promise<void> {
  const { engine } = client.io;
  if (engine.transport.name === 'websocket') return;
  await new Promise<void>((resolve, reject) => {
    engine.once('upgrade', () => resolve());
    engine.once('close', (reason) => reject(new Error(`closed before it was upgraded: ${reason}`)));
  });
}

/** @returns the name of its server */
async function talk(client: Socket): Promise<string> {
  const bytes = Buffer.from([0, 1, 255]);
  const [name, words, same] = await new Promise<[string, string, Buffer]>((resolve, reject) => {
    client.once('disconnect', (reason) => reject(new Error(`disconnected: ${reason}`)));
    client.emit('say', 'grüße', bytes, (...answer: [string, string, Buffer]) => resolve(answer));
  });
  assert.equal(words, 'GRÜSSE');
  assert.deepEqual(Buffer.from(same), bytes);
  return name;
}

async function connectAndTalk(client: Socket, upgrades: boolean): Promise<string> {
  await connected(client);
  const before = await talk(client);
  if (upgrades) await upgraded(client);
  assert.equal(await talk(client), before);
  return before;
}

interface Kind {
  readonly wish: ClientWish;
  readonly upgrades: boolean;
  readonly scheme?: string;
}

/** All of them find their servers, and the servers have them evenly. */
async function serve(t: TestContext, group: Group, { wish, upgrades, scheme }: Kind): Promise<Socket[]> {
  const clients = Array.from({ length: CLIENTS }, () => group.client(t, wish, scheme));
  const names = await Promise.all(clients.map((client) => connectAndTalk(client, upgrades)));
  assert.equal(group.strays, 0);
  assert.deepEqual(new Set(names), new Set(SERVERS));
  return clients;
}

const UPGRADING: Kind = { wish: {}, upgrades: true };
const POLLING: Kind = { wish: { transports: ['polling'] }, upgrades: false };
const KINDS: Readonly<Record<string, Kind>> = {
  'default transports': UPGRADING,
  'default transports over TLS': { ...UPGRADING, scheme: 'https' },
  'polling only': POLLING,
  'WebSocket only': { wish: { transports: ['websocket'] }, upgrades: false },
  'fetch, which takes what is compressed, then upgraded': {
    wish: { transports: [Fetch, NodeWebSocket] },
    upgrades: true,
  },
};

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A request with a connection of its own: a GET, or a POST where there is something to send. */
async function ask(group: Group, query: string, body?: string): Promise<Answer> {
  const asking = request(group.gateway.url('http', `/socket.io/?${query}`), {
    agent: false,
    method: body === undefined ? 'GET' : 'POST',
  });
  asking.end(body);
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, text: await text(answer) };
}

interface Handshake {
  readonly query: string;
  readonly answer: RegExp;
  /** What ends the session. */
  readonly close: string;
}

/** Version 3 puts lengths before its packets. */
const HANDSHAKES: Readonly<Record<string, Handshake>> = {
  'polling of version 4': {
    query: 'EIO=4&transport=polling',
    answer: /^0\{"sid":"([\w-]+)"/,
    close: '1',
  },
  'polling of version 3': {
    query: 'EIO=3&transport=polling',
    answer: /^\d+:0\{"sid":"([\w-]+)"/,
    close: '1:1',
  },
  'JSONP of version 4': {
    query: 'EIO=4&transport=polling&j=0',
    answer: /^___eio\[0\]\("0\{\\"sid\\":\\"([\w-]+)\\"/,
    close: 'd=1',
  },
  'JSONP of version 3': {
    query: 'EIO=3&transport=polling&j=7',
    answer: /^___eio\[7\]\("\d+:0\{\\"sid\\":\\"([\w-]+)\\"/,
    close: 'd=1%3A1',
  },
};

async function beginAndEnd(group: Group, { query, answer, close }: Handshake): Promise<void> {
  for (let i = 0; i < 2 * SERVERS.length; i++) {
    const handshake = await ask(group, query);
    const sid = answer.exec(handshake.text)?.[1];
    assert.ok(sid !== undefined, handshake.text);
    const closed = await ask(group, `${query}&sid=${sid}`, close);
    assert.equal(closed.status, 200, closed.text);
  }
}

/** A session that is a WebSocket cannot be polled, and only its own server can know that: all others know nothing of it. */
const LED_RIGHT = 3;

async function pollWebSocket(t: TestContext, group: Group): Promise<void> {
  for (let i = 0; i < 2 * SERVERS.length; i++) {
    const socket = new WebSocket(group.gateway.url('ws', '/socket.io/?EIO=4&transport=websocket'));
    t.after(() => socket.terminate());
    const [open] = (await once(socket, 'message')) as [Buffer];
    const { sid } = JSON.parse(open.toString().slice(1)) as { sid: string };
    const polled = await ask(group, `EIO=4&transport=polling&sid=${sid}`);
    assert.equal((JSON.parse(polled.text) as { code: number }).code, LED_RIGHT);
  }
}

const GROUPS: Readonly<Record<string, { sticky: string; options: Partial<ServerOptions> }>> = {
  'clients keep their server': { sticky: 'sticky engineio;', options: {} },
  'clients keep their server where all that it says is compressed': {
    sticky: 'least_conn; sticky engineio zone=sessions:1m timeout=5m;',
    options: { httpCompression: { threshold: 0 }, perMessageDeflate: { threshold: 0 } },
  },
};

for (const [name, { sticky, options }] of Object.entries(GROUPS))
  test(name, async (t) => {
    const group = await Group.start(t, sticky, options);
    for (const [name, kind] of Object.entries(KINDS))
      await t.test(name, async (t) => {
        await serve(t, group, kind);
      });
    for (const [name, handshake] of Object.entries(HANDSHAKES))
      await t.test(`${name}, by hand`, () => beginAndEnd(group, handshake));
    await t.test('a session that was begun as a WebSocket, and is polled', (t) => pollWebSocket(t, group));
    await t.test('the configuration is loaded anew between two requests', async (t) => {
      const clients = await serve(t, group, POLLING);
      const before = await Promise.all(clients.map(talk));
      await group.reload();
      assert.deepEqual(await Promise.all(clients.map(talk)), before);
      assert.equal(group.strays, 0);
    });
  });

test('without it, clients are led astray', async (t) => {
  const group = await Group.start(t, '');
  const clients = Array.from({ length: CLIENTS }, () => group.client(t, {}));
  const ends = await Promise.allSettled(clients.map((client) => connectAndTalk(client, true)));
  assert.ok(ends.some(({ status }) => status === 'rejected'));
  assert.ok(group.strays > 0);
});

test('when a server dies, its clients find another one, and nobody else is disturbed', async (t) => {
  const group = await Group.start(t, 'sticky engineio;');
  const wish = { reconnection: true, reconnectionDelay: 1, reconnectionDelayMax: 50 };
  const clients = [
    ...(await serve(t, group, { wish, upgrades: true })),
    ...(await serve(t, group, { wish: { ...wish, transports: ['polling'] }, upgrades: false })),
  ];
  const places = await Promise.all(clients.map(talk));
  const [dead] = group.servers as readonly [SocketIoServer];
  const orphans = clients.filter((_, index) => places[index] === dead.name);
  const back = orphans.map((client) => new Promise((resolve) => client.once('disconnect', resolve)));
  dead.die();
  await Promise.all(back);
  await Promise.all(
    orphans.map((client) => client.connected || new Promise<void>((resolve) => client.once('connect', resolve))),
  );
  const after = await Promise.all(clients.map(talk));
  for (const [index, name] of after.entries()) {
    if (places[index] === dead.name) assert.notEqual(name, dead.name);
    else assert.equal(name, places[index]);
  }
});
