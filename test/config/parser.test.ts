// Statements to a tree, and files into each other.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { checkConfiguration } from '../../src/config/check.ts';
import { Problems } from '../../src/config/errors.ts';
import { BundleFiles } from '../../src/config/files.ts';
import { readConfiguration } from '../../src/config/parser.ts';
import { Registry } from '../../src/config/registry.ts';
import { outline, readText } from '../support/read-text.ts';

describe('blocks', () => {
  test('hold directives and blocks', () => {
    const { root, said } = readText('a 1;\nb x { c; d { } }\ne;');
    assert.deepEqual(said, []);
    assert.deepEqual(outline(root), [['a', '1'], ['b', 'x', [['c'], ['d', []]]], ['e']]);
  });

  test('know where they begin and end', () => {
    const { root } = readText('a {\n  b;\n }');
    const [directive] = root.directives;
    assert.deepEqual([directive?.at.line, directive?.end.column], [1, 3]);
    assert.deepEqual([directive?.block?.at.line, directive?.block?.end.line, directive?.block?.end.column], [1, 3, 2]);
  });

  test('a directive that goes on over lines ends where nginx says that it is', () => {
    const { root } = readText('a\n b\n ;');
    assert.deepEqual([root.directives[0]?.at.line, root.directives[0]?.end.line], [1, 3]);
  });

  test('one that is not closed is a mistake at the end of the file, shown where it was opened', () => {
    const { problems, said } = readText('a {\n b {\n c;\n }\n');
    assert.deepEqual(said, ['[emerg] unexpected end of file, expecting "}" in /etc/nginx.conf:5']);
    assert.equal(problems.all[0]?.at?.line, 1);
  });

  test('one that was not opened is a mistake, and what follows is still read', () => {
    const { root, said } = readText('a;\n}\nb;');
    assert.deepEqual(said, ['[emerg] unexpected "}" in /etc/nginx.conf:2']);
    assert.deepEqual(outline(root), [['a'], ['b']]);
  });

  test('that are nested without end are refused, not followed', () => {
    assert.match(readText('a {'.repeat(100_000)).said[0] as string, /blocks are nested too deep/);
  });

  test('a directive with a broken argument is left out', () => {
    assert.deepEqual(outline(readText('a "b"c;\nd;').root), [['d']]);
  });
});

describe('include', () => {
  test('reads another file in its place, in any block, relative to the configuration', () => {
    const files = { '/etc/one.conf': 'b;\nc;', '/abs/two.conf': 'd;' };
    const { root, said, fileNames } = readText('a {\n include one.conf;\n include /abs/two.conf;\n}\ne;', { files });
    assert.deepEqual(said, []);
    assert.deepEqual(outline(root), [['a', [['b'], ['c'], ['d']]], ['e']]);
    assert.deepEqual(fileNames, ['/etc/nginx.conf', '/etc/one.conf', '/abs/two.conf']);
  });

  test('stays relative to the main configuration in an included file', () => {
    const files = { '/etc/conf.d/one.conf': 'include two.conf;', '/etc/two.conf': 'x;' };
    const { root, said } = readText('include conf.d/one.conf;', { files });
    assert.deepEqual(said, []);
    assert.deepEqual(outline(root), [['x']]);
  });

  test('takes all files of a pattern in their order, and none where nothing fits', () => {
    const options = {
      files: { '/etc/a': '1;', '/etc/b': '2;' },
      globs: { '/etc/[ab]': ['/etc/a', '/etc/b'], '/etc/*x': [] },
    };
    const { root, said } = readText('include [ab];include *x;', options);
    assert.deepEqual(said, []);
    assert.deepEqual(outline(root), [['1'], ['2']]);
  });

  test('may read the same file twice, which is listed once', () => {
    const { root, fileNames } = readText('include x;include x;', { files: { '/etc/x': 'a;' } });
    assert.deepEqual(outline(root), [['a'], ['a']]);
    assert.deepEqual(fileNames, ['/etc/nginx.conf', '/etc/x']);
  });

  test('of a file that is not there is a mistake in the line of the include', () => {
    assert.deepEqual(readText('\ninclude\n nowhere.conf;').said, [
      '[emerg] open() "/etc/nowhere.conf" failed (2: No such file or directory) in /etc/nginx.conf:3',
    ]);
  });

  test('takes one argument', () => {
    const message = '[emerg] invalid number of arguments in "include" directive in /etc/nginx.conf:1';
    assert.deepEqual(readText('include;').said, [message]);
    assert.deepEqual(readText('include a b;').said, [message]);
  });

  test('has no block', () => {
    assert.deepEqual(readText('include a { b; }').said, [
      '[emerg] directive "include" is not terminated by ";" in /etc/nginx.conf:1',
    ]);
  });

  test('of the file itself is refused, and says how it came to be', () => {
    const files = { '/etc/one': 'include two;', '/etc/two': '\ninclude one;' };
    const { problems, said } = readText('include one;', { files });
    assert.deepEqual(said, ['[emerg] "/etc/one" includes itself in /etc/two:2']);
    assert.equal(problems.all[0]?.mend, '/etc/one → /etc/two → /etc/one');
  });

  test('gives mistakes the file and line in which they stand', () => {
    const { said } = readText('include one;\n}', { files: { '/etc/one': 'a;\nb {\n' } });
    assert.deepEqual(said, [
      '[emerg] unexpected end of file, expecting "}" in /etc/one:3',
      '[emerg] unexpected "}" in /etc/nginx.conf:2',
    ]);
  });

  test('may not close a block that it did not open', () => {
    const { said } = readText('a {\ninclude one;\n}', { files: { '/etc/one': 'b;\n}' } });
    assert.deepEqual(said, ['[emerg] unexpected "}" in /etc/one:2']);
  });
});

describe('the parameters of -g', () => {
  test('stand before the file', () => {
    const { root, said } = readText('b;', { parameters: 'a 1; c;' });
    assert.deepEqual(said, []);
    assert.deepEqual(outline(root), [['a', '1'], ['c'], ['b']]);
  });

  const cases: readonly (readonly [string, string])[] = [
    ['a', 'unexpected end of parameter, expecting ";" in command line'],
    ['a {', 'block directives are not supported in -g option in command line'],
    ['}', 'unexpected "}" in command line'],
  ];
  for (const [parameters, message] of cases) {
    test(`${JSON.stringify(parameters)}: ${message}`, () => {
      assert.equal(readText('', { parameters }).said[0], `[emerg] ${message}`);
    });
  }

  test('have no limit to their length', () => {
    assert.deepEqual(readText('', { parameters: `a ${'x'.repeat(10_000)};` }).said, []);
  });
});

test('a main file that cannot be read is the only thing said', () => {
  const problems = new Problems();
  const files = new BundleFiles({ reads: new Map(), globs: new Map(), existing: new Map(), names: new Map() });
  const { root } = readConfiguration({ file: '/nowhere.conf', files, problems });
  assert.deepEqual(problems.headlines, ['[emerg] open() "/nowhere.conf" failed (2: No such file or directory)']);
  assert.deepEqual(root.directives, []);
});

test('no text, however broken, does more than cause problems with a place in it', () => {
  const pieces = [
    'a',
    'include x',
    '"',
    "'",
    '\\',
    '$',
    '${',
    '{',
    '}',
    ';',
    '#',
    ' ',
    '\n',
    ')',
    '“',
    '”',
    '\u00a0',
    '\u200b',
    'é',
    '\0',
  ];
  const texts = fc.array(fc.constantFrom(...pieces), { maxLength: 40 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(texts, texts, (text, included) => {
      const { root, problems } = readText(text, { files: { '/etc/x': included } });
      checkConfiguration(root, new Registry([]), problems);
      assert.ok(root.directives.length === 0 || problems.failed);
      assert.equal(typeof problems.toString(), 'string');
      for (const { at } of problems.all) assert.ok(at === undefined || at.offset <= at.source.text.length);
    }),
    { numRuns: 500 },
  );
});
