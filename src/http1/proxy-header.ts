// The header that a proxy puts before a connection's own bytes: the PROXY protocol, versions 1 and 2, with its TLVs.
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt

import { addressText } from '../addresses.ts';

/** Who came to the proxy, and where; what else it knows stands in `tlvs`. */
export interface ProxyHeader {
  /** As text: of version 1 as it was sent. */
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  readonly destinationPort: number;
  /** The TLVs of version 2, as sent; empty where there are none. */
  readonly tlvs: Buffer;
}

/** `more`: the header goes on. `done`: it is whole. `broken`: it is none; `fault` says why, in nginx's words. */
export type ProxyHeaderState = 'more' | 'done' | 'broken';

/** The longest header that is read, in bytes; nginx's NGX_PROXY_PROTOCOL_MAX_HEADER. */
export const PROXY_HEADER_LIMIT = 4096;

/** The specification's bound for a line of version 1, its end included. */
const LONGEST_LINE = 107;
/** So much of what is no header is told. */
const LONGEST_QUOTE = 512;

const LINE_START = Buffer.from('PROXY ', 'latin1');
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Signature, version and command, family and transport, length. */
const FIXED_PART = 16;
const NO_TLVS = Buffer.alloc(0);

const [VERSION_2, COMMAND_PROXY, TRANSPORT_STREAM] = [2, 1, 1];
/** The size of an address, by the number of its family. */
const ADDRESS_SIZE: Readonly<Record<number, number>> = { 1: 4, 2: 16 };

const LINE = /^PROXY TCP[46] ([0-9A-Fa-f:.]*) ([0-9A-Fa-f:.]*) ([0-9]+) ([0-9]+)\r\n$/;
const UNKNOWN_LINE = /^PROXY UNKNOWN[^\r\n]*\r\n$/;
const MAX_PORT = 65_535;

/** Collects the first bytes of a connection until its PROXY header is whole. */
export class ProxyHeaderReader {
  /** Set once `push` has said `done`; undefined then where the proxy speaks for itself or of no TCP connection. */
  header: ProxyHeader | undefined = undefined;
  /** What was wrong, once `push` has said `broken`. */
  fault = '';
  #received: Buffer = Buffer.alloc(0);
  #length = 0;

  /** Whether anything has come. */
  get begun(): boolean {
    return this.#received.length > 0;
  }

  /** What came behind the header. */
  get rest(): Buffer {
    return this.#received.subarray(this.#length);
  }

  /** Takes the next bytes (they are copied) and says how far it is. Not to be called again after anything but `more`. */
  push(bytes: Uint8Array, start: number, end: number): ProxyHeaderState {
    this.#received = Buffer.concat([this.#received, bytes.subarray(start, end)]);
    if (this.#received.length === 0) return 'more';
    if (beginsAs(this.#received, LINE_START)) return this.#readLine();
    return beginsAs(this.#received, SIGNATURE) ? this.#readBinary() : this.#refuse();
  }

  /** Nothing more will come: what is there is no header. */
  cut(): void {
    this.#refuse();
  }

  #readLine(): ProxyHeaderState {
    const end = this.#received.subarray(0, LONGEST_LINE).indexOf('\n');
    if (end < 0) return this.#received.length < LONGEST_LINE ? 'more' : this.#refuse();
    const line = this.#received.toString('latin1', 0, end + 1);
    this.#length = end + 1;
    if (UNKNOWN_LINE.test(line)) return 'done';
    const [, sourceAddress = '', destinationAddress = '', source = '', destination = ''] = LINE.exec(line) ?? [];
    const [sourcePort, destinationPort] = [Number(source), Number(destination)];
    if (source === '' || sourcePort > MAX_PORT || destinationPort > MAX_PORT) return this.#refuse();
    this.header = { sourceAddress, sourcePort, destinationAddress, destinationPort, tlvs: NO_TLVS };
    return 'done';
  }

  #readBinary(): ProxyHeaderState {
    const received = this.#received;
    if (received.length < FIXED_PART) return 'more';
    const version = received.readUInt8(12) >> 4;
    if (version !== VERSION_2) return this.#refuse(`unknown PROXY protocol version: ${version}`);
    this.#length = FIXED_PART + received.readUInt16BE(14);
    if (this.#length > PROXY_HEADER_LIMIT) return this.#refuse('header is too large');
    return received.length < this.#length ? 'more' : this.#readAddresses();
  }

  /** What is of no use here (the proxy's own checks, datagrams, unix sockets) is passed over, as nginx does. */
  #readAddresses(): ProxyHeaderState {
    const [command, kind] = [this.#received.readUInt8(12) & 0x0f, this.#received.readUInt8(13)];
    const size = ADDRESS_SIZE[kind >> 4];
    if (command !== COMMAND_PROXY || (kind & 0x0f) !== TRANSPORT_STREAM || size === undefined) return 'done';
    const body = this.#received.subarray(FIXED_PART, this.#length);
    const ports = 2 * size;
    if (body.length < ports + 4) return this.#refuse('PROXY protocol header is too short for its addresses');
    this.header = {
      sourceAddress: addressText(body.subarray(0, size)),
      destinationAddress: addressText(body.subarray(size, ports)),
      sourcePort: body.readUInt16BE(ports),
      destinationPort: body.readUInt16BE(ports + 2),
      tlvs: body.length === ports + 4 ? NO_TLVS : Buffer.from(body.subarray(ports + 4)),
    };
    return 'done';
  }

  #refuse(fault = `broken header: "${firstLine(this.#received)}"`): ProxyHeaderState {
    this.fault = fault;
    return 'broken';
  }
}

/** Whether so much as is there is the beginning of it. */
function beginsAs(received: Buffer, beginning: Buffer): boolean {
  const length = Math.min(received.length, beginning.length);
  return received.compare(beginning, 0, length, 0, length) === 0;
}

function firstLine(received: Buffer): string {
  const text = received.toString('latin1', 0, LONGEST_QUOTE);
  const end = text.search(/[\r\n]/);
  return end < 0 ? text : text.slice(0, end);
}

const SSL_TLV = 0x20;

/** What a TLV's name in `$proxy_protocol_tlv_NAME` stands for. */
const TLV_TYPES: Readonly<Record<string, number>> = {
  alpn: 0x01,
  authority: 0x02,
  unique_id: 0x05,
  ssl: SSL_TLV,
  netns: 0x30,
};
const SSL_TLV_TYPES: Readonly<Record<string, number>> = {
  version: 0x21,
  cn: 0x22,
  cipher: 0x23,
  sig_alg: 0x24,
  key_alg: 0x25,
};

/** A TLV that cannot be read, or a name that stands for none; the message is nginx's. */
export class ProxyTlvError extends Error {
  override readonly name = 'ProxyTlvError';
}

/**
 * The value of a TLV, as a byte string: by name (`alpn`, `authority`, `unique_id`, `ssl`, `netns`), by number (`0x30`), and of those
 * inside of the `ssl` one (`ssl_version`, `ssl_cn`, `ssl_cipher`, `ssl_sig_alg`, `ssl_key_alg`, `ssl_0x21`, `ssl_verify`).
 * undefined: it was not sent.
 * @throws ProxyTlvError
 */
export function proxyTlv({ tlvs }: ProxyHeader, name: string): string | undefined {
  if (!name.startsWith('ssl_')) return findTlv(tlvs, tlvType(name, name, TLV_TYPES))?.toString('latin1');
  const ssl = findTlv(tlvs, SSL_TLV);
  // One byte of flags, four of what came of the client's certificate.
  if (ssl === undefined || ssl.length < 5) return undefined;
  const inner = name.slice('ssl_'.length);
  if (inner === 'verify') return `${ssl.readUInt32BE(1)}`;
  return findTlv(ssl.subarray(5), tlvType(name, inner, SSL_TLV_TYPES))?.toString('latin1');
}

function tlvType(whole: string, name: string, types: Readonly<Record<string, number>>): number {
  if (name.startsWith('0x')) {
    const type = /^0x[0-9a-f]+$/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number.NaN;
    if (Number.isNaN(type)) throw new ProxyTlvError(`invalid PROXY protocol TLV "${whole}"`);
    return type;
  }
  const type = Object.hasOwn(types, name) ? types[name] : undefined;
  if (type === undefined) throw new ProxyTlvError(`unknown PROXY protocol TLV "${whole}"`);
  return type;
}

/** One TLV is a byte of type, two of length, and so many of value. */
function findTlv(tlvs: Buffer, type: number): Buffer | undefined {
  for (let at = 0; at < tlvs.length; ) {
    const value = at + 3;
    const end = value <= tlvs.length ? value + tlvs.readUInt16BE(at + 1) : Number.POSITIVE_INFINITY;
    if (end > tlvs.length) throw new ProxyTlvError('broken PROXY protocol TLV');
    if (tlvs[at] === type) return tlvs.subarray(value, end);
    at = end;
  }
  return undefined;
}
