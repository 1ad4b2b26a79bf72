// What every module declares, held together: defaults that can be read, names that do not collide.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defaultOf } from '../../src/config/arguments.ts';
import { Registry } from '../../src/config/registry.ts';
import { allModules } from '../../src/directives/all-modules.ts';

const { all } = new Registry(allModules);

describe('every declaration', () => {
  for (const { module, name, spec } of all) {
    test(`${module}: ${name}`, () => {
      defaultOf(spec, name);
      const names = spec.args.map((kind) => kind.name);
      assert.equal(new Set(names).size, names.length, 'two arguments have one name');
      assert.ok(!names.some((one) => one === 'at' || one === 'block'), 'an argument has a name that is taken');
      assert.ok(
        spec.args.filter(({ takes }) => takes === 'rest' || takes === 'any').length <= 1,
        'who takes the rest?',
      );
      assert.notEqual(spec.doc, '');
    });
  }
});

test('no context has a name twice', () => {
  const seen = new Map<string, string>();
  for (const { module, name, spec } of all) {
    for (const context of spec.in) {
      const key = `${name} in ${context}`;
      assert.equal(seen.get(key), undefined, `${key}: ${module} and ${seen.get(key)}`);
      seen.set(key, module);
    }
  }
});
