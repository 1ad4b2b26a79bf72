// Comma-separated lists in headers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { extensionNames, hasToken, listMembers } from '../../src/websocket/token-list.ts';

test('a list is cut at commas, trimmed, and rid of empty members', () => {
  assert.deepEqual(listMembers(' a,b ,, \tc\t,'), ['a', 'b', 'c']);
  assert.deepEqual(listMembers(''), []);
  assert.deepEqual(listMembers(undefined), []);
});

test('a comma in a quoted string cuts nothing, nor does an escaped quote end the string', () => {
  assert.deepEqual(listMembers('a; x="1,2", b; y="\\",", c'), ['a; x="1,2"', 'b; y="\\","', 'c']);
});

test('a quote that never ends takes all that follows', () => {
  assert.deepEqual(listMembers('a, b="c, d'), ['a', 'b="c, d']);
});

test('a token is found whole, whatever its case', () => {
  assert.equal(hasToken('keep-alive, UPGRADE', 'upgrade'), true);
  assert.equal(hasToken('upgrades', 'upgrade'), false);
  assert.equal(hasToken(undefined, 'upgrade'), false);
});

test('extensions are named without their parameters, in lower case', () => {
  assert.deepEqual(extensionNames('Permessage-Deflate ; a=1; b, foo;c="x,y"'), ['permessage-deflate', 'foo']);
});
