// Peers that do everything wrong: the client gets 502 or 504 in time, or is closed where its answer was cut; no connection is used twice.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { PASS_UPGRADE, ProbedGateway } from './probed-gateway.ts';
import { handshake } from './raw-client.ts';
import { type PeerConnection, type ScriptedPeer, scriptedPeer } from './scripted-peer.ts';

const TIMEOUTS = 'proxy_connect_timeout 300ms; proxy_read_timeout 300ms; proxy_send_timeout 300ms;';
const GOOD = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood';

/** A gateway before a peer that can be told how to behave: at `/bad`, at `/next` and `/any` with a good peer behind it, at `/ws`. */
interface Bench {
  readonly bad: ScriptedPeer;
  readonly good: ScriptedPeer;
  readonly gateway: ProbedGateway;
  behave: (connection: PeerConnection) => void;
}

async function makeBench(t: TestContext): Promise<Bench> {
  const bad = await scriptedPeer(t, (connection) => bench.behave(connection));
  const good = await scriptedPeer(t, (connection) => connection.answerEach(GOOD));
  const bench: Bench = { bad, good, gateway: await gatewayBefore(t, bad.address, good.address), behave: () => {} };
  return bench;
}

function gatewayBefore(t: TestContext, bad: string, good: string): Promise<ProbedGateway> {
  return ProbedGateway.start(t, {
    http: `
      upstream bad { server ${bad} max_fails=0; keepalive 8; }
      upstream both { server ${bad} max_fails=0; server ${good} backup; keepalive 8; }`,
    server: `
      ${TIMEOUTS} proxy_http_version 1.1;
      location = /bad { proxy_pass http://bad; proxy_set_header Connection ""; }
      location = /next { proxy_pass http://both; }
      location = /any { proxy_pass http://both; proxy_next_upstream error timeout invalid_header; }
      location = /ws { proxy_pass http://bad; ${PASS_UPGRADE} }`,
  });
}

interface Misbehaviour {
  readonly name: string;
  readonly behave: (connection: PeerConnection) => void;
  readonly status: 502 | 504;
  /** Which of nginx's conditions it is: `error` and `timeout` lead to the next peer by default. */
  readonly condition: 'error' | 'timeout' | 'invalid_header';
}

const answer = (text: string) => (connection: PeerConnection) =>
  connection.onRequest(() => connection.socket.end(text, 'latin1'));
const answerAndStay = (text: string) => (connection: PeerConnection) =>
  connection.onRequest(() => connection.socket.write(text, 'latin1'));

const MISBEHAVIOURS: readonly Misbehaviour[] = [
  { name: 'says nothing', behave: () => {}, status: 504, condition: 'timeout' },
  { name: 'closes without a word', behave: answer(''), status: 502, condition: 'error' },
  { name: 'closes within the status line', behave: answer('HTTP/1.1 20'), status: 502, condition: 'error' },
  { name: 'closes within the head', behave: answer('HTTP/1.1 200 OK\r\nContent-Le'), status: 502, condition: 'error' },
  { name: 'stops within the head', behave: answerAndStay('HTTP/1.1 200 OK\r\nA: '), status: 504, condition: 'timeout' },
  { name: 'resets at once', behave: ({ socket }) => socket.resetAndDestroy(), status: 502, condition: 'error' },
  {
    name: 'resets after the request',
    behave: (connection) => connection.onRequest(() => connection.socket.resetAndDestroy()),
    status: 502,
    condition: 'error',
  },
  { name: 'sends garbage', behave: answer('SSH-2.0-OpenSSH_9.2\r\n'), status: 502, condition: 'invalid_header' },
  { name: 'sends bytes of zero', behave: answer('\0'.repeat(1000)), status: 502, condition: 'invalid_header' },
  {
    name: 'sends a head of 100 kB',
    behave: answer(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`),
    status: 502,
    condition: 'invalid_header',
  },
  {
    name: 'sends a head without end',
    behave: answerAndStay(`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(20_000)}`),
    status: 502,
    condition: 'invalid_header',
  },
  {
    name: 'sends a field with a NUL',
    behave: answer('HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 0\r\n\r\n'),
    status: 502,
    condition: 'invalid_header',
  },
  {
    name: 'sends both Content-Length and Transfer-Encoding',
    behave: answer('HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n'),
    status: 502,
    condition: 'invalid_header',
  },
  {
    name: 'sends two lengths',
    behave: answer('HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nevil'),
    status: 502,
    condition: 'invalid_header',
  },
  {
    name: 'sends 1xx without end',
    behave: answerAndStay('HTTP/1.1 102 Processing\r\n\r\n'.repeat(10_000)),
    status: 502,
    condition: 'invalid_header',
  },
  {
    name: 'switches protocols unasked',
    behave: answerAndStay('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n'),
    status: 502,
    condition: 'invalid_header',
  },
];

test('a peer that misbehaves before its answer’s head is there', async (t) => {
  const bench = await makeBench(t);
  for (const misbehaviour of MISBEHAVIOURS) {
    const { name, status } = misbehaviour;
    await t.test(`a peer that ${name}: ${status}, and the next peer where nginx would ask it`, () =>
      answersInTime(bench, misbehaviour),
    );
  }
  for (const { socket } of bench.good.connections) socket.end();
  await bench.gateway.alive();
});

async function answersInTime(bench: Bench, wish: Misbehaviour): Promise<void> {
  const { gateway, good, bad } = bench;
  const { status, behave } = wish;
  const isTried = wish.condition !== 'invalid_header';
  const [goodBefore, badBefore] = [good.requests, bad.connections.length];
  bench.behave = behave;
  // In time: the client waits for less than the minute that the timeouts would be without being set.
  assert.equal(await statusOf(gateway, '/bad'), status);
  assert.equal(await statusOf(gateway, '/next'), isTried ? 200 : status);
  assert.equal(await statusOf(gateway, '/any'), 200);
  const upgraded = await gateway.sends(handshake('/ws'));
  await upgraded.head();
  assert.equal(upgraded.status, status);
  upgraded.socket.destroy();
  assert.equal(good.requests - goodBefore, isTried ? 2 : 1);
  assert.equal(bad.connections.length - badBefore, 4);
  await bad.allClosed();
}

/** Of a GET on a connection of its own. */
async function statusOf(gateway: ProbedGateway, path: string): Promise<number> {
  const client = await gateway.get(path);
  await client.head();
  client.socket.destroy();
  return client.status;
}

test('a peer that refuses connections: 502 at once, and the next peer', async (t) => {
  const good = await scriptedPeer(t, (connection) => connection.answerEach(GOOD));
  const gateway = await gatewayBefore(t, `127.0.0.1:${await freePort()}`, good.address);
  assert.equal(await statusOf(gateway, '/bad'), 502);
  assert.equal(await statusOf(gateway, '/next'), 200);
  assert.equal(await statusOf(gateway, '/any'), 200);
});

/** Answers that go wrong after their head has been passed on: the client can only be closed. */
const CUT: Readonly<Record<string, (connection: PeerConnection) => void>> = {
  'is shorter than its length': answer('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort'),
  'ends within a chunk': answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nshort'),
  'ends without the last chunk': answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n'),
  'has a bad chunk': answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nzz\r\n'),
  'is reset within its body': (connection) =>
    connection.onRequest(() =>
      connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort', () =>
        setImmediate(() => connection.socket.resetAndDestroy()),
      ),
    ),
  'stops within its body': answerAndStay('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort'),
};

test('an answer that goes wrong after its head was passed on', async (t) => {
  const bench = await makeBench(t);
  for (const [name, behave] of Object.entries(CUT)) {
    await t.test(`an answer that ${name} closes the client’s connection, and never looks complete`, async () => {
      bench.behave = behave;
      const client = await bench.gateway.get('/bad');
      await client.over();
      assert.ok(client.status === 200 || (client.status === 502 && name.includes('reset')));
      if (client.status === 200) assert.doesNotMatch(client.text, /\r\n0\r\n/);
      client.socket.destroy();
      await bench.bad.allClosed();
    });
  }
  await bench.gateway.alive();
});

test('connections to a peer that are kept', async (t) => {
  const bench = await makeBench(t);
  const { bad, gateway } = bench;

  await t.test('what comes behind an answer reaches nobody, and the connection is not used again', async () => {
    bench.behave = (connection) => connection.answerEach(`${GOOD}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`);
    for (let i = 0; i < 5; i++) assert.equal(await bodyOf(gateway), 'good');
    assert.equal(bad.connections.length, 5);
    await bad.allClosed();
  });

  await t.test('what comes between two answers closes the connection, and poisons no later answer', async () => {
    bench.behave = (connection) => connection.answerEach(GOOD);
    assert.equal(await bodyOf(gateway), 'good');
    bad.last.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison');
    await bad.allClosed();
    assert.equal(await bodyOf(gateway), 'good');
    bad.last.socket.end();
    await bad.allClosed();
  });

  await t.test('a connection that closes just as it is used is replaced by a new one', async () => {
    bench.behave = (connection) => {
      let asked = 0;
      connection.onData = () => {
        if (++asked === 1) connection.socket.write(GOOD);
        else connection.socket.destroy();
      };
    };
    const before = bad.connections.length;
    for (let i = 0; i < 4; i++) assert.equal(await bodyOf(gateway), 'good');
    assert.equal(bad.connections.length - before, 4);
    for (const { socket } of bad.connections) socket.destroy();
  });

  await gateway.alive();
});

async function bodyOf(gateway: ProbedGateway): Promise<string> {
  const client = await gateway.get('/bad');
  await client.until('the answer', () => client.body.length >= 4);
  client.socket.destroy();
  return client.body.toString();
}
