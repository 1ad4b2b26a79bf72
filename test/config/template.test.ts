// Strings with variables: where they split, what is wrong with them, what they become.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError } from '../../src/config/errors.ts';
import { placeAt } from '../../src/config/source.ts';
import { compileTemplate, parseTemplate, type Template, VariableTable } from '../../src/config/template.ts';

const parse = (text: string): Template =>
  parseTemplate(text, placeAt({ file: 'x.conf', text: `x ${text};` }, 2, text.length));

/** The parts without their places: `$name`, `$1`. */
const partsOf = (text: string): string[] =>
  parse(text).parts.map((part) => {
    if (typeof part === 'string') return part;
    return 'capture' in part ? `<$${part.capture}>` : `<${part.variable}>`;
  });

describe('a template', () => {
  test('without a variable is constant', () => {
    assert.equal(parse('abc').constant, 'abc');
    assert.equal(parse('').constant, '');
    assert.equal(parse('$a').constant, undefined);
  });

  test('splits at its variables', () => {
    assert.deepEqual(partsOf('a$b-c'), ['a', '<b>', '-c']);
    assert.deepEqual(partsOf('${b}c'), ['<b>', 'c']);
    assert.deepEqual(partsOf('$a$b${c}'), ['<a>', '<b>', '<c>']);
    assert.deepEqual(partsOf('$http_x_1.'), ['<http_x_1>', '.']);
    assert.deepEqual(partsOf('$1$23'), ['<$1>', '<$2>', '3']);
    assert.deepEqual(partsOf('{$a}'), ['{', '<a>', '}']);
  });

  test('knows no difference between upper and lower case in names', () => {
    assert.deepEqual(partsOf('$Host'), ['<host>']);
  });

  test('has no way to escape a dollar: a backslash before it is text', () => {
    assert.deepEqual(partsOf('\\$a'), ['\\', '<a>']);
  });

  test('$0 is a name like any other', () => {
    assert.deepEqual(partsOf('$0'), ['<0>']);
  });

  const wrong: readonly (readonly [string, string, number])[] = [
    ['a$', 'invalid variable name', 4],
    ['$-a', 'invalid variable name', 3],
    ['$', 'invalid variable name', 3],
    ['${}', 'invalid variable name', 3],
    ['${', 'invalid variable name', 3],
    ['${a', 'the closing bracket in "a" variable is missing', 3],
    ['${a-b}', 'the closing bracket in "a" variable is missing', 3],
    ['${-}', 'the closing bracket in "" variable is missing', 3],
  ];
  for (const [text, message, column] of wrong) {
    test(`${text}: ${message}`, () => {
      assert.throws(
        () => parse(text),
        (error) => error instanceof ConfigError && error.message === message && error.at?.column === column,
      );
    });
  }
});

interface Thing {
  readonly name: string | undefined;
  readonly captures?: readonly string[];
  readonly cache: (string | undefined | null)[];
}

const thing = (name: string | undefined, captures: readonly string[] = []): Thing => ({ name, captures, cache: [] });

function table(): VariableTable<Thing> {
  const made = new VariableTable<Thing>({ captures: (x, n) => x.captures?.[n], cache: (x) => x.cache });
  made.define('name', (x) => x.name);
  made.define('one', () => '1');
  made.definePrefix('http_', (_, rest) => `header ${rest}`);
  made.definePrefix('http_x_', (_, rest) => `extension ${rest}`);
  return made;
}

function fill(text: string, x: Thing, variables = table()): string {
  const compiled = compileTemplate(parse(text), variables);
  assert.deepEqual(variables.resolve(), []);
  return compiled(x);
}

describe('a compiled template', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['text', 'text'],
    ['', ''],
    ['$name', 'N'],
    ['<$name>', '<N>'],
    ['$name$one', 'N1'],
    ['a$name-${one}b', 'aN-1b'],
    ['$one $one,$name.', '1 1,N.'],
    ['$one$one$one$one$one', '11111'],
    ['a$1b$2', 'aXb'],
    ['$http_host', 'header host'],
    ['$http_x_y', 'extension y'],
    ['$NAME', 'N'],
  ];
  for (const [text, expected] of cases) {
    test(`${JSON.stringify(text)} becomes ${JSON.stringify(expected)}`, () => {
      assert.equal(fill(text, thing('N', ['', 'X'])), expected);
    });
  }

  test('takes a variable without a value as nothing', () => {
    assert.equal(fill('<$name>', thing(undefined)), '<>');
    assert.equal(fill('$name', thing(undefined)), '');
  });

  test('gives bytes, one character each, as the configuration file has them', () => {
    assert.equal(fill('ü', thing('')), '\xc3\xbc');
    assert.equal(fill('ü$name', thing('\xff')), '\xc3\xbc\xff');
  });
});

describe('a table of variables', () => {
  test('may be asked for a name before it is defined', () => {
    const variables = table();
    const compiled = compileTemplate(parse('$later'), variables);
    variables.define('Later', () => 'now');
    assert.deepEqual(variables.resolve(), []);
    assert.equal(compiled(thing('')), 'now');
  });

  test('reports a name that nobody defines, at its first use, with the nearest that is known', () => {
    const variables = table();
    compileTemplate(parse('abc $nmae'), variables);
    const [problem, ...others] = variables.resolve();
    assert.equal(problem?.message, 'unknown "nmae" variable');
    assert.equal(problem?.mend, 'did you mean "$name"?');
    assert.deepEqual([problem?.at?.column, problem?.at?.length], [7, 5]);
    assert.deepEqual(others, []);
  });

  test('refuses a second definition unless the first may be changed', () => {
    const variables = table();
    assert.throws(() => variables.define('name', () => ''), { message: 'the duplicate "name" variable' });
    variables.define('mine', () => 'first', { changeable: true });
    variables.define('mine', () => 'second', { changeable: true });
    assert.equal(fill('$mine', thing(''), variables), 'second');
  });

  test('computes a cached variable once for each thing, one without a value too', () => {
    const variables = table();
    const asked: (string | undefined)[] = [];
    const ask = (x: Thing) => {
      asked.push(x.name);
      return x.name;
    };
    variables.define('dear', ask, { cached: true });
    const compiled = compileTemplate(parse('$dear$dear'), variables);
    variables.resolve();
    const [a, b] = [thing('a'), thing(undefined)];
    assert.deepEqual([compiled(a), compiled(b), compiled(b), compiled(a)], ['aa', '', '', 'aa']);
    assert.deepEqual(asked, ['a', undefined]);
  });

  test('asks a volatile one each time', () => {
    const variables = table();
    let count = 0;
    variables.define('next', () => `${++count}`, { cached: true, volatile: true });
    assert.equal(fill('$next$next', thing(''), variables), '12');
  });

  test('lists its names', () => {
    assert.deepEqual(table().names, ['name', 'one', 'http_*', 'http_x_*']);
  });
});
