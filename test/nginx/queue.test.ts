// queue: a request for which no peer can be chosen at once waits for one, in all workers together.
// https://nginx.org/en/docs/http/ngx_http_upstream_module.html#queue

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { RawClient } from '../support/raw-client.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { until } from '../support/until.ts';

/** A peer that answers when the test says so. */
class HoldingPeer {
  readonly held: { readonly path: string; readonly response: ServerResponse }[] = [];
  /** In the order in which they came. */
  readonly paths: string[] = [];
  mostAtOnce = 0;
  readonly #server = createServer((request, response) => {
    const path = request.url ?? '';
    this.paths.push(path);
    this.held.push({ path, response });
    this.mostAtOnce = Math.max(this.mostAtOnce, this.held.length);
  });

  async start(t: TestContext, port = 0): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    t.after(() => {
      this.#server.close();
      this.#server.closeAllConnections();
    });
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Until so many have come in all. */
  async asked(count: number): Promise<void> {
    await until(`${count} requests, not ${this.paths.length}`, () => this.paths.length >= count);
  }

  /** Answers the one that has waited longest. */
  release(): void {
    this.held.shift()?.response.end('ok');
  }
}

async function startPeer(t: TestContext): Promise<HoldingPeer> {
  const peer = new HoldingPeer();
  await peer.start(t);
  return peer;
}

async function start(t: TestContext, upstream: string, location = ''): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    http: `
      log_format queue '$uri $status $upstream_status $upstream_queue_time';
      upstream app { ${upstream} }
      server {
        listen 127.0.0.1:8080;
        access_log logs/queue.log queue;
        location / { proxy_pass http://app; ${location} }
      }`,
  });
  t.after(() => gateway.stop());
  return gateway;
}

async function ask(t: TestContext, port: number, path = '/'): Promise<RawClient> {
  const client = await RawClient.to(t, port);
  client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  return client;
}

const statusOf = async (client: RawClient): Promise<string> => {
  await until('an answer', () => client.closed || client.ended);
  return client.text.slice(9, 12);
};

/** Of the access log, without those of `settled`. */
const lines = (gateway: RunningGateway): string[] =>
  gateway.lines('logs/queue.log').filter((line) => line.startsWith('/'));

/** Sees that a request has arrived: it is in the queue once a later one on the same gateway has been answered. */
async function settled(t: TestContext, gateway: RunningGateway): Promise<void> {
  const client = await RawClient.to(t, gateway.port());
  client.send('BAD\r\n\r\n');
  await until('an answer', () => client.text !== '');
}

test('requests wait while all places are taken, and go on in the order in which they came', async (t) => {
  const peer = await startPeer(t);
  const gateway = await start(t, `server ${peer.address} max_conns=1; queue 10;`);
  const clients = [await ask(t, gateway.port(), '/1')];
  await peer.asked(1);
  for (const path of ['/2', '/3', '/4']) {
    clients.push(await ask(t, gateway.port(), path));
    await settled(t, gateway);
  }
  for (let count = 1; count <= 4; count++) {
    await peer.asked(count);
    peer.release();
  }
  for (const client of clients) assert.equal(await statusOf(client), '200');
  assert.deepEqual(peer.paths, ['/1', '/2', '/3', '/4']);
  assert.equal(peer.mostAtOnce, 1);
  await until('four lines', () => lines(gateway).length === 4);
  const [first, second] = lines(gateway);
  assert.equal(first, '/1 200 200 -');
  assert.match(second ?? '', /^\/2 200 200 \d+\.\d{3}$/);
});

test('who finds the queue full gets 502 at once', async (t) => {
  const peer = await startPeer(t);
  const gateway = await start(t, `server ${peer.address} max_conns=1; queue 1;`);
  const first = await ask(t, gateway.port());
  await peer.asked(1);
  const second = await ask(t, gateway.port());
  await settled(t, gateway);
  assert.equal(await statusOf(await ask(t, gateway.port())), '502');
  assert.match(gateway.read('logs/error.log'), /no live upstreams while connecting to upstream: too many wait already/);
  peer.release();
  await peer.asked(2);
  peer.release();
  assert.deepEqual([await statusOf(first), await statusOf(second)], ['200', '200']);
});

test('who has waited for the timeout gets 502', async (t) => {
  const peer = await startPeer(t);
  const gateway = await start(t, `server ${peer.address} max_conns=1; queue 5 timeout=100ms;`);
  const first = await ask(t, gateway.port(), '/1');
  await peer.asked(1);
  assert.equal(await statusOf(await ask(t, gateway.port(), '/2')), '502');
  assert.match(gateway.read('logs/error.log'), /no live upstreams while connecting to upstream: no peer within 100 ms/);
  assert.match(lines(gateway)[0] ?? '', /^\/2 502 502 0\.[1-9]/);
  peer.release();
  assert.equal(await statusOf(first), '200');
});

test('a client that leaves makes room for another', async (t) => {
  const peer = await startPeer(t);
  const gateway = await start(t, `server ${peer.address} max_conns=1; queue 1;`);
  await ask(t, gateway.port(), '/1');
  await peer.asked(1);
  const leaver = await ask(t, gateway.port(), '/leaver');
  await settled(t, gateway);
  leaver.socket.destroy();
  await until('its line in the log', () => lines(gateway).length === 1);
  assert.match(lines(gateway)[0] ?? '', /^\/leaver 499 /);
  const heir = await ask(t, gateway.port(), '/heir');
  await settled(t, gateway);
  peer.release();
  await peer.asked(2);
  peer.release();
  assert.equal(await statusOf(heir), '200');
  assert.deepEqual(peer.paths, ['/1', '/heir']);
});

test('peers that are disabled are waited for until fail_timeout is over', async (t) => {
  const port = await freePort();
  const other = await freePort();
  const servers = [port, other].map((one) => `server 127.0.0.1:${one} fail_timeout=1s;`).join(' ');
  const gateway = await start(t, `${servers} queue 5;`);
  assert.equal(await statusOf(await ask(t, gateway.port())), '502', 'all have been tried: there is nobody to wait for');
  const waiting = await ask(t, gateway.port());
  await settled(t, gateway);
  const peer = new HoldingPeer();
  await peer.start(t, port);
  await peer.asked(1);
  peer.release();
  assert.equal(await statusOf(waiting), '200');
});

test('a request with a body waits with it', async (t) => {
  const peer = await startPeer(t);
  const gateway = await start(t, `server ${peer.address} max_conns=1; queue 5;`);
  await ask(t, gateway.port());
  await peer.asked(1);
  const client = await RawClient.to(t, gateway.port());
  client.send('POST /post HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody');
  await settled(t, gateway);
  const { held } = peer;
  peer.release();
  await peer.asked(2);
  const [, body] = await Promise.all([peer.release(), once(client.socket, 'data')]);
  assert.match(String(body), /200 OK/);
  assert.equal(held.length, 0);
});

test('two workers keep max_conns and the length of the queue together, and everybody is served', async (t) => {
  const peer = await startPeer(t);
  const port = await freePort();
  await startSockgate(t, {
    conf: `
      worker_processes 2;
      events {}
      http {
        access_log off;
        upstream app { server ${peer.address} max_conns=1; queue 6; }
        server { listen 127.0.0.1:${port}; location / { proxy_pass http://app; } }
      }`,
  });
  const clients = [await ask(t, port)];
  await peer.asked(1);
  for (let i = 0; i < 16; i++) clients.push(await ask(t, port));
  const isRefused = ({ text }: RawClient): boolean => text.startsWith('HTTP/1.1 502');
  await until('ten to be refused', () => clients.filter(isRefused).length >= 10);
  for (let count = 1; count <= 7; count++) {
    await peer.asked(count);
    peer.release();
  }
  const statuses = await Promise.all(clients.map(statusOf));
  assert.equal(statuses.filter((status) => status === '200').length, 7, 'one had the place, six the queue');
  assert.equal(peer.mostAtOnce, 1);
});

test('a peer that a reload brings is for those who wait, too', async (t) => {
  const [full, added] = [await startPeer(t), await startPeer(t)];
  const port = await freePort();
  const conf = (servers: string): string => `
    worker_processes 2;
    events {}
    http {
      access_log off;
      upstream app { ${servers} queue 20; }
      server { listen 127.0.0.1:${port}; location / { proxy_pass http://app; } }
    }`;
  const gateway = await startSockgate(t, { conf: conf(`server ${full.address} max_conns=1;`) });
  const first = await ask(t, port);
  await full.asked(1);
  const waiting = await Promise.all(Array.from({ length: 6 }, () => ask(t, port)));
  gateway.configure(conf(`server ${full.address} max_conns=1; server ${added.address};`));
  gateway.signal('SIGHUP');
  await added.asked(6);
  while (added.held.length > 0) added.release();
  for (const client of waiting) assert.equal(await statusOf(client), '200');
  full.release();
  assert.equal(await statusOf(first), '200');
});

test('a tunnel that ends is a place for who waits', async (t) => {
  const sockets: Socket[] = [];
  const server = createTcpServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  const upgrade = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;';
  const gateway = await start(t, `server 127.0.0.1:${port} max_conns=1; queue 1;`, upgrade);
  const open = async (): Promise<RawClient> => {
    const client = await RawClient.to(t, gateway.port());
    client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n');
    return client;
  };
  const first = await open();
  await until('a tunnel', () => first.text.includes('101'));
  const second = await open();
  await settled(t, gateway);
  assert.equal(sockets.length, 1);
  first.socket.destroy();
  await until('another tunnel', () => second.text.includes('101'));
});
