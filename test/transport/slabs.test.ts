// Slabs and queues of slabs: sizes, reuse, bounds, order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlabQueue } from '../../src/transport/slab-queue.ts';
import { giveBackSlab, SLAB_LIMIT, type Slab, takeSlab } from '../../src/transport/slabs.ts';

test('a slab has room for what was asked, up to the limit', () => {
  for (const length of [0, 1, 4096, 4097, 16 * 1024, 16 * 1024 + 1, SLAB_LIMIT]) {
    const slab = takeSlab(length);
    assert.ok(slab.room >= length);
    assert.equal(slab.used, 0);
    giveBackSlab(slab);
  }
  assert.equal(takeSlab(SLAB_LIMIT * 3).room, SLAB_LIMIT);
});

test('a slab that was given back is taken again, empty', () => {
  const slab = takeSlab(10);
  slab.appendLatin1('left behind');
  giveBackSlab(slab);
  const again = takeSlab(20);
  assert.equal(again, slab);
  assert.equal(again.filled().length, 0);
});

test('what is appended is what is filled, at every length', () => {
  const slab = takeSlab(SLAB_LIMIT);
  const bytes = Buffer.from(Array.from({ length: 3000 }, (_, index) => index & 255));
  for (const length of [1, 511, 512, 513, 3000, 513, 1]) {
    slab.used = 0;
    slab.append(bytes, 0, length);
    assert.ok(slab.filled().equals(bytes.subarray(0, length)), `${length} bytes`);
  }
  slab.appendLatin1('caf\u00e9');
  assert.equal(slab.filled().subarray(1).toString('latin1'), 'caf\u00e9');
  slab.rest();
  assert.equal(slab.filled().length, 5);
});

test('no more slabs are kept than the bound, however many come back at once', () => {
  const many: Slab[] = Array.from({ length: 1000 }, () => takeSlab(SLAB_LIMIT));
  for (const slab of many) giveBackSlab(slab);
  const known = new Set(many);
  let kept = 0;
  const taken: Slab[] = [];
  for (let index = 0; index < 1000; index++) {
    const slab = takeSlab(SLAB_LIMIT);
    taken.push(slab);
    if (known.has(slab)) kept++;
  }
  assert.ok(kept > 0 && kept <= 64, `${kept} were kept`);
});

function drain(queue: SlabQueue): string {
  let text = '';
  for (let slab = queue.shift(); slab !== undefined; slab = queue.shift()) {
    text += slab.filled().toString('latin1');
    giveBackSlab(slab);
  }
  return text;
}

test('a queue gives out what was pushed, in order, and counts it', () => {
  const queue = new SlabQueue();
  let expected = '';
  for (let index = 0; index < 300; index++) {
    const text = `${index}:${'x'.repeat((index * 997) % 5000)};`;
    expected += text;
    if (index % 2 === 0) queue.pushLatin1(text, 0);
    else queue.push(Buffer.from(text), 0, text.length, 0);
  }
  assert.equal(queue.bytes, expected.length);
  assert.equal(drain(queue), expected);
  assert.equal(queue.bytes, 0);
  assert.equal(queue.shift(), undefined);
});

test('small pushes share a slab, and one larger than a slab is cut', () => {
  const queue = new SlabQueue();
  queue.pushLatin1('a', 16 * 1024);
  queue.pushLatin1('b'.repeat(10_000), 0);
  const first = queue.shift();
  assert.equal(first?.used, 10_001);
  queue.push(Buffer.alloc(SLAB_LIMIT + 1), 0, SLAB_LIMIT + 1, 0);
  assert.equal(queue.shift()?.used, SLAB_LIMIT);
  assert.equal(queue.bytes, 1);
  queue.clear();
  assert.equal(queue.bytes, 0);
  assert.equal(queue.shift(), undefined);
});
