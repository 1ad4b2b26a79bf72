// bin/sockgate: finds a runtime and becomes it, wherever it is called from; says what to do where it cannot.

import assert from 'node:assert/strict';
import { execFileSync, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../support/temporary-folder.ts';

const SCRIPT = fileURLToPath(new URL('../../bin/sockgate', import.meta.url));

/** A built tree as small as can be: its program says what it was started with. */
function tree(
  t: TestContext,
  main = 'console.log(JSON.stringify([process.pid, process.version, ...process.argv.slice(2)]))',
): string {
  const root = join(
    temporaryFolder(t, { 'tree/package.json': '{"type":"module"}', 'tree/dist/cli/main.js': main }),
    'tree',
  );
  chmodSync(dirname(root), 0o755);
  mkdirSync(join(root, 'bin'));
  copyFileSync(SCRIPT, join(root, 'bin/sockgate'));
  chmodSync(join(root, 'bin/sockgate'), 0o755);
  return root;
}

/** A program that says it is a Node of this version, and that it was run. */
function fakeNode(path: string, version: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n[ "$1" = --version ] && { echo ${version}; exit; }\necho ran ${version}\n`);
  chmodSync(path, 0o755);
}

function pinNode(root: string): void {
  mkdirSync(join(root, 'node_modules/.bin'), { recursive: true });
  symlinkSync(process.execPath, join(root, 'node_modules/.bin/node'));
}

const run = (file: string, options: { cwd?: string; path?: string } = {}): SpawnSyncReturns<string> =>
  spawnSync(file, ['-c', 'two words'], {
    encoding: 'utf8',
    cwd: options.cwd ?? tmpdir(),
    env: { PATH: options.path ?? '/usr/bin:/bin' },
  });

test('the pinned runtime is taken, and the arguments arrive as they are', (t) => {
  const root = tree(t);
  pinNode(root);
  const [, version, ...args] = JSON.parse(run(join(root, 'bin/sockgate')).stdout) as [number, string, ...string[]];
  assert.deepEqual([version, args], [process.version, ['-c', 'two words']]);
});

test('the process is the gateway itself: its pid and its signals', async (t) => {
  const root = tree(
    t,
    'process.on("SIGTERM", () => process.exit(7)); console.log(process.pid); setInterval(() => {}, 1000);',
  );
  pinNode(root);
  const child = spawn(join(root, 'bin/sockgate'), { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  assert.equal(Number(chunk), child.pid);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [7, null]);
});

test('it finds its tree behind links, relative ones and on the PATH', (t) => {
  const root = tree(t);
  pinNode(root);
  const folder = temporaryFolder(t, { 'a/': '', 'b/': '' });
  symlinkSync(join(root, 'bin/sockgate'), join(folder, 'a/gate'));
  symlinkSync('../a/gate', join(folder, 'b/sockgate'));
  const called = [
    run(join(folder, 'b/sockgate')),
    run('./b/sockgate', { cwd: folder }),
    run('bin/sockgate', { cwd: root }),
    spawnSync('sh', ['-c', 'sockgate'], { encoding: 'utf8', env: { PATH: `${folder}/b:/usr/bin:/bin` } }),
  ];
  for (const { stdout, stderr } of called) assert.ok(stdout.includes(process.version), stderr);
});

test('without a pinned runtime the one of the PATH is taken if it is new enough', (t) => {
  const root = tree(t);
  const folder = temporaryFolder(t, {});
  for (const version of ['v22.12.0', 'v24.0.0', 'v100.1.2', 'v22.22.3-nightly']) {
    fakeNode(join(folder, 'node'), version);
    assert.equal(run(join(root, 'bin/sockgate'), { path: `${folder}:/usr/bin:/bin` }).stdout, `ran ${version}\n`);
  }
});

test('a pinned runtime that does not run here is passed over', (t) => {
  const root = tree(t);
  const folder = temporaryFolder(t, {});
  mkdirSync(join(root, 'node_modules/.bin'), { recursive: true });
  writeFileSync(join(root, 'node_modules/.bin/node'), 'no program', { mode: 0o755 });
  fakeNode(join(folder, 'node'), 'v24.1.0');
  assert.equal(run(join(root, 'bin/sockgate'), { path: `${folder}:/usr/bin:/bin` }).stdout, 'ran v24.1.0\n');
});

test('where no runtime fits it says which one is needed', (t) => {
  const root = tree(t);
  const folder = temporaryFolder(t, {});
  for (const version of ['v20.20.2', 'v22.11.9']) {
    fakeNode(join(folder, 'node'), version);
    const { status, stderr } = run(join(root, 'bin/sockgate'), { path: `${folder}:/usr/bin:/bin` });
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^sockgate: needs Node 22\\.12 or later \\(on the PATH: ${version}\\)`));
  }
  rmSync(join(folder, 'node'));
  linkTools(folder);
  assert.match(run(join(root, 'bin/sockgate'), { path: folder }).stderr, /on the PATH: none/);
});

/** What the script itself needs, in a folder without any node. */
function linkTools(folder: string): void {
  for (const tool of ['sh', 'dirname', 'readlink'])
    symlinkSync(execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim(), join(folder, tool));
}

test('where it was not built it says how to build it', (t) => {
  const root = tree(t);
  rmSync(join(root, 'dist'), { recursive: true });
  mkdirSync(join(root, 'src'));
  const { status, stderr } = run(join(root, 'bin/sockgate'));
  assert.equal(status, 1);
  assert.match(stderr, /dist\/cli\/main\.js is missing or not readable: run "npm ci && npm run build" in /);
});

const skip = process.geteuid?.() === 0 ? false : 'needs root, to be somebody else';

test('another user can run it', { skip }, (t) => {
  const root = tree(t);
  pinNode(root);
  const { status, stdout, stderr } = spawnSync(join(root, 'bin/sockgate'), [], {
    encoding: 'utf8',
    cwd: '/',
    uid: 65534,
    gid: 65534,
  });
  assert.deepEqual([status, stdout.includes(process.version)], [0, true], stderr);
});
