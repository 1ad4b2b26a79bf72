// QUIT and WebSockets: they are asked to go at a pace, those first that have been silent longest, and nothing that was said is lost.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import { WsPeer, type WsPeerWish } from '../clients/ws-peer.ts';
import { freePort } from '../support/free-port.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { until } from '../support/until.ts';

interface Wish {
  readonly main?: string;
  readonly http?: string;
  readonly location?: string;
  readonly peer?: WsPeerWish;
}

async function start(t: TestContext, { main = '', http = '', location = '', peer: wish = {} }: Wish) {
  const peer = await WsPeer.start(t, wish);
  const port = await freePort();
  const sockgate = await startSockgate(t, {
    conf: `
      ${main}
      events {}
      http {
          log_format ends '$websocket_close_by|$websocket_close_cause';
          access_log logs/ends.log ends;
          ${http}
          server {
              listen 127.0.0.1:${port};
              location / { proxy_pass http://127.0.0.1:${peer.port}; ${location} }
          }
      }`,
  });
  const connect = (): Promise<TalkingClient> => TalkingClient.to(t, `ws://127.0.0.1:${port}/`);
  const causes = (): Set<string> => new Set(sockgate.read('logs/ends.log').trim().split('\n'));
  return { peer, port, sockgate, connect, causes };
}

/** How long this process has been held up at the longest since now, in ms. */
function longestHold(t: TestContext): () => number {
  let [last, longest] = [performance.now(), 0];
  const look = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 10);
  t.after(() => clearInterval(look));
  return () => longest;
}

/** When each of them was closed, in the order of `clients`, in ms. */
function closingTimes(clients: readonly TalkingClient[]): Promise<number[]> {
  return Promise.all(clients.map(({ closed }) => closed.then(() => performance.now())));
}

/** The most of these times that lie within any one second. */
function mostInASecond(times: readonly number[]): number {
  const sorted = [...times].sort((one, other) => one - other);
  return Math.max(...sorted.map((first, i) => sorted.slice(i).filter((time) => time < first + 1000).length));
}

async function several(count: number, connect: () => Promise<TalkingClient>): Promise<TalkingClient[]> {
  const clients: TalkingClient[] = [];
  for (let i = 0; i < count; i++) clients.push(await connect());
  return clients;
}

for (const workers of [1, 2]) {
  test(`${workers === 1 ? 'one worker' : 'two workers'}: clients get 1012, peers 1001, at the rate of websocket_drain_rate`, async (t) => {
    const atPeer: number[] = [];
    const { peer, sockgate, connect, causes } = await start(t, {
      main: `worker_processes ${workers};`,
      http: 'websocket_drain_rate 40/s;',
    });
    const accepted = Array.from({ length: 100 }, () =>
      peer.accepted().then((socket) => socket.on('close', (code) => atPeer.push(code))),
    );
    const clients = await several(100, connect);
    await Promise.all(accepted);
    const times = closingTimes(clients);
    const held = longestHold(t);
    const began = performance.now();
    const { code } = await sockgate.stop('SIGQUIT');
    assert.equal(code, 0);
    const all = await times;
    assert.deepEqual(
      new Set(await Promise.all(clients.map(async ({ closed }) => (await closed).code))),
      new Set([1012]),
    );
    await until('the peer to hear of all', () => atPeer.length === 100);
    assert.deepEqual(new Set(atPeer), new Set([1001]));
    assert.deepEqual(causes(), new Set(['gateway|drain']));
    // What comes while this process itself is held up, it sees all at once.
    const most = 80 + 40 * (held() / 1000);
    assert.ok(mostInASecond(all) <= most, `${mostInASecond(all)} in a second, and not ${most}`);
    assert.ok(Math.max(...all) - began > 1500, 'they go one after the other');
  });
}

test('those that have been silent longest go first', async (t) => {
  const { sockgate, connect } = await start(t, { http: 'websocket_drain_rate 10/s;' });
  const clients = await several(12, connect);
  await wait(20);
  const spoke = [1, 3, 7];
  for (const i of spoke) await clients[i]?.ask('hello');
  const times = closingTimes(clients);
  await sockgate.stop('SIGQUIT');
  const order = (await times).map((time, i) => ({ time, i })).sort((one, other) => one.time - other.time);
  const firstHalf = order.slice(0, 6).map(({ i }) => i);
  assert.deepEqual(
    spoke.filter((i) => firstHalf.includes(i)),
    [],
  );
});

test('the rate is raised where worker_shutdown_timeout would not suffice', async (t) => {
  const { sockgate, connect, causes } = await start(t, {
    main: 'worker_shutdown_timeout 4s;',
    http: 'websocket_drain_rate 1/s;',
  });
  const clients = await several(60, connect);
  const times = closingTimes(clients);
  const began = performance.now();
  await sockgate.stop('SIGQUIT');
  const all = await times;
  assert.deepEqual(causes(), new Set(['gateway|drain']));
  for (const { closed } of clients) assert.equal((await closed).code, 1012);
  assert.ok(Math.max(...all) - Math.min(...all) > 1000, 'not all at once');
  assert.ok(Math.min(...all) - began < 1000, 'it begins at once');
});

test('websocket_drain_code says what the close frame says', async (t) => {
  const { sockgate, connect } = await start(t, { location: 'websocket_drain_code 4100;' });
  const client = await connect();
  await sockgate.stop('SIGQUIT');
  assert.equal((await client.closed).code, 4100);
});

test('of a stream of numbered messages none is lost before the close frame, in either direction', async (t) => {
  const heard: string[] = [];
  let toldClose = false;
  const onText = (_: WebSocket, text: string): boolean => {
    assert.equal(toldClose, false);
    heard.push(text);
    return true;
  };
  const { peer, sockgate, connect } = await start(t, { http: 'websocket_drain_rate 5/s;', peer: { onText } });
  const accepted = peer.accepted();
  const { socket, closed } = await connect();
  const atPeer = await accepted;
  const got: string[] = [];
  socket.on('message', (data) => got.push(String(data)));
  let [fromClient, fromPeer] = [0, 0];
  const peerClosed = new Promise<number>((resolve) => atPeer.once('close', resolve)).then((code) => {
    toldClose = true;
    return code;
  });
  const talk = setInterval(() => {
    for (let i = 0; i < 20; i++) {
      if (socket.readyState === socket.OPEN) socket.send(String(fromClient++).padEnd(2000, '.'));
      if (atPeer.readyState === atPeer.OPEN) atPeer.send(String(fromPeer++).padEnd(2000, '.'));
    }
  }, 1);
  t.after(() => clearInterval(talk));
  await until('a talk', () => heard.length > 100 && got.length > 100);
  await sockgate.stop('SIGQUIT');
  clearInterval(talk);
  assert.equal((await closed).code, 1012);
  assert.equal(await peerClosed, 1001);
  // All that the client had said before it answered has come; what came to it is the beginning of what was said, without a gap.
  assert.deepEqual(
    heard.map(Number.parseFloat),
    Array.from({ length: fromClient }, (_, i) => i),
  );
  assert.deepEqual(
    got.map(Number.parseFloat),
    Array.from({ length: got.length }, (_, i) => i),
  );
});

test('a handshake that was under way when it began is asked to go as well', async (t) => {
  const asked: (() => void)[] = [];
  const verifyClient = (_: unknown, answer: (ok: boolean) => void): void => void asked.push(() => answer(true));
  const { sockgate, connect } = await start(t, { peer: { options: { verifyClient } } });
  const client = connect();
  const letIn = await until('the handshake', () => asked[0]);
  sockgate.signal('SIGQUIT');
  await sockgate.logged(/gracefully shutting down/);
  letIn();
  assert.equal((await (await client).closed).code, 1012);
  assert.equal((await sockgate.exited()).code, 0);
});
