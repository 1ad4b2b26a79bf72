// Log files on a real disk, on pipes, and on what cannot be written to.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync, readSync, renameSync, symlinkSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { gunzipSync } from 'node:zlib';
import type { LogFault } from '../../src/diagnostics/log-file.ts';
import { LogFileError, LogFiles } from '../../src/diagnostics/log-files.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';

function inFolder(t: TestContext): (name: string) => string {
  const folder = temporaryFolder(t, {});
  return (name) => join(folder, name);
}

const read = (path: string): string => readFileSync(path, 'latin1');

test('each line is in the file at once', (t) => {
  const path = inFolder(t)('a.log');
  const files = new LogFiles();
  const file = files.file(path);
  files.open();
  file.write('one');
  assert.equal(read(path), 'one\n');
  file.write('two \xe4\xff');
  assert.equal(read(path), 'one\ntwo \xe4\xff\n');
});

test('lines that come before the file is open are kept', (t) => {
  const path = inFolder(t)('a.log');
  const files = new LogFiles();
  files.file(path).write('early');
  files.open();
  assert.equal(read(path), 'early\n');
});

test('lines of one turn are written together, at its end or when asked', async (t) => {
  const path = inFolder(t)('a.log');
  const files = new LogFiles({ perTurn: true });
  const file = files.file(path);
  files.open();
  file.write('one');
  file.write('two');
  assert.equal(read(path), '');
  files.flushTurn();
  assert.equal(read(path), 'one\ntwo\n');
  file.write('three');
  await new Promise(setImmediate);
  assert.equal(read(path), 'one\ntwo\nthree\n');
});

test('a buffered file is written when the buffer is full, when its time has come, and at the end', async (t) => {
  const path = inFolder(t)('a.log');
  const files = new LogFiles();
  const file = files.file(path);
  file.buffer({ size: 10, flush: 20, gzip: 0 });
  files.open();
  file.write('1234');
  file.write('56');
  assert.equal(read(path), '');
  file.write('789');
  assert.equal(read(path), '1234\n56\n');
  const keepsTheLoopAlive = setInterval(() => {}, 1_000);
  await until('the time to come', () => read(path).endsWith('789\n'));
  clearInterval(keepsTheLoopAlive);
  file.write('longer than the buffer is');
  assert.match(read(path), /is\n$/);
  file.write('last');
  files.flush();
  assert.match(read(path), /last\n$/);
  file.buffer(undefined);
  file.write('at once');
  assert.match(read(path), /at once\n$/);
});

test('a compressed file is one that gunzip reads, member behind member', async (t) => {
  const path = inFolder(t)('a.gz');
  const files = new LogFiles();
  const file = files.file(path);
  file.buffer({ size: 100, flush: 0, gzip: 9 });
  files.open();
  const lines = Array.from({ length: 50 }, (_, index) => `line ${index} \xe9`);
  for (const line of lines) file.write(line);
  files.flush();
  assert.equal(gunzipSync(readFileSync(path)).toString('latin1'), `${lines.join('\n')}\n`);
});

test('after a rotation lines go to the new file, and what was buffered to the old one', (t) => {
  const path = inFolder(t)('a.log');
  const files = new LogFiles();
  const file = files.file(path);
  file.buffer({ size: 1_000, flush: 0, gzip: 0 });
  files.open();
  file.write('before');
  renameSync(path, `${path}.1`);
  const old = files.reopen();
  file.write('after');
  files.flush();
  old.close();
  assert.deepEqual([read(`${path}.1`), read(path)], ['before\n', 'after\n']);
  assert.equal(old.count, 1);
});

test('a file that cannot be opened is an error in nginx’s words, and after a rotation none', (t) => {
  const at = inFolder(t);
  const files = new LogFiles();
  const path = at('no-such-folder/a.log');
  files.file(path);
  assert.throws(
    () => files.open(),
    (error) => {
      assert.ok(error instanceof LogFileError);
      assert.equal(error.message, `open() "${path}" failed (2: No such file or directory)`);
      return true;
    },
  );
});

test('another thread writes to the same descriptor, whole lines each', async (t) => {
  const path = inFolder(t)('a.log');
  const files = new LogFiles();
  const file = files.file(path);
  files.open();
  const module = new URL('../../src/diagnostics/log-files.ts', import.meta.url).href;
  const writer = `
    const { workerData } = require('node:worker_threads');
    import(${JSON.stringify(module)}).then(({ LogFiles }) => {
      const files = new LogFiles();
      files.adopt(workerData);
      for (let i = 0; i < 500; i++) files.file([...workerData.keys()][0]).write('worker'.repeat(20));
    });`;
  const worker = new Worker(writer, { eval: true, workerData: files.descriptors() });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  for (let i = 0; i < 500; i++) file.write('master'.repeat(20));
  assert.equal(await ended, 0);
  const lines = read(path).trimEnd().split('\n');
  assert.equal(lines.length, 1_000);
  assert.deepEqual(new Set(lines), new Set(['master'.repeat(20), 'worker'.repeat(20)]));
});

test('files that are used no more are forgotten only when there are many of them', (t) => {
  const at = inFolder(t);
  const files = new LogFiles();
  for (let i = 0; i < 66; i++) files.file(at(`${i}.log`));
  files.open();
  const old = files.forget(new Set([at('65.log')]));
  assert.equal(old.count, 1);
  old.close();
  assert.equal(files.descriptors().size, 65);
  assert.ok(files.descriptors().has(at('65.log')));
});

/** A named pipe with its reading end open. */
function pipe(t: TestContext): { path: string; reader: number } {
  const path = inFolder(t)('pipe');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  t.after(() => closeSync(reader));
  return { path, reader };
}

function drain(reader: number): string {
  const buffer = Buffer.alloc(1 << 20);
  return buffer.toString('latin1', 0, readSync(reader, buffer));
}

test('a full pipe drops whole lines and counts them; when it is read again, lines go on whole', (t) => {
  const { path, reader } = pipe(t);
  const faults: LogFault[] = [];
  const files = new LogFiles({ onFault: (fault) => faults.push(fault) });
  const file = files.file(path);
  files.open();
  // More than a pipe takes at once, so that a line is cut.
  for (let i = 0; i < 20; i++) file.write(`${i} `.padEnd(7_000, 'x'));
  assert.ok(file.lost > 0);
  assert.deepEqual(faults, [{ path, code: 'EAGAIN', lost: 1 }]);
  let text = drain(reader);
  file.write('again');
  text += drain(reader);
  const lines = text.split('\n');
  assert.equal(lines.pop(), '');
  assert.equal(lines.pop(), 'again');
  for (const [i, line] of lines.entries()) assert.equal(line, `${i} `.padEnd(7_000, 'x'));
  assert.equal(lines.length + file.lost, 20);
});

test('a pipe can be opened before anybody reads it', (t) => {
  const path = inFolder(t)('pipe');
  execFileSync('mkfifo', [path]);
  const files = new LogFiles();
  files.file(path).write('early');
  files.open();
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  t.after(() => closeSync(reader));
  assert.equal(drain(reader), 'early\n');
});

test('a line that must not get lost does not wait for the end of the turn, nor overtakes those that do', (t) => {
  const path = inFolder(t)('a.log');
  const files = new LogFiles({ perTurn: true });
  const file = files.file(path);
  files.open();
  file.write('one');
  file.writeNow('two');
  assert.equal(read(path), 'one\ntwo\n');
});

test('a link to the standard output is that, also where it cannot be opened by name, being a socket', async (t) => {
  const folder = temporaryFolder(t, {});
  const path = join(folder, 'access.log');
  symlinkSync('/dev/stdout', path);
  const [ours, theirs] = await socketPair(t);
  const module = new URL('../../src/diagnostics/log-files.ts', import.meta.url).href;
  const program = `
    const { LogFiles } = await import(${JSON.stringify(module)});
    const files = new LogFiles();
    files.file(${JSON.stringify(path)}).write('through the socket');
    files.open();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', theirs, 'inherit'],
  });
  const [chunk] = (await once(ours, 'data')) as [Buffer];
  assert.equal(String(chunk), 'through the socket\n');
  await once(child, 'exit');
});

/** Two ends of one connection. */
async function socketPair(t: TestContext): Promise<[Socket, Socket]> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const theirs = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [ours] = (await once(server, 'connection')) as [Socket];
  server.close();
  t.after(() => [ours, theirs].map((socket) => socket.destroy()));
  if (theirs.connecting) await once(theirs, 'connect');
  return [ours, theirs];
}

test('a full disk is told once a minute, and is not tried all the time', (t) => {
  const now = t.mock.timers;
  now.enable({ apis: ['Date'], now: 1_000_000 });
  const faults: LogFault[] = [];
  const files = new LogFiles({ onFault: (fault) => faults.push(fault) });
  const file = files.file('/dev/full');
  files.open();
  for (let second = 0; second < 62; second++) {
    for (let i = 0; i < 10; i++) file.write('line');
    now.tick(1_000);
  }
  assert.deepEqual(faults, [
    { path: '/dev/full', code: 'ENOSPC', lost: 1 },
    { path: '/dev/full', code: 'ENOSPC', lost: 600 },
  ]);
  assert.equal(file.lost, 620);
});
