// valid_referers: from where a request may come, and $invalid_referer where it does not.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

async function start(
  t: TestContext,
  lines: string,
  names = 'own.example *.own.test ~^re\\d+$',
): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    http: `access_log off;
      server {
        listen 127.0.0.1:8080;
        server_name ${names};
        ${lines}
        location / { return 200 "$invalid_referer"; }
        location /other { valid_referers other.example; return 200 "$invalid_referer"; }
        location /if { set $said no; if ($invalid_referer) { set $said yes; } return 200 $said; }
      }`,
  });
  t.after(() => gateway.stop());
  return gateway;
}

async function isValid(gateway: RunningGateway, referer: string | undefined, path = '/'): Promise<boolean> {
  const fields = referer === undefined ? [] : [`Referer: ${referer}`];
  const { text } = await ask(gateway.port(), `GET ${path}`, ...fields);
  assert.ok(text === '' || text === '1');
  return text === '';
}

test('names may be masks, and have the beginning of a path; the scheme, the port and the case do not matter', async (t) => {
  const gateway = await start(t, 'valid_referers www.example.org *.example.net .both.test tail.* paths.test/a/;');
  const cases: readonly (readonly [string | undefined, boolean])[] = [
    ['http://www.example.org', true],
    ['HTTPS://WWW.Example.Org:8080/x', true],
    ['http://example.org/', false],
    ['http://a.b.example.net/', true],
    ['http://example.net/', false],
    ['http://both.test/', true],
    ['http://x.both.test/', true],
    ['http://tail.anything/', true],
    ['http://paths.test/a/b', true],
    ['http://paths.test:80/a/', true],
    ['http://paths.test/', false],
    ['http://paths.test/A/', false],
    ['ftp://www.example.org/', false],
    ['www.example.org', false],
    ['http://a.b', false],
    [`http://${'x'.repeat(300)}.both.test/`, false],
    ['', false],
    [undefined, false],
  ];
  for (const [referer, valid] of cases) assert.equal(await isValid(gateway, referer), valid, referer);
});

test('none is a request without Referer, blocked is one that has been made unreadable', async (t) => {
  const gateway = await start(t, 'valid_referers none blocked a.test;');
  for (const referer of [undefined, '', 'XXXX', 'about:blank']) assert.equal(await isValid(gateway, referer), true);
  assert.equal(await isValid(gateway, 'http://other.test/'), false);
});

test('server_names are our own, those of expressions as well', async (t) => {
  const gateway = await start(t, 'valid_referers server_names;');
  for (const host of ['own.example', 'a.own.test', 're17'])
    assert.equal(await isValid(gateway, `http://${host}/xxx`), true, host);
  for (const host of ['other.example', 'own.test', 'rex'])
    assert.equal(await isValid(gateway, `http://${host}/xxx`), false, host);
});

test('an expression is held against what follows the scheme, in any case', async (t) => {
  const gateway = await start(t, 'valid_referers a.test ~^[a-z]+\\.other\\.test/path;');
  assert.equal(await isValid(gateway, 'https://WWW.other.test/path/x'), true);
  assert.equal(await isValid(gateway, 'https://www.other.test/'), false);
});

test('a location has its own instead of its server’s; where there are none everything is valid', async (t) => {
  const gateway = await start(t, 'valid_referers a.test;');
  assert.equal(await isValid(gateway, 'http://a.test/xx'), true);
  assert.equal(await isValid(gateway, 'http://a.test/xx', '/other'), false);
  assert.equal(await isValid(gateway, 'http://other.example/', '/other'), true);
  assert.equal((await ask(gateway.port(), 'GET /if', 'Referer: http://b.test/xx')).text, 'yes');
  assert.equal((await ask(gateway.port(), 'GET /if', 'Referer: http://a.test/xx')).text, 'no');
  assert.equal(await isValid(await start(t, ''), 'whatever'), true);
});

describe('a mistake is told in nginx’s words', () => {
  const mistakes: readonly (readonly [string, RegExp])[] = [
    [
      'valid_referers none blocked;',
      /the "none" or "blocked" referers are specified in the "valid_referers" directive without any/,
    ],
    ['valid_referers "";', /invalid referer ""/],
    ['valid_referers ~;', /empty regex in "~"/],
    ['valid_referers a.test a.test;', /conflicting parameter "a\.test"/],
    ['valid_referers a*b.test;', /invalid hostname or wildcard "a\*b\.test"/],
  ];
  for (const [line, message] of mistakes) {
    test(line, async (t) => {
      await assert.rejects(start(t, line), message);
    });
  }
});
