// Every module that stands in src/directives/ is on the list, so that none is written and then forgotten.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allModules } from '../../src/directives/all-modules.ts';
import { sourceFiles } from './source-files.ts';

/** What a file exports as a module: `export const NAME = nginxModule(…`. */
const MODULE = /^export const (\w+) = nginxModule\(\s*'([^']+)'/gm;

const declared = sourceFiles
  .filter(({ path }) => path.startsWith('directives/'))
  .flatMap(({ code }) => [...code.matchAll(MODULE)].map((match) => match[2] as string));

test('each module of src/directives/ stands in all-modules.ts, once', () => {
  assert.ok(declared.length > 10);
  assert.deepEqual(allModules.map(({ name }) => name).sort(), declared.toSorted());
});

test('no two modules have one name', () => {
  assert.equal(new Set(declared).size, declared.length);
});

test('every call of nginxModule is one that this test sees', () => {
  const calls = sourceFiles.flatMap(({ code }) => [...code.matchAll(/(?<!function )\bnginxModule\(/g)]);
  assert.equal(calls.length, declared.length);
});
