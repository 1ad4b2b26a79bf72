// The open packet of Engine.IO in all its dresses: versions, transports, compressions, pieces; and what is none.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import {
  bodyBeginning,
  EngineioOpening,
  messageBeginning,
  sessionIn,
} from '../../../src/upstream/balance/engineio-opening.ts';
import { rawFrame } from '../../support/raw-websocket.ts';

const SESSION = 'lv_VI97HAXpY6yYWAAAC';
const OPEN = `0{"sid":"${SESSION}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`;
const JSONP = JSON.stringify(OPEN);

const BODIES: Readonly<Record<string, string>> = {
  'polling of version 4': OPEN,
  'polling of version 4 with a packet behind it': `${OPEN}\x1e4hello`,
  'JSONP of version 4': `___eio[0](${JSONP});`,
  'polling of version 3': `${OPEN.length}:${OPEN}2:40`,
  'JSONP of version 3': `___eio[12](${JSON.stringify(`${OPEN.length}:${OPEN}`)});`,
  'JSONP behind a comment': `/**/___eio[12](${JSON.stringify(`${OPEN.length}:${OPEN}`)});`,
  'version 3 in bytes': `\x00\x01\x00\x08\xff${OPEN}\x00\x02\xff40`,
  'JSON with spaces and another order': `0{"upgrades": ["websocket"], "sid": "${SESSION}"}`,
};

for (const [name, body] of Object.entries(BODIES)) {
  test(`a session is found in ${name}`, () => assert.equal(sessionIn(body), SESSION));
}

const OTHERS: Readonly<Record<string, string>> = {
  'another packet': '2probe',
  'JSON that is no packet': `{"sid":"${SESSION}"}`,
  'a page': `<p>0{"sid":"${SESSION}"}`,
  'a message that looks like an open packet': `42["0{\\"sid\\":\\"${SESSION}\\"}"]`,
  'the begin of a session': '0{"sid":"lv_VI97HAX',
  'a session without a name': '0{"sid":""}',
  'a name that is too long': `0{"sid":"${'x'.repeat(257)}"}`,
  'an object within': `0{"a":{"sid":"${SESSION}"}}`,
};

for (const [name, body] of Object.entries(OTHERS)) {
  test(`no session is found in ${name}`, () => assert.equal(sessionIn(body), undefined));
}

/** What is found in these pieces, and how many of them it took; -1: it wants more than all of them. */
function foundIn(opening: (found: (session: string) => void) => EngineioOpening, pieces: readonly Buffer[]) {
  const sessions: string[] = [];
  const reader = opening((session) => sessions.push(session));
  const wanted = pieces.findIndex(
    (piece) => !reader.read(Buffer.concat([Buffer.from('x'), piece]), 1, piece.length + 1),
  );
  assert.ok(sessions.length <= 1);
  return { session: sessions[0], pieces: wanted < 0 ? -1 : wanted + 1 };
}

const inBody = (coding: string | undefined, ...pieces: readonly Buffer[]) => {
  const beginning = bodyBeginning(coding);
  assert.ok(beginning !== undefined);
  return foundIn((found) => new EngineioOpening(beginning, found), pieces);
};
const inMessages = (...pieces: readonly Buffer[]) =>
  foundIn((found) => new EngineioOpening(messageBeginning, found), pieces);

const LONG_TEXT = randomBytes(100_000).toString('hex');
const bytewise = (bytes: Buffer): Buffer[] => [...bytes].map((byte) => Buffer.of(byte));
const FOUND_AT_ONCE = { session: SESSION, pieces: 1 };

describe('the body of an answer', () => {
  const codings: readonly (readonly [string | undefined, (text: string) => Buffer])[] = [
    [undefined, (text) => Buffer.from(text)],
    ['identity', (text) => Buffer.from(text)],
    ['gzip', gzipSync],
    ['X-GZIP', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ];
  for (const [coding, compressed] of codings) {
    test(`as ${coding}: whole, byte by byte, and where much follows`, () => {
      assert.deepEqual(inBody(coding, compressed(OPEN)), FOUND_AT_ONCE);
      assert.equal(inBody(coding, ...bytewise(compressed(OPEN))).session, SESSION);
      assert.equal(inBody(coding, compressed(`${OPEN}\x1e4${LONG_TEXT}`)).session, SESSION);
    });
  }

  test('other codings are none of ours', () => assert.equal(bodyBeginning('zstd'), undefined));

  test('what is not what it says it is', () => {
    assert.deepEqual(inBody('gzip', Buffer.from(OPEN)), { session: undefined, pieces: -1 });
    assert.deepEqual(inBody('gzip', gzipSync(Buffer.alloc(50_000_000))).session, undefined);
    assert.deepEqual(inBody(undefined), { session: undefined, pieces: -1 });
  });

  test('no more than 256 pieces are looked at', () => {
    const late = [...Array.from({ length: 256 }, () => Buffer.from(' ')), Buffer.from(OPEN)];
    assert.deepEqual(inBody(undefined, ...late), { session: undefined, pieces: 256 });
  });

  test('no more than 4 KB are looked at', () => {
    const kilobytes = Array.from({ length: 9 }, () => Buffer.alloc(1000, 'x'));
    assert.deepEqual(inBody(undefined, ...kilobytes), { session: undefined, pieces: 5 });
  });
});

describe('the first message of a WebSocket', () => {
  const frame = rawFrame({ opcode: 1, payload: OPEN });
  const compressed = deflateRawSync(OPEN, { finishFlush: 2 }).subarray(0, -4);
  const deflated = rawFrame({ opcode: 1, payload: compressed, rsv1: true });
  const ping = rawFrame({ opcode: 9, payload: 'x' });
  const NONE = { session: undefined, pieces: 1 };

  test('plain and compressed: whole, byte by byte, behind a ping, before other messages', () => {
    for (const first of [frame, deflated]) {
      assert.deepEqual(inMessages(first), FOUND_AT_ONCE);
      assert.equal(inMessages(...bytewise(first)).session, SESSION);
      assert.deepEqual(inMessages(Buffer.concat([ping, first])), FOUND_AT_ONCE);
      assert.deepEqual(inMessages(ping, first), { session: SESSION, pieces: 2 });
      assert.deepEqual(inMessages(Buffer.concat([first, frame])), FOUND_AT_ONCE);
    }
  });

  test('long ones, and those in fragments', () => {
    for (const length of [200, 70_000])
      assert.equal(inMessages(rawFrame({ opcode: 1, payload: `${OPEN}${' '.repeat(length)}` })).session, SESSION);
    assert.deepEqual(inMessages(rawFrame({ opcode: 1, payload: OPEN, final: false })), FOUND_AT_ONCE);
  });

  test('what is no open packet is not looked at any further', () => {
    assert.deepEqual(inMessages(rawFrame({ opcode: 1, payload: 'hello' }), frame), NONE);
    assert.deepEqual(inMessages(rawFrame({ opcode: 1 }), frame), NONE);
    assert.deepEqual(inMessages(rawFrame({ opcode: 2, payload: OPEN })), NONE);
    assert.deepEqual(inMessages(rawFrame({ opcode: 1, payload: OPEN, masked: true })), NONE);
    assert.deepEqual(inMessages(rawFrame({ opcode: 8 }), frame), NONE);
    assert.deepEqual(inMessages(rawFrame({ opcode: 1, payload: OPEN, rsv1: true })), NONE);
  });
});
