// Every directive against its declaration, with a small table of its own.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkConfiguration } from '../../src/config/check.ts';
import { directives } from '../../src/config/directive.ts';
import type { Problem } from '../../src/config/errors.ts';
import { Registry } from '../../src/config/registry.ts';
import { flag, integer, optional, parameters, rest, size, template, time, word } from '../../src/config/values.ts';
import { type ReadTextOptions, readText } from '../support/read-text.ts';

const doc = '';

const small = directives({
  pid: { in: ['main'], args: [word('file')], doc },
  events: { in: ['main'], args: [], block: 'events', doc },
  worker_connections: { in: ['events'], args: [integer('number', { min: 1 })], doc },
  http: { in: ['main'], args: [], block: 'http', doc },
  server: { in: ['http'], args: [], block: 'server', many: true, doc },
  location: {
    in: ['server', 'location'],
    args: [optional(word('modifier')), word('uri')],
    block: 'location',
    many: true,
    doc,
  },
  if: { in: ['server', 'location'], args: [rest(word('condition'))], block: 'if', many: true, doc },
  types: { in: ['http', 'server', 'location'], args: [], block: 'raw', doc },
  gzip: { in: ['http', 'server', 'location', 'if'], args: [flag], doc },
  return: { in: ['server', 'server if'], args: [integer('code'), optional(template('text'))], doc },
  error_page: { in: ['http', 'server'], args: [rest(integer('code')), word('uri')], many: true, doc },
  internal: { in: ['location'], args: [], doc },
  keepalive_timeout: { in: ['http', 'server', 'location'], args: [time('timeout'), optional(time('header'))], doc },
  include_everywhere: { in: ['any'], args: [size('size')], many: true, doc },
});

const balancing = directives({
  upstream: { in: ['http'], args: [word('name')], block: 'upstream', many: true, doc },
  server: {
    in: ['upstream'],
    args: [word('address'), parameters('options', { weight: integer('number') })],
    many: true,
    doc,
  },
});

const registry = new Registry(
  [
    { name: 'http_core', directives: small },
    { name: 'http_upstream', directives: balancing },
  ],
  { required: ['events'] },
);

function check(text: string, options: ReadTextOptions = {}) {
  const { root, problems } = readText(text, options);
  checkConfiguration(root, registry, problems);
  return {
    root,
    all: problems.all,
    said: problems.headlines.map((line) => line.replace(/^\[emerg\] | in \/etc\/nginx\.conf/g, '')),
  };
}

/** What is said of a text that stands in a server. */
const inServer = (text: string): readonly string[] => check(`events {} http { server {\n${text}\n} }`).said;

/** The value of the only directive of the innermost block. */
function valueIn(text: string): unknown {
  const { root, said } = check(`events {} http { server { ${text} } }`);
  assert.deepEqual(said, []);
  return root.directives[1]?.block?.directives[0]?.block?.directives[0]?.value;
}

test('a configuration that is right has nothing to say', () => {
  const text = `pid x; events { worker_connections 5; }
    http { gzip on; upstream u { server a weight=2; } server { return 404; location = / { internal; location /b {} } } }`;
  assert.deepEqual(check(text).said, []);
});

describe('values', () => {
  test('no argument is true', () => {
    const { root } = check('events {} http { server { location / { internal; } } }');
    const location = root.directives[1]?.block?.directives[0]?.block?.directives[0];
    assert.equal(location?.block?.directives[0]?.value, true);
  });

  test('one argument is its bare value', () => assert.equal(valueIn('gzip on;'), true));

  test('several are an object that knows its place', () => {
    const value = valueIn('keepalive_timeout 5s 10s;') as Record<string, unknown> & { at: { column: number } };
    assert.deepEqual([value['timeout'], value['header'], value.at.column], [5_000, 10_000, 27]);
  });

  test('an optional one before another takes what is left', () => {
    const prefix = valueIn('location /a {}') as Record<string, unknown>;
    const exact = valueIn('location = /a {}') as Record<string, unknown>;
    assert.deepEqual([prefix['modifier'], prefix['uri']], [undefined, '/a']);
    assert.deepEqual([exact['modifier'], exact['uri']], ['=', '/a']);
  });

  test('a rest before another leaves it its own', () => {
    const value = valueIn('error_page 500 502 /50x.html;') as Record<string, unknown>;
    assert.deepEqual([value['code'], value['uri']], [[500, 502], '/50x.html']);
  });

  test('a block comes with its arguments', () => {
    const value = valueIn('location /a { internal; }') as { block: { directives: { name: string }[] } };
    assert.equal(value.block.directives[0]?.name, 'internal');
  });

  test('the same name in another context is another directive', () => {
    const { root } = check('events {} http { upstream u { server a weight=3; } }');
    const server = root.directives[1]?.block?.directives[0]?.block?.directives[0];
    const value = server?.value as { options: { weight: number } } | undefined;
    assert.equal(server?.declaredBy, balancing.server);
    assert.equal(value?.options.weight, 3);
  });
});

describe('mistakes, in nginx’s words', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['gzipp on;', 'unknown directive "gzipp":2'],
    ['worker_connections 1;', '"worker_connections" directive is not allowed here:2'],
    ['gzip on {}', 'directive "gzip" is not terminated by ";":2'],
    ['location /;', 'directive "location" has no opening "{":2'],
    ['gzip;', 'invalid number of arguments in "gzip" directive:2'],
    ['gzip on off;', 'invalid number of arguments in "gzip" directive:2'],
    ['location = / x {}', 'invalid number of arguments in "location" directive:2'],
    ['error_page 500;', 'invalid number of arguments in "error_page" directive:2'],
    ['gzip yes;', 'invalid value "yes" in "gzip" directive, it must be "on" or "off":2'],
    ['gzip on; gzip on;', '"gzip" directive is duplicate:2'],
    ['types { a { } }', 'unexpected "{":2'],
    ['keepalive_timeout\n 5s\n x;', '"keepalive_timeout" directive invalid value:4'],
  ];
  for (const [text, message] of cases) {
    test(`${JSON.stringify(text)}: ${message}`, () => assert.deepEqual(inServer(text), [message]));
  }

  test('are all told in one run, in the order in which nginx would meet them', () => {
    const text =
      'pid;\nevents {}\nhttp {\n gzip 5;\n server {\n  nonsense { gzip 7; }\n  location / {\n   internal x;\n  }\n }\n}\nevents {}';
    assert.deepEqual(check(text).said, [
      'invalid number of arguments in "pid" directive:1',
      'invalid value "5" in "gzip" directive, it must be "on" or "off":4',
      'unknown directive "nonsense":6',
      'invalid number of arguments in "internal" directive:8',
      '"events" directive is duplicate:12',
    ]);
  });

  test('of the lexer come in the same order', () => {
    assert.deepEqual(inServer('gzip 5;\ngzip "on"x;\nnonsense;'), [
      'invalid value "5" in "gzip" directive, it must be "on" or "off":2',
      'unexpected "x":3',
      'unknown directive "nonsense":4',
    ]);
  });

  test('the lines of a raw block are nobody’s business here', () => {
    assert.deepEqual(inServer('types { text/html html; anything at all; }'), []);
  });

  test('a duplicate says where the first one is, also in another file', () => {
    const files = { '/etc/one': '\npid a;' };
    const [problem] = check('include one;\npid b; events {}', { files }).all;
    assert.equal(problem?.message, '"pid" directive is duplicate');
    assert.equal(problem?.mend, 'first set in /etc/one, line 2');
  });

  test('what -g sets may not be set again in the file', () => {
    assert.deepEqual(check('events {}\npid b;', { parameters: 'pid a;' }).said, ['"pid" directive is duplicate:2']);
  });

  test('a configuration without what is required is refused, without a place', () => {
    assert.deepEqual(check('pid x;').said, ['no "events" section in configuration']);
  });
});

describe('mends', () => {
  const mendOf = (text: string): string | undefined => check(`events {} http { server { ${text} } }`).all[0]?.mend;
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['gzpi on;', 'did you mean "gzip"?'],
    ['wroker_connections 1;', 'did you mean "worker_connections"?'],
    ['entirely_different;', undefined],
    ['location ~ ^/a{2}$ { } }', 'a regular expression with "{" or ";" must stand in quotes'],
    ['worker_connections 1;', 'it belongs in "events"'],
    ['internal;', 'it belongs in "location"'],
    ['gzip;', 'syntax: gzip on | off;'],
    ['location {}', 'syntax: location [modifier] uri { … }'],
  ];
  for (const [text, mend] of cases) test(`${text} ${mend}`, () => assert.equal(mendOf(text), mend));

  const unended: readonly (readonly [string, string])[] = [
    ['gzip on\n internal;', 'is a ";" missing at the end of line 1?\nsyntax: gzip on | off;'],
    ['return\n 200\n "a\nb"\n gzip on;', 'is a ";" missing at the end of line 4?\nsyntax: return code [text];'],
    ['gzip on\n location / {}', 'is a ";" missing at the end of line 1?'],
    ['gzip on\n {}', 'it has no block'],
    ['gzip on gzip off;', 'syntax: gzip on | off;'],
    ['gzip on\n "gzip" off;', 'syntax: gzip on | off;'],
    ['gzip on\n also off;', 'syntax: gzip on | off;'],
    [
      'keepalive_timeout 5s\n internal;',
      'is a ";" missing at the end of line 1?\na time is written such as 500ms, 60s, 1m30s, 1h',
    ],
    ['gzip\n on\n }', 'a ";" is missing at the end of line 2'],
    ['gzip on }', 'a ";" is missing at the end of "gzip"'],
  ];
  for (const [text, mend] of unended) test(`${JSON.stringify(text)}: ${mend}`, () => assert.equal(mendOf(text), mend));
});

describe('directives of nginx that are not carried', () => {
  test('are told with their module', () => {
    assert.deepEqual(inServer('fastcgi_pass x;'), [
      '"fastcgi_pass" belongs to ngx_http_fastcgi_module, which sockgate does not have:2',
    ]);
    assert.equal(
      check('stream { anything { else; } } events {}').said[0],
      '"stream" belongs to ngx_stream_core_module, which sockgate does not have:1',
    );
  });

  test('of a module that is here are told so', () => {
    assert.deepEqual(inServer('limit_rate 5;'), [
      '"limit_rate" is a directive of ngx_http_core_module that sockgate does not have:2',
    ]);
  });
});

describe('contexts', () => {
  test('an if in a server is another one than in a location', () => {
    assert.deepEqual(inServer('if (x) { return 404; }'), []);
    assert.deepEqual(inServer('if (x) { gzip on; }'), ['"gzip" directive is not allowed here:2']);
    assert.deepEqual(inServer('location / { if (x) { gzip on; } }'), []);
    assert.deepEqual(inServer('location / { if (x) { return 404; } }'), ['"return" directive is not allowed here:2']);
  });

  test('any is everywhere', () => {
    assert.deepEqual(check('include_everywhere 1k; events { include_everywhere 2k; }').said, []);
  });
});

describe('a fragment given as the whole file', () => {
  const fragment = 'upstream backend { server a; server b; }\nlocation /websocket/ { gzip maybe; }';

  test('is refused in nginx’s words, and its inside is checked', () => {
    assert.deepEqual(check(fragment).said, [
      '"upstream" directive is not allowed here:1',
      '"location" directive is not allowed here:2',
      'invalid value "maybe" in "gzip" directive, it must be "on" or "off":2',
    ]);
  });

  test('says once where the pieces belong and what to write around them', () => {
    const told = check(fragment).all.filter((problem: Problem) => problem.mend?.includes('write it so'));
    assert.deepEqual(
      told.map((problem) => problem.mend?.split('\n')),
      [
        [
          'it belongs in "http"',
          'write it so:',
          '  events {}',
          '  http {',
          '    upstream backend { … }',
          '    server {',
          '      location /websocket/ { … }',
          '    }',
          '  }',
        ],
      ],
    );
  });
});
