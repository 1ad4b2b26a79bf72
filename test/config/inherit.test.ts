// What a level has set, and what it takes from the one above.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkConfiguration } from '../../src/config/check.ts';
import { directives, type SetOf } from '../../src/config/directive.ts';
import { directivesOf, levelSet, placeOf } from '../../src/config/inherit.ts';
import { Registry } from '../../src/config/registry.ts';
import { flag, integer, size, time, word } from '../../src/config/values.ts';
import { readText } from '../support/read-text.ts';

const doc = '';

const table = directives({
  http: { in: ['main'], args: [], block: 'http', doc },
  server: { in: ['http'], args: [], block: 'server', many: true, doc },
  location: { in: ['server', 'location'], args: [word('uri')], block: 'location', many: true, doc },
  gzip: { in: ['http', 'server', 'location'], args: [flag], default: 'off', doc },
  root: { in: ['http', 'server', 'location'], args: [word('path')], doc },
  buffers: { in: ['http', 'server', 'location'], args: [integer('number'), size('size')], default: '8 4k', doc },
  header: { in: ['http', 'server', 'location'], args: [word('name'), word('value')], many: true, doc },
  log: { in: ['http', 'server', 'location'], args: [word('file')], many: true, default: 'access.log', doc },
  pass: { in: ['location'], args: [word('url')], inherit: false, doc },
  timeout: { in: ['http', 'server', 'location'], args: [time('time')], inherit: false, default: '60s', doc },
  types: { in: ['http', 'server', 'location'], args: [], block: 'raw', doc },
});

const other = directives({ timeout: { in: ['upstream'], args: [time('time')], default: '5s', doc } });

function levels(text: string): {
  http: SetOf<typeof table>;
  server: SetOf<typeof table>;
  location: SetOf<typeof table>;
} {
  const { root, problems } = readText(text);
  checkConfiguration(root, new Registry([{ name: 'x', directives: table }]), problems);
  assert.deepEqual(problems.headlines, []);
  const http = levelSet(table, levelSet(table, root).http?.block ?? assert.fail());
  const server = levelSet(table, http.server[0]?.block ?? assert.fail(), http);
  const location = levelSet(table, server.location[0]?.block ?? assert.fail(), server);
  return { http, server, location };
}

describe('a level', () => {
  test('has what it sets, else what the level above has, else the default', () => {
    const { http, server, location } = levels('http { gzip on; server { gzip off; root a; location / { root b; } } }');
    assert.deepEqual([http.gzip, server.gzip, location.gzip], [true, false, false]);
    assert.deepEqual([http.root, server.root, location.root], [undefined, 'a', 'b']);
    assert.deepEqual([location.buffers.number, location.buffers.size], [8, 4096]);
  });

  test('replaces a list as a whole', () => {
    const { server, location } = levels('http { header a 1; header b 2; server { location / { header c 3; } } }');
    assert.deepEqual(
      [server, location].map(({ header }) => header.map(({ name, value }) => `${name}${value}`)),
      [['a1', 'b2'], ['c3']],
    );
  });

  test('that sets nothing is one with its siblings and with those below it, and takes nothing for its own', () => {
    const text = 'http { root a; server { root b; timeout 9s; location / { } location /y/ { } } }';
    const { server, location } = levels(text);
    const [first, second] = server.location.map(({ block }) => levelSet(table, block, server));
    assert.deepEqual([first === location, second === location, second === server], [true, true, false]);
    assert.deepEqual([second?.root, second?.timeout], ['b', 60_000]);
    assert.equal(placeOf(second ?? assert.fail(), 'root')?.own, false);
    const below = levelSet(table, server.location[1]?.block ?? assert.fail(), location);
    assert.deepEqual([below.root, below.timeout, placeOf(below, 'root')?.own], ['b', 60_000, false]);
  });

  test('has an empty list, or the default alone, where nothing is set', () => {
    const { location } = levels('http { server { location / { } } }');
    assert.deepEqual(location.header, []);
    assert.deepEqual(location.log, ['access.log']);
  });

  test('does not take what is not to be inherited', () => {
    const { server, location } = levels('http { server { timeout 9s; location / { location /x { } pass u; } } }');
    assert.deepEqual([server.timeout, location.timeout], [9_000, 60_000]);
    const inner = levelSet(table, location.location[0]?.block ?? assert.fail(), location);
    assert.deepEqual([location.pass, inner.pass], ['u', undefined]);
  });

  test('does not take the blocks of the level above, but the lines of a raw one', () => {
    const { location } = levels('http { types { a b; } server { location / { } } }');
    assert.deepEqual([location.location, location.server, location.http], [[], [], undefined]);
    assert.equal(location.types?.block.directives[0]?.name, 'a');
  });

  test('takes only what was matched with its own table', () => {
    const { root, problems } = readText('timeout 7s;');
    checkConfiguration(
      root,
      new Registry([{ name: 'y', directives: { timeout: { ...other.timeout, in: ['main'] } } }]),
      problems,
    );
    assert.equal(levelSet(other, root).timeout, 5_000);
  });
});

describe('the place of a value', () => {
  test('is where it was set, on this level or above; a default has none', () => {
    const { server, location } = levels('http {\n gzip on;\n server {\n  root a;\n location / { } } }');
    assert.deepEqual([placeOf(server, 'root')?.at.line, placeOf(server, 'root')?.own], [4, true]);
    assert.deepEqual([placeOf(location, 'root')?.at.line, placeOf(location, 'root')?.own], [4, false]);
    assert.deepEqual([placeOf(location, 'gzip')?.at.line, placeOf(location, 'gzip')?.own], [2, false]);
    assert.equal(placeOf(location, 'buffers'), undefined);
  });

  test('is gone with the value where it is not inherited', () => {
    const { location } = levels('http { server { timeout 9s; location / { } } }');
    assert.equal(placeOf(location, 'timeout'), undefined);
  });

  test('each of several has its own', () => {
    const { location } = levels('http { header a 1;\nheader b 2;\nserver { location / { } } }');
    assert.deepEqual(
      directivesOf(location, 'header').map(({ at }) => at.line),
      [1, 2],
    );
  });
});
