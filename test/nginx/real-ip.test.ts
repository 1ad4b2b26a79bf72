// realip: whom a trusted proxy acts for is the client, for variables, logs and whatever looks at addresses; nobody else is believed.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { proxyBinary, proxyLine } from '../support/proxy-header.ts';
import { RawClient, sendAlone } from '../support/raw-client.ts';
import { ask } from '../support/raw-http.ts';
import { startBackend } from '../support/recording-backend.ts';

const SAID = '$remote_addr:$remote_port ($realip_remote_addr)';

async function start(t: TestContext, http: string, files = {}): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({ http: `access_log off;\n${http}`, files });
  t.after(() => gateway.stop());
  return gateway;
}

const oneServer = (settings: string): string =>
  `server { listen 127.0.0.1:8080; ${settings} location / { return 200 "$remote_addr:$remote_port"; } }`;

const said = async (gateway: RunningGateway, ...fields: string[]): Promise<string> =>
  (await ask(gateway.port(), 'GET /', ...fields)).text.replace(/^127\.0\.0\.1:\d+$/, 'itself');

test('X-Real-IP of a trusted proxy is the client, with its port where there is one; of another it is nothing', async (t) => {
  const trusting = await start(t, oneServer('set_real_ip_from 127.0.0.0/8;'));
  assert.equal(await said(trusting, 'X-Real-IP: 192.0.2.7'), '192.0.2.7:');
  assert.equal(await said(trusting, 'X-Real-IP: 192.0.2.7:99'), '192.0.2.7:99');
  assert.equal(await said(trusting, 'X-Real-IP: [2001:DB8:0::1]:99'), '2001:db8::1:99');
  assert.equal(await said(trusting, 'X-Real-IP: 2001:db8::1'), '2001:db8::1:');
  for (const wrong of ['someone', '', '192.0.2.7:0', '192.0.2.7:65536', '192.0.2.300', '[::1', '::1]:80']) {
    assert.equal(await said(trusting, `X-Real-IP: ${wrong}`), 'itself', wrong);
  }
  assert.equal(await said(trusting), 'itself');
  const other = await start(
    t,
    oneServer('set_real_ip_from 192.0.2.0/24; set_real_ip_from 2001:db8::/32; set_real_ip_from unix:;'),
  );
  assert.equal(await said(other, 'X-Real-IP: 192.0.2.7'), 'itself');
});

test('X-Forwarded-For is read from its end: its last address, or recursively the last that is not trusted', async (t) => {
  const trust = 'set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For;';
  const last = await start(t, oneServer(trust));
  assert.equal(await said(last, 'X-Forwarded-For: 192.0.2.1, 10.0.0.1'), '10.0.0.1:');
  assert.equal(await said(last, 'X-Forwarded-For: 192.0.2.1', 'X-Forwarded-For: 10.0.0.1'), '10.0.0.1:');
  const recursive = await start(t, oneServer(`${trust} real_ip_recursive on;`));
  const cases: readonly (readonly [string[], string])[] = [
    [['192.0.2.1'], '192.0.2.1:'],
    [['192.0.2.9, 192.0.2.1, 10.0.0.1 , 10.0.0.2,'], '192.0.2.1:'],
    [['192.0.2.9', '192.0.2.1', '10.0.0.1'], '192.0.2.1:'],
    [['10.0.0.3', '10.0.0.2 10.0.0.1'], '10.0.0.3:'],
    [['nobody, 10.0.0.1'], '10.0.0.1:'],
    [['192.0.2.1', 'nobody', '10.0.0.1'], '10.0.0.1:'],
    [['192.0.2.1, nobody'], 'itself'],
    [[' , '], 'itself'],
  ];
  for (const [values, client] of cases) {
    assert.equal(
      await said(recursive, ...values.map((value) => `X-Forwarded-For: ${value}`)),
      client,
      values.join(' | '),
    );
  }
});

test('any field may say it; of several the first one counts', async (t) => {
  const gateway = await start(
    t,
    oneServer('set_real_ip_from localhost; real_ip_header True-Client_IP; underscores_in_headers on;'),
  );
  assert.equal(await said(gateway, 'true-client_ip: 192.0.2.1', 'True-Client_IP: 192.0.2.2'), '192.0.2.1:');
  assert.equal(await said(gateway, 'X-Real-IP: 192.0.2.1'), 'itself');
});

test('the PROXY protocol may say it: address and port', async (t) => {
  const gateway = await start(
    t,
    `server {
      listen 127.0.0.1:8080 proxy_protocol;
      set_real_ip_from 127.0.0.1;
      real_ip_header proxy_protocol;
      location / { return 200 "${SAID}"; }
    }`,
  );
  const header = { source: '192.0.2.1', sourcePort: 123, destination: '192.0.2.2', destinationPort: 5 };
  const get = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nX-Real-IP: 6.6.6.6\r\nConnection: close\r\n\r\n');
  for (const head of [proxyLine(header), proxyBinary(header)]) {
    const { text } = await sendAlone(t, gateway.port(), Buffer.concat([head, get]));
    assert.match(text, /\r\n\r\n192\.0\.2\.1:123 \(127\.0\.0\.1\)$/);
  }
  const { text } = await sendAlone(t, gateway.port(), Buffer.concat([Buffer.from('PROXY UNKNOWN\r\n'), get]));
  assert.match(text, /\r\n\r\n127\.0\.0\.1:\d+ \(127\.0\.0\.1\)$/);
});

test('each request of a connection says it anew', async (t) => {
  const gateway = await start(t, oneServer('set_real_ip_from 127.0.0.1;'));
  const client = await RawClient.to(t, gateway.port());
  client.send('GET / HTTP/1.1\r\nHost: a\r\nX-Real-IP: 192.0.2.1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.answer(2);
  client.send('GET / HTTP/1.1\r\nHost: a\r\nX-Real-IP: 192.0.2.2\r\n\r\n');
  await client.answer(3);
  const bodies = client.answers.map(({ body }) => body.toString());
  assert.equal(bodies[0], '192.0.2.1:');
  assert.match(bodies[1] as string, /^127\.0\.0\.1:\d+$/);
  assert.equal(bodies[2], '192.0.2.2:');
});

test('logs, the upstream and a redirect within see the client that was told; what came from a socket is still known', async (t) => {
  const backend = await startBackend(t, () => 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  const gateway = await start(
    t,
    `log_format client '${SAID}';
     server {
      listen 127.0.0.1:8080;
      set_real_ip_from 127.0.0.1;
      access_log logs/access.log client;
      error_page 404 /elsewhere;
      location / { root html; }
      location /elsewhere { return 200 "${SAID}"; }
      location /proxied {
        proxy_pass http://${backend.address}/;
        proxy_set_header X-Client "$remote_addr";
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      }
    }`,
  );
  const { text } = await ask(gateway.port(), 'GET /none', 'X-Real-IP: 192.0.2.1');
  assert.match(text, /^192\.0\.2\.1: \(127\.0\.0\.1\)$/);
  assert.match(gateway.read('logs/error.log'), /open\(\) ".*none" failed .*, client: 192\.0\.2\.1,/);
  await ask(gateway.port(), 'GET /proxied', 'X-Real-IP: 192.0.2.2');
  assert.match((await backend.request()).head, /X-Client: 192\.0\.2\.2\r\n.*X-Forwarded-For: 192\.0\.2\.2\r\n/is);
  assert.deepEqual(gateway.lines('logs/access.log'), ['192.0.2.1: (127.0.0.1)', '192.0.2.2: (127.0.0.1)']);
});

test('a location may trust where its server does not, once for a request', async (t) => {
  const gateway = await start(
    t,
    `server {
      listen 127.0.0.1:8080;
      location / { return 403; }
      location /trusting { set_real_ip_from 127.0.0.1; error_page 404 /again; root html; }
      location /again { internal; set_real_ip_from 0.0.0.0/0; real_ip_header X-Other; root html; try_files /none /last; }
      location /last { set_real_ip_from 0.0.0.0/0; real_ip_header X-Other; return 200 "$remote_addr"; }
    }`,
  );
  const { text } = await ask(gateway.port(), 'GET /trusting', 'X-Real-IP: 192.0.2.1', 'X-Other: 192.0.2.2');
  assert.equal(text, '192.0.2.1');
});

test('host names that nobody knows and networks that are none are refused; low bits are a warning', async (t) => {
  await assert.rejects(
    start(t, 'set_real_ip_from 10.0.0.0/33;'),
    /host not found in set_real_ip_from "10\.0\.0\.0\/33"/,
  );
  const gateway = await start(t, `set_real_ip_from 10.0.0.1/8; ${oneServer('')}`);
  assert.match(gateway.warnings.join('\n'), /\[warn\].*low address bits of 10\.0\.0\.1\/8 are meaningless/);
});
