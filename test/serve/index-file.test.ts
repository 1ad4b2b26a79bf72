// The index of a folder.

import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { LocationSettings, Text } from '../../src/exchange/settings.ts';
import { serveIndex } from '../../src/serve/index-file.ts';
import { serveFile } from '../../src/serve/static-file.ts';
import { locationSettings, serverSettings } from '../support/location-settings.ts';
import { ask } from '../support/raw-http.ts';
import { KeptLog, runServer } from '../support/running-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

async function serve(
  t: TestContext,
  names: readonly (string | Text)[],
  files: Readonly<Record<string, string>>,
  settings: (folder: string) => Partial<LocationSettings> = () => ({}),
): Promise<{ port: number; folder: string; log: KeptLog }> {
  const folder = temporaryFolder(t, files);
  const log = new KeptLog();
  const texts = names.map((name) => (typeof name === 'string' ? () => name : name));
  const location = locationSettings({
    content: [(exchange) => serveIndex(exchange, texts), serveFile],
    errorLog: log,
    filePath: (_exchange, uri) => folder + uri,
    ...settings(folder),
  });
  return { port: await runServer(t, serverSettings(location)), folder, log };
}

test('the first file that is there answers for its folder', async (t) => {
  const { port } = await serve(t, ['a', 'b', 'c'], { 'f/b': 'this', 'f/c': 'not this', b: 'nor this' });
  assert.equal((await ask(port, 'GET /f/')).text, 'this');
  assert.equal((await ask(port, 'HEAD /f/')).headers.get('content-length'), '4');
});

test('it is an internal redirect: the URI that locations see is that of the file, the arguments stay', async (t) => {
  const seen: string[] = [];
  const { port } = await serve(t, ['b'], { 'f/b': 'x' }, () => ({
    headerFilters: [({ uri, args, isInternal }) => seen.push(`${uri} ${args} ${isInternal}`)],
  }));
  await ask(port, 'GET /f/?x=1');
  assert.deepEqual(seen, ['/f/b x=1 true']);
});

test('a name may have variables', async (t) => {
  const { port } = await serve(t, [({ args }) => `${args}.html`], { 'en.html': 'hello', 'de.html': 'hallo' });
  assert.equal((await ask(port, 'GET /?de')).text, 'hallo');
  assert.equal((await ask(port, 'GET /?fr')).status, 403);
});

test('a variable does not lead out of the folder', async (t) => {
  const { port } = await serve(t, [({ args }) => args], { 'f/in': '1', secret: 'secret' });
  assert.equal((await ask(port, 'GET /f/?../secret')).status, 403);
});

test('an absolute name is redirected to without a look at the folder', async (t) => {
  const { port } = await serve(t, ['none', '/fallback/page'], { 'f/': '', 'fallback/page': 'fallback' });
  assert.equal((await ask(port, 'GET /f/')).text, 'fallback');
});

test('without any of them the folder is forbidden, and the log says so', async (t) => {
  const { port, folder, log } = await serve(t, ['a', 'b'], { 'f/': '' });
  assert.equal((await ask(port, 'GET /f/')).status, 403);
  assert.deepEqual(log.lines, [`[error] directory index of "${folder}/f/" is forbidden`]);
});

test('without the folder it is not found, and the log names the first file', async (t) => {
  const { port, folder, log } = await serve(t, ['a', 'b'], { x: '' });
  assert.equal((await ask(port, 'GET /none/')).status, 404);
  assert.equal((await ask(port, 'GET /x/')).status, 404);
  assert.deepEqual(log.lines, [
    `[error] "${folder}/none/a" is not found (2: No such file or directory)`,
    `[error] "${folder}/x/a" is not found (20: Not a directory)`,
  ]);
});

test('with log_not_found off it is not logged', async (t) => {
  const { port, log } = await serve(t, ['a'], {}, () => ({ logNotFound: false }));
  assert.equal((await ask(port, 'GET /none/')).status, 404);
  assert.deepEqual(log.lines, []);
});

test('an index that leads in a circle is forbidden', async (t) => {
  const { port, folder } = await serve(t, ['loop'], {});
  symlinkSync('loop', join(folder, 'loop'));
  assert.equal((await ask(port, 'GET /')).status, 403);
});

test('a folder that is called like the index is redirected to', async (t) => {
  const { port } = await serve(t, ['sub'], { 'sub/': '' });
  const answer = await ask(port, 'GET /');
  assert.deepEqual([answer.status, answer.headers.get('location')], [301, `http://localhost:${port}/sub/`]);
});

test('names that redirect to each other end after ten times', async (t) => {
  const { port, log } = await serve(t, ['/'], {});
  assert.equal((await ask(port, 'GET /')).status, 500);
  assert.match(log.lines[0] ?? '', /redirection cycle/);
});

test('only GET, HEAD and POST ask for an index', async (t) => {
  const { port } = await serve(t, ['a'], { a: 'x' });
  assert.equal((await ask(port, 'PUT /', 'Content-Length: 0')).status, 405);
  assert.equal((await ask(port, 'POST /', 'Content-Length: 0')).status, 405);
});

test('with an expression and an alias the index stands behind what the alias says', async (t) => {
  const { port } = await serve(t, ['a'], { 'elsewhere/a': 'there' }, (folder) => ({
    filePath: (_exchange, uri) =>
      uri.endsWith('/') ? join(folder, 'elsewhere/') : join(folder, 'elsewhere', uri.slice(3)),
  }));
  assert.equal((await ask(port, 'GET /x/')).text, 'there');
});
