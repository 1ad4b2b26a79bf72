// The name that was meant.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestName } from '../../src/config/nearest-name.ts';

const known = ['proxy_pass', 'proxy_set_header', 'proxy_hide_header', 'root', 'gzip', 'if', 'listen'];

const cases: readonly (readonly [string, string | undefined])[] = [
  ['proxy_pas', 'proxy_pass'],
  ['porxy_pass', 'proxy_pass'],
  ['proxy_passs', 'proxy_pass'],
  ['proxy_sethedaer', 'proxy_set_header'],
  ['lisetn', 'listen'],
  ['gzpi', 'gzip'],
  ['fi', 'if'],
  ['rot', 'root'],
  ['something', undefined],
  ['x', undefined],
  ['', undefined],
  ['x'.repeat(10_000), undefined],
];
for (const [name, nearest] of cases) {
  test(`${name.slice(0, 20)} is ${nearest}`, () => assert.equal(nearestName(name, known), nearest));
}
