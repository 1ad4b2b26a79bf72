// open_file_cache: files that stay open, what that changes, and when they are closed.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#open_file_cache

import assert from 'node:assert/strict';
import { readdirSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';
import { until } from '../support/until.ts';

/** Each test has caches of its own: `max` and `inactive` name them. */
async function serve(t: TestContext, lines: string, files: Readonly<Record<string, string>>): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    http: `server { listen 127.0.0.1:8080; ${lines} location / { } location /anew/ { alias html/; open_file_cache off; } }`,
    files,
  });
  t.after(() => gateway.stop());
  return gateway;
}

/** Puts another file in the place of one. */
function replace(gateway: RunningGateway, name: string, text: string): void {
  const path = join(gateway.prefix, 'html', name);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

const textOf = async (gateway: RunningGateway, path: string): Promise<string> =>
  (await ask(gateway.port(), `GET ${path}`)).text;
const statusOf = async (gateway: RunningGateway, path: string): Promise<number> =>
  (await ask(gateway.port(), `GET ${path}`)).status;

/** The files below the prefix's `html` that this process has open. */
function openFiles(gateway: RunningGateway): string[] {
  const folder = join(gateway.prefix, 'html/');
  return readdirSync('/proc/self/fd')
    .map(targetOf)
    .filter((target) => target.startsWith(folder))
    .map((target) => target.slice(folder.length))
    .sort();
}

function targetOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return '';
  }
}

test('a file stays open and as it was; without the cache it is opened anew', async (t) => {
  const gateway = await serve(t, 'open_file_cache max=11;', { 'html/a.txt': 'old', 'html/index.html': 'index' });
  assert.equal(await textOf(gateway, '/a.txt'), 'old');
  assert.deepEqual(openFiles(gateway), ['a.txt']);
  replace(gateway, 'a.txt', 'new one');
  assert.equal(await textOf(gateway, '/a.txt'), 'old');
  assert.equal(await textOf(gateway, '/anew/a.txt'), 'new one');
  assert.equal((await ask(gateway.port(), 'GET /a.txt', 'Range: bytes=1-1')).text, 'l');
  for (let i = 0; i < 2; i++) assert.equal(await textOf(gateway, '/'), 'index');
});

test('after open_file_cache_valid it is looked at again', async (t) => {
  const gateway = await serve(t, 'open_file_cache max=12; open_file_cache_valid 1s;', { 'html/a.txt': 'old' });
  assert.equal(await textOf(gateway, '/a.txt'), 'old');
  replace(gateway, 'a.txt', 'new one');
  assert.equal(await textOf(gateway, '/a.txt'), 'old');
  await until('the new file', async () => (await textOf(gateway, '/a.txt')) === 'new one');
  assert.deepEqual(openFiles(gateway), ['a.txt']);
});

test('a file that was not asked for during `inactive` is closed', async (t) => {
  const gateway = await serve(t, 'open_file_cache max=13 inactive=1s;', { 'html/a.txt': 'a' });
  await textOf(gateway, '/a.txt');
  assert.deepEqual(openFiles(gateway), ['a.txt']);
  await until('the close', () => openFiles(gateway).length === 0);
});

test('no more than `max` are open: the one that was not used for the longest time goes', async (t) => {
  const files = { 'html/a.txt': 'a', 'html/b.txt': 'b', 'html/c.txt': 'c' };
  const gateway = await serve(t, 'open_file_cache max=2;', files);
  for (const path of ['/a.txt', '/b.txt', '/a.txt', '/c.txt']) await textOf(gateway, path);
  await until('the close', () => openFiles(gateway).length === 2);
  assert.deepEqual(openFiles(gateway), ['a.txt', 'c.txt']);
});

test('open_file_cache_min_uses: what is asked for seldom does not stay open', async (t) => {
  const gateway = await serve(t, 'open_file_cache max=14; open_file_cache_min_uses 2;', { 'html/a.txt': 'a' });
  await textOf(gateway, '/a.txt');
  await until('the close', () => openFiles(gateway).length === 0);
  await textOf(gateway, '/a.txt');
  await textOf(gateway, '/a.txt');
  assert.deepEqual(openFiles(gateway), ['a.txt']);
});

test('open_file_cache_errors: that there is no file is remembered only where it says so', async (t) => {
  const remembering = await serve(t, 'open_file_cache max=15; open_file_cache_errors on;', {});
  const forgetting = await serve(t, 'open_file_cache max=16;', {});
  for (const [gateway, status] of [
    [remembering, 404],
    [forgetting, 200],
  ] as const) {
    assert.equal(await statusOf(gateway, '/late.txt'), 404);
    replace(gateway, 'late.txt', 'late');
    assert.equal(await statusOf(gateway, '/late.txt'), status);
  }
});

test('a file that has gone is still served to its end, by many at once', async (t) => {
  const text = 'x'.repeat(300_000);
  const gateway = await serve(t, 'open_file_cache max=1;', { 'html/a.txt': text, 'html/b.txt': 'b' });
  const answers = Array.from({ length: 5 }, () => textOf(gateway, '/a.txt'));
  const other = textOf(gateway, '/b.txt');
  for (const answer of await Promise.all(answers)) assert.equal(answer.length, text.length);
  assert.equal(await other, 'b');
  rmSync(join(gateway.prefix, 'html/b.txt'));
  await until('one open file at most', () => openFiles(gateway).length <= 1);
});
