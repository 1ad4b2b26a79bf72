// What is a word, a quote, an escape, a comment: as nginx reads them, and what we read beyond nginx.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Problems } from '../../src/config/errors.ts';
import { Lexer, type Statement } from '../../src/config/lexer.ts';

interface Lexed {
  readonly statements: readonly Statement[];
  /** The words of the first statement. */
  readonly words: readonly string[];
  readonly said: readonly string[];
}

function lex(text: string): Lexed {
  const problems = new Problems();
  const lexer = new Lexer({ file: 'x.conf', text }, problems);
  const statements: Statement[] = [];
  for (let statement = lexer.next(); statement.kind !== 'ended'; statement = lexer.next()) statements.push(statement);
  return { statements, words: (statements[0]?.words ?? []).map((word) => word.text), said: problems.headlines };
}

const wordsOf = (text: string): readonly string[] => {
  const { words, said } = lex(text);
  assert.deepEqual(said, []);
  return words;
};

describe('words', () => {
  test('are separated by spaces, tabs, carriage returns and line feeds, in any number', () => {
    assert.deepEqual(wordsOf('a \t b\r\n\n  c;'), ['a', 'b', 'c']);
  });

  test('end a statement with a semicolon or open a block with a brace', () => {
    const { statements } = lex('a;b{c;}');
    assert.deepEqual(
      statements.map(({ kind }) => kind),
      ['terminated', 'opened', 'terminated', 'closed'],
    );
  });

  test('may hold quotes, hashes and closing braces inside', () => {
    assert.deepEqual(wordsOf(`a"b c'd e#f g}h;`), [`a"b`, `c'd`, 'e#f', 'g}h']);
  });

  test('keep the brace of a variable and end at any other', () => {
    assert.deepEqual(wordsOf('a ${b}c$d{e;}'), ['a', '${b}c$d']);
    assert.deepEqual(wordsOf('a ${b} x{}'), ['a', '${b}', 'x']);
  });

  test('know line, column and length of where they stand', () => {
    const { statements } = lex('one;\n  two "thr\nee"\n four;');
    const places = statements[1]?.words.map(({ at }) => [at.line, at.column, at.offset, at.length]);
    assert.deepEqual(places, [
      [2, 3, 7, 3],
      [2, 7, 11, 8],
      [4, 2, 21, 4],
    ]);
    assert.equal(statements[1]?.at.line, 4);
  });
});

describe('quotes', () => {
  test('hold spaces, semicolons, braces, hashes, line ends and the other kind of quote', () => {
    assert.deepEqual(wordsOf(`a "b c;{}#'\nd" 'e "f"';`), ['a', `b c;{}#'\nd`, 'e "f"']);
  });

  test('may hold nothing', () => {
    assert.deepEqual(wordsOf(`a "" '';`), ['a', '', '']);
  });

  test('may be followed by a closing parenthesis, which begins a word', () => {
    assert.deepEqual(wordsOf('if ($a = "b") {}'), ['if', '($a', '=', 'b', ')']);
  });

  test('may not be followed by anything else', () => {
    assert.deepEqual(lex('a "b"c;').said, ['[emerg] unexpected "c" in x.conf:1']);
    assert.deepEqual(lex(`a 'b'"c";`).said, ['[emerg] unexpected """ in x.conf:1']);
    assert.deepEqual(lex('a "b"é;').said, ['[emerg] unexpected "é" in x.conf:1']);
  });
});

describe('a backslash', () => {
  test('makes tab, return and line feed of t, r and n, in quotes and outside', () => {
    assert.deepEqual(wordsOf('a "\\t\\r\\n" \\t\\r\\n;'), ['a', '\t\r\n', '\t\r\n']);
  });

  test('leaves quotes and backslashes without itself', () => {
    assert.deepEqual(wordsOf(`a "\\"" '\\'' \\"b\\' "\\\\";`), ['a', '"', "'", `"b'`, '\\']);
  });

  test('stays before anything else, which it takes along', () => {
    assert.deepEqual(wordsOf('a b\\ c\\;d\\{e \\.php$ "\\d";'), ['a', 'b\\ c\\;d\\{e', '\\.php$', '\\d']);
  });

  test('before a dollar stays and makes its brace an ordinary one', () => {
    const { statements } = lex('a \\${b;}');
    assert.deepEqual(
      statements[0]?.words.map((word) => word.text),
      ['a', '\\$'],
    );
    assert.equal(statements[0]?.kind, 'opened');
  });

  test('before a line end still counts the line', () => {
    const { statements } = lex('a b\\\nc;\nd;');
    assert.equal(statements[1]?.words[0]?.at.line, 3);
  });
});

describe('comments', () => {
  test('go from a hash at the beginning of a word to the end of the line', () => {
    assert.deepEqual(wordsOf('# x; y {\na # b;\n c#d;'), ['a', 'c#d']);
  });

  test('may end the file', () => {
    assert.deepEqual(wordsOf('a; # no line end'), ['a']);
  });
});

describe('lengths, in bytes', () => {
  const sized = (length: number) => 'x'.repeat(length);

  test('a word may have 4095', () => {
    assert.equal(lex(`a ${sized(4095)};`).said.length, 0);
    assert.deepEqual(lex(`a\n ${sized(4096)};`).said, [
      '[emerg] too long parameter "xxxxxxxxxx..." started in x.conf:2',
    ]);
  });

  test('a quoted one may have 4094', () => {
    assert.equal(lex(`a "${sized(4094)}";`).said.length, 0);
    assert.deepEqual(lex(`a "${sized(4095)}";`).said, [
      '[emerg] too long parameter "xxxxxxxxxx..." started in x.conf:1',
    ]);
  });

  test('a longer quoted one probably lacks its end', () => {
    assert.deepEqual(lex(`a\n '${sized(4096)}';`).said, [
      `[emerg] too long parameter, probably missing terminating "'" character in x.conf:2`,
    ]);
  });

  test('a comment may have 4095', () => {
    assert.equal(lex(`#${sized(4094)}\n`).said.length, 0);
    assert.deepEqual(lex(`#${sized(4095)}\n`).said, ['[emerg] too long parameter "#xxxxxxxxx..." started in x.conf:1']);
  });

  test('characters of several bytes count as that many', () => {
    assert.equal(lex(`a ${'é'.repeat(2047)};`).said.length, 0);
    assert.equal(lex(`a ${'é'.repeat(2048)};`).said.length, 1);
  });
});

describe('mistakes', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['a;;', 'unexpected ";" in x.conf:1'],
    ['\n;', 'unexpected ";" in x.conf:2'],
    ['{}', 'unexpected "{" in x.conf:1'],
    ['a }', 'unexpected "}" in x.conf:1'],
    ['a', 'unexpected end of file, expecting ";" or "}" in x.conf:1'],
    ['a\n"b\nc', 'unexpected end of file, expecting ";" or "}" in x.conf:3'],
    ['a b\\', 'unexpected end of file, expecting ";" or "}" in x.conf:1'],
  ];
  for (const [text, message] of cases) {
    test(`${JSON.stringify(text)}: ${message}`, () => assert.equal(lex(text).said[0], `[emerg] ${message}`));
  }

  test('do not hide those that follow', () => {
    assert.deepEqual(lex('a;;\nb "c"d;\ne }').said, [
      '[emerg] unexpected ";" in x.conf:1',
      '[emerg] unexpected "d" in x.conf:2',
      '[emerg] unexpected "}" in x.conf:3',
    ]);
  });

  test('a missing semicolon before a brace leaves the directive and the end of the block', () => {
    const { statements } = lex('a { b c }');
    assert.deepEqual(
      statements.map(({ kind, words }) => [kind, ...words.map((word) => word.text)]),
      [['opened', 'a'], ['terminated', 'b', 'c'], ['closed']],
    );
  });
});

describe('what a web page made of quotes', () => {
  for (const quoted of [
    '“up grade”',
    '”up grade”',
    '„up grade“',
    '«up grade»',
    '‘up grade’',
    '‹up grade›',
    '“up grade"',
  ]) {
    test(`${quoted} is read as plain quotes, with a warning`, () => {
      const { words, said } = lex(`\nConnection ${quoted};`);
      assert.deepEqual(words, ['Connection', 'up grade']);
      assert.deepEqual(said, [`[warn] typographic quotes in ${quoted} are read as plain ones in x.conf:2`]);
    });
  }

  test('an apostrophe inside does not end them', () => {
    assert.deepEqual(lex('a ‘it’s’ b;').words, ['a', 'it’s', 'b']);
  });

  test('inside a word, inside plain quotes, or without their end on the line they are text', () => {
    assert.deepEqual(wordsOf('a x“y” "“z”" “b\nc” “d”e;'), ['a', 'x“y”', '“z”', '“b', 'c”', '“d”e']);
  });
});

describe('spaces that are none', () => {
  test('a no-break space separates words, with a warning', () => {
    const { words, said } = lex('a\u00a0b \u202f c;');
    assert.deepEqual(words, ['a', 'b', 'c']);
    assert.deepEqual(said, [
      '[warn] no-break space U+00A0 is read as a plain space in x.conf:1',
      '[warn] no-break space U+202F is read as a plain space in x.conf:1',
    ]);
  });

  test('invisible characters at the edges of a word are left out, with a warning', () => {
    const { words, said } = lex('\ufeffa \u200bb\u200b;');
    assert.deepEqual(words, ['a', 'b']);
    assert.deepEqual(said, [
      '[warn] invisible character U+FEFF is left out in x.conf:1',
      '[warn] invisible character U+200B is left out in x.conf:1',
      '[warn] invisible character U+200B is left out in x.conf:1',
    ]);
  });

  test('in quotes and comments both are text', () => {
    assert.deepEqual(wordsOf('# \u00a0\na "b\u00a0\u200b";'), ['a', 'b\u00a0\u200b']);
  });
});
