// add_header: when a field is added, what becomes of it, and what a level takes from the one above.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      access_log off;
      add_header X-Http http;
      server {
        listen 127.0.0.1:8080;
        location / { return 200; }
        location /own { add_header X-Own "$uri $arg_a"; return 200; }
        location /own/inner { return 200; location /own/inner/most { return 200; } }
        location /several { add_header X-A 1; add_header X-A 2; add_header x-b 3; return 200; }
        location /error { add_header X-Usual 1; add_header X-Always 1 always; return 404; }
        location /moved { add_header X-Usual 1; return 301 /; }
        location /empty { add_header X-Empty $arg_nothing; return 200; }
        location /split/ { add_header X-Uri $uri; return 200; }
        location /bytes { add_header X-Bytes "grün"; return 200; }
        location = /file.txt { add_header Last-Modified ""; add_header ETag '"mine"'; add_header Cache-Control no-store; }
        location = /plain.txt { }
      }
    `,
    files: { 'html/file.txt': 'text', 'html/plain.txt': 'text' },
  });
});

after(() => gateway.stop());

async function fields(path: string): Promise<string[]> {
  const { whole } = await ask(gateway.port(), `GET ${path}`);
  const head = whole.slice(0, whole.indexOf('\r\n\r\n'));
  return head.split('\r\n').slice(1);
}

const added = async (path: string): Promise<string[]> => (await fields(path)).filter((field) => /^x-/i.test(field));

test('a field is added as it is written, its variables filled in', async () => {
  assert.deepEqual(await added('/own?a=b'), ['X-Own: /own b']);
  assert.deepEqual(await added('/several'), ['X-A: 1', 'X-A: 2', 'x-b: 3']);
});

test('bytes of the configuration go out as they stand there', async () => {
  assert.deepEqual(await added('/bytes'), [`X-Bytes: ${Buffer.from('grün').toString('latin1')}`]);
});

test('a level takes what the one above has, unless it has fields of its own', async () => {
  assert.deepEqual(await added('/'), ['X-Http: http']);
  assert.deepEqual(await added('/own'), ['X-Own: /own ']);
  assert.deepEqual(await added('/own/inner/most'), ['X-Http: http']);
});

test('an error gets only what is for always', async () => {
  assert.deepEqual(await added('/error'), ['X-Always: 1']);
  assert.deepEqual(await added('/moved'), ['X-Usual: 1']);
});

test('an empty value adds nothing', async () => {
  assert.deepEqual(await added('/empty'), []);
});

test('a line break out of a decoded URI becomes a space, so that it cannot split the answer', async () => {
  assert.deepEqual(await added('/split/%0d%0aX-Evil:%201'), ['X-Uri: /split/  X-Evil: 1']);
});

test('Last-Modified and ETag are replaced, or taken away by an empty value', async () => {
  const plain = await fields('/plain.txt');
  assert.equal(plain.filter((field) => /^(Last-Modified|ETag):/.test(field)).length, 2);
  const own = await fields('/file.txt');
  assert.deepEqual(
    own.filter((field) => /^(Last-Modified|ETag|Cache-Control):/i.test(field)),
    ['ETag: "mine"', 'Cache-Control: no-store'],
  );
});
