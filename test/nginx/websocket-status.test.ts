// websocket_status: how many tunnels there are and were, by what they ended, over all workers, reloads and deaths.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TUNNEL_CAUSES } from '../../src/websocket/tunnel-complaint.ts';
import { TunnelCounts } from '../../src/websocket/tunnel-counts.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';
import { freePort } from '../support/free-port.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { closeFrame } from '../support/logged-tunnel.ts';
import { RawClient } from '../support/raw-client.ts';
import { ask } from '../support/raw-http.ts';
import { startBackend } from '../support/recording-backend.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { until } from '../support/until.ts';
import { openingHandshake, SWITCHING } from '../support/websocket-handshake.ts';

type Numbers = Readonly<Record<string, number>>;

async function numbersAt(port: number): Promise<Numbers> {
  const { text } = await ask(port, 'GET /tunnels');
  const pairs = text.trimEnd().split('\n');
  return Object.fromEntries(pairs.map((line) => line.split(' ')).map(([name, value]) => [name, Number(value)]));
}

/** Those that are not 0. */
const counted = (numbers: Numbers): Numbers =>
  Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== 0));

const servers = (port: number | string, peer: string): string => `
  access_log off;
  websocket_close_timeout 300ms;
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://${peer}; }
    location /mine { proxy_pass http://${peer}; websocket_allow_origin self; websocket_subprotocols chat; }
    location = /tunnels { websocket_status; }
  }`;

async function connect(t: Parameters<typeof RawClient.to>[0], port: number): Promise<RawClient> {
  const client = await RawClient.to(t, port);
  client.send(openingHandshake('/'));
  assert.equal((await client.answer()).status, 101);
  return client;
}

test('the page has a line for each number: those open, those opened, each cause, each refusal', async (t) => {
  const backend = await startBackend(t, () => SWITCHING);
  const gateway = await gatewayFromConfig({ http: servers(8080, backend.address) });
  t.after(() => gateway.stop());
  const port = gateway.port();
  const { text, headers } = await ask(port, 'GET /tunnels');
  assert.equal(headers.get('content-type'), 'text/plain');
  const causes = TUNNEL_CAUSES.map((cause) => `ended_${cause.replaceAll(' ', '_')} 0`);
  assert.deepEqual(text.split('\n'), [
    'opened 0',
    'open 0',
    'ended 0',
    ...causes,
    'resumed 0',
    'lost_messages 0',
    'refused_origin 0',
    'refused_subprotocol 0',
    '',
  ]);
  assert.equal((await ask(port, 'HEAD /tunnels')).status, 200);
  assert.equal((await ask(port, 'POST /tunnels', 'Content-Length: 0')).status, 405);
});

test('tunnels are counted while they are open, and by their cause when they have ended', async (t) => {
  const backend = await startBackend(t, () => SWITCHING);
  const gateway = await gatewayFromConfig({ http: servers(8080, backend.address) });
  t.after(() => gateway.stop());
  const port = gateway.port();
  const clients = [await connect(t, port), await connect(t, port), await connect(t, port)] as const;
  assert.deepEqual(counted(await numbersAt(port)), { opened: 3, open: 3 });
  clients[0].socket.end(closeFrame(1000, true));
  clients[1].socket.resetAndDestroy();
  for (const { socket } of backend.connections) socket.once('end', () => socket.end());
  await until('two to end', async () => (await numbersAt(port))['ended'] === 2);
  const now = { opened: 3, open: 1, ended: 2, ended_client_close: 1, ended_client_reset: 1 };
  assert.deepEqual(counted(await numbersAt(port)), now);
});

test('a handshake that a rule refuses has its cause in the access log, and is counted', async (t) => {
  const backend = await startBackend(t, () => SWITCHING);
  const gateway = await gatewayFromConfig({
    http: `
      log_format refused '$status|$websocket_event|$websocket_close_by|$websocket_close_cause';
      ${servers(8080, backend.address).replace('access_log off', 'access_log logs/access.log refused; websocket_log open')}`,
  });
  t.after(() => gateway.stop());
  const refuse = async (fields: Readonly<Record<string, string>>): Promise<number> => {
    const client = await RawClient.to(t, gateway.port());
    client.send(openingHandshake('/mine', fields));
    return (await client.answer()).status;
  };
  assert.equal(await refuse({ Origin: 'http://evil.example' }), 403);
  assert.equal(await refuse({ Origin: 'http://front.example', 'Sec-WebSocket-Protocol': 'other' }), 400);
  assert.deepEqual(counted(await numbersAt(gateway.port())), { refused_origin: 1, refused_subprotocol: 1 });
  assert.deepEqual(gateway.lines('logs/access.log').slice(0, 2), ['403|-|gateway|origin', '400|-|gateway|subprotocol']);
});

test('the numbers are those of all workers; of one that died nothing is open', () => {
  const leader = ZoneDirectory.create();
  leader.useWorkers(2);
  leader.beginConfiguration();
  const all = TunnelCounts.of(leader);
  const [one, two] = [0, 1].map((worker) => TunnelCounts.of(ZoneDirectory.join(leader.state(), worker))) as [
    TunnelCounts,
    TunnelCounts,
  ];
  for (const counts of [one, two, two, two]) counts.tunnelOpened();
  two.tunnelEnded('peer reset');
  assert.deepEqual([all.opened, all.open], [4, 3]);
  leader.zeroColumn(1);
  assert.deepEqual([all.opened, all.open], [4, 1]);
  assert.deepEqual(
    [...all.ended()].filter(([, number]) => number > 0),
    [['peer reset', 1]],
  );
});

test('a reload begins nothing anew, and who was open before it is counted when it ends', async (t) => {
  const backend = await startBackend(t, () => SWITCHING);
  const port = await freePort();
  const conf = `worker_processes 2; events {} http { ${servers(port, backend.address)} }`;
  const gateway = await startSockgate(t, { conf });
  const clients = await Promise.all(Array.from({ length: 8 }, () => connect(t, port)));
  // A worker counts a tunnel behind its 101.
  await until('all to be counted', async () => (await numbersAt(port))['open'] === 8);
  for (const { socket } of backend.connections) socket.once('end', () => socket.end());
  clients[0]?.socket.resetAndDestroy();
  await until('one to end', async () => (await numbersAt(port))['ended'] === 1);
  gateway.signal('SIGHUP');
  await gateway.logged(/its old configuration has gone/, 2);
  const before = { opened: 8, open: 7, ended: 1, ended_client_reset: 1 };
  assert.deepEqual(counted(await numbersAt(port)), before);
  clients[1]?.socket.resetAndDestroy();
  await until('another one to end', async () => (await numbersAt(port))['ended'] === 2);
  assert.deepEqual(counted(await numbersAt(port)), { ...before, open: 6, ended: 2, ended_client_reset: 2 });
});

test('tunnels of a worker that died are open no more, nor did they end', async (t) => {
  const backend = await startBackend(t, () => SWITCHING);
  const port = await freePort();
  const conf = `worker_processes 1; events {} http { ${servers(port, backend.address)} }`;
  const preload = new URL('dying-worker.ts', import.meta.url).href;
  const gateway = await startSockgate(t, { conf, env: { NODE_OPTIONS: `--import ${preload}` } });
  for (let i = 0; i < 3; i++) await connect(t, port);
  await until('all to be counted', async () => (await numbersAt(port))['open'] === 3);
  const killer = await RawClient.to(t, port);
  killer.send('GET /die HTTP/1.1\r\nHost: a\r\n\r\n');
  await gateway.logged(/exited with code 3/);
  await gateway.logged(/start worker process \d+/, 2);
  const numbers = await until('a worker', () => numbersAt(port).catch(() => undefined));
  assert.deepEqual(counted(numbers), { opened: 3 });
  await connect(t, port);
  await until('it to be counted', async () => (await numbersAt(port))['open'] === 1);
  assert.deepEqual(counted(await numbersAt(port)), { opened: 4, open: 1 });
});
