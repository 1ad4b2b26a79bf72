// Strings replaced in bodies, wherever they are cut.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Replacing, SearchStrings } from '../../src/serve/replacements.ts';

interface Wish {
  readonly texts: readonly string[];
  readonly once?: boolean;
}

/** Replaces each by its number in brackets, the body given in pieces. */
function replaced({ texts, once = false }: Wish, pieces: readonly string[]): string {
  const replacing = new Replacing(new SearchStrings(texts), (index) => `[${index}]`, once);
  return pieces.map((piece) => replacing.take(piece)).join('') + replacing.end();
}

/** The same, said in the plainest way. */
function plainly({ texts, once = false }: Wish, body: string): string {
  const used = new Set<number>();
  let written = '';
  for (let at = 0; at < body.length; ) {
    const index = texts.findIndex((text, i) => !used.has(i) && body.startsWith(text, at));
    if (index >= 0 && once) used.add(index);
    written += index < 0 ? body.charAt(at) : `[${index}]`;
    at += index < 0 ? 1 : (texts[index] as string).length;
  }
  return written;
}

test('what is replaced does not depend on where the body is cut', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 5 });
  const piece = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 });
  const wishes = fc.record({ texts: fc.array(word, { minLength: 1, maxLength: 4 }), once: fc.boolean() });
  fc.assert(
    fc.property(wishes, fc.array(piece, { maxLength: 6 }), (wish, pieces) => {
      assert.equal(replaced(wish, pieces), plainly(wish, pieces.join('')));
    }),
    { numRuns: 2000 },
  );
});

test('of ASCII, upper and lower case are the same; other bytes are themselves', () => {
  assert.equal(replaced({ texts: ['aZ\xe9'] }, ['AZ\xe9Az\xc9az\xe9']), '[0]Az\xc9[0]');
});

test('no character of a string has a meaning of its own', () => {
  assert.equal(replaced({ texts: ['.*', '[a]', '\\d$', '\n'] }, ['x.*[a]\\d$1\n']), 'x[0][1][2]1[3]');
});

test('only what may be a beginning is held back', () => {
  const replacing = new Replacing(new SearchStrings(['stop']), () => '', false);
  assert.equal(replacing.take('go st'), 'go ');
  assert.equal(replacing.heldBack, 2);
  assert.equal(replacing.take('art'), 'start');
  assert.equal(replacing.heldBack, 0);
});

test('once each has been replaced, nothing is looked for any more', () => {
  const replacing = new Replacing(new SearchStrings(['a', 'b']), () => '-', true);
  assert.equal(replacing.take('aab'), '-a-');
  assert.equal(replacing.isOver, true);
});
