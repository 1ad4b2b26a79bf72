// The tables of charset_map at work on bodies that come in pieces.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { betweenBytes, fromUtf8, intoUtf8 } from '../../src/serve/charset-conversions.ts';

test('a character that comes in pieces is one character', () => {
  const bytes = new Map([
    [0x430, 0xc1],
    [0x20ac, 0xa3],
  ]);
  const text = Buffer.from('a\u0430\u20ac\u{1f600}\u00e4b', 'utf8');
  for (let size = 1; size <= text.length; size++) {
    const recode = fromUtf8(bytes).start();
    let written = '';
    for (let at = 0; at < text.length; at += size) {
      written += Buffer.from(recode(text.subarray(at, at + size))).toString('latin1');
    }
    assert.equal(written, 'a\xc1\xa3&#128512;&#228;b', `in pieces of ${size}`);
  }
});

test('what is written longer than need be, and what is beyond Unicode, is no character', () => {
  for (const wrong of [[0xc0, 0x80], [0xe0, 0x80, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xf5], [0xff]]) {
    const written = Buffer.from(fromUtf8(new Map()).start()(Uint8Array.from(wrong))).toString('latin1');
    assert.match(written, /^\?+$/);
  }
});

test('the text that is given stays as it was', () => {
  const text = Uint8Array.of(0x41, 0xc1);
  assert.deepEqual([...betweenBytes(new Map([[0xc1, 0xe0]])).start()(text)], [0x41, 0xe0]);
  assert.deepEqual([...intoUtf8(new Map([[0xc1, Buffer.from('\u20ac')]])).start()(text)], [0x41, 0xe2, 0x82, 0xac]);
  assert.deepEqual([...text], [0x41, 0xc1]);
});

test('a map tells whether it leaves ASCII alone', () => {
  assert.equal(betweenBytes(new Map([[0xc1, 0xe0]])).keepsAscii, true);
  assert.equal(betweenBytes(new Map([[0x41, 0x42]])).keepsAscii, false);
});
