// The id of a session, out of what OpenSSL hands out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionId } from '../../src/directives/tls-session.ts';

/** A DER value: its tag, its length, its content. */
function der(tag: number, ...content: (number | Buffer)[]): Buffer {
  const body = Buffer.concat(content.map((part) => (typeof part === 'number' ? Buffer.of(part) : part)));
  const length = body.length < 0x80 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), body]);
}

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const OCTETS = 0x04;
const head = [der(INTEGER, 1), der(INTEGER, 3, 4), der(OCTETS, 0x13, 0x02)];

test('is the fourth value of the sequence', () => {
  const id = Buffer.from('0123456789abcdef', 'hex');
  assert.deepEqual(sessionId(der(SEQUENCE, ...head, der(OCTETS, id), der(OCTETS, Buffer.alloc(300)))), id);
});

test('is empty where there is none', () => {
  assert.equal(sessionId(der(SEQUENCE, ...head, der(OCTETS))).length, 0);
});

test('is empty where the bytes are something else, however they are cut', () => {
  const whole = der(SEQUENCE, ...head, der(OCTETS, Buffer.alloc(32, 7)));
  for (let length = 0; length < whole.length; length++) {
    assert.equal(sessionId(whole.subarray(0, length)).length, 0, `${length}`);
  }
  assert.equal(sessionId(Buffer.from('ff85ffffffffff', 'hex')).length, 0);
});
