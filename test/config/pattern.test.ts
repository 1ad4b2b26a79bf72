// PCRE as nginx's users write it, run by RegExp. The matches were compared with Perl's when this was written.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { ConfigError } from '../../src/config/errors.ts';
import { compilePattern, type PatternOptions } from '../../src/config/pattern.ts';
import { placeAt } from '../../src/config/source.ts';

const matches = (pattern: string, subject: string, options: PatternOptions = {}): boolean =>
  compilePattern(pattern, options).regexp.test(Buffer.from(subject).toString('latin1'));

describe('a pattern of PCRE means the same', () => {
  // Pattern, what it fits, what it does not fit.
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['\\.php$', ['/a.php'], ['/aphp', '/a.php5']],
    ['(?i)\\.PNG$', ['/a.png', '/a.PNG'], ['/apng']],
    ['a(?i)b|c', ['ab', 'aB', 'C'], ['AB']],
    ['a(?i:b)c', ['aBc'], ['aBC']],
    ['(?i)a(?-i)b', ['Ab'], ['aB']],
    ['x(?i)[a-c]', ['xB'], ['Xb', 'xd']],
    ['x(?i)[^a]', ['xb'], ['xA']],
    ['x(?i)[[:upper:]]', ['xa'], ['x1']],
    ['(?s)a.b', ['a\nb'], ['ab']],
    ['a.b', ['a\rb'], ['a\nb']],
    ['(?m)^b$', ['a\nb\nc'], ['ab']],
    ['(?x) a b # comment\n c', ['abc'], ['a b c']],
    ['\\Aa\\z', ['a'], ['ab', 'ba']],
    ['\\Aa\\Z', ['a'], ['ab']],
    ['a\\h+b', ['a \tb'], ['a\nb']],
    ['^\\H$', ['x'], [' ', '\t']],
    ['[\\h]x', ['\tx'], ['\nx']],
    ['^\\v$', ['\v', '\f'], [' ']],
    ['^\\R$', ['\r\n', '\n'], ['a']],
    ['^\\s$', [' ', '\v'], ['\ufeff']],
    ['^[\\S]$', ['a'], [' ']],
    ['^[[:alpha:]_-]+$', ['aZ_-'], ['a1']],
    ['^[[:^digit:]]$', ['a'], ['1']],
    ['^[^[:space:]]+$', ['ab'], ['a b']],
    ['^[]a]+$', [']a'], ['b']],
    ['^[^]a]$', ['b'], [']', 'a']],
    ['^[[]$', ['['], ['a']],
    ['^[\\x41-\\x5a]+$', ['AZ'], ['az', '-']],
    ['^[!-\\x7e]+$', ['a~'], [' ']],
    ['^[a-\\d]+$', ['a-1'], ['b']],
    ['^[\\w-]+$', ['a-b'], ['a b']],
    ['^\\x{41}\\101\\e\\a$', ['AA\x1b\x07'], ['A']],
    ['^\\Qa.b*\\E+$', ['a.b**'], ['axb']],
    ['^a{,3}$', ['a{,3}'], ['aa']],
    ['^a{2,}$', ['aaa'], ['a']],
    ['a(?#really)b', ['ab'], ['a']],
    ["(?'q'a)\\k<q>\\k{q}\\g{q}(?P=q)\\g1\\g{1}\\1", ['aaaaaaaa'], ['aaaaaaa']],
    ['(?<!b)a(?!c)', ['ab'], ['ba', 'ac']],
    ['^é$', ['é'], ['e']],
    ['^..$', ['é'], ['e']],
    ['^www\\p{N}+$', ['www12'], ['wwwa']],
    ['^\\pL\\PL$', ['a1'], ['1a']],
    ['^[\\p{Lu}_-]+$', ['A_-'], ['a']],
    ['^\\p{^L}\\p{Xwd}$', ['1_'], ['a_']],
    ['^\\p{L&}+$', ['aB'], ['1']],
    ['^\\p{Greek}|\\P{Any}$', [], ['a', '']],
    ['/', ['/'], ['a']],
    ['', [''], []],
  ];
  for (const [pattern, fitting, others] of cases) {
    test(JSON.stringify(pattern), () => {
      for (const subject of fitting) assert.ok(matches(pattern, subject), `should fit ${JSON.stringify(subject)}`);
      for (const subject of others) assert.ok(!matches(pattern, subject), `should not fit ${JSON.stringify(subject)}`);
    });
  }

  test('without regard to case where the directive says so', () => {
    assert.ok(matches('\\.php$', '/A.PHP', { insensitive: true }));
    assert.ok(!matches('a(?-i)b', 'aB', { insensitive: true }));
    assert.ok(matches('a(?-i)b', 'Ab', { insensitive: true }));
  });
});

test('named groups are listed and captured, however they are written', () => {
  const { regexp, names, captures } = compilePattern("(?<one>a)(?P<two>b)(?'three'c)(d)(?:e)");
  assert.deepEqual(names, ['one', 'two', 'three']);
  assert.equal(captures, 4);
  assert.deepEqual({ ...regexp.exec('abcde')?.groups }, { one: 'a', two: 'b', three: 'c' });
});

test('only what looks around or back is out of reach of the linear engine', () => {
  assert.ok(!compilePattern('^(?<a>[[:alpha:]]+)+\\.php\\z').canBacktrack);
  for (const pattern of ['(?=a)', '(?<!a)', '(a)\\1', '(?<n>a)(?P=n)']) assert.ok(compilePattern(pattern).canBacktrack);
});

describe('what is wrong is refused', () => {
  const at = placeAt({ file: 'x.conf', text: 'location ~ "ab(c++)d" {}' }, 11, 10);

  const refused = (pattern: string): ConfigError => {
    try {
      compilePattern(pattern, { at });
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      return error;
    }
    return assert.fail(`${pattern} was accepted`);
  };

  const cases: readonly (readonly [string, string])[] = [
    // As PCRE says it.
    ['(', 'missing closing parenthesis in "("'],
    ['a)b', 'unmatched closing parenthesis in "a)b" at ")b"'],
    ['[a', 'missing terminating ] for character class in "[a"'],
    ['**', 'quantifier does not follow a repeatable item in "**" at "**"'],
    ['(?z)a', 'unrecognized character after (? or (?- in "(?z)a" at "z)a"'],
    ['a\\', '\\ at end of pattern in "a\\"'],
    ['[z-a]', 'range out of order in character class in "[z-a]" at "a]"'],
    [
      '(?<a>x)(?<a>y)',
      'two named subpatterns have the same name (PCRE2_DUPNAMES not set) in "(?<a>x)(?<a>y)" at ">y)"',
    ],
    ['a\\2', 'reference to non-existent subpattern in "a\\2"'],
    // What JavaScript cannot do.
    ['a++', 'possessive quantifiers not supported in "a++" at "++"'],
    ['(?>a)', 'atomic groups not supported in "(?>a)" at "(?>a)"'],
    ['(?|a)', 'branch reset groups not supported in "(?|a)" at "(?|a)"'],
    ['(?(1)a)', 'conditional groups not supported in "(?(1)a)" at "(?(1)a)"'],
    ['(?R)', 'recursion not supported in "(?R)" at "(?R)"'],
    ['(a)(?1)', 'recursion not supported in "(a)(?1)" at "(?1)"'],
    ['(*UTF8)a', 'verbs such as (*UTF8) not supported in "(*UTF8)a" at "(*UTF8)a"'],
    ['a\\Kb', '\\K not supported in "a\\Kb" at "\\Kb"'],
    ['\\p{Nonsense}x', 'unknown property after \\P or \\p in "\\p{Nonsense}x" at "x"'],
    ['\\p', 'malformed \\P or \\p sequence in "\\p"'],
  ];
  for (const [pattern, reason] of cases) {
    test(JSON.stringify(pattern), () => assert.equal(refused(pattern).message, `pcre2_compile() failed: ${reason}`));
  }

  test('at its place in the pattern', () => {
    const place = refused('ab(c++)d').at;
    assert.deepEqual([place?.column, place?.length], [17, 2]);
  });
});

test('letters are written out in both cases, so that the linear engine can have them, but for references to what was matched', () => {
  const flags = (pattern: string): string => compilePattern(pattern, { insensitive: true }).regexp.flags;
  assert.deepEqual([flags('^/a[b-d]\\x41(?<n>x)$'), flags('(a)\\1'), flags('(?<n>a)(?P=n)')], ['', 'i', 'i']);
  assert.ok(matches('^[a-c]\\x41\\101[^x]$', 'BaaY', { insensitive: true }));
  assert.ok(!matches('^[^x]$', 'X', { insensitive: true }));
  assert.ok(matches('^(a)\\1$', 'aA', { insensitive: true }));
});

test('the linear fallback saves a pattern that would take minutes, and can be switched off', () => {
  const module = new URL('../../src/config/pattern.ts', import.meta.url).href;
  const script = `
    const { compilePattern, enableLinearFallback } = await import(${JSON.stringify(module)});
    enableLinearFallback();
    const { regexp } = compilePattern('^(a+)+$');
    console.log(regexp.test('a'.repeat(200) + 'b'));`;
  const run = (env: Record<string, string>, timeout: number) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, ...env },
      timeout,
      encoding: 'utf8',
    });
  assert.equal(run({}, 20_000).stdout, 'false\n');
  // Left alone, V8 would need longer than the universe is old.
  assert.equal(run({ SOCKGATE_REGEXP_FLAGS: 'off' }, 1_500).stdout, '');
});
