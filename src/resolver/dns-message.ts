// DNS messages: a query written, an answer read strictly (RFC 1035, RFC 3596 for AAAA, RFC 2782 for SRV).

import { addressText } from '../addresses.ts';
import { encodeName, readName } from './dns-name.ts';

export const TYPE = { A: 1, CNAME: 5, AAAA: 28, SRV: 33, DNAME: 39 } as const;
/** What can be asked for. */
export type QueryType = 'A' | 'AAAA' | 'SRV';

const HEADER_LENGTH = 12;
const INTERNET = 1;
const RECURSION_DESIRED = 0x0100;
/** Response, opcode, and the bits that must be zero; not: authoritative, truncated, recursion, the codes. */
const KIND_MASK = 0xf870;
const RESPONSE = 0x8000;
const TRUNCATED = 0x0200;
const CODE_MASK = 0x000f;

/** @param id 0 to 65535. @returns undefined for a name that cannot be asked for */
export function writeQuery(id: number, name: string, type: QueryType): Buffer | undefined {
  const wire = encodeName(name);
  if (wire === undefined) return undefined;
  const message = Buffer.alloc(HEADER_LENGTH + wire.length + 4);
  message.writeUInt16BE(id, 0);
  message.writeUInt16BE(RECURSION_DESIRED, 2);
  message.writeUInt16BE(1, 4);
  wire.copy(message, HEADER_LENGTH);
  message.writeUInt16BE(TYPE[type], HEADER_LENGTH + wire.length);
  message.writeUInt16BE(INTERNET, HEADER_LENGTH + wire.length + 2);
  return message;
}

/** A server that offers a service (RFC 2782). */
export interface ServiceRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly name: string;
}

export interface DnsAnswer {
  readonly id: number;
  /** 0: no error. */
  readonly code: number;
  /** Not all of it is here: the question is to be asked over TCP. */
  readonly truncated: boolean;
  /** What was asked, in lower case. */
  readonly name: string;
  readonly type: QueryType;
  /** As text: of the name itself, or of what it is another name for. */
  readonly addresses: readonly string[];
  readonly services: readonly ServiceRecord[];
  /** What the name is another name for, at the end of the chain that the answer has; undefined where it is none. */
  readonly alias: string | undefined;
  /** Seconds: the shortest of the records that count. */
  readonly ttl: number;
}

/** Reads an answer. @returns a sentence for the error log where it is none */
export function readAnswer(message: Buffer): DnsAnswer | string {
  if (message.length < HEADER_LENGTH) return 'short DNS response';
  const flags = message.readUInt16BE(2);
  const id = message.readUInt16BE(0);
  if ((flags & KIND_MASK) !== RESPONSE)
    return `invalid DNS response ${id} fl:${flags.toString(16).toUpperCase().padStart(4, '0')}`;
  if (message.readUInt16BE(4) !== 1) return 'invalid number of questions in DNS response';
  const question = readQuestion(message);
  if (typeof question === 'string') return question;
  const head = {
    id,
    code: flags & CODE_MASK,
    truncated: (flags & TRUNCATED) !== 0,
    name: question.name,
    type: question.type,
  };
  // What is cut off is asked for again, and an error has nothing to say: neither is read.
  if (head.truncated || head.code !== 0) return { ...head, addresses: [], services: [], alias: undefined, ttl: 0 };
  const records = readRecords(message, question.end, question.type);
  return typeof records === 'string' ? records : { ...head, ...gather(records, question.name, question.type) };
}

function readQuestion(message: Buffer): { name: string; type: QueryType; end: number } | string {
  const found = readName(message, HEADER_LENGTH);
  if (found === undefined || found.end + 4 > message.length) return 'short DNS response';
  if (found.name === '') return 'zero-length domain name in DNS response';
  const number = message.readUInt16BE(found.end);
  const queryClass = message.readUInt16BE(found.end + 2);
  if (queryClass !== INTERNET) return `unknown query class ${queryClass} in DNS response`;
  const type = typeOf(number);
  return type === undefined
    ? `unknown query type ${number} in DNS response`
    : { name: found.name, type, end: found.end + 4 };
}

function typeOf(number: number): QueryType | undefined {
  if (number === TYPE.A) return 'A';
  if (number === TYPE.AAAA) return 'AAAA';
  return number === TYPE.SRV ? 'SRV' : undefined;
}

interface DnsRecord {
  readonly owner: string;
  readonly type: number;
  readonly ttl: number;
  readonly value: string | ServiceRecord | undefined;
}

function readRecords(message: Buffer, start: number, asked: QueryType): DnsRecord[] | string {
  const records: DnsRecord[] = [];
  let at = start;
  for (let left = message.readUInt16BE(6); left > 0; left--) {
    const owner = readName(message, at);
    if (owner === undefined || owner.end + 10 > message.length) return 'short DNS response';
    const data = owner.end + 10;
    const length = message.readUInt16BE(owner.end + 8);
    if (data + length > message.length) return 'short DNS response';
    const recordClass = message.readUInt16BE(owner.end + 2);
    if (recordClass !== INTERNET) return `unexpected RR class ${recordClass} in DNS response`;
    const type = message.readUInt16BE(owner.end);
    const value = readValue(message, type, data, length, asked);
    if (value === null) return `invalid record of type ${type} in DNS response`;
    records.push({ owner: owner.name, type, ttl: Math.max(0, message.readInt32BE(owner.end + 4)), value });
    at = data + length;
  }
  return records;
}

/** undefined: of no interest here; null: not what its type says. */
function readValue(
  message: Buffer,
  type: number,
  at: number,
  length: number,
  asked: QueryType,
): DnsRecord['value'] | null {
  if (type === TYPE.CNAME) return readWholeName(message, at, length);
  if (type !== TYPE[asked]) return undefined;
  if (type === TYPE.SRV) return readService(message, at, length);
  return length === (type === TYPE.A ? 4 : 16) ? addressText(message.subarray(at, at + length)) : null;
}

/** A name that fills its record. */
function readWholeName(message: Buffer, at: number, length: number): string | null {
  const found = readName(message, at);
  return found === undefined || found.end !== at + length || found.name === '' ? null : found.name;
}

function readService(message: Buffer, at: number, length: number): ServiceRecord | null {
  if (length < 7) return null;
  const name = readWholeName(message, at + 6, length - 6);
  if (name === null) return null;
  const [priority, weight, port] = [0, 2, 4].map((offset) => message.readUInt16BE(at + offset)) as [
    number,
    number,
    number,
  ];
  return { priority, weight, port, name };
}

/** What counts: the records of the name, and of the names that the answer itself says it is another name for. */
function gather(
  records: readonly DnsRecord[],
  name: string,
  type: QueryType,
): Pick<DnsAnswer, 'addresses' | 'services' | 'alias' | 'ttl'> {
  const { owners, last, ttl } = followAliases(records, name);
  const counting = records.filter((record) => record.type === TYPE[type] && owners.has(record.owner));
  const values = counting.map(({ value }) => value);
  return {
    addresses: values.filter((value): value is string => typeof value === 'string'),
    services: values.filter((value): value is ServiceRecord => typeof value === 'object'),
    alias: last === name ? undefined : last,
    ttl: counting.reduce((least, record) => Math.min(least, record.ttl), ttl),
  };
}

interface Aliases {
  readonly owners: ReadonlySet<string>;
  readonly last: string;
  readonly ttl: number;
}

const LONGEST_TTL = 0x7fffffff;

function followAliases(records: readonly DnsRecord[], name: string): Aliases {
  const aliases = new Map<string, DnsRecord>();
  for (const record of records) if (record.type === TYPE.CNAME) aliases.set(record.owner, record);
  const owners = new Set([name]);
  let last = name;
  let ttl = LONGEST_TTL;
  for (;;) {
    const record = aliases.get(last);
    if (record === undefined || owners.has(record.value as string)) return { owners, last, ttl };
    last = record.value as string;
    owners.add(last);
    ttl = Math.min(ttl, record.ttl);
  }
}
