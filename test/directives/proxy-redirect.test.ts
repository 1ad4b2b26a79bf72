// proxy_redirect: what becomes of Location and Refresh on their way to the client.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';
import { TellingPeer } from '../support/telling-peer.ts';

let gateway: RunningGateway;
let peer: TellingPeer;

before(async () => {
  peer = await TellingPeer.start();
  gateway = await gatewayFromConfig({
    http: `
      access_log off;
      upstream group { server 127.0.0.1:${peer.port}; }
      map $arg_to $made { default group; }
      server {
        listen 127.0.0.1:8080;
        location /plain/ { proxy_pass http://group; }
        location /uri/ { proxy_pass http://group/two/; }
        location /made/ { proxy_pass http://$made; }
        location /off/ { proxy_redirect off; proxy_pass http://group; location /off/inner/ { proxy_pass http://group; } }
        location /own/ { proxy_pass http://group; proxy_redirect default; proxy_redirect http://other/ /other/; proxy_redirect ~^http://([a-z]+)\\.test/ https://$1.example/; proxy_redirect ~*^FTP:(.*)$ $scheme:$1; }
        location /named { error_page 404 @named; return 404; }
        location @named { proxy_pass http://group; }
        location /relative/ { absolute_redirect off; proxy_pass http://group; }
        location /ours/ { proxy_intercept_errors on; error_page 404 http://group/lost; proxy_pass http://group; }
      }
    `,
  });
});

after(() => {
  gateway.stop();
  peer.stop();
});

/** The field that the client gets where the peer has sent this. */
async function seen(path: string, value: string, name = 'Location'): Promise<string | undefined> {
  const { headers } = await ask(gateway.port(), `GET ${path}?${name}=${encodeURIComponent(value)}`, 'Host: front');
  return headers.get(name.toLowerCase());
}

describe('by default', () => {
  test('what proxy_pass has put in place of the location is turned back', async () => {
    assert.equal(await seen('/uri/', 'http://group/two/some/uri?x'), 'http://front:8080/uri/some/uri?x');
    assert.equal(await seen('/plain/', 'http://group/some/uri'), 'http://front:8080/some/uri');
    assert.equal(await seen('/named', 'http://group/x'), 'http://front:8080/x');
  });

  test('all else stays as it is', async () => {
    assert.equal(await seen('/uri/', 'http://group/three/'), 'http://group/three/');
    assert.equal(await seen('/plain/', 'https://group/x'), 'https://group/x');
    assert.equal(await seen('/plain/', '/relative'), '/relative');
    assert.equal(await seen('/plain/', 'http://groupies/x'), 'http://groupies/x');
  });

  test('nothing is changed where proxy_pass has variables', async () => {
    assert.equal(await seen('/made/', 'http://group/x'), 'http://group/x');
  });

  test('Refresh is changed behind its url=', async () => {
    assert.equal(await seen('/uri/', '5; URL=http://group/two/x', 'Refresh'), '5; URL=/uri/x');
    assert.equal(await seen('/uri/', '5', 'Refresh'), '5');
  });
});

test('off changes nothing, in the locations inside, too', async () => {
  assert.equal(await seen('/off/', 'http://group/x'), 'http://group/x');
  assert.equal(await seen('/off/inner/', 'http://group/x'), 'http://group/x');
});

test('of several the first that fits is done', async () => {
  assert.equal(await seen('/own/', 'http://group/x'), 'http://front:8080/x');
  assert.equal(await seen('/own/', 'http://other/x'), 'http://front:8080/other/x');
  assert.equal(await seen('/own/', 'http://some.test/'), 'https://some.example/');
  assert.equal(await seen('/own/', 'ftp://z/'), 'http://z/');
});

test('a path stays one with absolute_redirect off', async () => {
  assert.equal(await seen('/relative/', 'http://group/x'), '/x');
});
