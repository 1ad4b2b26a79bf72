// The core's limits on clients: how large, how long, how many, and which names.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { DECLINED } from '../../src/exchange/verdict.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { answerOf, ask, exchangeBytes } from '../support/raw-http.ts';
import { TellingPeer } from '../support/telling-peer.ts';

let gateway: RunningGateway;
let peer: TellingPeer;

before(async () => {
  peer = await TellingPeer.start();
  gateway = await gatewayFromConfig({
    http: `
      access_log off;
      client_max_body_size 10;
      server {
        listen 127.0.0.1:8080;
        client_header_timeout 150ms;
        client_header_buffer_size 256;
        large_client_header_buffers 2 1k;
        location / { return 200 "[$http_x_under][$http_under_score]"; }
        location /proxied/ { proxy_pass http://127.0.0.1:${peer.port}; }
        location /large/ { client_max_body_size 0; proxy_pass http://127.0.0.1:${peer.port}; }
        location /larger/ { client_max_body_size 20; return 200; }
        location /tokens-off { server_tokens off; return 404; }
        location /tokens-build { server_tokens build; return 404; }
        location /one { keepalive_requests 1; return 200; }
        location /two { keepalive_requests 2; return 200; }
        location /never { keepalive_timeout 0; return 200; }
        location /told { keepalive_timeout 30s 25s; return 200; }
        location /short { keepalive_timeout 60ms; return 200; }
        location /slow-body/ { client_body_timeout 60ms; proxy_pass http://127.0.0.1:${peer.port}; }
      }
      server {
        listen 127.0.0.1:8081;
        ignore_invalid_headers off;
        return 200;
      }
      server {
        listen 127.0.0.1:8082;
        underscores_in_headers on;
        return 200 "[$http_under_score]";
      }
    `,
  });
});

after(() => {
  gateway.stop();
  peer.stop();
});

const send = async (text: string, address?: string) =>
  answerOf(await exchangeBytes(gateway.port(address), Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1')));

describe('client_max_body_size', () => {
  const post = (path: string, length: number) =>
    send(`POST ${path} HTTP/1.1\nHost: x\nConnection: close\nContent-Length: ${length}\n\n${'x'.repeat(length)}`);

  test('refuses a longer body with 413, and takes one that just fits', async () => {
    assert.equal((await post('/', 11)).status, 413);
    assert.equal((await post('/', 10)).status, 200);
    assert.ok(gateway.lines().some((line) => line.includes('client intended to send too large body: 11 bytes')));
  });

  test("is each location's own, and 0 is no limit", async () => {
    assert.equal((await post('/larger/', 20)).status, 200);
    assert.equal((await post('/larger/', 21)).status, 413);
    assert.equal((await post('/large/', 100_000)).status, 200);
  });

  test('counts the bytes of a body in chunks, too', async () => {
    const chunks = `b\n${'x'.repeat(11)}\n0\n\n`;
    const head = 'HTTP/1.1\nHost: x\nConnection: close\nTransfer-Encoding: chunked\n\n';
    assert.equal((await send(`POST /proxied/ ${head}${chunks}`)).status, 413);
  });
});

describe('the head of a request', () => {
  test('may not be longer than its buffers: 414 for the line, 400 for a field', async () => {
    assert.equal((await ask(gateway.port(), `GET /${'x'.repeat(1100)}`)).status, 414);
    const { status, text } = await ask(gateway.port(), 'GET /', `X-Long: ${'x'.repeat(1100)}`);
    assert.equal(status, 400);
    assert.match(text, /Request Header Or Cookie Too Large/);
    assert.equal((await ask(gateway.port(), 'GET /', `X-Long: ${'x'.repeat(900)}`)).status, 200);
  });

  test('must come within client_header_timeout: 408', async () => {
    assert.equal((await send('GET / HTTP/1.1\nHost: x\n')).status, 408);
  });

  test('loses fields with underscores, unless they are allowed', async () => {
    assert.equal((await ask(gateway.port(), 'GET /', 'X_Under: 1', 'Under_Score: 2')).text, '[][]');
    assert.equal((await ask(gateway.port('127.0.0.1:8082'), 'GET /', 'Under_Score: 2')).text, '[2]');
  });

  test('loses fields with odd names, or is refused for them', async () => {
    assert.equal((await ask(gateway.port(), 'GET /', 'X.Odd: 1')).status, 200);
    assert.equal((await ask(gateway.port('127.0.0.1:8081'), 'GET /', 'X@Odd: 1')).status, 400);
  });
});

test('a body must go on within client_body_timeout: 408', async () => {
  assert.equal((await send('POST /slow-body/ HTTP/1.1\nHost: x\nContent-Length: 5\n\nab')).status, 408);
});

describe('server_tokens', () => {
  test('says whether pages and Server tell the version', async () => {
    const plain = await ask(gateway.port(), 'GET /proxied/?status=404');
    assert.match(plain.headers.get('server') ?? '', /^sockgate\/\d/);
    const off = await ask(gateway.port(), 'GET /tokens-off');
    assert.equal(off.headers.get('server'), 'sockgate');
    assert.match(off.text, /<center>sockgate<\/center>/);
    assert.match((await ask(gateway.port(), 'GET /tokens-build')).headers.get('server') ?? '', /^sockgate\/\d/);
  });
});

describe('a connection', () => {
  const answers = async (path: string, count: number): Promise<number> => {
    const request = `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const bytes = await exchangeBytes(gateway.port(), Buffer.from(request.repeat(count)));
    return bytes.toString('latin1').split('HTTP/1.1 200').length - 1;
  };

  test('serves keepalive_requests requests', async () => {
    assert.equal(await answers('/one', 3), 1);
    assert.equal(await answers('/two', 3), 2);
  });

  test('serves one with keepalive_timeout 0', async () => {
    assert.equal(await answers('/never', 3), 1);
  });

  test('is closed when it was idle for keepalive_timeout', async () => {
    assert.equal(await answers('/short', 1), 1);
  });

  test('is told how long, where the configuration says so', async () => {
    const request = 'GET /told HTTP/1.1\nHost: x\n\nGET /never HTTP/1.1\nHost: x\n\n';
    const { headers } = await send(request);
    assert.equal(headers.get('keep-alive'), 'timeout=25');
  });
});

test('tcp_nodelay off lets the system hold small pieces back, on leaves the connection as it is', async (t) => {
  const other = await gatewayFromConfig({
    http: `access_log off; tcp_nodelay off; server { listen 127.0.0.1:8080; return 200;
      location / { return 200; } location /on { tcp_nodelay on; return 200; } }`,
  });
  t.after(() => other.stop());
  const { locations } = other.listener('127.0.0.1:8080').defaultServer.settings;
  const told: boolean[] = [];
  const exchange = { link: { channel: { setNoDelay: (on: boolean) => told.push(on) } } } as unknown as Exchange;
  assert.equal(locations.find(exchange, '/')?.rewrite[0]?.(exchange), DECLINED);
  assert.deepEqual(told, [false]);
  assert.equal(locations.find(exchange, '/on')?.rewrite.length, 1);
});
