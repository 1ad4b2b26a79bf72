// Header fields keep their order, their spelling and their repeats.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Headers, isFieldValue, isToken } from '../../src/http1/headers.ts';
import { pairsOf } from './read-as-sockgate.ts';

function headersOf(...pairs: [string, string][]): Headers {
  const headers = new Headers();
  for (const [name, value] of pairs) headers.add(name, value);
  return headers;
}

test('fields keep order, spelling and repeats, and are found by their lower-case name', () => {
  const headers = headersOf(['Set-Cookie', 'a=1'], ['X-B', 'b'], ['set-cookie', 'c=2']);
  assert.equal(headers.length, 3);
  assert.deepEqual(pairsOf(headers), [
    ['Set-Cookie', 'a=1'],
    ['X-B', 'b'],
    ['set-cookie', 'c=2'],
  ]);
  assert.equal(headers.lowerNameAt(0), 'set-cookie');
  assert.equal(headers.get('set-cookie'), 'a=1');
  assert.equal(headers.getJoined('set-cookie'), 'a=1, c=2');
  assert.equal(headers.has('x-b'), true);
  assert.equal(headers.get('x-c'), undefined);
  assert.equal(headers.getJoined('x-c'), undefined);
});

test('set replaces every field of the name where the first one stood', () => {
  const headers = headersOf(['A', '1'], ['b', '2'], ['a', '3'], ['C', '4'], ['a', '5']);
  headers.set('A', 'new');
  assert.deepEqual(pairsOf(headers), [
    ['A', 'new'],
    ['b', '2'],
    ['C', '4'],
  ]);
  headers.set('D', '6');
  assert.deepEqual(pairsOf(headers).at(-1), ['D', '6']);
});

test('remove takes every field of the name and leaves the others in order', () => {
  const headers = headersOf(['a', '1'], ['B', '2'], ['A', '3'], ['c', '4'], ['a', '5']);
  headers.remove('a');
  headers.remove('not-there');
  assert.deepEqual(pairsOf(headers), [
    ['B', '2'],
    ['c', '4'],
  ]);
  headers.clear();
  assert.equal(headers.length, 0);
});

test('names of properties of objects are names like any other', () => {
  const headers = headersOf(['__proto__', 'a'], ['constructor', 'b'], ['hasOwnProperty', 'c'], ['toString', 'd']);
  assert.equal(headers.get('__proto__'), 'a');
  assert.equal(headers.get('constructor'), 'b');
  assert.equal(headers.get('hasownproperty'), 'c');
  assert.equal(headers.get('valueof'), undefined);
  headers.remove('__proto__');
  assert.equal(headers.has('__proto__'), false);
  assert.equal(Object.getPrototypeOf(headers), Headers.prototype);
});

test('a field copied from another head stays a field that a parser has checked; a field that is set does not', () => {
  const source = new Headers();
  source.addParsed('X-A', 'x-a', '1');
  source.add('X-B', '2');
  const copy = new Headers();
  copy.addFrom(source, 0);
  copy.addFrom(source, 1);
  assert.deepEqual([copy.isParsedAt(0), copy.isParsedAt(1)], [true, false]);
  copy.set('X-A', '3');
  assert.equal(copy.isParsedAt(0), false);
  assert.equal(source.get('x-a'), '1');
});

test('a thousand repeats of a field are removed in one pass', () => {
  const headers = new Headers();
  for (let i = 0; i < 100_000; i++) headers.add(i % 2 === 0 ? 'a' : 'b', String(i));
  const began = performance.now();
  headers.remove('a');
  assert.equal(headers.length, 50_000);
  assert.ok(performance.now() - began < 2000, 'quadratic');
});

test('only tokens are names', () => {
  for (const name of ['X-A', 'a', "!#$%&'*+-.^_`|~09AZaz"]) assert.equal(isToken(name), true, name);
  for (const name of ['', ' ', 'a b', 'a:', 'a\r', 'a\n', 'a\0', '\xe4', '\u212a', 'a(', 'a\t', 'a,b', 'a\n ']) {
    assert.equal(isToken(name), false, JSON.stringify(name));
  }
});

test('a value that could end its line, or that is more than a byte a character, is no value', () => {
  for (const value of ['', 'a', 'a\tb', '\xff', ' a ', '\x02'])
    assert.equal(isFieldValue(value), true, JSON.stringify(value));
  // U+010A and U+020D are sent as LF and CR where only the low byte of a character is sent.
  for (const value of ['a\rb', 'a\n', '\0', 'a\u010ab', '\u020d', '\ud83d\ude00']) {
    assert.equal(isFieldValue(value), false, JSON.stringify(value));
  }
});
