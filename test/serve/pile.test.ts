// Bytes that wait for a temporary file: in order, whole, and in memory that is used again.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Pile } from '../../src/serve/pile.ts';
import { PIECE_SIZE } from '../../src/serve/read-pieces.ts';

const BYTES = randomBytes(3 * PIECE_SIZE);

test('what was added comes out in order, whatever the chunks and wherever small ends', () => {
  for (const small of [0, 1000, PIECE_SIZE, 4 * PIECE_SIZE]) {
    for (const chunk of [999, PIECE_SIZE - 1, PIECE_SIZE, PIECE_SIZE + 1, BYTES.length]) {
      const pile = new Pile(small);
      for (let at = 0; at < BYTES.length; at += chunk) pile.add(BYTES, at, Math.min(at + chunk, BYTES.length));
      assert.equal(pile.length, BYTES.length);
      assert.ok(Buffer.concat(pile.pieces).equals(BYTES), `${small}, ${chunk}`);
      pile.clear();
      assert.deepEqual([pile.length, pile.pieces], [0, []]);
    }
  }
});

test('what is small has its own memory: it stays as it is when others are added and cleared', () => {
  const pile = new Pile(1000);
  const source = Buffer.alloc(1000, 'a');
  pile.add(source, 0, 1000);
  source.fill('b');
  const other = new Pile(0);
  other.add(source, 0, 1000);
  other.clear();
  assert.equal(Buffer.concat(pile.pieces).toString(), 'a'.repeat(1000));
  assert.equal(pile.pieces[0]?.length, 1000);
});

test('the memory of one that was cleared is that of the next', () => {
  const first = new Pile(0);
  first.add(BYTES, 0, PIECE_SIZE);
  const memory = first.pieces[0]?.buffer;
  first.clear();
  const second = new Pile(0);
  second.add(BYTES, 0, 1);
  assert.equal(second.pieces[0]?.buffer, memory);
  second.clear();
});
