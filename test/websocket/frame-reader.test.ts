// The frame reader: what it counts, where it stands, what it refuses to follow; held against `ws`.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FrameReader, type FrameViolation, NO_CLOSE_CODE } from '../../src/websocket/frame-reader.ts';
import { Opcode } from '../../src/websocket/opcode.ts';
import { type FrameShape, RawWebSocketReader, rawFrame } from '../support/raw-websocket.ts';

const text = (payload: string): FrameShape => ({ opcode: Opcode.text, payload });

function read(reader: FrameReader, ...chunks: readonly Buffer[]): FrameReader {
  for (const chunk of chunks) reader.read(chunk, 0, chunk.length);
  return reader;
}

function plainReader(): FrameReader {
  return new FrameReader({ masked: false, rsv1: false });
}

/** Cuts bytes at the given places (taken modulo the length), each chunk at a place of its own in a larger buffer. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const edges = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
}

const payload = fc.oneof(
  { weight: 8, arbitrary: fc.uint8Array({ maxLength: 130 }) },
  { weight: 1, arbitrary: fc.constantFrom(65535, 65536, 70000).map((length) => new Uint8Array(length).fill(0x41)) },
);
const control = fc.record({
  opcode: fc.constantFrom(Opcode.ping, Opcode.pong),
  payload: fc.uint8Array({ maxLength: 125 }),
});
const dataFrames = fc
  .tuple(fc.constantFrom(Opcode.text, Opcode.binary), fc.array(payload, { minLength: 1, maxLength: 4 }))
  .map(([opcode, parts]) =>
    parts.map((part, i) => ({
      opcode: i === 0 ? opcode : Opcode.continuation,
      payload: part,
      final: i === parts.length - 1,
    })),
  );
/** A message in fragments, with pings and pongs between them. */
const message = fc
  .tuple(dataFrames, fc.array(fc.tuple(control, fc.nat({ max: 4 })), { maxLength: 3 }))
  .map(([frames, controls]) => {
    const mixed: FrameShape[] = [...frames];
    for (const [frame, place] of controls) mixed.splice(place % (mixed.length + 1), 0, frame);
    return mixed;
  });
const close = fc
  .tuple(fc.constantFrom(1000, 1001, 1011, 3000, 4999), fc.string({ maxLength: 30, unit: 'grapheme-ascii' }))
  .map(([code, reason]) => ({
    opcode: Opcode.close,
    payload: Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]),
  }));
const conversation = fc
  .tuple(fc.array(message, { maxLength: 6 }), fc.option(close, { nil: undefined }))
  .map(([messages, end]): FrameShape[] => [...messages.flat(), ...(end === undefined ? [] : [end])]);

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

describe('the frame reader and ws', () => {
  test('count the same messages, control frames and bytes, however the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        conversation,
        fc.boolean(),
        fc.array(fc.nat(), { maxLength: 12 }),
        async (frames, masked, places) => {
          const stream = Buffer.concat(frames.map((frame) => rawFrame({ ...frame, masked })));
          const judge = new RawWebSocketReader(masked);
          const reader = new FrameReader({ masked, rsv1: false });
          for (const chunk of cut(stream, places)) {
            read(reader, chunk);
            await judge.read(chunk);
          }
          assert.equal(judge.error, undefined);
          assert.equal(reader.violation, undefined);
          assert.equal(reader.messages, judge.messages.length);
          assert.equal(reader.payloadBytes, sum(judge.messages.map((each) => each.length)));
          const closes = judge.closeCode === undefined ? 0 : 1;
          assert.equal(reader.controlFrames, judge.pings.length + judge.pongs.length + closes);
          assert.equal(reader.dataFrames, frames.filter((frame) => frame.opcode < Opcode.close).length);
          assert.equal(reader.closeCode, judge.closeCode ?? 0);
          assert.equal(reader.closeReason, judge.closeReason);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('refuse the same streams, when bytes of heads are wrong', async () => {
    const wrongByte = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    const small = fc.array(
      fc.oneof(
        control,
        fc.record({ opcode: fc.constantFrom(0, 1, 2), payload: fc.uint8Array({ maxLength: 3 }), final: fc.boolean() }),
      ),
      { minLength: 1, maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(small, fc.boolean(), fc.array(wrongByte, { maxLength: 2 }), async (frames, masked, wrong) => {
        const stream = Buffer.concat(frames.map((frame) => rawFrame({ ...frame, masked })));
        for (const [place, byte] of wrong) stream[place % stream.length] = byte;
        const judge = new RawWebSocketReader(masked);
        await judge.read(stream);
        const reader = read(new FrameReader({ masked, rsv1: false }), stream);
        if (reader.opaque) await judge.read(Buffer.alloc(8)); // ws judges a part of a head only when it has come whole
        if (judge.error === 'WS_ERR_INVALID_CLOSE_CODE') return; // a close frame all the same: we follow it
        if (judge.error === 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH' && reader.inPayload) return; // ws ends at 2^53
        assert.equal(reader.opaque, judge.error !== undefined, `${reader.violation} ${judge.error}`);
        if (reader.opaque) return;
        assert.equal(reader.closed, judge.closeCode !== undefined);
        assert.equal(reader.messages, judge.messages.length);
      }),
      { numRuns: 2000 },
    );
  });

  test('agree on every first and second byte there is', async () => {
    for (const masked of [false, true]) {
      for (let first = 0; first < 256; first++) {
        for (const second of [0, 1, 2, 125, 126, 127, 128, 129, 130, 253, 254, 255]) {
          const judge = new RawWebSocketReader(masked);
          await judge.read(Buffer.from([first, second]));
          const reader = read(new FrameReader({ masked, rsv1: false }), Buffer.from([first, second]));
          assert.equal(
            reader.opaque,
            judge.error !== undefined,
            `${first} ${second} ${judge.error} ${reader.violation}`,
          );
        }
      }
    }
  });
});

describe('the position', () => {
  test('is a boundary exactly where a frame ends, and a message boundary where a message ends', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), fc.boolean(), (messages, masked) => {
        const boundaries = new Map<number, boolean>([[0, true]]);
        let length = 0;
        let unfinished = false;
        const frames = messages.flat().map((frame) => {
          const bytes = rawFrame({ ...frame, masked });
          length += bytes.length;
          if (frame.opcode < Opcode.close) unfinished = frame.final === false;
          boundaries.set(length, !unfinished);
          return bytes;
        });
        const stream = Buffer.concat(frames);
        if (stream.length > 2000) return; // one byte at a time
        const reader = new FrameReader({ masked, rsv1: false });
        for (let i = 0; i <= stream.length; i++) {
          assert.equal(reader.atFrameBoundary, boundaries.has(i));
          assert.equal(reader.atMessageBoundary, boundaries.get(i) ?? false);
          assert.equal(Number(reader.atFrameBoundary) + Number(reader.inHead) + Number(reader.inPayload), 1);
          if (i < stream.length) reader.read(stream, i, i + 1);
        }
      }),
    );
  });

  test('stops at the end of each part when one goes step by step', () => {
    const stream = Buffer.concat([rawFrame(text('hello')), rawFrame({ opcode: Opcode.ping, payload: 'x' })]);
    const reader = plainReader();
    const stops: number[] = [];
    for (let at = 0; at < stream.length; ) {
      at = reader.advance(stream, at, stream.length);
      stops.push(at);
    }
    assert.deepEqual(stops, [1, 2, 7, 8, 9, 10]);
  });

  test('shows opcode, finality and what is left of a frame that is passing', () => {
    const head = rawFrame({ opcode: Opcode.binary, payload: new Uint8Array(300), final: false }).subarray(0, 14);
    const reader = read(plainReader(), head);
    assert.deepEqual(
      [reader.opcode, reader.final, reader.payloadLeft, reader.inPayload],
      [Opcode.binary, false, 290, true],
    );
  });
});

describe('a long frame', () => {
  // The reader looks at no payload byte, so the bytes of a payload need not exist to pass.
  const pass = (reader: FrameReader, length: number): void => reader.read(Buffer.alloc(0), 0, length);

  test('of a gigabyte passes without being held', () => {
    const reader = read(plainReader(), Buffer.from([0x82, 127, 0, 0, 0, 0, 0x40, 0, 0, 0]));
    for (let i = 0; i < 1024; i++) {
      assert.equal(reader.inPayload, true);
      pass(reader, 2 ** 20);
    }
    assert.equal(reader.atMessageBoundary, true);
    assert.equal(reader.messages, 1);
    assert.equal(reader.payloadBytes, 2 ** 30);
  });

  test('of 2^53 - 1 bytes ends where it ends', () => {
    const reader = read(plainReader(), Buffer.from([0x82, 127, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
    pass(reader, 2 ** 53 - 2);
    assert.equal(reader.payloadLeft, 1);
    pass(reader, 1);
    assert.equal(reader.messages, 1);
  });

  test('of 2^53 bytes or more is followed, and never comes to an end too early', () => {
    for (const length of [
      [0, 0x20, 0, 0, 0, 0, 0, 0],
      [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ]) {
      const reader = read(plainReader(), Buffer.from([0x82, 127, ...length]));
      pass(reader, 2 ** 52);
      assert.equal(reader.inPayload, true);
      assert.equal(reader.payloadLeft, Number.POSITIVE_INFINITY);
      assert.equal(reader.violation, undefined);
    }
  });
});

describe('a close frame', () => {
  const shape = (bytes: number[] | Buffer): FrameShape => ({ opcode: Opcode.close, payload: Buffer.from(bytes) });

  test('gives code and reason, masked or not, in one piece or byte by byte', () => {
    const payload = Buffer.concat([Buffer.from([0x0f, 0xa1]), Buffer.from('à demain')]);
    for (const masked of [false, true]) {
      const frame = rawFrame({ ...shape(payload), masked });
      for (const chunks of [[frame], [...frame].map((byte) => Buffer.from([byte]))]) {
        const reader = read(new FrameReader({ masked, rsv1: false }), ...chunks);
        assert.deepEqual([reader.closed, reader.closeCode, reader.closeReason], [true, 4001, 'à demain']);
      }
    }
  });

  test('without a code is told from none', () => {
    const reader = plainReader();
    assert.deepEqual([reader.closed, reader.closeCode], [false, 0]);
    read(reader, rawFrame(shape([])));
    assert.deepEqual([reader.closed, reader.closeCode], [true, NO_CLOSE_CODE]);
  });

  test('of which only the beginning has come has no code yet', () => {
    const reader = read(plainReader(), rawFrame(shape([0x03, 0xe8, 0x41])).subarray(0, 4));
    assert.deepEqual([reader.closed, reader.closeCode, reader.inPayload], [false, 0, true]);
  });

  test('of 125 bytes is read whole', () => {
    const payload = Buffer.concat([Buffer.from([0x03, 0xe8]), Buffer.alloc(123, 'r')]);
    assert.equal(read(plainReader(), rawFrame(shape(payload))).closeReason, 'r'.repeat(123));
  });

  test('is the last frame: nothing may be put behind it, and what comes is not followed', () => {
    const reader = read(plainReader(), rawFrame(shape([0x03, 0xe8])), rawFrame(text('late')), Buffer.from('garbage'));
    assert.deepEqual([reader.atFrameBoundary, reader.atMessageBoundary, reader.messages], [false, false, 0]);
    assert.equal(reader.violation, undefined);
  });

  test('between the fragments of a message is seen', () => {
    const begun = rawFrame({ opcode: Opcode.text, payload: 'begun', final: false });
    assert.equal(read(plainReader(), begun, rawFrame(shape([0x03, 0xe9]))).closeCode, 1001);
  });
});

describe('a stream goes opaque', () => {
  const violations: [name: string, violation: FrameViolation, bytes: number[]][] = [
    ['with a reserved opcode of data', 'reserved opcode', [0x83]],
    ['with a reserved opcode of control', 'reserved opcode', [0x8b]],
    ['with RSV1 where no extension is', 'reserved bits', [0xc1]],
    ['with RSV2', 'reserved bits', [0xa1]],
    ['with RSV3', 'reserved bits', [0x91]],
    ['with RSV1 on a ping', 'reserved bits', [0xc9]],
    ['with a ping in fragments', 'fragmented control frame', [0x09]],
    ['with a ping of 126 bytes', 'control frame too long', [0x89, 126]],
    ['with a close frame of one byte', 'close frame of one byte', [0x88, 1]],
    ['with a 64-bit length whose top bit is set', 'frame length above 2^63', [0x82, 127, 0x80]],
    ['with a continuation of nothing', 'continuation without a beginning', [0x80]],
    ['with a continuation after a whole message', 'continuation without a beginning', [0x81, 0, 0x80]],
    ['with a new message inside another', 'message within a message', [0x01, 0, 0x81]],
    ['with a masked frame from a server', 'frame masked', [0x81, 0x80]],
    ['with something quite different', 'reserved bits', [...Buffer.from('SSH-2.0-OpenSSH_9.2')]],
  ];
  for (const [name, violation, bytes] of violations) {
    test(name, () => {
      const reader = read(plainReader(), Buffer.from(bytes));
      assert.equal(reader.violation, violation);
      assert.deepEqual(
        [reader.opaque, reader.atFrameBoundary, reader.inHead, reader.inPayload],
        [true, false, false, false],
      );
    });
  }

  test('with an unmasked frame from a client', () => {
    const reader = read(new FrameReader({ masked: true, rsv1: false }), rawFrame(text('x')));
    assert.equal(reader.violation, 'frame not masked');
  });

  test('and stays so: the first violation is remembered and nothing is counted any more', () => {
    const reader = read(
      plainReader(),
      rawFrame(text('good')),
      Buffer.from([0x83]),
      Buffer.from([0x09]),
      rawFrame(text('x')),
    );
    assert.deepEqual([reader.violation, reader.messages, reader.payloadBytes], ['reserved opcode', 1, 4]);
  });

  test('but not with RSV1 where permessage-deflate was negotiated', () => {
    const reader = new FrameReader({ masked: false, rsv1: true });
    read(reader, rawFrame({ opcode: Opcode.text, payload: 'zip', rsv1: true, final: false }));
    read(reader, rawFrame({ opcode: Opcode.continuation, payload: 'zap' }));
    assert.deepEqual([reader.violation, reader.messages, reader.payloadBytes], [undefined, 1, 6]);
  });

  test('with RSV1 on a continuation even there', () => {
    const reader = new FrameReader({ masked: false, rsv1: true });
    read(reader, rawFrame({ opcode: Opcode.text, rsv1: true, final: false }), Buffer.from([0xc0]));
    assert.equal(reader.violation, 'reserved bits');
  });
});
