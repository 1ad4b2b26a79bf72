// The next peer: who is asked again and who never, what happens when nobody is left, and how a peer comes back.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { freePort, freePorts } from '../support/free-port.ts';
import { ask } from '../support/raw-http.ts';
import { until } from '../support/until.ts';
import { PASS_UPGRADE, ProbedGateway } from './probed-gateway.ts';
import { handshake } from './raw-client.ts';
import { type PeerConnection, scriptedPeer } from './scripted-peer.ts';

const GOOD = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood';

const resetsOnRequest = (connection: PeerConnection): void =>
  connection.onRequest(() => connection.socket.resetAndDestroy());

/** A first peer that misbehaves once it has been asked, a second that is well. */
async function startBoth(t: TestContext, behave: (connection: PeerConnection) => void, readTimeout: string) {
  const bad = await scriptedPeer(t, behave);
  const good = await scriptedPeer(t, (connection) => connection.answerEach(GOOD));
  const gateway = await ProbedGateway.start(t, {
    http: `upstream both { server ${bad.address} max_fails=0; server ${good.address} backup; }`,
    server: `
      proxy_read_timeout ${readTimeout}; proxy_http_version 1.1; proxy_set_header Connection close;
      location = /default { proxy_pass http://both; }
      location = /again { proxy_pass http://both; proxy_next_upstream error timeout non_idempotent; }
      location = /streamed { proxy_pass http://both; proxy_request_buffering off; }`,
  });
  return { bad, good, gateway };
}

/** Of a request with a small body, or none. */
async function statusOf(gateway: ProbedGateway, method: string, path: string, body = ''): Promise<number> {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: x', `Content-Length: ${body.length}`, '', body];
  const client = await gateway.sends(lines.join('\r\n'));
  await client.head();
  client.socket.destroy();
  return client.status;
}

// The time is the good peer's, too, which may have to wait for the machine.
for (const [name, behave, status, readTimeout] of [
  ['resets', resetsOnRequest, 502, '30s'],
  ['is silent', () => {}, 504, '800ms'],
] as const) {
  test(`where a peer ${name} after it was sent the request`, async (t) => {
    const { good, gateway } = await startBoth(t, behave, readTimeout);
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
      const before = good.requests;
      assert.equal(await statusOf(gateway, method, '/default'), 200, `${method} is sent to the next peer`);
      assert.equal(good.requests, before + 1);
    }
    const before = good.requests;
    for (const method of ['POST', 'LOCK', 'PATCH']) {
      assert.equal(await statusOf(gateway, method, '/default', 'body'), status, `${method} is not sent again`);
    }
    assert.equal(await statusOf(gateway, 'PUT', '/streamed', 'x'.repeat(100_000)), status, 'what was streamed is gone');
    assert.equal(good.requests, before);
    assert.equal(await statusOf(gateway, 'POST', '/again', 'body'), 200, 'POST is sent again where non_idempotent is');
    assert.ok(good.last.text.endsWith('\r\n\r\nbody'));
  });
}

test('a POST whose peer cannot be reached at all goes to the next one', async (t) => {
  const good = await scriptedPeer(t, (connection) => connection.answerEach(GOOD));
  const gateway = await ProbedGateway.start(t, {
    http: `upstream both { server 127.0.0.1:${await freePort()} max_fails=0; server ${good.address} backup; }`,
    server: 'location = /default { proxy_pass http://both; }',
  });
  assert.equal(await statusOf(gateway, 'POST', '/default', 'body'), 200);
  assert.ok(good.last.text.endsWith('\r\n\r\nbody'));
});

test('with all peers down: 502 at once, without spinning, and well again fail_timeout after they are back', async (t) => {
  const [one = 0, other = 0] = await freePorts(2);
  const gateway = await ProbedGateway.start(t, {
    http: `upstream down { server 127.0.0.1:${one} fail_timeout=1s; server 127.0.0.1:${other} fail_timeout=1s; }`,
    server: `location = /down { proxy_pass http://down; } location = /ws { proxy_pass http://down; ${PASS_UPGRADE} }`,
  });
  const cpuBefore = gateway.cpu;
  const times: number[] = [];
  for (let i = 0; i < 50; i++) {
    const asked = performance.now();
    assert.equal((await ask(gateway.port, 'GET /down')).status, 502);
    times.push(performance.now() - asked);
  }
  const upgraded = await gateway.sends(handshake('/ws'));
  await upgraded.head();
  assert.equal(upgraded.status, 502);
  upgraded.socket.destroy();
  const each = times.sort((a, b) => a - b)[25] as number;
  const cpu = (gateway.cpu - cpuBefore) / 51;
  t.diagnostic(`a 502 took ${each.toFixed(1)} ms, ${cpu.toFixed(1)} ms of CPU time`);
  assert.ok(each < 1000, `a 502 took ${each.toFixed(1)} ms`);
  assert.ok(cpu < 20, `a 502 took ${cpu.toFixed(1)} ms of CPU time`);
  assert.match(gateway.sockgate.errorLog(), /no live upstreams while connecting to upstream/);
  const peer = await scriptedPeer(t, (connection) => connection.answerEach(GOOD), { port: other });
  await until('the peer to be asked again', async () => (await ask(gateway.port, 'GET /down')).status === 200, 5000);
  peer.stop();
  await gateway.alive();
});

test('peers that come and go: each request is answered by one that is there', async (t) => {
  const steady = await scriptedPeer(t, (connection) => connection.answerEach(GOOD));
  const flapping = await freePort();
  const gateway = await ProbedGateway.start(t, {
    http: `upstream flapping { server 127.0.0.1:${flapping} fail_timeout=1s; server ${steady.address}; }`,
    server: 'location = /flapping { proxy_pass http://flapping; }',
  });
  for (let round = 0; round < 5; round++) {
    const peer = await scriptedPeer(t, (connection) => connection.answerEach(GOOD), { port: flapping });
    for (let i = 0; i < 10; i++) assert.equal((await ask(gateway.port, 'GET /flapping')).status, 200);
    peer.stop();
    for (let i = 0; i < 10; i++) assert.equal((await ask(gateway.port, 'GET /flapping')).status, 200);
  }
});

/** Listens with the shortest queue and then does nothing else any more, not even accept. */
const DEAF = `require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
  require('fs').writeSync(1, String(this.address().port) + '\\n');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;

/** A port whose queue is full: connections to it get no answer at all. */
async function blackhole(t: TestContext): Promise<number> {
  const child = spawn(process.execPath, ['-e', DEAF], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(said);
  const fillers = Array.from({ length: 6 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  t.after(() => {
    for (const socket of fillers) socket.destroy();
  });
  await until('the queue to be full', () => fillers.some(({ connecting }) => !connecting));
  return port;
}

test('a peer that does not answer a connection at all: 504 after proxy_connect_timeout, or the next peer', async (t) => {
  const port = await blackhole(t);
  const good = await scriptedPeer(t, (connection) => connection.answerEach(GOOD));
  const gateway = await ProbedGateway.start(t, {
    http: `upstream both { server 127.0.0.1:${port} max_fails=0; server ${good.address} backup; }`,
    server: `
      proxy_connect_timeout 300ms;
      location = /hole { proxy_pass http://127.0.0.1:${port}; }
      location = /both { proxy_pass http://both; }`,
  });
  const began = performance.now();
  assert.equal((await ask(gateway.port, 'GET /hole')).status, 504);
  const took = performance.now() - began;
  // The minute that it would be without being set is longer than anybody holds us up.
  assert.ok(took > 250 && took < 30_000, `it took ${took.toFixed(0)} ms`);
  assert.equal((await ask(gateway.port, 'POST /both')).status, 200);
  assert.match(
    gateway.sockgate.errorLog(),
    /upstream timed out \(110: Connection timed out\) while connecting to upstream/,
  );
  const gone = await gateway.get('/hole');
  gone.socket.resetAndDestroy();
  for (const { socket } of good.connections) socket.end();
  await gateway.alive();
});
