// How a mistake is told: nginx's line, the source line with a caret, and the mend.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError, describe as describeProblem, headline, Problems } from '../../src/config/errors.ts';
import { placeAt, type Source } from '../../src/config/source.ts';

const source: Source = { file: '/etc/nginx.conf', text: 'http {\n\tproxy_pas http://b;\n}\n' };
const place = placeAt(source, 8, 9);

describe('a problem', () => {
  test('is nginx’s line, and below it the line of the file with a caret and the mend', () => {
    const problem = {
      level: 'emerg',
      message: 'unknown directive "proxy_pas"',
      at: place,
      mend: 'did you mean "proxy_pass"?',
    } as const;
    assert.deepEqual(describeProblem(problem).split('\n'), [
      '[emerg] unknown directive "proxy_pas" in /etc/nginx.conf:2',
      '     2 | \tproxy_pas http://b;',
      '       | \t^^^^^^^^^ did you mean "proxy_pass"?',
    ]);
  });

  test('names the line in which nginx noticed it, and shows the one in which it is', () => {
    const lines = describeProblem({ level: 'warn', message: 'm', at: place, noticed: placeAt(source, 29) }).split('\n');
    assert.equal(lines[0], '[warn] m in /etc/nginx.conf:3');
    assert.match(lines[1] as string, /^ {5}2 \|/);
  });

  test('has the further lines of its mend below', () => {
    const lines = describeProblem({ level: 'emerg', message: 'm', at: place, mend: 'one\n  two' }).split('\n');
    assert.deepEqual(lines.slice(2), ['       | \t^^^^^^^^^ one', '       |   two']);
  });

  test('may have no place', () => {
    assert.equal(
      describeProblem({ level: 'emerg', message: 'no "events" section', mend: 'write one' }),
      '[emerg] no "events" section\n    write one',
    );
  });

  test('of the command line has no line', () => {
    const at = placeAt({ file: 'command line', text: 'x;', commandLine: true }, 0);
    assert.equal(
      headline({ level: 'emerg', message: 'unknown directive "x"', at }),
      'unknown directive "x" in command line',
    );
  });

  test('in an included file says from where', () => {
    const at = placeAt({ file: '/etc/b', text: 'x;', includedFrom: place }, 0);
    assert.match(describeProblem({ level: 'emerg', message: 'm', at }), /included from \/etc\/nginx\.conf:2$/);
  });

  test('of a very long line shows the part with the caret', () => {
    const long: Source = { file: 'x', text: `${'a'.repeat(5_000)} here ${'b'.repeat(5_000)}` };
    const [, line = '', caret = ''] = describeProblem({
      level: 'emerg',
      message: 'm',
      at: placeAt(long, 5_001, 4),
    }).split('\n');
    assert.ok(line.length < 170);
    assert.equal(line.indexOf('here'), caret.indexOf('^^^^'));
  });

  test('cannot steer the terminal that shows it', () => {
    const evil: Source = { file: 'x', text: 'a \x1b[2J\x07\udc80;' };
    assert.match(describeProblem({ level: 'emerg', message: 'm', at: placeAt(evil, 0) }), /a \?\[2J\?\?;/);
  });
});

describe('problems', () => {
  test('are told in reading order, included files where they are included, those without a place last', () => {
    const problems = new Problems();
    const included: Source = { file: '/etc/b', text: 'x;\ny;', includedFrom: place };
    problems.error('without a place');
    problems.error('after', placeAt(source, 28));
    problems.error('inside, second', placeAt(included, 3));
    problems.error('inside, first', placeAt(included, 0));
    problems.error('before', placeAt(source, 0));
    problems.error('given with -g', placeAt({ file: '', text: '', commandLine: true }, 0));
    assert.deepEqual(
      problems.all.map(({ message }) => message),
      ['given with -g', 'before', 'inside, first', 'inside, second', 'after', 'without a place'],
    );
  });

  test('refuse a configuration unless they are only warnings', () => {
    const problems = new Problems();
    problems.warn('w', place);
    problems.notice('n', place);
    assert.equal(problems.failed, false);
    problems.throwFirst();
    problems.error('e', place);
    assert.equal(problems.failed, true);
    assert.throws(() => problems.throwFirst(), { name: 'ConfigError', message: 'e', at: place });
  });

  test('take what a step throws, if it is a mistake in the configuration', () => {
    const problems = new Problems();
    const refuse = () => {
      throw new ConfigError('m', place, { mend: 'so' });
    };
    assert.equal(problems.attempt(refuse), undefined);
    assert.equal(
      problems.attempt(() => 5),
      5,
    );
    assert.deepEqual(
      problems.all.map(({ message, mend }) => [message, mend]),
      [['m', 'so']],
    );
    assert.throws(() => problems.attempt(() => assert.fail('a bug')), /a bug/);
  });

  test('beyond a hundred are counted, not shown', () => {
    const problems = new Problems();
    for (let count = 0; count < 150; count++) problems.error(`m${count}`, place);
    const lines = `${problems}`.split('\n');
    assert.equal(lines.filter((line) => line.startsWith('[emerg]')).length, 100);
    assert.equal(lines.at(-2), '… and 50 more');
  });
});
