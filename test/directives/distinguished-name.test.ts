// Names in certificates as text: as OpenSSL prints them, and whatever a client has put into its own, on one line.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { certificateNames } from '../../src/directives/distinguished-name.ts';
import { selfSignedCertificate } from '../support/certificates.ts';

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const head = content.length < 128 ? [tag, content.length] : [tag, 0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

const sequence = (...contents: readonly Buffer[]): Buffer => der(0x30, ...contents);

const TYPES = {
  CN: [0x55, 4, 3],
  C: [0x55, 4, 6],
  O: [0x55, 4, 10],
  OU: [0x55, 4, 11],
  email: [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
  unknown: [0x2a, 3, 4],
} as const;
type Type = keyof typeof TYPES;

/** Tags of strings. */
const UTF8 = 12;
const PRINTABLE = 19;
const T61 = 20;
const GENERAL = 27;
const UNIVERSAL = 28;
const BMP = 30;

const part = (type: Type, value: string | Buffer, tag = UTF8): Buffer =>
  sequence(der(6, Buffer.from(TYPES[type])), der(tag, Buffer.from(value)));

/** Each set has one part or several. */
function namesOf(...sets: readonly (readonly Buffer[])[]) {
  const name = sequence(...sets.map((parts) => der(0x31, ...parts)));
  const fields = [der(2, Buffer.from([5])), sequence(), name, sequence(), name];
  const names = certificateNames(sequence(sequence(...fields)));
  assert.ok(names);
  return [names.subject.rfc2253(), names.issuer.legacy()];
}

const wide = (text: string, bytes: 2 | 4): Buffer => {
  const units = [...text].map((character) => character.codePointAt(0) as number);
  const buffer = Buffer.alloc(units.length * bytes);
  for (const [index, unit] of units.entries()) buffer.writeUIntBE(unit, index * bytes, bytes);
  return buffer;
};

describe('a distinguished name', () => {
  test('has its last part first by RFC 2253, and its first part first in the old form', () => {
    assert.deepEqual(
      namesOf([part('C', 'DE', PRINTABLE)], [part('O', 'Some, Inc.')], [part('OU', '#1 <x>')], [part('CN', ' a b ')]),
      ['CN=\\ a b\\ ,OU=\\#1 \\<x\\>,O=Some\\, Inc.,C=DE', '/C=DE/O=Some, Inc./OU=#1 <x>/CN= a b '],
    );
  });

  test('joins the parts of one set by a plus', () => {
    assert.deepEqual(namesOf([part('O', 'b')], [part('CN', 'a'), part('OU', 'c')]), [
      'OU=c+CN=a,O=b',
      '/O=b/CN=a/OU=c',
    ]);
  });

  test('escapes what is not ASCII byte by byte of UTF-8, however it is written in the certificate', () => {
    const escaped = 'CN=\\C3\\A4';
    assert.deepEqual(namesOf([part('CN', 'ä')]), [escaped, '/CN=\\xC3\\xA4']);
    assert.deepEqual(namesOf([part('CN', wide('ä', 2), BMP)]), [escaped, '/CN=\\x00\\xE4']);
    assert.equal(namesOf([part('CN', wide('ä', 4), UNIVERSAL)])[0], escaped);
    assert.equal(namesOf([part('CN', Buffer.from('ä', 'latin1'), T61)])[0], escaped);
  });

  test('shows what has no short name, or is no string, in hexadecimal digits', () => {
    assert.deepEqual(namesOf([part('unknown', 'x')]), ['1.2.3.4=#0C0178', '/1.2.3.4=x']);
    assert.equal(namesOf([part('CN', Buffer.from([1]), 1)])[0], 'CN=#010101');
    assert.equal(namesOf([part('email', 'a@b', 22)])[0], 'emailAddress=a@b');
  });

  test('never has a line break, a NUL or a byte above 126, whatever a client has put in', () => {
    const tags = fc.constantFrom(UTF8, PRINTABLE, T61, GENERAL, UNIVERSAL, BMP, 3, 22);
    const bytes = fc.uint8Array({ maxLength: 60 });
    fc.assert(
      fc.property(fc.constantFrom<Type>('CN', 'email', 'unknown'), tags, bytes, (type, tag, value) => {
        const attack = Buffer.concat([Buffer.from('x\r\nX-Verify: SUCCESS\0'), value]);
        for (const text of namesOf([part(type, attack, tag)])) assert.match(text, /^[\x20-\x7e]+$/);
      }),
    );
  });
});

test('bytes that are no certificate have no names, and do no harm', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const whole of [Buffer.from(bytes), sequence(sequence(Buffer.from(bytes)))]) {
        const names = certificateNames(whole);
        if (names !== undefined) assert.match(names.subject.rfc2253() + names.issuer.legacy(), /^[\x20-\x7e]*$/);
      }
    }),
  );
});

test('a serial number is written in pairs of digits', async () => {
  const { cert } = await selfSignedCertificate({ serial: 0x1abcd });
  assert.equal(certificateNames(new X509Certificate(cert).raw)?.serial, '01ABCD');
});
