// The disk, the bundle that was made of it, and the patterns of include.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BundleFiles, DiskFiles, FileError } from '../../src/config/files.ts';
import { expandGlob, isPattern } from '../../src/config/glob.ts';
import { systemErrorText } from '../../src/diagnostics/system-error.ts';

let folder = '';

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'files-'));
  for (const name of ['conf.d', 'sites/one', 'sites/two']) mkdirSync(join(folder, name), { recursive: true });
  const names = [
    'b.conf',
    'a.conf',
    'B.conf',
    'é.conf',
    '10.conf',
    '9.conf',
    '.hidden.conf',
    'x.txt',
    '[y].conf',
    'a-b.conf',
  ];
  for (const name of names) writeFileSync(join(folder, 'conf.d', name), name);
  for (const name of ['one', 'two']) writeFileSync(join(folder, 'sites', name, 'site.conf'), name);
  symlinkSync('nowhere', join(folder, 'conf.d', 'dangling.conf'));
});

after(() => rmSync(folder, { recursive: true }));

/** What a pattern below the folder stands for, below the folder. */
const glob = (pattern: string): string[] =>
  expandGlob(join(folder, pattern)).map((path) => path.slice(folder.length + 1));

describe('a pattern', () => {
  test('is one that has a star, a question mark or a bracket', () => {
    assert.deepEqual(['a*', 'a?', 'a[b]', 'a{b,c}', 'a'].map(isPattern), [true, true, true, false, false]);
  });

  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['conf.d/?.conf', ['B.conf', '9.conf', 'a.conf', 'b.conf', 'é.conf'].sort()],
    ['conf.d/[ab].conf', ['a.conf', 'b.conf']],
    ['conf.d/[a-z]*.txt', ['x.txt']],
    ['conf.d/[!a-z].conf', ['9.conf', 'B.conf', 'é.conf']],
    ['conf.d/[0-9]*', ['10.conf', '9.conf']],
    ['conf.d/[]]*', []],
    ['conf.d/[[]y].conf', ['[y].conf']],
    ['conf.d/\\[y]*', ['[y].conf']],
    ['conf.d/a[-x]b.conf', ['a-b.conf']],
    ['conf.d/.h*', ['.hidden.conf']],
    ['conf.d/d*', ['dangling.conf']],
    ['conf.d/[z-a]*', []],
    ['conf.d/[a*', []],
    ['conf.d/a.conf/*', []],
    ['nowhere/*', []],
  ];
  for (const [pattern, names] of cases) {
    test(`${pattern} is ${names.join(' ') || 'nothing'}`, () => {
      assert.deepEqual(
        glob(pattern),
        names.map((name) => `conf.d/${name}`),
      );
    });
  }

  test('fits hidden names only where it says so, and sorts by bytes', () => {
    assert.deepEqual(glob('conf.d/*.conf'), [
      ...['10', '9', 'B', '[y]', 'a-b', 'a', 'b', 'dangling', 'é'].map((name) => `conf.d/${name}.conf`),
    ]);
  });

  test('may stand in any part of the path', () => {
    assert.deepEqual(glob('s*/*/site.conf'), ['sites/one/site.conf', 'sites/two/site.conf']);
    assert.deepEqual(glob('*/one/site.conf'), ['sites/one/site.conf']);
  });
});

describe('the disk', () => {
  test('says what is wrong in nginx’s words', () => {
    const files = new DiskFiles();
    const messageOf = (path: string) => {
      try {
        files.read(path);
      } catch (error) {
        return error instanceof FileError ? [error.message, error.code] : assert.fail();
      }
      return assert.fail();
    };
    assert.deepEqual(messageOf('/nowhere'), ['open() "/nowhere" failed (2: No such file or directory)', 'ENOENT']);
    assert.deepEqual(messageOf(folder), [`pread() "${folder}" failed (21: Is a directory)`, 'EISDIR']);
    const below = join(folder, 'conf.d/a.conf/x');
    assert.deepEqual(messageOf(below), [`open() "${below}" failed (20: Not a directory)`, 'ENOTDIR']);
  });

  test('is read once: all who ask see the same', () => {
    const path = join(folder, 'changing');
    writeFileSync(path, 'old');
    const files = new DiskFiles();
    assert.equal(files.read(path).toString(), 'old');
    writeFileSync(path, 'new');
    assert.equal(files.read(path).toString(), 'old');
    assert.equal(new DiskFiles().read(path).toString(), 'new');
  });
});

describe('a bundle', () => {
  test('sent to another thread answers as the disk did, without the disk', () => {
    const disk = new DiskFiles();
    const [path, pattern, missing] = [join(folder, 'gone'), join(folder, 'gon*'), join(folder, 'missing')];
    writeFileSync(path, 'here');
    disk.read(path);
    disk.glob(pattern);
    disk.exists(path);
    assert.throws(() => disk.read(missing));
    rmSync(path);
    const files = new BundleFiles(structuredClone(disk.bundle()));
    assert.equal(files.read(path).toString(), 'here');
    assert.deepEqual(files.glob(pattern), [path]);
    assert.equal(files.exists(path), true);
    assert.throws(() => files.read(missing), { message: `open() "${missing}" failed (2: No such file or directory)` });
  });

  test('knows nothing that was not asked', () => {
    const files = new BundleFiles(new DiskFiles().bundle());
    assert.throws(() => files.read(join(folder, 'conf.d/a.conf')), FileError);
    assert.deepEqual(files.glob(join(folder, 'conf.d/*')), []);
    assert.equal(files.exists(folder), false);
  });
});

test('system errors are told as strerror tells them', () => {
  assert.equal(systemErrorText('EADDRINUSE'), '98: Address already in use');
  assert.equal(systemErrorText('EACCES'), '13: Permission denied');
  assert.equal(systemErrorText('ERR_SOMETHING'), 'ERR_SOMETHING');
});
