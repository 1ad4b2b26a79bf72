// RST at every stage, from either side: the other side is closed promptly, the rest goes on, nothing is left.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { until } from '../support/until.ts';
import { PASS_UPGRADE, ProbedGateway } from './probed-gateway.ts';
import { handshake, type RawClient } from './raw-client.ts';
import { type PeerConnection, type ScriptedPeer, scriptedPeer } from './scripted-peer.ts';

/** "Promptly", in ms: long before a timeout of a minute would do it. */
const PROMPT = 10_000;

interface Bench {
  readonly peer: ScriptedPeer;
  readonly gateway: ProbedGateway;
  behave: (connection: PeerConnection) => void;
}

async function makeBench(t: TestContext): Promise<Bench> {
  const peer = await scriptedPeer(t, (connection) => bench.behave(connection));
  const pass = `proxy_pass http://${peer.address}`;
  const gateway = await ProbedGateway.start(t, {
    server: `
      location /ws { ${pass}; ${PASS_UPGRADE} }
      location /streamed { ${pass}; proxy_request_buffering off; proxy_buffering off; client_max_body_size 0; }
      location /plain { ${pass}; client_max_body_size 0; }`,
  });
  const bench: Bench = { peer, gateway, behave: () => {} };
  return bench;
}

const POST = (path: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n${'b'.repeat(500)}`;
const HALF_ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf';
/** The beginning of a frame whose payload does not come. */
const HALF_FRAME = '\x82\x7e\x10\x00half';
const HALF_MASKED_FRAME = '\x82\xfe\x10\x00maskhalf';

const sends =
  (text: string) =>
  async ({ gateway }: Bench) =>
    gateway.sends(text);
const tunnel = async ({ gateway }: Bench) => (await gateway.client()).upgrade('/ws');
const silent = (): void => {};
const upgrades = (then: (connection: PeerConnection) => void) => (connection: PeerConnection) =>
  connection.onUpgrade(then);

/** What the client has done and what the peer does, when the client resets. `reached`: so much the peer has got before. */
const CLIENT_STAGES: readonly {
  readonly name: string;
  readonly open: (bench: Bench) => Promise<RawClient>;
  readonly behave?: (connection: PeerConnection) => void;
  readonly reached?: (peer: PeerConnection | undefined, client: RawClient) => boolean;
}[] = [
  { name: 'before it has sent anything', open: sends('') },
  { name: 'within the head of a request', open: sends('GET /plain HTTP/1.1\r\nHos') },
  {
    name: 'while its request is waiting for an answer',
    open: sends('GET /plain HTTP/1.1\r\nHost: x\r\n\r\n'),
    reached: (peer) => peer !== undefined && peer.heads > 0,
  },
  { name: 'within a body that is gathered', open: sends(POST('/plain')) },
  {
    name: 'within a body that is passed on',
    open: sends(POST('/streamed')),
    reached: (peer) => peer?.text.includes('bbb') === true,
  },
  {
    name: 'within the answer',
    open: sends('GET /streamed HTTP/1.1\r\nHost: x\r\n\r\n'),
    behave: (connection) => connection.onRequest(() => connection.socket.write(HALF_ANSWER)),
    reached: (_, client) => client.text.endsWith('half'),
  },
  {
    name: 'within the answer while more of it comes all the time',
    open: sends('GET /plain HTTP/1.1\r\nHost: x\r\n\r\n'),
    behave: (connection) =>
      connection.onRequest(() => {
        connection.socket.write('HTTP/1.1 200 OK\r\n\r\n');
        const more = setInterval(() => connection.socket.write('x'.repeat(100_000)), 1);
        connection.socket.once('close', () => clearInterval(more));
        connection.socket.once('end', () => connection.socket.destroy());
      }),
    reached: (_, client) => client.bytes > 1_000_000,
  },
  {
    name: 'before its handshake is answered',
    open: sends(handshake('/ws')),
    reached: (peer) => peer !== undefined && peer.heads > 0,
  },
  { name: 'right behind the 101', open: tunnel, behave: upgrades(silent) },
  {
    name: 'within a frame of its own',
    open: async (bench) => {
      const client = await tunnel(bench);
      client.send(HALF_MASKED_FRAME);
      return client;
    },
    behave: upgrades(silent),
    reached: (peer) => peer?.text.endsWith('maskhalf') === true,
  },
  {
    name: 'within a frame of the peer’s',
    open: tunnel,
    behave: upgrades((connection) => connection.socket.write(HALF_FRAME, 'latin1')),
    reached: (_, client) => client.text.endsWith('half'),
  },
];

test('a client that resets its connection', async (t) => {
  const bench = await makeBench(t);
  for (const { name, open, behave, reached } of CLIENT_STAGES) {
    await t.test(`${name}: the peer’s connection is closed promptly`, async () => {
      bench.behave = behave ?? silent;
      const before = bench.peer.connections.length;
      const client = await open(bench);
      await until('the stage', () => reached?.(bench.peer.connections[before], client) ?? true, PROMPT);
      client.socket.resetAndDestroy();
      await bench.peer.allClosed(PROMPT);
      for (const { socket } of bench.peer.connections) socket.destroy();
      await bench.gateway.alive();
    });
  }
});

const PEER_STAGES: readonly {
  readonly name: string;
  readonly path: string;
  readonly behave: (connection: PeerConnection) => void;
  readonly body?: string;
  /** The client's answer. */
  readonly status: number;
  /** What the client gets through the tunnel: frames in hexadecimal digits. */
  readonly frames?: string;
}[] = [
  { name: 'at once', path: '/plain', behave: ({ socket }) => socket.resetAndDestroy(), status: 502 },
  {
    name: 'behind the request',
    path: '/plain',
    behave: (connection) => connection.onRequest(() => connection.socket.resetAndDestroy()),
    status: 502,
  },
  {
    name: 'within the request’s body',
    path: '/streamed',
    body: 'b'.repeat(500),
    behave: (connection) => {
      connection.onData = () => {
        if (connection.text.includes('bbb')) connection.socket.resetAndDestroy();
      };
    },
    status: 502,
  },
  {
    name: 'within its answer',
    path: '/streamed',
    behave: (connection) =>
      connection.onRequest(() => {
        connection.socket.write(HALF_ANSWER);
        setTimeout(() => connection.socket.resetAndDestroy(), 20);
      }),
    status: 200,
  },
  {
    name: 'before the 101',
    path: '/ws',
    behave: (connection) => connection.onRequest(() => connection.socket.resetAndDestroy()),
    status: 502,
  },
  {
    name: 'behind the 101',
    path: '/ws',
    behave: upgrades(({ socket }) => void setTimeout(() => socket.resetAndDestroy(), 20)),
    status: 101,
    // A close frame with 1014, for a peer that is dead.
    frames: '880203f6',
  },
  {
    name: 'within a frame',
    path: '/ws',
    behave: upgrades(({ socket }) => {
      socket.write(HALF_FRAME, 'latin1');
      setTimeout(() => socket.resetAndDestroy(), 20);
    }),
    status: 101,
    // No close frame: it would be part of that one.
    frames: Buffer.from(HALF_FRAME, 'latin1').toString('hex'),
  },
];

test('a peer that resets its connection', async (t) => {
  const bench = await makeBench(t);
  for (const { name, path, behave, body, status, frames } of PEER_STAGES) {
    await t.test(
      `${name}: the client hears ${status}, and where that was said before, is closed promptly`,
      async () => {
        bench.behave = behave;
        const client = await bench.gateway.sends(path === '/ws' ? handshake(path) : requestOf(path, body));
        await client.head();
        assert.equal(client.status, status);
        if (status !== 502) await client.over(PROMPT);
        if (frames !== undefined) assert.equal(client.body.toString('hex'), frames);
        client.socket.destroy();
        await bench.gateway.alive();
      },
    );
  }
});

function requestOf(path: string, body: string | undefined): string {
  if (body === undefined) return `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
  return `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length * 2}\r\n\r\n${body}`;
}

test('five hundred clients that reset their tunnels at once leave nothing', async (t) => {
  const bench = await makeBench(t);
  bench.behave = upgrades(silent);
  const clients: RawClient[] = [];
  for (let i = 0; i < 10; i++) clients.push(...(await Promise.all(Array.from({ length: 50 }, () => tunnel(bench)))));
  for (const { socket } of clients) socket.resetAndDestroy();
  await bench.peer.allClosed(PROMPT);
  for (const { socket } of bench.peer.connections) socket.destroy();
  await bench.gateway.alive();
});

test('a thousand clients that leave within their requests leave no connection to the peer', async (t) => {
  const bench = await makeBench(t);
  for (let i = 0; i < 20; i++) {
    const wave = await Promise.all(
      Array.from({ length: 50 }, () => bench.gateway.sends('GET /plain HTTP/1.1\r\nHost: x\r\n\r\n')),
    );
    await until('all requests of a wave', () => bench.peer.requests >= 50 * (i + 1));
    for (const [index, { socket }] of wave.entries()) {
      if (index % 2 === 0) socket.resetAndDestroy();
      else socket.end();
    }
    await bench.peer.allClosed(PROMPT);
  }
  for (const { socket } of bench.peer.connections) socket.destroy();
  await bench.gateway.alive();
  const lines = bench.gateway.sockgate.read('logs/access.log').split('\n');
  assert.equal(lines.filter((line) => line.includes('"GET /plain HTTP/1.1" 499 ')).length, 1000);
});
