// Bytes to text and back, and places in a text.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { byteString, decodeText, lineAround, lowerCase, placeAt, placeWithin } from '../../src/config/source.ts';

describe('a file’s bytes', () => {
  test('come back from their text, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        assert.equal(byteString(decodeText(bytes)), Buffer.from(bytes).toString('latin1'));
      }),
    );
  });

  test('that are UTF-8 are read so, between others that are not', () => {
    assert.equal(decodeText(Buffer.from('“ü”')), '“ü”');
    assert.equal(decodeText(Buffer.from('\xff“'.replace('“', '\xe2\x80\x9c'), 'latin1')), '\udcff“');
  });
});

describe('a place', () => {
  const source = { file: 'x', text: 'one\r\ntwo "th\\nr" "four"\n' };

  test('knows its line and column', () => {
    const { line, column } = placeAt(source, 9);
    assert.deepEqual([line, column], [2, 5]);
    assert.equal(lineAround(source, 9), 'two "th\\nr" "four"');
    assert.equal(lineAround(source, 1), 'one');
  });

  test('within an argument is exact where the text stands as it is, else the whole argument', () => {
    const four = placeWithin(placeAt(source, 17, 6), 'four', 1, 2);
    assert.deepEqual([four.column, four.length, source.text.slice(four.offset, four.offset + 2)], [15, 2, 'ou']);
    const escaped = placeAt(source, 9, 7);
    assert.equal(placeWithin(escaped, 'th\nr', 1, 1), escaped);
  });
});

test('lower case is for letters of ASCII alone, so that bytes stay what they are', () => {
  assert.equal(lowerCase('Host-NAME'), 'host-name');
  assert.equal(lowerCase('\xc4\xdc'), '\xc4\xdc');
});
