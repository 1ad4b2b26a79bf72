// nginx's options, as nginx reads them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OptionError, parseOptions } from '../../src/cli/options.ts';

test('options may be grouped, and their values joined to them or apart', () => {
  const grouped = parseOptions(['-tq', '-cfile.conf', '-p', '/prefix', '-g', 'daemon off;', '-e', 'stderr']);
  const { test: tests, quiet, dump, configFile, prefix, globals, errorLog } = grouped;
  assert.deepEqual(
    { tests, quiet, dump, configFile, prefix, globals, errorLog },
    {
      tests: true,
      quiet: true,
      dump: false,
      configFile: 'file.conf',
      prefix: '/prefix',
      globals: 'daemon off;',
      errorLog: 'stderr',
    },
  );
  assert.equal(parseOptions(['-tcfile']).configFile, 'file');
  assert.equal(parseOptions(['-tc', '-q']).configFile, '-q');
});

test('-T tests as well, -V and -h say the version as well', () => {
  assert.equal(parseOptions(['-T']).test, true);
  assert.equal(parseOptions(['-V']).version, true);
  for (const help of ['-h', '-?']) assert.equal(parseOptions([help]).help && parseOptions([help]).version, true);
});

test('help and version may be asked for in words', () => {
  assert.deepEqual(parseOptions(['--help']), parseOptions(['-h']));
  assert.deepEqual(parseOptions(['--version']), parseOptions(['-v']));
});

test('the four signals are taken', () => {
  for (const signal of ['stop', 'quit', 'reload', 'reopen'] as const) {
    assert.equal(parseOptions(['-s', signal]).signal, signal);
    assert.equal(parseOptions([`-s${signal}`]).signal, signal);
  }
});

const MISTAKES: readonly (readonly [args: string[], message: string])[] = [
  [['-z'], 'invalid option: "z"'],
  [['-tz'], 'invalid option: "z"'],
  [['--held'], 'invalid option: "-"'],
  [['nginx.conf'], 'invalid option: "nginx.conf"'],
  [['-c'], 'option "-c" requires file name'],
  [['-e'], 'option "-e" requires file name'],
  [['-tp'], 'option "-p" requires directory name'],
  [['-g'], 'option "-g" requires parameter'],
  [['-s'], 'option "-s" requires parameter'],
  [['-s', 'restart'], 'invalid option: "-s restart": the signals are stop, quit, reload, reopen'],
  [['-s', 'toString'], 'invalid option: "-s toString": the signals are stop, quit, reload, reopen'],
];

for (const [args, message] of MISTAKES) {
  test(`${args.join(' ')} is refused in nginx’s words`, () => {
    assert.throws(() => parseOptions(args), new OptionError(message));
  });
}
