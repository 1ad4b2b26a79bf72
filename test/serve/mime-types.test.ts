// What type a file is by its name.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_TYPES, typeOf } from '../../src/serve/mime-types.ts';

function type(uri: string): string {
  return typeOf(uri, DEFAULT_TYPES, 'text/plain');
}

test('the extension decides, whatever its case', () => {
  assert.equal(type('/a.html'), 'text/html');
  assert.equal(type('/a.b/c.d.JPG'), 'image/jpeg');
  assert.equal(type('/a.GiF'), 'image/gif');
});

test('without a known extension the type is the default one', () => {
  assert.equal(type('/a'), 'text/plain');
  assert.equal(type('/a.'), 'text/plain');
  assert.equal(type('/html'), 'text/plain');
  assert.equal(type('/a.html/b'), 'text/plain');
  assert.equal(type('/a.constructor'), 'text/plain');
});

test('the name of a hidden file is no extension', () => {
  assert.equal(type('/.html'), 'text/plain');
  assert.equal(type('/a/.html'), 'text/plain');
  assert.equal(type('/.a.html'), 'text/html');
});
