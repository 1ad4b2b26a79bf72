// What was refused when a configuration was checked, and what may only follow from that.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkConfiguration } from '../../src/config/check.ts';
import { directives } from '../../src/config/directive.ts';
import { mayDefine, refusedDirectives } from '../../src/config/refused.ts';
import { Registry } from '../../src/config/registry.ts';
import { flag, word } from '../../src/config/values.ts';
import { readText } from '../support/read-text.ts';

const doc = '';
const registry = new Registry([
  {
    name: 'x',
    directives: directives({
      http: { in: ['main'], args: [], block: 'http', doc },
      gzip: { in: ['http'], args: [flag], doc },
      map: { in: ['http'], args: [word('string'), word('variable')], block: 'raw', many: true, doc },
    }),
  },
]);

function refused(text: string) {
  const { root, problems } = readText(text);
  checkConfiguration(root, registry, problems);
  return refusedDirectives(root);
}

const names = (text: string): string[] => refused(text).map(({ name }) => name);

test('a configuration that is right has nothing refused, lines of raw blocks included', () => {
  assert.deepEqual(names('http { gzip on; map a b { x y; default z; } }'), []);
});

test('what is unknown, wrong or there twice was refused, and what stands in an unknown block', () => {
  assert.deepEqual(names('http { gzip maybe; oops { set $a b; } }'), ['gzip', 'oops', 'set']);
  assert.deepEqual(names('http { gzip on; gzip off; }'), ['gzip']);
});

test('a refused line may define the variables that it names', () => {
  const lines = refused('http { map $host ; location ~ "(?<Part>x)" ; set ${braced} 1; }');
  assert.ok(mayDefine(lines, 'host') && mayDefine(lines, 'part') && mayDefine(lines, 'braced'));
  assert.ok(!mayDefine(lines, 'hos') && !mayDefine(lines, 'other'));
});
