// websocket_connect_wait: an opening handshake for which no peer is there waits for one to come back.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { freePort } from '../support/free-port.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { until } from '../support/until.ts';

const LOCATION = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;';

/** Each try is told at `debug`. */
const TRIES = 'error_log logs/error.log info; error_log logs/tries.log debug;';

async function start(t: TestContext, upstream: string, location: string): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    main: TRIES,
    http: `
      log_format wait '$uri $status $upstream_addr $upstream_status $upstream_queue_time';
      upstream app { ${upstream} }
      server {
        listen 127.0.0.1:8080;
        access_log logs/wait.log wait;
        location / { proxy_pass http://app; ${LOCATION} ${location} }
      }`,
  });
  t.after(() => gateway.stop());
  return gateway;
}

/** A peer that comes, or comes back, to this port. */
async function comeBack(t: TestContext, port: number): Promise<Server> {
  const http = createServer((_, response) => response.writeHead(200).end('ok'));
  const server = new WebSocketServer({ server: http });
  server.on('connection', (socket) => socket.send('here'));
  http.listen(port, '127.0.0.1');
  await once(http, 'listening');
  t.after(() => {
    for (const client of server.clients) client.terminate();
    http.close();
  });
  return http;
}

interface Outcome {
  /** 101, or what the handshake was refused with. */
  readonly status: number;
  readonly retryAfter: string | undefined;
}

/** A client's handshake. */
class Handshake {
  readonly socket: WebSocket;
  readonly outcome: Promise<Outcome>;
  settled = false;

  constructor(t: TestContext, port: number, path = '/') {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    this.socket = socket;
    t.after(() => socket.terminate());
    socket.on('error', () => {});
    this.outcome = new Promise<Outcome>((resolve) => {
      socket.once('message', () => resolve({ status: 101, retryAfter: undefined }));
      socket.once('unexpected-response', (_, { statusCode, headers }) => {
        resolve({ status: statusCode ?? 0, retryAfter: headers['retry-after'] });
        socket.terminate();
      });
    }).finally(() => {
      this.settled = true;
    });
  }
}

/** The handshake has been tried in vain, and waits. */
const tried = (gateway: RunningGateway, count = 1): Promise<true> =>
  until(
    `${count} refusals`,
    () => gateway.lines('logs/tries.log').filter((line) => line.includes('Connection refused')).length >= count,
  );

test('a handshake waits while the only peer refuses connections, and is passed on when it is back', async (t) => {
  const port = await freePort();
  const gateway = await start(t, `server 127.0.0.1:${port};`, 'websocket_connect_wait 60s;');
  const handshake = new Handshake(t, gateway.port());
  await tried(gateway, 3);
  assert.equal(handshake.settled, false);
  await comeBack(t, port);
  assert.equal((await handshake.outcome).status, 101);
  handshake.socket.close();
  await until('its line in the log', () => gateway.lines('logs/wait.log').length === 1);
  const line = new RegExp(String.raw`^/ 101 127\.0\.0\.1:${port}, 127\.0\.0\.1:${port} 502, 101 -, \d+\.\d{3}$`);
  assert.match(gateway.lines('logs/wait.log')[0] ?? '', line, 'what was tried while it waited is not told');
  const errors = gateway.lines().filter((one) => one.includes('[error]'));
  assert.equal(errors.length, 1, 'only the first refusal is an error');
});

test('peers that max_fails has disabled are tried long before fail_timeout, and are back for everybody', async (t) => {
  const ports = [await freePort(), await freePort()];
  const servers = ports.map((port) => `server 127.0.0.1:${port} fail_timeout=1h;`).join(' ');
  const gateway = await start(t, servers, 'websocket_connect_wait 60s;');
  const waiting = Array.from({ length: 5 }, () => new Handshake(t, gateway.port()));
  await tried(gateway, 2);
  await comeBack(t, ports[1] as number);
  for (const { outcome } of waiting) assert.equal((await outcome).status, 101);
  const plain = await fetch(`http://127.0.0.1:${gateway.port()}/`);
  assert.equal(plain.status, 200);
});

test('the error log has what failed first and how it ended, however often and wherever it was tried again', async (t) => {
  const ports = [await freePort(), await freePort()];
  const servers = ports.map((port) => `server 127.0.0.1:${port};`).join(' ');
  const gateway = await start(t, servers, 'websocket_connect_wait 60s;');
  const handshake = new Handshake(t, gateway.port());
  await tried(gateway, 7);
  await comeBack(t, ports[0] as number);
  await comeBack(t, ports[1] as number);
  assert.equal((await handshake.outcome).status, 101);
  handshake.socket.close();
  const waited = /\[info\].* waited \d+ ms for a peer, tried again (\d+) times while connecting to upstream, client: /;
  const summary = await until('the summary', () => gateway.lines().find((line) => waited.test(line)));
  const refusals = (path: string) => gateway.lines(path).filter((line) => line.includes('Connection refused'));
  assert.equal(refusals('logs/error.log').length, 2, 'one for each peer');
  assert.equal(Number(waited.exec(summary)?.[1]), refusals('logs/tries.log').length - 2);
});

test('when the time is over it gets 503 and is told when to come again', async (t) => {
  const gateway = await start(t, `server 127.0.0.1:${await freePort()};`, 'websocket_connect_wait 700ms;');
  const { status, retryAfter } = await new Handshake(t, gateway.port()).outcome;
  assert.equal(status, 503);
  assert.match(retryAfter ?? '', /^[12]$/);
  assert.match(
    gateway.read('logs/error.log'),
    /no live upstreams while connecting to upstream: no peer within 700 ms, tried again (once|\d times),/,
  );
  assert.match(gateway.lines('logs/wait.log')[0] ?? '', /^\/ 503 [\d.:]+, app 502, 503 -, 0\.[7-9]/);
});

test('beyond max it gets 503 at once, and a client that leaves makes room', async (t) => {
  const port = await freePort();
  const gateway = await start(t, `server 127.0.0.1:${port};`, 'websocket_connect_wait 60s max=1;');
  const first = new Handshake(t, gateway.port(), '/first');
  await tried(gateway);
  const second = await new Handshake(t, gateway.port()).outcome;
  assert.equal(second.status, 503);
  assert.ok(Number(second.retryAfter) >= 60);
  first.socket.terminate();
  await until('its line', () => gateway.lines('logs/wait.log').some((line) => line.startsWith('/first 499')));
  const third = new Handshake(t, gateway.port());
  await comeBack(t, port);
  assert.equal((await third.outcome).status, 101);
});

test('other requests, and handshakes where it is off, do not wait', async (t) => {
  const gateway = await gatewayFromConfig({
    http: `
      upstream app { server 127.0.0.1:${await freePort()}; }
      server {
        listen 127.0.0.1:8080;
        websocket_connect_wait 60s;
        ${LOCATION}
        location / { proxy_pass http://app; }
        location /off { proxy_pass http://app; websocket_connect_wait 0; }
      }`,
  });
  t.after(() => gateway.stop());
  assert.equal((await fetch(`http://127.0.0.1:${gateway.port()}/`)).status, 502);
  assert.equal((await new Handshake(t, gateway.port(), '/off').outcome).status, 502);
});

test('with max_conns reached, a handshake waits for a tunnel to end', async (t) => {
  const port = await freePort();
  await comeBack(t, port);
  const gateway = await start(t, `server 127.0.0.1:${port} max_conns=1;`, 'websocket_connect_wait 60s;');
  const first = new Handshake(t, gateway.port());
  assert.equal((await first.outcome).status, 101);
  const second = new Handshake(t, gateway.port());
  assert.equal((await fetch(`http://127.0.0.1:${gateway.port()}/`)).status, 502, 'there is no place');
  assert.equal(second.settled, false);
  first.socket.close();
  assert.equal((await second.outcome).status, 101);
});

test('two workers let all who wait in once the peer is back', async (t) => {
  const [port, peer] = [await freePort(), await freePort()];
  const gateway = await startSockgate(t, { conf: twoWorkers(port, `server 127.0.0.1:${peer} fail_timeout=1h;`) });
  const waiting = Array.from({ length: 20 }, () => new Handshake(t, port));
  await gateway.logged(/Connection refused/, 3);
  await comeBack(t, peer);
  for (const { outcome } of waiting) assert.equal((await outcome).status, 101);
});

test('a peer that a reload brings is for those who wait, too', async (t) => {
  const [port, gone, added] = [await freePort(), await freePort(), await freePort()];
  const gateway = await startSockgate(t, { conf: twoWorkers(port, `server 127.0.0.1:${gone};`) });
  const waiting = Array.from({ length: 6 }, () => new Handshake(t, port));
  await gateway.logged(/Connection refused/, 3);
  await comeBack(t, added);
  gateway.configure(twoWorkers(port, `server 127.0.0.1:${added};`));
  gateway.signal('SIGHUP');
  for (const { outcome } of waiting) assert.equal((await outcome).status, 101);
});

test('those whose upstream a reload has removed end cleanly when their time is over', async (t) => {
  const port = await freePort();
  const conf = twoWorkers(port, `server 127.0.0.1:${await freePort()};`, '2s');
  const gateway = await startSockgate(t, { conf });
  const waiting = Array.from({ length: 6 }, () => new Handshake(t, port));
  await gateway.logged(/Connection refused/, 3);
  gateway.configure(`
    worker_processes 2;
    events {}
    http { access_log off; server { listen 127.0.0.1:${port}; location / { return 404; } } }`);
  gateway.signal('SIGHUP');
  for (const { outcome } of waiting) assert.equal((await outcome).status, 503);
  await gateway.logged(/exited with code 0/, 2);
});

function twoWorkers(port: number, servers: string, wait = '60s'): string {
  return `
    worker_processes 2;
    events {}
    http {
      access_log off;
      upstream app { ${servers} }
      server {
        listen 127.0.0.1:${port};
        location / { proxy_pass http://app; ${LOCATION} websocket_connect_wait ${wait}; }
      }
    }`;
}

test('a peer that a health check has found well again gets those who wait', async (t) => {
  const port = await freePort();
  let well = false;
  const http = createServer((_, response) => response.writeHead(well ? 200 : 500).end());
  const server = new WebSocketServer({ server: http });
  server.on('connection', (socket) => socket.send('here'));
  http.listen(port, '127.0.0.1');
  await once(http, 'listening');
  t.after(() => {
    for (const client of server.clients) client.terminate();
    http.close();
  });
  const gateway = await start(
    t,
    `zone app 64k; server 127.0.0.1:${port};`,
    'websocket_connect_wait 60s; health_check mandatory interval=20ms;',
  );
  await until('the check to fail', () => gateway.read('logs/error.log').includes('unhealthy'));
  const handshake = new Handshake(t, gateway.port());
  await until('some more checks', () => gateway.lines().length > 2);
  assert.equal(handshake.settled, false);
  well = true;
  assert.equal((await handshake.outcome).status, 101);
});

test('a server that proxy_pass names itself is waited for, too, also where a variable does', async (t) => {
  const [port, another] = [await freePort(), await freePort()];
  const gateway = await gatewayFromConfig({
    main: TRIES,
    http: `
      server {
        listen 127.0.0.1:8080;
        websocket_connect_wait 60s;
        ${LOCATION}
        location / { proxy_pass http://127.0.0.1:${port}; }
        location /made-up { set $where 127.0.0.1:${another}; proxy_pass http://$where; }
      }`,
  });
  t.after(() => gateway.stop());
  const [named, madeUp] = [new Handshake(t, gateway.port()), new Handshake(t, gateway.port(), '/made-up')];
  await tried(gateway, 3);
  await Promise.all([comeBack(t, port), comeBack(t, another)]);
  assert.equal((await named.outcome).status, 101);
  assert.equal((await madeUp.outcome).status, 101);
});
