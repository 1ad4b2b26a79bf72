// Names that are only known while a request is served: resolver, resolver_timeout, and proxy_pass with variables.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { DnsServer } from '../support/dns-server.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';
import { until } from '../support/until.ts';

let gateway: RunningGateway;
let dns: DnsServer;
let peer: Server;

const ZONE: Readonly<Record<string, readonly string[]>> = {
  'here.test': ['127.0.0.1'],
  // Nobody listens on the first one.
  'two.test': ['127.0.0.2', '127.0.0.1'],
  'posted.test': ['127.0.0.1'],
};

before(async () => {
  dns = await DnsServer.open(({ name, type }) => {
    if (name === 'silent.test') return undefined;
    const addresses = type === 'A' ? ZONE[name] : [];
    if (addresses === undefined) return { code: name === 'broken.test' ? 2 : 3 };
    return { records: addresses.map((data) => ({ type: 'A' as const, data })) };
  });
  peer = createServer((request, response) => {
    let length = 0;
    request.on('data', (bytes: Buffer) => {
      length += bytes.length;
    });
    request.on('end', () => response.end([request.headers.host, request.url, length].join(' ')));
  });
  peer.listen(0, '127.0.0.1');
  await once(peer, 'listening');
  const { port } = peer.address() as AddressInfo;
  gateway = await gatewayFromConfig({
    http: `
      access_log logs/access.log;
      log_format plain '$uri $status $upstream_addr';
      access_log logs/plain.log plain;
      server {
        listen 127.0.0.1:8080;
        location /unresolved { proxy_pass http://$arg_h:${port}; }
        location / {
          resolver ${dns.address} ipv6=off;
          proxy_pass http://$arg_h:${port}/to$uri;
          proxy_connect_timeout 1s;
        }
        location /hasty { resolver ${dns.address} ipv6=off; resolver_timeout 100ms; proxy_pass http://$arg_h:${port}; }
        location /patient { resolver ${dns.address}; resolver_timeout 1h; proxy_pass http://$arg_h:${port}; }
      }
    `,
  });
});

after(() => {
  gateway.stop();
  dns.close();
  peer.close();
  peer.closeAllConnections();
});

const get = (path: string) => ask(gateway.port(), `GET ${path}`);
const logged = (text: string): boolean => gateway.lines().some((line) => line.includes(text));

describe('a name that variables make up', () => {
  test('is resolved, and the peer is asked by that name', async () => {
    const { port } = peer.address() as AddressInfo;
    assert.equal((await get('/a?h=here.test')).text, `here.test:${port} /to/a 0`);
  });

  test('is remembered', async () => {
    await get('/a?h=here.test');
    const asked = dns.asked('here.test');
    assert.equal((await get('/a?h=here.test')).status, 200);
    assert.equal(dns.asked('here.test'), asked);
  });

  test('with several addresses has the next one tried where one cannot be reached', async () => {
    for (let turn = 0; turn < 4; turn++) assert.equal((await get('/two?h=two.test')).status, 200);
    const { port } = peer.address() as AddressInfo;
    const tried = gateway.lines('logs/plain.log').filter((line) => line.startsWith('/two '));
    assert.equal(tried[0], `/two 200 127.0.0.2:${port}, 127.0.0.1:${port}`);
  });

  test('that cannot be resolved is a 502, and the log says why', async () => {
    assert.equal((await get('/a?h=nowhere.test')).status, 502);
    assert.ok(logged('nowhere.test could not be resolved (3: Host not found), client: 127.0.0.1, server: '));
    assert.equal((await get('/a?h=broken.test')).status, 502);
    assert.ok(logged('broken.test could not be resolved (2: Server failure)'));
  });

  test('that nobody answers for within resolver_timeout is a 502', async () => {
    assert.equal((await get('/hasty?h=silent.test')).status, 502);
    assert.ok(logged('silent.test could not be resolved (110: Operation timed out)'));
  });

  test('without a resolver is a 502', async () => {
    assert.equal((await get('/unresolved?h=here.test')).status, 502);
    assert.ok(logged('no resolver defined to resolve here.test'));
  });

  test('waits with the body of its request', async () => {
    const body = 'x'.repeat(100_000);
    const request = `POST /a?h=posted.test HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const socket = connect(gateway.port(), '127.0.0.1');
    socket.write(request);
    let answer = '';
    for await (const piece of socket) answer += piece;
    assert.match(answer, / \/to\/a 100000$/);
  });
});

describe('a client that leaves while its name is resolved', () => {
  test('is logged with 499, and nobody waits for the name any more', async () => {
    const socket = connect(gateway.port(), '127.0.0.1');
    socket.write('GET /patient?h=silent.test HTTP/1.1\r\nHost: a\r\n\r\n');
    await until('the name is asked for', () => dns.asked('silent.test', 'AAAA') > 0);
    socket.destroy();
    await until('it is logged', () => gateway.lines('logs/plain.log').includes('/patient 499 -'));
  });
});
