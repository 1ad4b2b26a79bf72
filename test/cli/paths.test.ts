// Which files the command means.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseOptions } from '../../src/cli/options.ts';
import { findSource } from '../../src/cli/paths.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('everything is relative to the prefix', () => {
  const source = findSource(parseOptions(['-p', '/srv/gate', '-c', 'a.conf', '-e', 'e.log', '-g', 'x;']), '/home');
  assert.deepEqual(source, {
    prefix: '/srv/gate/',
    configFile: '/srv/gate/a.conf',
    errorLogPath: '/srv/gate/e.log',
    globals: 'x;',
  });
});

test('absolute paths, and stderr, are what they are', () => {
  const source = findSource(parseOptions(['-c', '/etc/a.conf', '-e', 'stderr']), '/home');
  assert.deepEqual([source.configFile, source.errorLogPath], ['/etc/a.conf', 'stderr']);
});

test('a relative prefix begins at the current folder, which is the default', () => {
  assert.equal(findSource(parseOptions(['-p', 'gate/', '-c', 'x']), '/home').prefix, '/home/gate/');
  assert.equal(findSource(parseOptions(['-c', 'x']), '/home').prefix, '/home/');
});

test('without -c it is conf/nginx.conf, else nginx.conf; without either the first is missed', (t) => {
  const both = temporaryFolder(t, { 'conf/nginx.conf': '', 'nginx.conf': '' });
  const one = temporaryFolder(t, { 'nginx.conf': '' });
  const none = temporaryFolder(t, {});
  const found = [both, one, none].map((folder) => findSource(parseOptions([]), folder).configFile);
  assert.deepEqual(found, [join(both, 'conf/nginx.conf'), join(one, 'nginx.conf'), join(none, 'conf/nginx.conf')]);
});

test('without -e errors go to logs/error.log where there is a folder for it, else to stderr', (t) => {
  const withLogs = temporaryFolder(t, { 'logs/': '' });
  const without = temporaryFolder(t, {});
  assert.equal(findSource(parseOptions([]), withLogs).errorLogPath, join(withLogs, 'logs/error.log'));
  assert.equal(findSource(parseOptions([]), without).errorLogPath, 'stderr');
});
