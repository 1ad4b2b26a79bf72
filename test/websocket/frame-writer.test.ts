// Our own frames: understood by `ws`, and never such as RFC 6455 forbids.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FrameReader } from '../../src/websocket/frame-reader.ts';
import {
  closeFrame,
  frameHeadLength,
  LONGEST_CLOSE_REASON,
  pingFrame,
  pongFrame,
  writeFrameHead,
} from '../../src/websocket/frame-writer.ts';
import { Opcode } from '../../src/websocket/opcode.ts';
import { RawWebSocketReader, rawFrame } from '../support/raw-websocket.ts';

async function readByWs(frame: Buffer, masked: boolean): Promise<RawWebSocketReader> {
  const reader = new RawWebSocketReader(masked);
  await reader.read(frame);
  assert.equal(reader.error, undefined);
  return reader;
}

describe('a frame of ours', () => {
  for (const masked of [false, true]) {
    const direction = masked ? 'towards a peer, masked,' : 'towards a client, not masked,';

    test(`${direction} is a close frame to ws`, async () => {
      const reader = await readByWs(closeFrame(1001, 'bye, à bientôt', masked), masked);
      assert.deepEqual([reader.closeCode, reader.closeReason], [1001, 'bye, à bientôt']);
    });

    test(`${direction} is a ping and a pong to ws, whatever the length`, async () => {
      for (let length = 0; length <= 125; length++) {
        const payload = Buffer.alloc(length, length);
        const reader = await readByWs(Buffer.concat([pingFrame(payload, masked), pongFrame(payload, masked)]), masked);
        assert.deepEqual(reader.pings, [payload]);
        assert.deepEqual(reader.pongs, [payload]);
      }
    });
  }

  test('leaves the payload that it was given as it was', () => {
    const payload = Buffer.from('payload');
    pingFrame(payload, true);
    assert.equal(payload.toString(), 'payload');
  });

  test('is masked with another mask each time, also when the drawn masks have run out', () => {
    const masks = new Set<string>();
    for (let i = 0; i < 3000; i++) masks.add(pingFrame(Buffer.alloc(0), true).toString('hex', 2, 6));
    assert.ok(masks.size > 2990, `${masks.size} masks of 3000`); // one pair of 3000 alike is once in a thousand runs
  });
});

describe('a close frame', () => {
  test('may have a reason of 123 bytes and no longer one', async () => {
    const reader = await readByWs(closeFrame(1000, 'x'.repeat(LONGEST_CLOSE_REASON), false), false);
    assert.equal(reader.closeReason.length, 123);
    assert.throws(
      () => closeFrame(1000, 'x'.repeat(124), false),
      /reason of a close frame is 124 bytes long, above 123/,
    );
  });

  test('counts its reason in bytes of UTF-8', () => {
    assert.throws(() => closeFrame(1000, 'é'.repeat(62), false), RangeError);
  });

  test('says no code that may not be sent', () => {
    for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 1000.5, Number.NaN]) {
      assert.throws(() => closeFrame(code, '', false), new RangeError(`a close frame cannot say ${code}`));
    }
  });

  test('says every code that may be sent', async () => {
    for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]) {
      assert.equal((await readByWs(closeFrame(code, '', false), false)).closeCode, code);
    }
  });
});

describe('a ping or a pong', () => {
  test('has at most 125 bytes', () => {
    assert.throws(() => pingFrame(Buffer.alloc(126), false), /payload of a control frame is 126 bytes long, above 125/);
    assert.throws(() => pongFrame(Buffer.alloc(126), true), RangeError);
  });
});

describe('the head of a frame', () => {
  test('is the one that ws writes, at each length where its form changes', () => {
    for (const length of [0, 1, 125, 126, 127, 65535, 65536, 70000]) {
      const expected = rawFrame({ opcode: Opcode.binary, payload: new Uint8Array(length) });
      const head = Buffer.alloc(frameHeadLength(length, false) + 3);
      assert.equal(writeFrameHead(head, 3, Opcode.binary, length, undefined), head.length);
      assert.deepEqual(head.subarray(3), expected.subarray(0, expected.length - length));
    }
  });

  test('carries lengths up to 2^53 - 1', () => {
    for (const length of [2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 7, Number.MAX_SAFE_INTEGER]) {
      const head = Buffer.alloc(14);
      assert.equal(writeFrameHead(head, 0, Opcode.binary, length, Buffer.from('mask')), frameHeadLength(length, true));
      assert.equal(head.toString('latin1', 10), 'mask');
      const reader = new FrameReader({ masked: true, rsv1: false });
      reader.read(head, 0, head.length);
      assert.equal(reader.payloadLeft, length);
    }
  });
});
