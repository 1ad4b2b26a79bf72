// From the target of a request line to the URI that locations see.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type EscapeFor, escapeHtml, escapeUri, parseTarget } from '../../src/route/uri.ts';

function uriOf(target: string, mergeSlashes = true): string | undefined {
  return parseTarget(target, mergeSlashes)?.path;
}

test('leaves a target alone that has nothing to be decoded', () => {
  assert.deepEqual(parseTarget('/', true), { path: '/', args: '', simple: true });
  assert.deepEqual(parseTarget('/a/b.c?d=e?f&g=%20', true), { path: '/a/b.c', args: 'd=e?f&g=%20', simple: true });
  assert.deepEqual(parseTarget('/a?', true), { path: '/a', args: '', simple: true });
  assert.deepEqual(parseTarget('/+~b;c=1/\xff', true), { path: '/+~b;c=1/\xff', args: '', simple: true });
});

test('decodes once, byte by byte', () => {
  assert.deepEqual(parseTarget('/%61%2F%3f%23%25', true), { path: '/a/?#%', args: '', simple: false });
  assert.equal(uriOf('/%252e%252e/a'), '/%2e%2e/a');
  assert.equal(uriOf('/%C3%A9'), '/\xc3\xa9');
  assert.equal(uriOf('/%0d%0A%02'), '/\r\n\x02');
});

test('merges slashes unless told not to', () => {
  assert.equal(uriOf('//a///b//'), '/a/b/');
  assert.equal(uriOf('/%2f%2Fa'), '/a');
  assert.equal(uriOf('//a///b//', false), '//a///b//');
});

test('resolves dots, however they are written', () => {
  assert.equal(uriOf('/a/./b'), '/a/b');
  assert.equal(uriOf('/a/.'), '/a/');
  assert.equal(uriOf('/a/..'), '/');
  assert.equal(uriOf('/a/b/../c'), '/a/c');
  assert.equal(uriOf('/a/b/%2e%2E/c'), '/a/c');
  assert.equal(uriOf('/a/b/..%2fc'), '/a/c');
  assert.equal(uriOf('/a//../b'), '/b');
  assert.equal(uriOf('/foo//../bar', false), '/foo/bar');
  assert.equal(uriOf('/foo///../bar', false), '/foo//bar');
});

test('takes three dots, and dots inside a name, for a name', () => {
  assert.equal(uriOf('/.../a'), '/.../a');
  assert.equal(uriOf('/.well-known'), '/.well-known');
  assert.equal(uriOf('/a../b'), '/a../b');
  assert.equal(uriOf('/..a'), '/..a');
  assert.equal(uriOf('/.%3f'), '/.?');
});

test('refuses what leads above the root', () => {
  for (const target of [
    '/..',
    '/../',
    '/../a',
    '/a/../..',
    '/a/../../b',
    '/%2e%2e',
    '/.%2e/x',
    '/..?a',
    '/..#a',
    '//..',
  ]) {
    assert.equal(parseTarget(target, true), undefined, target);
  }
  assert.equal(uriOf('//..', false), '/');
});

test('refuses broken escapes and NUL', () => {
  for (const target of ['/%', '/a%1', '/%zz', '/%1g', '/%%41', '/a%?b', '/%00', '/a%00b', '/%2?5']) {
    assert.equal(parseTarget(target, true), undefined, target);
  }
});

test('refuses raw control characters and spaces, in arguments too', () => {
  for (const target of ['/\x00', '/\x1f', '/ ', '/\x7f', '/a?\r', '/a? b', '/a?\x7f', '/%41\t', '/a#\x01']) {
    assert.equal(parseTarget(target, true), undefined, JSON.stringify(target));
  }
});

test('refuses what does not begin with a slash', () => {
  for (const target of ['', '*', 'a', '?a', 'http://a/']) assert.equal(parseTarget(target, true), undefined, target);
});

test('drops the fragment, before and behind the question mark', () => {
  assert.deepEqual(parseTarget('/a#b?c', true), { path: '/a', args: '', simple: false });
  assert.deepEqual(parseTarget('/a?b#c', true), { path: '/a', args: 'b', simple: false });
  assert.deepEqual(parseTarget('/a/..?b#c', true), { path: '/', args: 'b', simple: false });
  assert.deepEqual(parseTarget('/a/.#c', true), { path: '/a/', args: '', simple: false });
});

test('does not decode arguments', () => {
  assert.deepEqual(parseTarget('/%61?%61=%2e&b=//../%zz', true), {
    path: '/a',
    args: '%61=%2e&b=//../%zz',
    simple: false,
  });
});

const targets = fc
  .array(fc.constantFrom('/', '.', '..', '%2e', '%2F', '%25', 'a', 'B', '%', '?', '#', '%41', '+', '\xe9'), {
    maxLength: 14,
  })
  .map((pieces) => `/${pieces.join('')}`);

test('whatever is accepted has no segment left that could be resolved again', () => {
  fc.assert(
    fc.property(targets, (target) => {
      const parsed = parseTarget(target, true);
      if (parsed === undefined) return;
      assert.match(parsed.path, /^\//);
      assert.doesNotMatch(parsed.path, /\/\/|\/\.\.?(\/|$)/);
      if (parsed.simple) assert.equal(parsed.path, target.split('?')[0]);
    }),
  );
});

test('a URI that is escaped as a path is read as the same URI again', () => {
  fc.assert(
    fc.property(targets, (target) => {
      const parsed = parseTarget(target, true);
      if (parsed !== undefined) assert.equal(uriOf(escapeUri(parsed.path)), parsed.path);
    }),
  );
});

test('escapes for a path, an argument, a component and a page', () => {
  const every = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join('');
  const kept = (part: EscapeFor) => [...every].filter((character) => escapeUri(character, part) === character).join('');
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
  const alphabet = letters.toLowerCase();
  assert.equal(kept('path'), `!$&'()*+,-./0123456789:;=@${letters}[]_${alphabet}~`);
  assert.equal(kept('argument'), `!$'()*,-./0123456789:=@${letters}[]_${alphabet}~`);
  assert.equal(kept('component'), `-.0123456789${letters}_${alphabet}~`);
  assert.equal(kept('html'), `!$&()*+,-./0123456789:;=?@${letters}[]_${alphabet}~`);
  assert.equal(escapeUri('/a b\r\n\xff?'), '/a%20b%0D%0A%FF%3F');
});

test('escapes what would be markup in a page', () => {
  assert.equal(escapeHtml(`<a href="x">'&'</a>`), `&lt;a href=&quot;x&quot;&gt;'&amp;'&lt;/a&gt;`);
});
