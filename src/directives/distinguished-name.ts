// The names in a certificate as text, byte for byte as OpenSSL prints them. A client chooses what stands in its name, so nothing that
// could end a line or a header leaves here.

import { contentOf, type DerValue, derValueAt, derValuesIn } from './der.ts';

/** Parts of names by their object identifiers, and OpenSSL's short names for them. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.4': 'SN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'street',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.12': 'title',
  '2.5.4.13': 'description',
  '2.5.4.15': 'businessCategory',
  '2.5.4.17': 'postalCode',
  '2.5.4.18': 'postOfficeBox',
  '2.5.4.20': 'telephoneNumber',
  '2.5.4.41': 'name',
  '2.5.4.42': 'GN',
  '2.5.4.43': 'initials',
  '2.5.4.44': 'generationQualifier',
  '2.5.4.45': 'x500UniqueIdentifier',
  '2.5.4.46': 'dnQualifier',
  '2.5.4.65': 'pseudonym',
  '2.5.4.72': 'role',
  '2.5.4.97': 'organizationIdentifier',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.3': 'mail',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'emailAddress',
  '1.2.840.113549.1.9.2': 'unstructuredName',
  '1.2.840.113549.1.9.8': 'unstructuredAddress',
  '1.3.6.1.4.1.311.60.2.1.1': 'jurisdictionL',
  '1.3.6.1.4.1.311.60.2.1.2': 'jurisdictionST',
  '1.3.6.1.4.1.311.60.2.1.3': 'jurisdictionC',
};

/** Tags of strings: one byte a character, two, four, UTF-8. */
const LATIN1: ReadonlySet<number> = new Set([18, 19, 20, 22, 23, 24, 26]);
const BMP_STRING = 30;
const UNIVERSAL_STRING = 28;
const UTF8_STRING = 12;
const GENERAL_STRING = 27;

/** One part of a name, with the place of its set among the others: several parts may stand in one. */
interface Part {
  readonly set: number;
  readonly type: string;
  /** The whole value, with tag and length. */
  readonly der: Buffer;
  readonly tag: number;
  readonly content: Buffer;
}

/** The subject and the issuer of a certificate (DER), its serial number in hexadecimal digits. */
export interface CertificateNames {
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
  readonly serial: string;
}

/** undefined where the bytes are no certificate. */
export function certificateNames(certificate: Buffer): CertificateNames | undefined {
  const [signed] = derValuesIn(certificate, derValueAt(certificate, 0));
  const fields = derValuesIn(certificate, signed);
  // The version may be missing; it is the only field with a tag of its own.
  const [serial, , issuer, , subject] = fields[0]?.tag === 0xa0 ? fields.slice(1) : fields;
  if (serial === undefined || issuer === undefined || subject === undefined) return undefined;
  return {
    subject: new DistinguishedName(certificate, subject),
    issuer: new DistinguishedName(certificate, issuer),
    serial: serialText(contentOf(certificate, serial)),
  };
}

/** As a number: without the zero that only says that it is not negative. */
function serialText(content: Buffer): string {
  if (((content[0] ?? 0) & 0x80) !== 0) return `-${padded(-BigInt.asIntN(content.length * 8, hexadecimal(content)))}`;
  return padded(hexadecimal(content));
}

function hexadecimal(content: Buffer): bigint {
  return content.length === 0 ? 0n : BigInt(`0x${content.toString('hex')}`);
}

function padded(value: bigint): string {
  const digits = value.toString(16).toUpperCase();
  return digits.length % 2 === 0 ? digits : `0${digits}`;
}

export class DistinguishedName {
  readonly #parts: readonly Part[];

  constructor(certificate: Buffer, name: DerValue) {
    this.#parts = derValuesIn(certificate, name).flatMap((set, index) => partsOf(certificate, set, index));
  }

  /** `CN=a,O=b`, the last part first (RFC 2253); all above 7 bits is escaped byte by byte. */
  rfc2253(): string {
    let text = '';
    let before: Part | undefined;
    for (const part of [...this.#parts].reverse()) {
      if (before !== undefined) text += before.set === part.set ? '+' : ',';
      text += `${SHORT_NAMES[part.type] ?? part.type}=${rfc2253Value(part)}`;
      before = part;
    }
    return text;
  }

  /** `/O=b/CN=a`, as it was printed before 1.11.6. */
  legacy(): string {
    return this.#parts.map((part) => `/${SHORT_NAMES[part.type] ?? part.type}=${legacyValue(part)}`).join('');
  }
}

function partsOf(certificate: Buffer, set: DerValue, index: number): Part[] {
  const parts: Part[] = [];
  for (const sequence of derValuesIn(certificate, set)) {
    const [type, value] = derValuesIn(certificate, sequence);
    if (type === undefined || value === undefined) continue;
    parts.push({
      set: index,
      type: identifierText(contentOf(certificate, type)),
      der: certificate.subarray(type.end, value.end),
      tag: value.tag,
      content: contentOf(certificate, value),
    });
  }
  return parts;
}

/** `2.5.4.3` (X.690 section 8.19). Numbers too long to be real are cut, as nothing is called so. */
function identifierText(content: Buffer): string {
  const numbers: bigint[] = [];
  let number = 0n;
  for (const byte of content.subarray(0, 64)) {
    number = (number << 7n) | BigInt(byte & 0x7f);
    if ((byte & 0x80) !== 0) continue;
    if (numbers.length === 0) {
      const first = number < 80n ? number / 40n : 2n;
      numbers.push(first, number - first * 40n);
    } else numbers.push(number);
    number = 0n;
  }
  return numbers.join('.');
}

function rfc2253Value(part: Part): string {
  const bytes = SHORT_NAMES[part.type] === undefined ? undefined : utf8Of(part);
  return bytes === undefined ? `#${part.der.toString('hex').toUpperCase()}` : escaped(bytes);
}

/** The value in UTF-8; undefined for what is no string. */
function utf8Of({ tag, content }: Part): Buffer | undefined {
  if (tag === UTF8_STRING) return content;
  if (LATIN1.has(tag)) return Buffer.from(content.toString('latin1'));
  if (tag === BMP_STRING && content.length % 2 === 0) return wide(content, 2);
  if (tag === UNIVERSAL_STRING && content.length % 4 === 0) return wide(content, 4);
  return undefined;
}

function wide(content: Buffer, size: 2 | 4): Buffer {
  let text = '';
  for (let i = 0; i < content.length; i += size) {
    const code = content.readUIntBE(i, size);
    text += code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
  }
  return Buffer.from(text);
}

const SPECIAL = new Set([...',+"\\<>;'].map((character) => character.charCodeAt(0)));
const SPACE = 0x20;
const HASH = 0x23;

function escaped(bytes: Buffer): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    const atAnEnd = byte === SPACE ? i === 0 || i === bytes.length - 1 : byte === HASH && i === 0;
    if (byte < SPACE || byte >= 0x7f) text += `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    else text += SPECIAL.has(byte) || atAnEnd ? `\\${String.fromCharCode(byte)}` : String.fromCharCode(byte);
  }
  return text;
}

function legacyValue({ tag, content }: Part): string {
  let text = '';
  for (const byte of tag === GENERAL_STRING ? withoutZeros(content) : content) {
    const plain = byte >= SPACE && byte <= 0x7e;
    text += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

/** Characters of four bytes of which only the last ones are used. */
function withoutZeros(content: Buffer): Buffer {
  if (content.length % 4 !== 0) return content;
  const used = [0, 1, 2, 3].map((place) => place === 3 || content.some((byte, i) => i % 4 === place && byte !== 0));
  return Buffer.from([...content].filter((_, i) => used[i % 4]));
}
