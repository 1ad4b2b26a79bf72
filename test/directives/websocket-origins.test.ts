// websocket_allow_origin: what is no origin, where the caret stands below it, and how it is put right.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError, Problems } from '../../src/config/errors.ts';
import { Lexer } from '../../src/config/lexer.ts';
import { originKind } from '../../src/directives/websocket-origins.ts';

const NAME = 'websocket_allow_origin';

/** Reads `websocket_allow_origin ORIGIN;`. */
function read(origin: string, warnings: string[] = []): unknown {
  const { words } = new Lexer({ file: 'x.conf', text: `${NAME} ${origin};` }, new Problems()).next();
  return originKind.parse(words.slice(1), NAME, (message) => warnings.push(message));
}

function refusal(origin: string): ConfigError {
  try {
    read(origin);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error;
  }
  return assert.fail(`${origin} was accepted`);
}

const PORT = 'a port is a number from 1 to 65535, or "*"';
const NO_ORIGIN = 'an origin has neither a path nor a variable: "https://name:port"';
const host = (keyword: string, text: string): string =>
  `did you mean "${keyword}"? A host of that name is written with its scheme: "https://${text}"`;
const page = (origin: string): string => `did you mean "${origin}"? An origin is that of a page`;

describe('what is no origin is refused, and the mend says what is', () => {
  const cases: readonly (readonly [origin: string, mend: string])[] = [
    ['slef', host('self', 'slef')],
    ['nul', host('null', 'nul')],
    ['nnoe', host('none', 'nnoe')],
    ['requird', host('required', 'requird')],
    ['htp://example.com', page('http://example.com')],
    ['httpss://example.com:8443', page('https://example.com:8443')],
    ['ws://example.com', page('http://example.com')],
    ['WSS://example.com', page('https://example.com')],
    ['example.com:0', PORT],
    ['example.com:70000', PORT],
    ['example.com:123456', PORT],
    ['http://*', 'every host by one scheme is "~^http://.+$"'],
    ['*', 'every origin is allowed by "off"'],
    ['https://example.com/', NO_ORIGIN],
    ['$host', NO_ORIGIN],
  ];
  for (const [origin, mend] of cases) {
    test(`${origin}: ${mend}`, () => {
      const error = refusal(origin);
      assert.deepEqual([error.message, error.mend], [`invalid origin "${origin}"`, mend]);
    });
  }

  test('the caret stands below the whole of it', () => {
    const { at } = refusal('wss://example.com');
    assert.deepEqual([at?.line, at?.column, at?.length], [1, NAME.length + 2, 'wss://example.com'.length]);
  });
});

describe('what only looks like a slip is taken', () => {
  for (const origin of ['capacitor://localhost', 'moz-extension://abc', 'https://slef', 'localhost', 'app', '.self']) {
    test(origin, () => assert.equal((read(origin) as { kind: string }).kind, 'name'));
  }
});
