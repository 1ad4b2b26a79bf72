// Addresses as nginx writes them: `host:port`, `[::1]:port`, `unix:/path`, `*:port`, a port alone; and their bytes.

import { isIPv6 } from 'node:net';

/** Why a text is no address, in nginx's words: `invalid port`, `no host`, `invalid IPv6 address` … The caller says where it stands. */
export class AddressError extends Error {
  override readonly name = 'AddressError';
}

export interface AddressOptions {
  /** As in `listen`: a port alone, `*` and ranges of ports are understood. Default: false. */
  readonly listen?: boolean;
  /** As in `proxy_pass`: whatever follows the first `/` or `?` (for a unix socket, the `:` behind its path) is a URI. Default: false, and `/` is a mistake. */
  readonly uriPart?: boolean;
  /** The port where the text names none. Default: 0. */
  readonly defaultPort?: number;
}

export interface Address {
  /** `name` is a host name that has yet to be looked up. */
  readonly family: 'ipv4' | 'ipv6' | 'unix' | 'name';
  /** The address in its one canonical form, without brackets; a name as it was written; the path of a unix socket. */
  readonly host: string;
  /** 0 for a unix socket. */
  readonly port: number;
  /** The last port of a range (`listen 8000-8010`); the same as `port` where there is no range. */
  readonly lastPort: number;
  /** The text named a port. */
  readonly hasPort: boolean;
  /** Every address of the machine: `*`, `0.0.0.0`, `[::]`, or a port alone. */
  readonly wildcard: boolean;
  /** What follows the address, with its `/` or `?`; '' where nothing does. */
  readonly uri: string;
}

const MAX_PORT = 65535;
/** `sun_path` of Linux, its closing NUL included. */
const UNIX_PATH_SIZE = 108;

/**
 * Reads an address. Names are not looked up.
 * @throws AddressError
 */
export function parseAddress(text: string, options: AddressOptions = {}): Address {
  if (/^unix:/i.test(text)) return parseUnixAddress(text.slice(5), options);
  if (text.startsWith('[')) return parseBracketAddress(text, options);
  return parseHostAddress(text, options);
}

function parseUnixAddress(text: string, options: AddressOptions): Address {
  const colon = options.uriPart ? text.indexOf(':') : -1;
  const host = colon < 0 ? text : text.slice(0, colon);
  const uri = colon < 0 ? '' : text.slice(colon + 1);
  if (host === '') throw new AddressError('no path in the unix domain socket');
  if (host.length >= UNIX_PATH_SIZE) throw new AddressError('too long path in the unix domain socket');
  return { family: 'unix', host, port: 0, lastPort: 0, hasPort: false, wildcard: false, uri };
}

function parseBracketAddress(text: string, options: AddressOptions): Address {
  const close = text.indexOf(']');
  if (close < 0) throw new AddressError('invalid host');
  const [rest, uri] = splitUri(text.slice(close + 1), /\//, options);
  if (rest !== '' && !rest.startsWith(':')) throw new AddressError('invalid host');
  const ports = readPorts(rest === '' ? undefined : rest.slice(1), options);
  const inner = text.slice(1, close);
  if (inner === '') throw new AddressError('no host');
  const bytes = ipv6Bytes(inner);
  if (bytes === undefined) throw new AddressError('invalid IPv6 address');
  return { family: 'ipv6', host: ipv6Text(bytes), ...ports, wildcard: bytes.every((byte) => byte === 0), uri };
}

function parseHostAddress(text: string, options: AddressOptions): Address {
  const [authority, uri] = splitUri(text, /[/?]/, options);
  if (options.listen && /^\d+(-\d+)?$/.test(authority)) return anyAddress(readPorts(authority, options));
  const colon = authority.indexOf(':');
  const host = colon < 0 ? authority : authority.slice(0, colon);
  const ports = readPorts(colon < 0 ? undefined : authority.slice(colon + 1), options);
  if (host === '') throw new AddressError('no host');
  if (options.listen && host === '*') return anyAddress(ports);
  const bytes = ipv4Bytes(host);
  if (bytes === undefined) return { family: 'name', host, ...ports, wildcard: false, uri };
  return { family: 'ipv4', host: bytes.join('.'), ...ports, wildcard: bytes.every((byte) => byte === 0), uri };
}

interface Ports {
  readonly port: number;
  readonly lastPort: number;
  readonly hasPort: boolean;
}

function anyAddress(ports: Ports): Address {
  return { family: 'ipv4', host: '0.0.0.0', ...ports, wildcard: true, uri: '' };
}

function splitUri(text: string, beginning: RegExp, options: AddressOptions): [string, string] {
  const index = text.search(beginning);
  if (index < 0) return [text, ''];
  if (options.listen || !options.uriPart) throw new AddressError('invalid host');
  return [text.slice(0, index), text.slice(index)];
}

function readPorts(text: string | undefined, options: AddressOptions): Ports {
  const defaultPort = options.defaultPort ?? 0;
  if (text === undefined) return { port: defaultPort, lastPort: defaultPort, hasPort: false };
  const dash = options.listen ? text.indexOf('-') : -1;
  const lastPort = dash < 0 ? undefined : readPort(text.slice(dash + 1));
  const port = readPort(dash < 0 ? text : text.slice(0, dash));
  if (lastPort !== undefined && port > lastPort) throw new AddressError('invalid port range');
  return { port, lastPort: lastPort ?? port, hasPort: true };
}

function readPort(text: string): number {
  const port = /^\d+$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > MAX_PORT) throw new AddressError('invalid port');
  return port;
}

/** `127.0.0.1:80`, `[::1]:80`, `example.com:80`, `unix:/path`; without `:80` where the port is 0. */
export function formatAddress(address: Pick<Address, 'family' | 'host' | 'port'>): string {
  if (address.family === 'unix') return `unix:${address.host}`;
  const host = address.family === 'ipv6' ? `[${address.host}]` : address.host;
  return address.port === 0 ? host : `${host}:${address.port}`;
}

/** The 4 or 16 bytes of an address without brackets or port; undefined where the text is no such address. */
export function addressBytes(text: string): Uint8Array | undefined {
  return text.includes(':') ? ipv6Bytes(text) : ipv4Bytes(text);
}

/** The text of an address's 4 or 16 bytes. */
export function addressText(bytes: Uint8Array): string {
  return bytes.length === 4 ? bytes.join('.') : ipv6Text(bytes);
}

/** nginx's `$binary_remote_addr`: the address's bytes as a byte string of 4 or 16 characters, or the text itself (`unix:`) where it has none. */
export function binaryAddress(text: string): string {
  const bytes = addressBytes(text);
  return bytes === undefined ? text : String.fromCharCode(...bytes);
}

/** An IPv4 address that came in IPv6 clothes (`::ffff:1.2.3.4`, as on a socket for both) as what it is; others as they are. */
export function unmapAddress(text: string): string {
  const bytes = text.includes(':') ? ipv6Bytes(text) : undefined;
  if (bytes === undefined || !isMappedIpv4(bytes)) return text;
  return bytes.subarray(12).join('.');
}

function isMappedIpv4(bytes: Uint8Array): boolean {
  return bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((byte) => byte === 0);
}

function ipv4Bytes(text: string): Uint8Array | undefined {
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(text)) return undefined;
  const numbers = text.split('.').map(Number);
  if (numbers.some((number) => number > 255)) return undefined;
  return Uint8Array.from(numbers);
}

/** nginx knows no zones (`fe80::1%eth0`). */
function ipv6Bytes(text: string): Uint8Array | undefined {
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const [before = '', after] = text.split('::');
  const head = ipv6Words(before);
  const tail = after === undefined ? [] : ipv6Words(after);
  const bytes = new Uint8Array(16);
  head.forEach((word, index) => {
    setWord(bytes, index, word);
  });
  tail.forEach((word, index) => {
    setWord(bytes, 8 - tail.length + index, word);
  });
  return bytes;
}

function ipv6Words(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    const last = group.includes('.') ? ipv4Bytes(group) : undefined;
    if (last === undefined) return [Number.parseInt(group, 16)];
    const [a, b, c, d] = last as unknown as [number, number, number, number];
    return [a * 256 + b, c * 256 + d];
  });
}

function setWord(bytes: Uint8Array, index: number, word: number): void {
  bytes[index * 2] = word >> 8;
  bytes[index * 2 + 1] = word & 0xff;
}

/** RFC 5952: lower case, no leading zeros, the longest run of zero groups as `::`; an IPv4 address inside stays readable. */
function ipv6Text(bytes: Uint8Array): string {
  if (isMappedIpv4(bytes)) return `::ffff:${bytes.subarray(12).join('.')}`;
  const words = Array.from({ length: 8 }, (_, index) => wordAt(bytes, index));
  const run = longestZeroRun(words);
  const hex = words.map((word) => word.toString(16));
  if (run.length < 2) return hex.join(':');
  return `${hex.slice(0, run.start).join(':')}::${hex.slice(run.start + run.length).join(':')}`;
}

function wordAt(bytes: Uint8Array, index: number): number {
  return (bytes[index * 2] as number) * 256 + (bytes[index * 2 + 1] as number);
}

function longestZeroRun(words: readonly number[]): { start: number; length: number } {
  let longest = { start: 0, length: 0 };
  let length = 0;
  words.forEach((word, index) => {
    length = word === 0 ? length + 1 : 0;
    if (length > longest.length) longest = { start: index - length + 1, length };
  });
  return longest;
}

/** A network in CIDR notation: the addresses that have the first `bits` of `bytes`. */
export interface Network {
  /** 4 or 16 bytes; those behind the first `bits` are 0. */
  readonly bytes: Uint8Array;
  readonly bits: number;
  /** The text named an address in it rather than the network: `10.0.0.1/8`. */
  readonly hadLowBits: boolean;
}

/** Reads an address or `address/bits`; undefined where the text is neither. */
export function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf('/');
  const given = addressBytes(slash < 0 ? text : text.slice(0, slash));
  if (given === undefined) return undefined;
  const most = given.length * 8;
  const bits = slash < 0 ? most : prefixLength(text.slice(slash + 1));
  if (bits === undefined || bits > most) return undefined;
  const bytes = given.map((byte, index) => byte & byteMask(bits - index * 8));
  return { bytes, bits, hadLowBits: bytes.some((byte, index) => byte !== given[index]) };
}

function prefixLength(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** The mask of a byte of which so many bits count; any number. */
const byteMask = (bits: number): number => (bits >= 8 ? 0xff : bits <= 0 ? 0 : (0xff << (8 - bits)) & 0xff);

/** Whom to trust, to admit, to send away: networks, and `unix:` for whoever comes over a unix socket. */
export class Networks {
  readonly #networks: readonly Network[];
  readonly #unix: boolean;

  /** @param unix whether unix sockets belong to them */
  constructor(networks: readonly Network[], unix = false) {
    this.#networks = networks;
    this.#unix = unix;
  }

  /** @param address text; one of IPv4 in IPv6 clothes is what it is, `unix:` is any unix socket */
  has(address: string): boolean {
    if (address.startsWith('unix:')) return this.#unix;
    const bytes = plainAddressBytes(address);
    return bytes !== undefined && this.#networks.some((network) => isInNetwork(network, bytes));
  }
}

/** As `addressBytes`; an IPv4 address in IPv6 clothes has its 4 bytes. */
export function plainAddressBytes(text: string): Uint8Array | undefined {
  const bytes = addressBytes(text);
  return bytes !== undefined && bytes.length === 16 && isMappedIpv4(bytes) ? bytes.subarray(12) : bytes;
}

/** @param address its bytes: those of `plainAddressBytes` */
export function isInNetwork({ bytes, bits }: Network, address: Uint8Array): boolean {
  if (address.length !== bytes.length) return false;
  for (let index = 0; index * 8 < bits; index++) {
    if (((address[index] as number) & byteMask(bits - index * 8)) !== bytes[index]) return false;
  }
  return true;
}
