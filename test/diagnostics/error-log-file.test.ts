// The error log: nginx's line, levels, bounds.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Level } from '../../src/diagnostics/error-log.ts';
import { ErrorLogFile } from '../../src/diagnostics/error-log-file.ts';
import { LogFiles } from '../../src/diagnostics/log-files.ts';
import { MirroredLog } from '../../src/diagnostics/mirrored-log.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

function logAt(t: TestContext, level: Level): { log: ErrorLogFile; read: () => string } {
  const path = join(temporaryFolder(t, {}), 'error.log');
  const files = new LogFiles();
  const log = new ErrorLogFile([{ file: files.file(path), level }]);
  files.open();
  return { log, read: () => readFileSync(path, 'latin1') };
}

test('a line is what nginx would write', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: new Date(2026, 10, 3, 5, 4, 8) });
  const { log, read } = logAt(t, 'info');
  log.write('error', 'connect() failed (111: Connection refused)', 17);
  log.write('info', 'no connection');
  assert.equal(
    read(),
    `2026/11/03 05:04:08 [error] ${process.pid}#${process.pid}: *17 connect() failed (111: Connection refused)\n` +
      `2026/11/03 05:04:08 [info] ${process.pid}#${process.pid}: no connection\n`,
  );
});

test('levels below the configured one are not written', (t) => {
  const { log, read } = logAt(t, 'warn');
  log.write('notice', 'too chatty');
  log.write('warn', 'just right');
  assert.deepEqual([log.enabled('notice'), log.enabled('warn'), log.enabled('emerg')], [false, true, true]);
  assert.match(read(), /^[^\n]* \[warn\] [^\n]*just right\n$/);
});

test('each of several files takes its own levels', (t) => {
  const folder = temporaryFolder(t, {});
  const files = new LogFiles();
  const [all, few] = [files.file(join(folder, 'all')), files.file(join(folder, 'few'))];
  const log = new ErrorLogFile([
    { file: all, level: 'debug' },
    { file: few, level: 'crit' },
  ]);
  files.open();
  log.write('debug', 'small');
  log.write('alert', 'large');
  const messages = (name: string): string[] =>
    [...readFileSync(join(folder, name), 'latin1').matchAll(/: (\w+)\n/g)].map(([, word]) => word as string);
  assert.deepEqual([messages('all'), messages('few')], [['small', 'large'], ['large']]);
});

test('a line is never longer than 2048 bytes', (t) => {
  const { log, read } = logAt(t, 'error');
  log.write('error', 'x'.repeat(5_000));
  assert.equal(read().length, 2048);
  assert.ok(read().endsWith('x\n'));
});

test('control characters cannot begin a line or steer a terminal; bytes of a request stay', (t) => {
  const { log, read } = logAt(t, 'error');
  log.write('error', 'a\nb\r\x1b[31m\x7f \xc3\xa4 “ä€”');
  const expected = `a\\x0Ab\\x0D\\x1B[31m\\x7F \xc3\xa4 ${Buffer.from('“').toString('latin1')}\xe4${Buffer.from('€”').toString('latin1')}\n`;
  assert.ok(read().endsWith(expected), JSON.stringify(read()));
});

test('while it starts, warnings and worse are also told to the terminal', (t) => {
  const { log, read } = logAt(t, 'error');
  let told = '';
  const mirrored = new MirroredLog(log, (text) => {
    told += text;
  });
  mirrored.write('warn', 'careful');
  mirrored.write('notice', 'by the way');
  mirrored.write('emerg', 'over');
  assert.equal(told, 'sockgate: [warn] careful\nsockgate: [emerg] over\n');
  assert.match(read(), /^[^\n]*over\n$/);
});
