// The first message of a TLS client, read before the handshake is begun: whom it wants and what it offers (RFC 8446 section 4.1.2).

/** What a client says of itself. */
export interface ClientHello {
  /** SNI (RFC 6066 section 3), in lower case; undefined where it names nobody. */
  readonly serverName: string | undefined;
  /** The protocols offered by ALPN (RFC 7301), best first, one character a byte. */
  readonly alpn: readonly string[];
  /** The TLS versions offered, as numbers: 0x0304 is TLS 1.3. Without the extension for it, the one of the message. */
  readonly versions: readonly number[];
  /** The session to resume (TLS 1.2), or what a TLS 1.3 client puts in its place; may be empty. */
  readonly sessionId: Buffer;
  /** The session ticket (RFC 5077): empty where the client only says that it takes tickets, undefined where it does not. */
  readonly sessionTicket: Buffer | undefined;
  /** The identities of the pre-shared keys (TLS 1.3): each is a ticket that we may have issued. */
  readonly preSharedKeys: readonly Buffer[];
  /** Whether it sends early data (0-RTT). */
  readonly earlyData: boolean;
  readonly offers: ClientOffers;
}

/**
 * What a client can do: numbers of two bytes each, best first, as they came. Byte strings, which take less memory than Buffers: they last
 * as long as the connection, and are seldom asked for.
 */
export interface ClientOffers {
  readonly cipherSuites: string;
  /** Curves and other groups (RFC 8446 section 4.2.7); empty where it names none. */
  readonly groups: string;
  /** Signature algorithms (section 4.2.3); empty where it names none. */
  readonly signatures: string;
}

/**
 * `more`: the message goes on. `done`: `hello` is there. `not TLS`: the first byte begins no handshake, so it may be plain HTTP.
 * `malformed`: it broke RFC 8446 or is longer than we take; see `fault`.
 */
export type HelloState = 'more' | 'done' | 'not TLS' | 'malformed';

/** The longest ClientHello that is read, and all that is kept of its connection meanwhile, in bytes. Post-quantum ones have 2 KB. */
export const CLIENT_HELLO_LIMIT = 16 * 1024;

const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const LONGEST_RECORD = 16 * 1024;
const LONGEST_HOST_NAME = 255;

/** RFC 8446 section 4.2. */
const EXTENSION = {
  serverName: 0,
  groups: 10,
  signatures: 13,
  alpn: 16,
  sessionTicket: 35,
  preSharedKey: 41,
  earlyData: 42,
  supportedVersions: 43,
} as const;

/** Collects the first bytes of a connection until its ClientHello is whole. */
export class ClientHelloReader {
  /** Set when `push` has said `done`. */
  hello: ClientHello | undefined = undefined;
  /** What was wrong, when `push` has said `malformed`. */
  fault = '';
  #received: Buffer = Buffer.alloc(0);
  /** What `#received` is the beginning of. */
  #space: Buffer = Buffer.alloc(0);
  /** The bytes of the message, without record headers. */
  #message: Buffer = Buffer.alloc(0);
  /** Where in `#received` the next record begins. */
  #nextRecord = 0;

  /** All that came so far, to be put back before the handshake. */
  get received(): Buffer {
    return this.#received;
  }

  /** Takes the next bytes (they are copied) and says how far it is. Not to be called again after anything but `more`. */
  push(bytes: Uint8Array, start: number, end: number): HelloState {
    if (end === start) return 'more';
    this.#keep(bytes, start, end);
    if (this.#received[0] !== HANDSHAKE_RECORD) return 'not TLS';
    try {
      return this.#readRecords();
    } catch (fault) {
      if (!(fault instanceof MalformedHello)) throw fault;
      this.fault = fault.message;
      return 'malformed';
    }
  }

  /** A client that sends byte by byte must not cost a copy of everything for each. */
  #keep(bytes: Uint8Array, start: number, end: number): void {
    const length = this.#received.length + end - start;
    if (length > this.#space.length) {
      const wider = Buffer.allocUnsafe(this.#space.length === 0 ? length : Math.max(length, 2 * this.#space.length));
      this.#received.copy(wider);
      this.#space = wider;
    }
    this.#space.set(bytes.subarray(start, end), this.#received.length);
    this.#received = this.#space.subarray(0, length);
  }

  #readRecords(): HelloState {
    while (this.#readRecord()) {
      const length = this.#messageLength();
      if (length === undefined || this.#message.length < length) continue;
      if (this.#message.length > length) throw new MalformedHello('bytes after the message in its record');
      this.hello = readHello(this.#message.subarray(MESSAGE_HEADER));
      return 'done';
    }
    if (this.#received.length >= CLIENT_HELLO_LIMIT) throw new MalformedHello('longer than 16 KB');
    return 'more';
  }

  /** Takes one record's part of the message; false where the record is not whole yet. */
  #readRecord(): boolean {
    const header = this.#received.subarray(this.#nextRecord, this.#nextRecord + RECORD_HEADER);
    checkRecordHeader(header);
    if (header.length < RECORD_HEADER) return false;
    const from = this.#nextRecord + RECORD_HEADER;
    const upTo = from + header.readUInt16BE(3);
    if (this.#received.length < upTo) return false;
    this.#message = Buffer.concat([this.#message, this.#received.subarray(from, upTo)]);
    this.#nextRecord = upTo;
    return true;
  }

  /** The message's length with its header, once that is known. */
  #messageLength(): number | undefined {
    if (this.#message.length > 0 && this.#message[0] !== CLIENT_HELLO) throw new MalformedHello('not a ClientHello');
    if (this.#message.length < MESSAGE_HEADER) return undefined;
    const length = MESSAGE_HEADER + this.#message.readUIntBE(1, 3);
    if (length > CLIENT_HELLO_LIMIT) throw new MalformedHello('longer than 16 KB');
    return length;
  }
}

/** The client broke the rules; never leaves this file. */
class MalformedHello extends Error {}

function checkRecordHeader(header: Buffer): void {
  if (header.length > 0 && header[0] !== HANDSHAKE_RECORD) throw new MalformedHello('not a handshake record');
  if (header.length > 1 && header[1] !== 3) throw new MalformedHello('unknown record version');
  if (header.length < RECORD_HEADER) return;
  const length = header.readUInt16BE(3);
  if (length === 0 || length > LONGEST_RECORD) throw new MalformedHello('record length');
}

/** Reads fields one after the other; what is not there is malformed. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new MalformedHello('a length beyond the end');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  number(bytes: 1 | 2 | 4): number {
    return this.take(bytes).readUIntBE(0, bytes);
  }

  /** A vector: its length in 1 or 2 bytes, then so many bytes. */
  vector(lengthBytes: 1 | 2, least: number, most: number): Buffer {
    const length = this.number(lengthBytes);
    if (length < least || length > most) throw new MalformedHello('a vector of a forbidden length');
    return this.take(length);
  }

  end(): void {
    if (!this.atEnd) throw new MalformedHello('bytes after the last field');
  }
}

function readHello(body: Buffer): ClientHello {
  const fields = new Fields(body);
  const version = fields.number(2);
  fields.take(32);
  const sessionId = fields.vector(1, 0, 32);
  const cipherSuites = evenText(fields.vector(2, 2, 0xfffe));
  fields.vector(1, 1, 255);
  // Before TLS 1.2 there may be none at all.
  const extensions = fields.atEnd ? new Map<number, Buffer>() : readExtensions(fields.vector(2, 0, 0xffff));
  fields.end();
  return {
    serverName: mapped(extensions.get(EXTENSION.serverName), readServerName),
    alpn: mapped(extensions.get(EXTENSION.alpn), readProtocols) ?? [],
    versions: mapped(extensions.get(EXTENSION.supportedVersions), readVersions) ?? [version],
    sessionId: Buffer.from(sessionId),
    sessionTicket: mapped(extensions.get(EXTENSION.sessionTicket), Buffer.from),
    preSharedKeys: mapped(extensions.get(EXTENSION.preSharedKey), readPreSharedKeys) ?? [],
    earlyData: mapped(extensions.get(EXTENSION.earlyData), readEmpty) ?? false,
    offers: {
      cipherSuites,
      groups: mapped(extensions.get(EXTENSION.groups), readNumbers) ?? '',
      signatures: mapped(extensions.get(EXTENSION.signatures), readNumbers) ?? '',
    },
  };
}

/** A list of numbers of two bytes. */
function readNumbers(bytes: Buffer): string {
  const outer = new Fields(bytes);
  const list = evenText(outer.vector(2, 2, 0xfffe));
  outer.end();
  return list;
}

function evenText(list: Buffer): string {
  if (list.length % 2 !== 0) throw new MalformedHello('half a number in a list');
  return list.toString('latin1');
}

function mapped<Result>(bytes: Buffer | undefined, read: (bytes: Buffer) => Result): Result | undefined {
  return bytes === undefined ? undefined : read(bytes);
}

function readExtensions(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  const fields = new Fields(bytes);
  while (!fields.atEnd) {
    const type = fields.number(2);
    if (found.has(type)) throw new MalformedHello('an extension twice');
    if (found.has(EXTENSION.preSharedKey)) throw new MalformedHello('pre_shared_key is not the last extension');
    found.set(type, fields.vector(2, 0, 0xffff));
  }
  return found;
}

/**
 * Exactly one host name, of visible ASCII characters: what OpenSSL takes as well. One with a `/` names nobody: no host is called so,
 * and files may be named after it (`ssl_certificate $ssl_server_name.crt`).
 */
function readServerName(bytes: Buffer): string | undefined {
  const outer = new Fields(bytes);
  const list = new Fields(outer.vector(2, 1, 0xffff));
  outer.end();
  if (list.number(1) !== 0) throw new MalformedHello('a server name that is no host name');
  const name = list.vector(2, 1, LONGEST_HOST_NAME);
  list.end();
  if (name.some((byte) => byte < 0x21 || byte > 0x7e)) throw new MalformedHello('a forbidden byte in the server name');
  return name.includes(SLASH) ? undefined : name.toString('latin1').toLowerCase();
}

const SLASH = 0x2f;

function readProtocols(bytes: Buffer): string[] {
  const outer = new Fields(bytes);
  const list = new Fields(outer.vector(2, 2, 0xffff));
  outer.end();
  const protocols: string[] = [];
  while (!list.atEnd) protocols.push(list.vector(1, 1, 255).toString('latin1'));
  return protocols;
}

function readVersions(bytes: Buffer): number[] {
  const outer = new Fields(bytes);
  const list = new Fields(outer.vector(1, 2, 254));
  outer.end();
  const versions: number[] = [];
  while (!list.atEnd) versions.push(list.number(2));
  return versions;
}

function readPreSharedKeys(bytes: Buffer): Buffer[] {
  const outer = new Fields(bytes);
  const list = new Fields(outer.vector(2, 7, 0xffff));
  const binders = new Fields(outer.vector(2, 33, 0xffff));
  outer.end();
  const identities: Buffer[] = [];
  while (!list.atEnd) {
    identities.push(Buffer.from(list.vector(2, 1, 0xffff)));
    list.number(4);
    binders.vector(1, 32, 255);
  }
  binders.end();
  return identities;
}

function readEmpty(bytes: Buffer): true {
  new Fields(bytes).end();
  return true;
}
