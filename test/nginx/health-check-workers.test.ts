// health_check with several workers and over reloads: one of them checks, all of them know, and what is known stays.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { BROKEN, CHECK_URI, OK, startCheckedPeer } from '../support/checked-peer.ts';
import { freePort } from '../support/free-port.ts';
import { ask } from '../support/raw-http.ts';
import { type Sockgate, startSockgate } from '../support/start-sockgate.ts';
import { until } from '../support/until.ts';

interface Setup {
  readonly port: number;
  readonly peers: readonly number[];
  readonly workers?: number;
  readonly check?: string;
  readonly more?: string;
}

const conf = ({ port, peers, workers = 2, check = '', more = '' }: Setup): string => `
  worker_processes ${workers};
  events {}
  http {
    access_log off;
    ${more}
    upstream app { zone app 64k; ${peers.map((peer) => `server 127.0.0.1:${peer} max_fails=0;`).join(' ')} }
    server {
      listen 127.0.0.1:${port};
      location / { proxy_pass http://app; health_check interval=20ms uri=${CHECK_URI} ${check}; }
    }
  }`;

/** On so many connections that each worker has had some. */
async function texts(port: number): Promise<Set<string>> {
  const answers = await Promise.all(Array.from({ length: 24 }, () => ask(port, 'GET /')));
  return new Set(answers.map(({ status, text }) => (status === 200 ? text : `${status}`)));
}

async function start(t: TestContext, setup: Omit<Setup, 'port' | 'peers'> = {}) {
  const peers = [await startCheckedPeer(t, 'one'), await startCheckedPeer(t, 'two')] as const;
  const whole = { ...setup, port: await freePort(), peers: peers.map(({ port }) => port) };
  return { peers, port: whole.port, setup: whole };
}

test('no server is checked twice at a time, and what one worker finds all of them heed', async (t) => {
  const { peers, port, setup } = await start(t);
  const [one] = peers;
  let open = 0;
  let most = 0;
  one.answer = (response) => {
    most = Math.max(most, ++open);
    setTimeout(() => {
      open--;
      OK(response, response.req);
    }, 60);
  };
  const gateway = await startSockgate(t, { conf: conf(setup) });
  await one.checked(6);
  assert.equal(most, 1);
  one.answer = BROKEN;
  await gateway.logged(/peer is unhealthy/);
  assert.deepEqual(await texts(port), new Set(['two']));
  one.answer = OK;
  await gateway.logged(/peer is healthy/);
  assert.deepEqual(await texts(port), new Set(['one', 'two']));
  assert.equal(gateway.count(/peer is (un)?healthy/g), 2, 'each change is told once');
});

test('a reload knows who was unhealthy', async (t) => {
  const { peers, port, setup } = await start(t);
  peers[0].answer = BROKEN;
  const gateway = await startSockgate(t, { conf: conf(setup) });
  await gateway.logged(/peer is unhealthy/);
  peers[0].answer = () => {};
  await gateway.reload(conf({ ...setup, more: 'server_tokens off;' }), 2);
  assert.deepEqual(await texts(port), new Set(['two']));
  peers[0].answer = OK;
});

/** Checks of the first server do not end from the reload on. @returns who answers before and after it */
async function overReload(t: TestContext, check: string): Promise<[Set<string>, Set<string>]> {
  const { peers, port, setup } = await start(t, { check });
  const gateway = await startSockgate(t, { conf: conf(setup) });
  await gateway.logged(/peer is healthy/, 2);
  const before = await texts(port);
  peers[0].answer = () => {};
  await gateway.reload(conf({ ...setup, more: 'server_tokens off;' }), 2);
  await until('the other one', async () => (await texts(port)).has('two'));
  return [before, await texts(port)];
}

test('a mandatory check has to pass anew after a reload', async (t) => {
  const [before, after] = await overReload(t, 'mandatory');
  assert.deepEqual(before, new Set(['one', 'two']));
  assert.deepEqual(after, new Set(['two']));
});

test('a persistent one does not, for a server that was healthy', async (t) => {
  const [before, after] = await overReload(t, 'mandatory persistent');
  assert.deepEqual(before, new Set(['one', 'two']));
  assert.deepEqual(after, new Set(['one', 'two']));
});

test('a reload without the check makes all servers fit again, and ends the checks', async (t) => {
  const { peers, port, setup } = await start(t);
  peers[0].answer = BROKEN;
  const gateway = await startSockgate(t, { conf: conf(setup) });
  await gateway.logged(/peer is unhealthy/);
  await gateway.reload(conf(setup).replace(/health_check[^;]*;/, ''), 2);
  assert.deepEqual(await texts(port), new Set(['one', 'two']));
  // One that had been sent may still come.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const checks = peers[1].checks.length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(peers[1].checks.length, checks);
});

test('a configuration that is refused changes nothing', async (t) => {
  const { peers, port, setup } = await start(t, { check: 'mandatory' });
  const gateway = await startSockgate(t, { conf: conf(setup) });
  await gateway.logged(/peer is healthy/, 2);
  peers[0].answer = () => {};
  gateway.configure(conf({ ...setup, more: 'nonsense;' }));
  gateway.signal('SIGHUP');
  await gateway.logged(/the new configuration is not used/);
  assert.deepEqual(await texts(port), new Set(['one', 'two']));
});

async function changeWorkers(t: TestContext, from: number, to: number): Promise<void> {
  const { peers, setup } = await start(t, { workers: from });
  const gateway: Sockgate = await startSockgate(t, { conf: conf(setup) });
  await peers[0].checked(2);
  gateway.configure(conf({ ...setup, workers: to }));
  gateway.signal('SIGHUP');
  await gateway.logged(/gracefully shutting down/, Math.min(from, to));
  await gateway.logged(/exited with code 0/, from);
  for (const peer of peers) await peer.checked(3);
  peers[0].answer = BROKEN;
  await gateway.logged(/peer is unhealthy/);
  await gateway.stop('SIGQUIT');
}

test('the checks go on when a reload takes workers away', (t) => changeWorkers(t, 3, 1));
test('the checks go on when a reload adds workers', (t) => changeWorkers(t, 1, 3));

test('with one thread for all the checks are made as well', async (t) => {
  const { peers, port, setup } = await start(t, { check: 'mandatory' });
  const single = conf(setup).replace(/worker_processes \d;/, 'master_process off;');
  const gateway = await startSockgate(t, { conf: single });
  await gateway.logged(/peer is healthy/, 2);
  peers[0].answer = BROKEN;
  await gateway.logged(/peer is unhealthy/);
  assert.deepEqual(await texts(port), new Set(['two']));
});
