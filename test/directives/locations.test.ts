// location: which one a URI belongs to, what it takes from those around it, and who may come there.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      access_log off;
      server {
        listen 127.0.0.1:8080;
        location = / { return 200 "exact root"; }
        location / { return 200 "prefix root"; }
        location /docs { return 200 "docs"; }
        location /docs/ { return 200 "docs/"; location = /docs/x { return 200 "nested exact"; } location ~ \\.y$ { return 200 "nested regex"; } }
        location ^~ /static { return 200 "static"; }
        location ~ \\.gif$ { return 200 "gif"; }
        location ~* \\.JPG$ { return 200 "jpg"; }
        location ~ ^/user/(?<name>\\w+)/(\\d+)$ { return 200 "$name $2"; }
        location ~* "^/brace/[a-z]{2}$" { return 200 "braces"; }
        location = /inside { internal; return 200 "inside"; }
        location /to-inside { error_page 404 =200 /inside; return 404; }
        location /merged/a { return 200 "$uri $request_uri"; }
        location =/tight { return 200 "tight"; }
        location ~^/close/ { return 200 "close"; }
        location /dir/ { proxy_pass http://127.0.0.1:1; }
        location /outer { internal; location /outer/inner { return 200; } }
      }
      server {
        listen 127.0.0.1:8081;
        merge_slashes off;
        location /a/b { return 200 merged; }
        location / { return 200 "$uri"; }
      }
    `,
  });
});

after(() => gateway.stop());

const at = async (path: string): Promise<string> => (await ask(gateway.port(), `GET ${path}`)).text;

describe('the location of a URI', () => {
  test('is the exact one, else by the longest prefix', async () => {
    assert.equal(await at('/'), 'exact root');
    assert.equal(await at('/else'), 'prefix root');
    assert.equal(await at('/docsy'), 'docs');
    assert.equal(await at('/docs/a'), 'docs/');
    assert.equal(await at('/tight'), 'tight');
  });

  test('is by the first expression that fits, whatever the prefix', async () => {
    assert.equal(await at('/docs/a.gif'), 'gif');
    assert.equal(await at('/else.jpg'), 'jpg');
    assert.match(await at('/else.JPEG'), /prefix root/);
    assert.equal(await at('/close/x'), 'close');
    assert.equal(await at('/brace/XY'), 'braces');
  });

  test('is not by an expression where ^~ says so', async () => {
    assert.equal(await at('/static/a.gif'), 'static');
  });

  test('may stand inside of another one', async () => {
    assert.equal(await at('/docs/x'), 'nested exact');
    assert.equal(await at('/docs/z.y'), 'nested regex');
  });

  test('is looked for with the URI decoded, its dots resolved and slashes merged', async () => {
    assert.equal(await at('/%64ocs/./b/../x'), 'nested exact');
    assert.equal(await at('//merged//a?b=c'), '/merged/a //merged//a?b=c');
  });

  test('is looked for with all slashes where merge_slashes is off', async () => {
    assert.equal((await ask(gateway.port('127.0.0.1:8081'), 'GET /a//b')).text, '/a//b');
  });

  test('leaves the captures of its expression behind', async () => {
    assert.equal(await at('/user/ada/42'), 'ada 42');
  });
});

describe('an internal location', () => {
  test('is not there for a client', async () => {
    assert.equal((await ask(gateway.port(), 'GET /inside')).status, 404);
  });

  test('is there for an error page', async () => {
    assert.equal(await at('/to-inside'), 'inside');
  });

  test('makes those inside of it internal, too', async () => {
    assert.equal((await ask(gateway.port(), 'GET /outer/inner')).status, 404);
  });
});

test('a folder that is passed on is redirected to with its slash', async () => {
  const { status, headers } = await ask(gateway.port(), 'GET /dir?a=b', 'Host: x');
  assert.deepEqual([status, headers.get('location')], [301, 'http://x:8080/dir/?a=b']);
});
