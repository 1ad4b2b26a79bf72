// disable_symlinks: files that are reached over links.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#disable_symlinks

import assert from 'node:assert/strict';
import { lchownSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';

let gateway: RunningGateway;

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      server {
        listen 127.0.0.1:8080;
        location / { }
        location /on/ { alias html/; disable_symlinks on from=$document_root; }
        location /owner/ { alias html/; disable_symlinks if_not_owner from=$document_root; }
        location /all/ { alias linked/; disable_symlinks on; }
        location /try/ { alias html/; disable_symlinks on from=$document_root; try_files $uri /try/a.txt =404; }
        location /try-folder/ { alias html/; disable_symlinks on from=$document_root; try_files $uri/ =410; }
        location /try-owner/ { alias html/; disable_symlinks if_not_owner from=$document_root; try_files $uri =404; }
        location /if/ { alias html/; disable_symlinks on from=$document_root; if (-f $request_filename) { return 204; } return 205; }
        location /if-owner/ { alias html/; disable_symlinks if_not_owner; if (-e $request_filename) { return 204; } return 205; }
        location /from/ { alias linked/; disable_symlinks on from=$document_root; }
      }
    `,
    files: { 'html/a.txt': 'a', 'html/folder/index.html': 'index', 'html/folder/b.txt': 'b' },
  });
  const html = join(gateway.prefix, 'html');
  mkdirSync(join(html, 'ways'));
  symlinkSync('a.txt', join(html, 'link.txt'));
  symlinkSync('folder', join(html, 'link'));
  symlinkSync('../folder/index.html', join(html, 'ways/index.html'));
  symlinkSync('html', join(gateway.prefix, 'linked'));
});

after(() => gateway.stop());

const status = async (path: string): Promise<number> => (await ask(gateway.port(), `GET ${path}`)).status;

test('without it links are followed', async () => {
  for (const path of ['/link.txt', '/link/b.txt', '/link/', '/ways/']) assert.equal(await status(path), 200, path);
});

test('on: what is reached over a link, whatever part of the path it is, is forbidden and told', async () => {
  for (const path of ['/on/a.txt', '/on/folder/b.txt', '/on/folder/', '/on//folder//b.txt'])
    assert.equal(await status(path), 200, path);
  for (const path of ['/on/link.txt', '/on/link/b.txt', '/on/link/', '/on/ways/'])
    assert.equal(await status(path), 403, path);
  assert.match(
    gateway.lines().join('\n'),
    /open\(\) "\S+\/link\.txt" failed \(40: Too many levels of symbolic links\)/,
  );
  assert.equal(await status('/on/missing.txt'), 404);
});

test('from= says in which part links may be', async () => {
  assert.equal(realpathSync(gateway.prefix), gateway.prefix, 'the folder of this test has no links above it');
  assert.equal(await status('/all/a.txt'), 403);
  assert.equal(await status('/from/a.txt'), 200);
  assert.equal(await status('/from/link.txt'), 403);
});

test('if_not_owner: a link of the owner of its target is followed', async () => {
  for (const path of ['/owner/link.txt', '/owner/link/b.txt', '/owner/ways/'])
    assert.equal(await status(path), 200, path);
});

test('try_files passes over what may not be reached', async () => {
  assert.equal((await ask(gateway.port(), 'GET /try/folder/b.txt')).text, 'b');
  assert.equal((await ask(gateway.port(), 'GET /try/link/b.txt')).status, 404);
  assert.equal(await status('/try-folder/link'), 410);
  assert.equal((await ask(gateway.port(), 'GET /try-owner/link.txt')).text, 'a');
});

test('to the tests of files in "if" it is not there', async () => {
  assert.deepEqual([await status('/if/a.txt'), await status('/if/link.txt')], [204, 205]);
  assert.deepEqual([await status('/if/link/b.txt'), await status('/if/missing')], [205, 205]);
  assert.deepEqual([await status('/if-owner/link.txt'), await status('/if-owner/missing')], [204, 205]);
});

test('if_not_owner: a link of somebody else is not', {
  skip: process.getuid?.() === 0 ? false : 'only root can give a link away',
}, async () => {
  lchownSync(join(gateway.prefix, 'html/link.txt'), 12345, 12345);
  assert.equal(await status('/owner/link.txt'), 403);
  assert.equal(await status('/try-owner/link.txt'), 404);
  assert.equal(await status('/if-owner/link.txt'), 205);
});
