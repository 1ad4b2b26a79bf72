// server … resolve in an upstream: workers, reloads and the name server's moods, with the whole gateway.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { DnsServer, dnsZone } from '../support/dns-server.ts';
import { freePort } from '../support/free-port.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { until } from '../support/until.ts';

/** A peer on all addresses of the loopback, that says which of them was dialled. */
async function startPeer(t: TestContext): Promise<number> {
  const server = createServer((request, response) => response.end(request.socket.localAddress));
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

const records = (...addresses: string[]) => addresses.map((data) => ({ type: 'A' as const, data, ttl: 1 }));

test('peers follow their name, and a request that comes before they are known is a 502', async (t) => {
  const dns = await DnsServer.start(t, () => undefined);
  const peer = await startPeer(t);
  const gateway = await gatewayFromConfig({
    http: `
      upstream app { server app.test:${peer} resolve; resolver ${dns.address} ipv6=off; resolver_timeout 1s; }
      server { listen 127.0.0.1:8080; location / { proxy_pass http://app; } }
    `,
  });
  t.after(() => gateway.stop());
  const reached = async () => (await ask(gateway.port(), 'GET /')).text.match(/127\.0\.0\.\d/)?.[0];
  assert.equal((await ask(gateway.port(), 'GET /')).status, 502);
  assert.ok(gateway.lines().some((line) => line.includes('no live upstreams while connecting to upstream')));
  dns.behaviour = dnsZone({ 'app.test A': records('127.0.0.2') });
  await until('the first address', async () => (await reached()) === '127.0.0.2');
  dns.behaviour = dnsZone({ 'app.test A': records('127.0.0.3') });
  await until('the second address', async () => (await reached()) === '127.0.0.3');
});

test('a reload keeps the peers, though no name server answers any more, and all workers have them', async (t) => {
  const dns = await DnsServer.start(t, dnsZone({ 'app.test A': records('127.0.0.2') }));
  const peer = await startPeer(t);
  const port = await freePort();
  const conf = `
    worker_processes 2;
    events {}
    http {
        access_log off;
        resolver ${dns.address} ipv6=off;
        resolver_timeout 1s;
        upstream app { zone app 64k; server app.test:${peer} resolve; }
        server { listen 127.0.0.1:${port}; location / { proxy_pass http://app; } }
    }`;
  const gateway = await startSockgate(t, { conf });
  const statuses = async (): Promise<number[]> => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(port, 'GET /')));
    return answers.map(({ status }) => status);
  };
  await until('all workers know the peer', async () => (await statuses()).every((status) => status === 200));
  dns.behaviour = () => ({ code: 2 });
  await gateway.reload(conf.replace('access_log off;', 'access_log off; server_tokens off;'), 2);
  assert.deepEqual(await statuses(), Array<number>(8).fill(200));
});

describe('what is refused', () => {
  const resolver = 'resolver 127.0.0.1;';
  const cases: Readonly<Record<string, readonly [string, RegExp]>> = {
    'a service without resolve': [
      'server a.test service=http;',
      /service upstream "a\.test" requires "resolve" parameter/,
    ],
    'a service with a port': [
      'server a.test:80 resolve service=http;',
      /service upstream "a\.test:80" may not have port/,
    ],
    'a service of an address': [
      'server 127.0.0.1 resolve service=http;',
      /service upstream "127\.0\.0\.1" requires domain/,
    ],
    'a service without a name': ['server a.test resolve service=;', /service is empty/],
    'only backups': ['server a.test resolve backup;', /no servers in upstream "app"/],
  };
  for (const [name, [server, message]] of Object.entries(cases)) {
    test(name, async () => {
      await assert.rejects(gatewayFromConfig({ http: `${resolver} upstream app { ${server} }` }), message);
    });
  }

  test('a name without a resolver', async () => {
    const message = /no resolver defined to resolve names at run time in upstream "app"/;
    await assert.rejects(gatewayFromConfig({ http: 'upstream app { server a.test resolve; }' }), message);
  });
});
