// One spelling, one name: what is remembered of names must never be taken for another one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CONTENT_LENGTH,
  fieldName,
  HOST,
  KEEP,
  NOT_TOKEN,
  OTHER_TOKEN,
  PLAIN,
  SPACED,
  UNDERSCORED,
} from '../../src/http1/field-names.ts';

function nameOf(spelling: string): ReturnType<typeof fieldName> {
  const bytes = Buffer.from(`x${spelling}y`, 'latin1');
  return fieldName(bytes, 1, bytes.length - 1);
}

test('a name is known by its lower case, whatever its spelling', () => {
  for (const spelling of ['Host', 'host', 'HOST', 'hOsT']) {
    const { name, lowerName, kind } = nameOf(spelling);
    assert.deepEqual([name, lowerName, kind], [spelling, 'host', HOST]);
  }
  assert.equal(nameOf('Content-Length').kind, CONTENT_LENGTH);
  assert.equal(nameOf('Content-Lengthy').kind, KEEP);
});

test('what a name is made of is told', () => {
  const shapes = ['X-A1', 'X_A', 'X.A', 'X(A', 'X A', 'X\tA', '\xe4'].map((spelling) => nameOf(spelling).shape);
  assert.deepEqual(shapes, [PLAIN, UNDERSCORED, OTHER_TOKEN, NOT_TOKEN, SPACED, SPACED, NOT_TOKEN]);
});

test('no two spellings are taken for one another, though there are more of them than places to remember them', () => {
  for (const begin of ['host', 'Host', 'te', 'x', 'content-length', 'Accept']) {
    for (let i = 0; i < 20_000; i++) {
      const spelling = begin + i.toString(36);
      const { name, lowerName } = nameOf(spelling);
      if (name !== spelling || lowerName !== spelling.toLowerCase()) assert.fail(`${spelling} is read as ${name}`);
    }
    assert.equal(nameOf(begin).name, begin);
  }
});

test('a very long name is read, and not remembered', () => {
  const long = 'a'.repeat(8000);
  assert.equal(nameOf(long).name, long);
  assert.notEqual(nameOf(long), nameOf(long));
  assert.equal(nameOf('a-name-of-mine'), nameOf('a-name-of-mine'));
});
