// Which location a URI belongs to.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Exchange } from '../../src/exchange/exchange.ts';
import {
  compileLocations,
  duplicateLocations,
  type LocationNode,
  unreachableLocations,
} from '../../src/route/locations.ts';
import { locationSettings } from '../support/location-settings.ts';

type Captured = Pick<Exchange, 'captures' | 'namedCaptures'>;

function newExchange(): Exchange {
  const captured: Captured = { captures: undefined, namedCaptures: undefined };
  return captured as Exchange;
}

/** `/a`, `= /a`, `^~ /a`, `~ a`, `~* a`, `@a`; settings are known by `name`. */
function location(name: string, ...nested: LocationNode[]): LocationNode {
  return { match: matchOf(name), settings: locationSettings({ name }), nested };
}

function matchOf(name: string): LocationNode['match'] {
  const [modifier, text] = name.includes(' ') ? (name.split(' ') as [string, string]) : ['', name];
  if (modifier === '=') return { kind: 'exact', text };
  if (modifier.startsWith('~')) return { kind: 'regex', pattern: new RegExp(text, modifier === '~*' ? 'i' : '') };
  if (text.startsWith('@')) return { kind: 'named', text };
  return { kind: 'prefix', text, stopsRegex: modifier === '^~' };
}

function finder(...locations: LocationNode[]): (uri: string) => string | undefined {
  const found = compileLocations(locations);
  return (uri) => found.find(newExchange(), uri)?.name;
}

test('an exact location goes before everything', () => {
  const find = finder(location('/'), location('~ .'), location('^~ /foo'), location('= /foo'), location('= /'));
  assert.equal(find('/foo'), '= /foo');
  assert.equal(find('/'), '= /');
  assert.equal(find('/foo/'), '^~ /foo');
  assert.equal(find('/x'), '~ .');
});

test('of several prefixes the longest one fits, in whatever order they stand', () => {
  const find = finder(
    location('/a/b/'),
    location('/'),
    location('/a'),
    location('/a/b/c'),
    location('/ab'),
    location('/a-b'),
  );
  assert.equal(find('/'), '/');
  assert.equal(find('/zebra'), '/');
  assert.equal(find('/a'), '/a');
  assert.equal(find('/a/b'), '/a');
  assert.equal(find('/a/b/'), '/a/b/');
  assert.equal(find('/a/b/cd'), '/a/b/c');
  assert.equal(find('/a/b/~'), '/a/b/');
  assert.equal(find('/abc'), '/ab');
  assert.equal(find('/a-'), '/a');
  assert.equal(find('/a-b.html'), '/a-b');
});

test('a prefix is compared byte by byte, with its case', () => {
  const find = finder(location('/UPPER'), location('/\xc3\xa9/'));
  assert.equal(find('/UPPER/x'), '/UPPER');
  assert.equal(find('/upper'), undefined);
  assert.equal(find('/\xc3\xa9/x'), '/\xc3\xa9/');
});

test('where nothing fits there is no location', () => {
  assert.equal(finder(location('/a/'), location('~ \\.php$'))('/b'), undefined);
  assert.equal(finder()('/'), undefined);
});

test('the first expression that matches goes before a prefix', () => {
  const find = finder(location('/casefull/'), location('~* \\.(gif|jpg)$'), location('~ casefull'));
  assert.equal(find('/casefull/a.GIF'), '~* \\.(gif|jpg)$');
  assert.equal(find('/casefull/a'), '~ casefull');
  assert.equal(find('/CASEFULL/a'), undefined);
});

test('no expression is tried where the longest prefix says so', () => {
  const find = finder(location('^~ /images/'), location('/images/big/'), location('~ \\.gif$'));
  assert.equal(find('/images/a.gif'), '^~ /images/');
  assert.equal(find('/images/big/a.gif'), '~ \\.gif$');
});

test('the captures of the expression are kept, and its names outlive the next one', () => {
  const locations = compileLocations([location('~ ^/(?<first>[^/]+)/(x)?', location('~ \\.(php)$'))]);
  const exchange = newExchange();
  locations.find(exchange, '/one/a.php');
  assert.deepEqual([...(exchange.captures ?? [])], ['.php', 'php']);
  assert.equal(exchange.namedCaptures?.['first'], 'one');
});

test('a named group that took no part is empty', () => {
  const exchange = newExchange();
  compileLocations([location('~ ^/(?<a>x)?(?<b>y)')]).find(exchange, '/y');
  assert.deepEqual({ ...exchange.namedCaptures }, { a: '', b: 'y' });
});

test('a nested location is looked for inside the prefix that was found', () => {
  const find = finder(location('/a/', location('/a/b/', location('= /a/b/c')), location('= /a/')), location('/a/bc'));
  assert.equal(find('/a/'), '= /a/');
  assert.equal(find('/a/x'), '/a/');
  assert.equal(find('/a/b/c'), '= /a/b/c');
  assert.equal(find('/a/b/cd'), '/a/b/');
  assert.equal(find('/a/bcd'), '/a/bc');
});

test('an expression inside the location goes before those outside of it', () => {
  const find = finder(location('/a/', location('~ \\.php$')), location('~ ^/a/(b|c)'));
  assert.equal(find('/a/b.php'), '~ \\.php$');
  assert.equal(find('/a/b.txt'), '~ ^/a/(b|c)');
  assert.equal(find('/a/d.txt'), '/a/');
});

test('a prefix that wants no expressions keeps those outside away, not those inside', () => {
  const find = finder(location('^~ /a/', location('~ \\.php$')), location('~ txt'));
  assert.equal(find('/a/x.php'), '~ \\.php$');
  assert.equal(find('/a/x.txt'), '^~ /a/');
});

test('a nested prefix that wants no expressions keeps away those beside it, not those further out', () => {
  const find = finder(location('/a/', location('^~ /a/b/'), location('~ txt$')), location('~ ^/a/.*\\.(txt|php)$'));
  assert.equal(find('/a/b/x.txt'), '~ ^/a/.*\\.(txt|php)$');
  assert.equal(find('/a/b/x.html'), '^~ /a/b/');
  assert.equal(find('/a/c.txt'), '~ txt$');
});

test('inside an expression only expressions are found, as in nginx; the others can be told', () => {
  const locations = [location('~ /a', location('/a/b'), location('= /a/b', location('~ .')), location('~ c$'))];
  const find = finder(...locations, location('~ ^/a/b'));
  assert.equal(find('/a/b'), '~ /a');
  assert.equal(find('/a/bc'), '~ c$');
  assert.deepEqual(
    unreachableLocations(locations).map(({ settings }) => settings.name),
    ['/a/b', '= /a/b'],
  );
});

test('named locations are found by name only, and of two with one name the first', () => {
  const first = location('@fallback');
  const locations = compileLocations([location('/'), first, location('@fallback')]);
  assert.equal(locations.named('@fallback'), first.settings);
  assert.equal(locations.named('@other'), undefined);
  assert.equal(locations.find(newExchange(), '@fallback'), undefined);
});

test('the same location twice on one level is told', () => {
  const twice = duplicateLocations([
    location('/a', location('= /ab'), location('= /ab')),
    location('= /a'),
    location('^~ /a'),
    location('~ a'),
    location('~ a'),
    location('~ b', location('/b'), location('/b')),
  ]);
  assert.deepEqual(
    twice.map(({ settings }) => settings.name),
    ['= /ab', '^~ /a'],
  );
});

test('among any prefixes the one found is the longest that fits', () => {
  const text = fc
    .array(fc.constantFrom('a', 'b', '/', '-', '\xff'), { maxLength: 6 })
    .map((letters) => `/${letters.join('')}`);
  fc.assert(
    fc.property(fc.uniqueArray(text, { maxLength: 20 }), text, (prefixes, uri) => {
      const fitting = prefixes
        .filter((prefix) => uri.startsWith(prefix))
        .sort((one, other) => other.length - one.length);
      assert.equal(finder(...prefixes.map((prefix) => location(prefix)))(uri), fitting[0]);
    }),
  );
});
