// $request_uri, $uri and $args in the access log where there is none of them: `-` without a value, nothing where it is empty.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { exchangeBytes } from '../support/raw-http.ts';

async function start(t: TestContext, server: string): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    http: `log_format uris '[$request_uri|$uri|$args|$query_string]'; access_log logs/access.log uris;
      server { listen 127.0.0.1:8080; ${server} }`,
  });
  t.after(() => gateway.stop());
  return gateway;
}

/** What is logged of a request that is sent as it stands here. */
async function logged(gateway: RunningGateway, head: string): Promise<string | undefined> {
  await exchangeBytes(gateway.port(), Buffer.from(head, 'latin1'));
  return gateway.lines('logs/access.log').at(-1);
}

const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;

test('arguments that were taken away are empty, those that were never there have no value', async (t) => {
  const gateway = await start(
    t,
    `location /dropped { rewrite ^ /new? break; return 200 x; }
     location /moved { rewrite ^ /page? last; }
     location /empty { rewrite ^ /page?$arg_none? last; }
     location /kept { rewrite ^ /page last; }
     location /set { set $args ""; return 200 x; }
     location /error { set $args ""; error_page 404 /page; return 404; }
     location /page { return 200 x; }`,
  );
  const wanted: [string, string][] = [
    ['/dropped?a', '[/dropped?a|/new||]'],
    ['/dropped', '[/dropped|/new|-|-]'],
    ['/moved?a', '[/moved?a|/page||]'],
    ['/empty', '[/empty|/page||]'],
    ['/kept', '[/kept|/page|-|-]'],
    ['/kept?a', '[/kept?a|/page|a|a]'],
    ['/set?a', '[/set?a|/set||]'],
    ['/set', '[/set|/set||]'],
    ['/error?a', '[/error?a|/page|-|-]'],
    ['/page?', '[/page?|/page|-|-]'],
  ];
  for (const [target, line] of wanted) assert.equal(await logged(gateway, get(target)), line, target);
});

test('a target that is no URI, or stands in a line that was not understood, is no $request_uri', async (t) => {
  const gateway = await start(t, 'location / { return 200 x; } error_page 400 /page;');
  const plain = await start(t, 'location / { return 200 x; }');
  for (const target of ['/%zz?a', '/../x?a', '/%00?a', 'http://b/%zz?a']) {
    assert.equal(await logged(plain, get(target)), '[-||-|-]', target);
    assert.equal(await logged(gateway, get(target)), '[-|/page|-|-]', target);
  }
  for (const line of [
    'GET /x?a HTTP/7.1',
    'GET /x?a HTTX/1.1',
    'GET x?a HTTP/1.1',
    'GET /x?a b HTTP/1.1',
    'G@T / HTTP/1.1',
  ])
    assert.equal(await logged(plain, `${line}\r\nHost: a\r\n\r\n`), '[-|-|-|-]', line);
});

test('a request that is refused for its fields has its URI in the log', async (t) => {
  const gateway = await start(t, 'location / { return 200 x; }');
  for (const fields of ['', 'Host: a\r\nHost: b\r\n', 'Host: a\r\nContent-Length: x\r\n', 'Host: a\r\n: x\r\n'])
    assert.equal(await logged(gateway, `GET /a%20b?c HTTP/1.1\r\n${fields}\r\n`), '[/a%20b?c|/a b|c|c]', fields);
  assert.equal(await logged(gateway, 'GET /%zz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'), '[-||-|-]');
});

test('plain HTTP on a TLS port can be sent on by its URI', async (t) => {
  const { selfSignedCertificate } = await import('../support/certificates.ts');
  const { cert, key } = await selfSignedCertificate();
  const gateway = await gatewayFromConfig({
    http: `server { listen 127.0.0.1:8443 ssl; ssl_certificate a.crt; ssl_certificate_key a.key;
      error_page 497 https://$host$uri$is_args$args; location / { return 200 secret; } }`,
    files: { 'a.crt': cert, 'a.key': key },
  });
  t.after(() => gateway.stop());
  const answer = (await exchangeBytes(gateway.port(), Buffer.from(get('/x?y')))).toString('latin1');
  assert.match(answer, /^HTTP\/1\.1 302 .*\r\nLocation: https:\/\/a\/x\?y\r\n/s);
});
