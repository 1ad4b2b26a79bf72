// The pages that tell of an error: of nginx's shape, under our own name, for faults of clients, peers and our own rules.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { fieldOf } from '../support/http-reader.ts';
import { sendAlone } from '../support/raw-client.ts';
import { ask, exchangeBytes } from '../support/raw-http.ts';
import { startBackend } from '../support/recording-backend.ts';

const PAGE = (title: string): RegExp =>
  new RegExp(
    `^<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n` +
      '<hr><center>sockgate/[0-9.]+</center>\r\n</body>\r\n</html>\r\n$',
  );

test('an answer for another status does not keep the reason of its source', async (t) => {
  const backend = await startBackend(t, () => 'HTTP/1.1 200 Fine\r\nContent-Length: 4\r\n\r\npage');
  const gateway = await gatewayFromConfig({
    http: `server {
      listen 127.0.0.1:8080;
      location /none { return 502; error_page 502 /page; }
      location /taken { return 502; error_page 502 = /page; }
      location /page { proxy_pass http://${backend.address}; }
    }`,
  });
  t.after(() => gateway.stop());
  const lineOf = async (path: string): Promise<string> => {
    const head = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    const bytes = await exchangeBytes(gateway.port(), Buffer.from(head));
    return bytes.toString('latin1').split('\r\n')[0] ?? '';
  };
  assert.equal(await lineOf('/none'), 'HTTP/1.1 502 Bad Gateway');
  assert.equal(await lineOf('/taken'), 'HTTP/1.1 200 Fine');
});

test('no peer, no connection, no answer: 502 and 504 with a page, and the connection stays', async (t) => {
  const garbage = await startBackend(t, () => 'garbage\r\n\r\n');
  const silent = await startBackend(t, () => undefined);
  const closing = await startBackend(t, (_, { socket }) => void socket.destroy());
  const gateway = await gatewayFromConfig({
    http: `
      proxy_next_upstream off;
      upstream down { server 127.0.0.1:1 down; }
      server {
          listen 127.0.0.1:8080;
          location /refused { proxy_pass http://127.0.0.1:${await freePort()}; }
          location /down { proxy_pass http://down; }
          location /garbage { proxy_pass http://${garbage.address}; }
          location /silent { proxy_pass http://${silent.address}; proxy_read_timeout 100ms; }
          location /closing { proxy_pass http://${closing.address}; }
      }`,
  });
  t.after(() => gateway.stop());
  const wanted: [string, string, RegExp][] = [
    ['refused', '502 Bad Gateway', /connect\(\) failed \(111: Connection refused\) while connecting to upstream/],
    ['down', '502 Bad Gateway', /no live upstreams while connecting to upstream/],
    ['garbage', '502 Bad Gateway', /upstream sent .* while reading response header from upstream/],
    [
      'silent',
      '504 Gateway Time-out',
      /upstream timed out \(110: Connection timed out\) while reading response header/,
    ],
    ['closing', '502 Bad Gateway', /upstream prematurely closed connection|recv\(\) failed \(104/],
  ];
  for (const [path, title, logged] of wanted) {
    const client = await sendAlone(
      t,
      gateway.port(),
      `GET /${path} HTTP/1.1\r\nHost: a\r\n\r\nGET /${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    );
    assert.equal(client.answers.length, 2, path);
    for (const answer of client.answers) {
      assert.equal(answer.status, Number(title.slice(0, 3)), path);
      assert.match(answer.body.toString(), PAGE(title));
      assert.equal(fieldOf(answer, 'content-type'), 'text/html');
      assert.match(fieldOf(answer, 'server') ?? '', /^sockgate\//);
    }
    const line = gateway.lines().find((one) => one.includes(`/${path} HTTP`)) ?? '';
    assert.match(line, logged);
    assert.match(
      line,
      /, client: 127\.0\.0\.1, server: , request: "GET \/\w+ HTTP\/1\.1", upstream: "http:\/\/[^"]+", host: "a"$/,
    );
  }
});

test('statuses of our own rules have their pages; without server_tokens they name no version', async (t) => {
  const gateway = await gatewayFromConfig({
    http: `
      server_tokens off;
      server { listen 127.0.0.1:8080; root html; location / { } location /r { return 403; } location /g { return 444; } }`,
  });
  t.after(() => gateway.stop());
  const port = gateway.port();
  for (const [line, title] of [
    ['GET /none', '404 Not Found'],
    ['GET /r', '403 Forbidden'],
    ['PUT /none', '405 Not Allowed'],
    ['GET /%zz', '400 Bad Request'],
  ] as const) {
    const { text, headers } = await ask(port, line);
    assert.match(text, new RegExp(PAGE(title).source.replace('/[0-9.]+', '')));
    assert.equal(headers.get('server'), 'sockgate');
  }
  assert.equal((await ask(port, 'GET /g')).whole, '', '444 closes without a word');
});

test('plain HTTP on a TLS port is told so', async (t) => {
  const { selfSignedCertificate } = await import('../support/certificates.ts');
  const { cert, key } = await selfSignedCertificate();
  const gateway = await gatewayFromConfig({
    http: 'server { listen 127.0.0.1:8443 ssl; ssl_certificate a.crt; ssl_certificate_key a.key; location / { return 200 secret; } }',
    files: { 'a.crt': cert, 'a.key': key },
  });
  t.after(() => gateway.stop());
  const { status, text } = await ask(gateway.port(), 'GET /');
  assert.equal(status, 400);
  assert.match(text, /The plain HTTP request was sent to HTTPS port/);
});

test('a page for 416 keeps how long the whole is, unless it has another status', async (t) => {
  const gateway = await gatewayFromConfig({
    http: `server {
      listen 127.0.0.1:8080;
      location = /a { alias html/a; error_page 416 /page; }
      location = /b { alias html/a; error_page 416 @page; }
      location = /c { alias html/a; error_page 416 =200 /page; }
      location = /d { alias html/a; error_page 416 /elsewhere; }
      location = /e { alias html/a; error_page 416 http://other/; }
      location = /elsewhere { error_page 404 @page; recursive_error_pages on; return 404; }
      location /page { return 200 page; }
      location @page { return 200 page; }
    }`,
    files: { 'html/a': '12345' },
  });
  t.after(() => gateway.stop());
  const asked = async (path: string): Promise<[number, string | undefined]> => {
    const { status, headers } = await ask(gateway.port(), `GET ${path}`, 'Range: bytes=9-');
    return [status, headers.get('content-range')];
  };
  assert.deepEqual(await asked('/a'), [416, 'bytes */5']);
  assert.deepEqual(await asked('/b'), [416, 'bytes */5']);
  assert.deepEqual(await asked('/c'), [200, undefined]);
  assert.deepEqual(await asked('/d'), [404, undefined]);
  assert.deepEqual(await asked('/e'), [302, undefined]);
});
