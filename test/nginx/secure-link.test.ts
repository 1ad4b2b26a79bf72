// secure_link: links with a right hash are good until they expire, and no others.

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

async function start(t: TestContext, locations: string): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    http: `access_log off; server { listen 127.0.0.1:8080; ${locations} }`,
  });
  t.after(() => gateway.stop());
  return gateway;
}

const md5 = (text: string, encoding: 'base64url' | 'hex'): string => hash('md5', text, encoding);
const now = Math.floor(Date.now() / 1000);

test('a hash of the expression is good, until its time is over', async (t) => {
  const gateway = await start(
    t,
    `location / {
      secure_link $arg_s,$arg_e;
      secure_link_md5 "$secure_link_expires$uri secret";
      return 200 "[$secure_link][$secure_link_expires]";
    }
    location /untimed { secure_link $arg_s; secure_link_md5 "$uri secret"; return 200 "[$secure_link]"; }
    location /half { secure_link $arg_s; return 200 "[$secure_link]"; }`,
  );
  const said = async (path: string): Promise<string> => (await ask(gateway.port(), `GET ${path}`)).text;
  const signed = (expires: number): string => md5(`${expires}/a secret`, 'base64url');
  assert.equal(await said(`/a?s=${signed(now + 100)}&e=${now + 100}`), `[1][${now + 100}]`);
  assert.equal(await said(`/a?s=${signed(now + 100)}==&e=${now + 100}`), `[1][${now + 100}]`);
  assert.equal(await said(`/a?s=${signed(now - 100)}&e=${now - 100}`), `[0][${now - 100}]`);
  assert.equal(await said(`/a?s=${signed(now - 100)}&e=${now + 100}`), `[][${now + 100}]`);
  assert.equal(await said(`/b?s=${signed(now + 100)}&e=${now + 100}`), `[][${now + 100}]`);
  for (const wrong of ['s=x&e=1', `s=${signed(0)}&e=0`, `s=${signed(1)}x&e=`, `s=${'x'.repeat(30)}&e=x`, ''])
    assert.match(await said(`/a?${wrong}`), /^\[\]/, wrong);
  assert.equal(await said(`/untimed?s=${md5('/untimed secret', 'base64url')}`), '[1]');
  assert.equal(await said(`/half?s=${md5('/half secret', 'base64url')}`), '[]');
});

test('with a secret alone the link stands behind its hash in the path', async (t) => {
  const gateway = await start(t, 'location /p/ { secure_link_secret word; return 200 "[$secure_link]"; }');
  const said = async (path: string): Promise<string> => (await ask(gateway.port(), `GET ${path}`)).text;
  assert.equal(await said(`/p/${md5('a/b?cword', 'hex')}/a/b?c`), '[a/b?c]');
  assert.equal(await said(`/p/${md5('aword', 'hex').toUpperCase()}/a`), '[a]');
  for (const path of [`/p/${md5('aword', 'hex')}/b`, `/p/${md5('word', 'hex')}/`, '/p/x/a', '/p/a'])
    assert.equal(await said(path), '[]', path);
});

test('the two ways cannot be mixed', async (t) => {
  await assert.rejects(
    start(t, 'location / { secure_link_secret a; secure_link b; }'),
    /"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5"/,
  );
});
