// What each kind of argument takes, what it makes of it, and what nginx says when it is wrong.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Kind } from '../../src/config/directive.ts';
import { ConfigError, Problems } from '../../src/config/errors.ts';
import { Lexer } from '../../src/config/lexer.ts';
import {
  address,
  alone,
  any,
  argument,
  bufferSize,
  count,
  either,
  flag,
  integer,
  literal,
  mapped,
  offset,
  oneOf,
  optional,
  parameters,
  path,
  regex,
  rest,
  saying,
  seconds,
  size,
  someOf,
  template,
  text,
  time,
  variableName,
  word,
} from '../../src/config/values.ts';

const NAME = 'some_directive';

/** Reads `some_directive WORDS;` and gives the words to the kind. */
function read<T>(kind: Kind<string, T>, words: string, warnings: string[] = []): T {
  const problems = new Problems();
  const { words: found } = new Lexer({ file: 'x.conf', text: `${NAME} ${words};` }, problems).next();
  assert.deepEqual(problems.headlines, []);
  return kind.parse(found.slice(1), NAME, (message) => warnings.push(message));
}

function refusal(kind: Kind, words: string): ConfigError {
  try {
    read(kind, words);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error;
  }
  return assert.fail(`${words} was accepted`);
}

/** `accepted`: what is written and what it becomes; `refused`: what is written and nginx's sentence. */
function holds(
  kind: Kind,
  accepted: readonly (readonly [string, unknown])[],
  refused: readonly (readonly [string, string])[] = [],
): void {
  for (const [words, value] of accepted) {
    test(`${words || 'nothing'} is ${JSON.stringify(value)}`, () => assert.deepEqual(read(kind, words), value));
  }
  for (const [words, message] of refused) {
    test(`${words} is refused: ${message}`, () => assert.equal(refusal(kind, words).message, message));
  }
}

const invalidValue = `"${NAME}" directive invalid value`;
const invalidNumber = `"${NAME}" directive invalid number`;

describe('flag', () => {
  const wrong = (given: string): readonly [string, string] => [
    given,
    `invalid value "${given}" in "${NAME}" directive, it must be "on" or "off"`,
  ];
  holds(
    flag,
    [
      ['on', true],
      ['OFF', false],
      ['"on"', true],
    ],
    [wrong('yes'), wrong('1')],
  );
});

describe('integer', () => {
  holds(
    integer('number'),
    [
      ['0', 0],
      ['007', 7],
      ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ],
    ['-1', '1k', '1.5', '0x10', '""', '9223372036854775808'].map((given) => [given, invalidNumber] as const),
  );
  holds(integer('number', { min: 4 }), [['4', 4]], [['3', 'value must be equal to or greater than 4']]);
  holds(integer('code', { min: 400, max: 599 }), [['599', 599]], [['600', 'value must be between 400 and 599']]);
});

describe('count and bufferSize', () => {
  holds(
    count('number'),
    [
      ['1', 1],
      ['64', 64],
    ],
    ['0', '-1', 'x', '1k'].map((given) => [given, invalidValue] as const),
  );
  holds(
    bufferSize('size'),
    [['4k', 4096]],
    ['0', '0k', 'x', '1g'].map((given) => [given, invalidValue] as const),
  );
});

describe('size', () => {
  holds(
    size('size'),
    [
      ['0', 0],
      ['512', 512],
      ['8k', 8192],
      ['8K', 8192],
      ['2m', 2_097_152],
      ['2M', 2_097_152],
    ],
    ['1g', '1kb', 'k', '-1', '1.5m', '""', '9223372036854775807k'].map((given) => [given, invalidValue] as const),
  );
});

describe('offset', () => {
  holds(
    offset('size'),
    [
      ['1g', 2 ** 30],
      ['2G', 2 ** 31],
      ['3', 3],
    ],
    [
      ['1t', invalidValue],
      ['g', invalidValue],
    ],
  );
});

describe('time, in milliseconds', () => {
  holds(
    time('time'),
    [
      ['60', 60_000],
      ['60s', 60_000],
      ['500ms', 500],
      ['1m30s', 90_000],
      ['"1h 30m"', 5_400_000],
      ['1d', 86_400_000],
      ['1s500ms', 1_500],
      ['1m30', 90_000],
      ['0', 0],
    ],
    ['1y', '1M', 's', '1x', '-1', '30s1m', '1s1s', '1ms1s', '" "', '""', '1.5s'].map(
      (given) => [given, invalidValue] as const,
    ),
  );

  test('is never longer than a timer can wait', () => assert.equal(read(time('time'), '365d'), 2 ** 31 - 1));
});

describe('seconds, in milliseconds', () => {
  holds(
    seconds('time'),
    [
      ['1y', 31_536_000_000],
      ['1M', 2_592_000_000],
      ['1w2d', 777_600_000],
      ['"1y 1M 1w 1d 1h 1m 1s"', 34_822_861_000],
    ],
    ['500ms', '1M1y', '1y1y'].map((given) => [given, invalidValue] as const),
  );
});

describe('words', () => {
  holds(word('name'), [
    ['abc', 'abc'],
    ['""', ''],
    ['ü', 'ü'],
  ]);
  holds(path('file'), [['conf.d/ü', 'conf.d/ü']]);
  holds(text('value'), [['ü', '\xc3\xbc']]);
  holds(literal('off'), [['off', 'off']], [['OFF', 'invalid value "OFF"']]);
  holds(
    oneOf('mode', 'on', 'Off', 'build'),
    [
      ['build', 'build'],
      ['OFF', 'Off'],
    ],
    [['maybe', 'invalid value "maybe"']],
  );
});

describe('someOf', () => {
  const protocols = someOf('protocols', 'TLSv1.2', 'TLSv1.3');
  holds(protocols, [['TLSv1.3 tlsv1.2', ['TLSv1.3', 'TLSv1.2']]], [['TLSv1.2 SSLv4', 'invalid value "SSLv4"']]);

  test('warns of a word that stands twice', () => {
    const warnings: string[] = [];
    assert.deepEqual(read(protocols, 'TLSv1.2 TLSv1.2', warnings), ['TLSv1.2']);
    assert.deepEqual(warnings, ['duplicate value "TLSv1.2"']);
  });
});

describe('address', () => {
  test('takes host and port, in the words of addresses.ts', () => {
    const { family, host, port } = read(address('address'), '127.0.0.1:80');
    assert.deepEqual([family, host, port], ['ipv4', '127.0.0.1', 80]);
  });
  holds(address('address'), [], [['a:0', `invalid port in "a:0" of the "${NAME}" directive`]]);

  test('may say what is wrong in its own words', () => {
    const kind = address('address', { wrong: (reason, given) => `${reason} in upstream "${given}"` });
    assert.equal(refusal(kind, 'a:99999').message, 'invalid port in upstream "a:99999"');
  });
});

describe('patterns and templates', () => {
  test('a regular expression is translated, and its mistakes stand where they are', () => {
    assert.ok(read(regex('regex', { insensitive: true }), '"^/A[[:digit:]]$"').regexp.test('/a1'));
    const error = refusal(regex('regex'), '"ab++"');
    assert.deepEqual([error.at?.column, error.at?.length], [NAME.length + 5, 2]);
  });

  test('a template keeps its variables', () => {
    assert.deepEqual(read(template('value'), '"a$b"').parts.length, 2);
    assert.equal(refusal(template('value'), '${a').message, 'the closing bracket in "a" variable is missing');
  });

  holds(
    variableName('variable'),
    [['$Abc', 'abc']],
    [
      ['abc', 'invalid variable name "abc"'],
      ['$', 'invalid variable name "$"'],
    ],
  );
});

describe('kinds of kinds', () => {
  holds(
    optional(integer('n')),
    [
      ['', undefined],
      ['5', 5],
    ],
    [['x', invalidNumber]],
  );
  holds(optional(integer('n'), 7), [
    ['', 7],
    ['5', 5],
  ]);
  holds(rest(integer('n')), [['1 2', [1, 2]]], [['1 x', invalidNumber]]);
  holds(any(integer('n')), [
    ['', []],
    ['1', [1]],
  ]);
  holds(
    either('size', literal('off'), size('size')),
    [
      ['off', 'off'],
      ['1k', 1024],
    ],
    [['on', invalidValue]],
  );
  holds(
    mapped(integer('n'), (n) => n * 2),
    [['4', 8]],
    [['x', invalidNumber]],
  );
  holds(
    saying(size('s'), (given) => `bad "${given}"`),
    [['1k', 1024]],
    [['x', 'bad "x"']],
  );

  test('a mistake of rest stands at the argument that is wrong', () => {
    assert.equal(refusal(rest(integer('n')), '1 2 x').at?.column, NAME.length + 6);
  });

  test('a mistake that a module throws without a place gets that of its argument', () => {
    const refuse = (): never => {
      throw new ConfigError('no');
    };
    for (const kind of [mapped(word('w'), refuse), argument('w', 'w', refuse)]) {
      const error = refusal(kind, '  x');
      assert.deepEqual([error.message, error.at?.column], ['no', NAME.length + 4]);
    }
  });

  test('their syntax is that of the documentation', () => {
    const kinds = [optional(size('size')), rest(word('name')), any(word('name')), flag, oneOf('x', 'a', 'b')];
    assert.deepEqual(
      kinds.map(({ syntax }) => syntax),
      ['[size]', 'name ...', '[name ...]', 'on | off', 'a | b'],
    );
  });
});

describe('parameters', () => {
  const kind = parameters('parameters', {
    weight: integer('number', { min: 1 }),
    fail_timeout: seconds('time'),
    backup: alone,
    label: any(word('label')),
  });

  test('stand in any order', () => {
    const values = read(kind, 'backup fail_timeout=10s weight=5');
    const { weight, fail_timeout, backup, label } = values;
    assert.deepEqual(
      { weight, fail_timeout, backup, label },
      { weight: 5, fail_timeout: 10_000, backup: true, label: [] },
    );
  });

  test('may all be missing', () => {
    const { weight, backup, label } = read(kind, '');
    assert.deepEqual({ weight, backup, label }, { weight: undefined, backup: false, label: [] });
  });

  test('given twice, the last one counts, or all of them where the kind is a list', () => {
    const { weight, label } = read(kind, 'weight=1 label=a weight=2 label=b');
    assert.deepEqual({ weight, label }, { weight: 2, label: ['a', 'b'] });
  });

  test('may have an equals sign in their value', () => {
    assert.deepEqual(read(kind, 'label=a=b').label, ['a=b']);
  });

  const refused: readonly (readonly [string, string, string | undefined])[] = [
    ['weigth=1', 'invalid parameter "weigth=1"', 'did you mean "weight"?'],
    ['weight', 'invalid parameter "weight"', 'it takes a value: "weight=…"'],
    ['backup=1', 'invalid parameter "backup=1"', 'it takes no value'],
    ['weight=0', 'invalid parameter "weight=0"', undefined],
    ['fail_timeout=x', 'invalid parameter "fail_timeout=x"', 'a time is written such as 60s, 5m, 1h, 1d'],
    ['constructor', 'invalid parameter "constructor"', undefined],
    ['__proto__=1', 'invalid parameter "__proto__=1"', undefined],
  ];
  for (const [words, message, mend] of refused) {
    test(`${words} is refused: ${message}`, () => {
      const error = refusal(kind, words);
      assert.deepEqual([error.message, error.mend], [message, mend]);
    });
  }

  test('the caret stands below the value that is wrong', () => {
    const { at } = refusal(kind, 'weight=0');
    assert.deepEqual([at?.column, at?.length], [NAME.length + 9, 1]);
  });

  test('may say what is wrong in nginx’s words for this directive', () => {
    const own = parameters('p', { backlog: integer('n') }, { invalid: (key, value) => `invalid ${key} "${value}"` });
    assert.equal(refusal(own, 'backlog=x').message, 'invalid backlog "x"');
  });
});

describe('parameters of which nginx says something else', () => {
  const kind = parameters(
    'options',
    { max: integer('number'), off: alone },
    {
      needed: true,
      invalid: (key, value, directive) => `bad ${key} "${value}" in ${directive}`,
      unknown: (given, directive) => `no "${given}" in ${directive}`,
    },
  );
  holds(
    kind,
    [['max=5', Object.assign(Object.create(null), { max: 5, off: false })]],
    [
      ['max=x', `bad max "x" in ${NAME}`],
      ['min=5', `no "min=5" in ${NAME}`],
      ['off=1', `no "off=1" in ${NAME}`],
    ],
  );

  test('must stand where they are needed', () => assert.equal(kind.takes, 'rest'));
});
