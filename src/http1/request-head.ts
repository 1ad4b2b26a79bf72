// Bytes to a request head, or the status to refuse it with.

import { NEED_MORE, REFUSED } from './feed-result.ts';
import type { FieldRules } from './field-lines.ts';
import { FieldLines, TOO_LARGE, TOO_MANY } from './field-lines.ts';
import type { FieldName } from './field-names.ts';
import {
  CONNECTION,
  CONTENT_LENGTH,
  CONTENT_LENGTH_BIT,
  HOST,
  HOST_BIT,
  KEEP,
  TRANSFER_ENCODING,
  TRANSFER_ENCODING_BIT,
  UPGRADE,
} from './field-names.ts';
import {
  CLOSE,
  connectionOptionsOf,
  contentLengthOf,
  isChunked,
  KEEP_ALIVE,
  shown,
  UPGRADE_OPTION,
} from './field-values.ts';
import { fieldRulesOf, type HeadLimits, mostBytes } from './head-limits.ts';
import { HeadRoom } from './head-room.ts';
import { Headers } from './headers.ts';
import { HeldBytes } from './held-bytes.ts';
import { HostPort } from './host-port.ts';
import { latin1 } from './latin1.ts';
import { ABSOLUTE_FORM, AUTHORITY_FORM, ORIGIN_FORM, RequestLine } from './request-line.ts';

export { NEED_MORE, REFUSED } from './feed-result.ts';
export { DEFAULT_HEAD_LIMITS, type HeadLimits } from './head-limits.ts';

/** Why a request is refused. */
export interface Refusal {
  /** What to answer with; 494 is nginx's own, answered as 400 `Request Header Or Cookie Too Large`. */
  readonly status: 400 | 405 | 414 | 494 | 501 | 505;
  /** A sentence for the error log. */
  readonly reason: string;
}

const NOTHING_REFUSED: Refusal = { status: 400, reason: '' };

/** Methods that are refused with 405, and what the log says. */
const REFUSED_METHODS: ReadonlyMap<string, string> = new Map([
  ['CONNECT', 'client sent CONNECT method'],
  ['TRACE', 'client sent TRACE method'],
]);

const LF = 10;
const CR = 13;
/** nginx takes a narrower choice of hosts in a target than in Host. */
const HOST_IN_TARGET = /^(?:\[.*\]|[-.0-9a-z]+)$/;
/** How much of a request line that cannot be read is kept for the log. */
const LONGEST_LOGGED_LINE = 8192;

/** One request as it was sent, before anybody has decided anything about it. */
export class RequestHead {
  method = '';
  /** Path and query exactly as sent, beginning with a slash, also where the request line held a whole URI. */
  target = '';
  /** The host that is asked for, from the target where it names one, else from Host: lower case, without port; '' if none. */
  host = '';
  /** The port that was named beside it, or 0. */
  port = 0;
  /** As sent, with port. Where the target names a host this is what it names, and Host in `headers` too (RFC 9112, 3.2.2). */
  hostHeader = '';
  absoluteForm = false;
  /** 9, 10, 11; 0 in a head that was refused before its version was read. */
  version = 0;
  readonly headers = new Headers();
  /** -1 when there is no Content-Length. */
  contentLength = -1;
  chunked = false;
  connectionClose = false;
  connectionKeepAlive = false;
  /** Connection lists `upgrade`. */
  connectionUpgrade = false;
  /** What Upgrade says, or ''. */
  upgrade = '';
  /** `Expect: 100-continue` in HTTP/1.1. */
  expectContinue = false;
  /** Bytes of the request line with its end. */
  lineLength = 0;
  /** Bytes from the request line to the empty line, both whole: what nginx counts in `$request_length`. */
  headLength = 0;
  /** As sent. Not to be logged without escaping: where a request was refused it may hold anything. */
  requestLine = '';

  /** Whether a body follows. */
  get hasBody(): boolean {
    return this.chunked || this.contentLength > 0;
  }
}

/** What is known of a head while it is read. */
class RequestScan {
  readonly line = new RequestLine();
  readonly fields = new FieldLines();
  readonly room = new HeadRoom();
  /** Whether the request line has been read. */
  hasLine = false;
  /** Bytes of the request line with its end. */
  lineLength = 0;

  reset(limits: HeadLimits): void {
    this.line.reset();
    this.fields.reset();
    const { number, size } = limits.largeClientHeaderBuffers;
    this.room.reset(limits.clientHeaderBufferSize, number, size);
    this.hasLine = false;
    this.lineLength = 0;
  }
}

/** Most heads come whole, so one scan serves all connections; only an incomplete head keeps one to itself. */
let idleScan: RequestScan | undefined;
const hostPort = new HostPort();

/** Reads the heads of one connection, one after the other. */
export class RequestHeadParser {
  /** The last head that was read; after REFUSED, what could be read of it; an empty one while a head is incomplete. */
  head = new RequestHead();
  /** Why the last head was refused, after REFUSED. */
  refusal: Refusal = NOTHING_REFUSED;
  /** Names of the fields that were dropped from the last head (`ignore_invalid_headers`), or undefined when there were none. */
  droppedHeaders: string[] | undefined;
  readonly #limits: HeadLimits;
  readonly #rules: FieldRules;
  /** Both exist only while a head is incomplete. */
  #scan: RequestScan | undefined;
  #held: HeldBytes | undefined;
  /** Bits of the fields in the head that is being filled. */
  #seen = 0;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
    this.#rules = fieldRulesOf(limits);
  }

  /** Whether a head has begun and is not complete. */
  get isInsideHead(): boolean {
    return this.#held !== undefined;
  }

  /**
   * Takes the bytes `[start, end)`; they are the caller's again when it returns.
   * @returns the index after the head when `head` is complete, NEED_MORE, or REFUSED (`refusal` says why; the connection is to be closed)
   */
  feed(bytes: Buffer, start: number, end: number): number {
    if (this.#held !== undefined) return this.#feedHeld(this.#held, bytes, start, end);
    const base = skipEmptyLines(bytes, start, end);
    if (base === end) return NEED_MORE;
    const scan = takeScan(this.#limits);
    const next = this.#read(scan, bytes, base, base, end);
    if (next === NEED_MORE) this.#hold(scan, bytes, base, end);
    else idleScan = scan;
    return next;
  }

  /** Gives up an incomplete head: `head` is then what could be read of it, for the log. */
  abandon(): void {
    const held = this.#held;
    if (held === undefined || this.#scan === undefined) return;
    this.#describe(this.#scan, held.bytes, 0, held.length);
    this.#release();
  }

  #feedHeld(held: HeldBytes, bytes: Buffer, start: number, end: number): number {
    const scan = this.#scan as RequestScan;
    const before = held.length;
    held.append(bytes, start, end);
    if (scan.line.methodEnd > 0 && !held.hasNews(before) && held.length < scan.room.end) return NEED_MORE;
    const next = this.#read(scan, held.bytes, 0, scan.hasLine ? scan.fields.lineStart : 0, held.length);
    if (next === NEED_MORE) return NEED_MORE;
    this.#release();
    return next < 0 ? next : start + next - before;
  }

  #hold(scan: RequestScan, bytes: Buffer, base: number, end: number): void {
    this.head = new RequestHead();
    this.#scan = scan;
    this.#held = new HeldBytes(mostBytes(this.#limits) + 1);
    this.#held.append(bytes, base, end);
  }

  #release(): void {
    this.#held = undefined;
    idleScan = this.#scan;
    this.#scan = undefined;
  }

  /** Reads on at `at` in the head that begins at `base`. */
  #read(scan: RequestScan, bytes: Buffer, base: number, at: number, end: number): number {
    let next = at;
    if (!scan.hasLine) {
      next = scan.line.scan(bytes, base, end, scan.room);
      if (next < 0) return next === NEED_MORE ? NEED_MORE : this.#refuseLine(scan, bytes, base, end);
      scan.hasLine = true;
      scan.lineLength = next - base;
      scan.fields.lineStart = next - base;
    }
    if (scan.line.version !== 9) {
      next = scan.fields.scan(bytes, base, next, end, this.#rules, scan.room);
      if (next < 0) return next === NEED_MORE ? NEED_MORE : this.#refuseFields(scan, bytes, base, end);
    }
    return this.#complete(scan, bytes, base, next) ? next : REFUSED;
  }

  #complete(scan: RequestScan, bytes: Buffer, base: number, end: number): boolean {
    const head = new RequestHead();
    this.head = head;
    this.refusal = NOTHING_REFUSED;
    this.droppedHeaders = scan.fields.skipped;
    head.headLength = end - base;
    return this.#fill(head, scan, latin1(bytes, base, end)) && this.#check(head);
  }

  /** From the text of a head, or of its beginning, to its parts. */
  #fill(head: RequestHead, scan: RequestScan, text: string): boolean {
    fillLine(head, scan, text);
    return this.#fillAuthority(head, scan.line, text) && this.#fillFields(head, scan.fields, text);
  }

  #fillAuthority(head: RequestHead, line: RequestLine, text: string): boolean {
    if (line.form === ORIGIN_FORM) return true;
    const authority = text.slice(line.authorityStart, line.authorityEnd);
    if (!hostPort.read(authority) || !HOST_IN_TARGET.test(hostPort.host)) {
      return this.#refuse(400, 'client sent invalid host in request line');
    }
    head.absoluteForm = true;
    head.hostHeader = authority;
    head.host = hostPort.host;
    head.port = hostPort.port;
    return true;
  }

  #fillFields(head: RequestHead, fields: FieldLines, text: string): boolean {
    const { headers } = head;
    let seen = 0;
    for (let i = 0; i < fields.count; i++) {
      const name = fields.nameAt(i);
      const value = fields.valueAt(i, text);
      if ((seen & name.uniqueBit) !== 0) return this.#refuseRepeat(headers, name, value);
      seen |= name.uniqueBit;
      headers.addParsed(name.name, name.lowerName, value);
      if (name.kind !== KEEP && !this.#act(head, name.kind, value)) return false;
    }
    this.#seen = seen;
    return true;
  }

  /** Acts on one of the fields that say how the message is read. */
  #act(head: RequestHead, kind: number, value: string): boolean {
    if (kind === HOST) return this.#host(head, value);
    if (kind === CONNECTION) setConnectionOptions(head, connectionOptionsOf(value));
    else if (kind === UPGRADE) head.upgrade = head.upgrade === '' ? value : `${head.upgrade}, ${value}`;
    else if (kind === CONTENT_LENGTH) head.contentLength = contentLengthOf(value);
    else if (kind === TRANSFER_ENCODING) head.chunked = isChunked(value);
    else head.expectContinue = head.version === 11 && value.toLowerCase() === '100-continue';
    return true;
  }

  #host(head: RequestHead, value: string): boolean {
    if (!hostPort.read(value)) return this.#refuse(400, 'client sent invalid host header');
    if (head.absoluteForm) return true;
    head.hostHeader = value;
    head.host = hostPort.host;
    head.port = hostPort.port;
    return true;
  }

  /** What can be said only when all fields are known, in nginx's order. */
  #check(head: RequestHead): boolean {
    if (head.version === 11 && (this.#seen & HOST_BIT) === 0) {
      return this.#refuse(400, 'client sent HTTP/1.1 request without "Host" header');
    }
    if ((this.#seen & CONTENT_LENGTH_BIT) !== 0 && head.contentLength < 0) {
      return this.#refuse(400, 'client sent invalid "Content-Length" header');
    }
    if ((this.#seen & TRANSFER_ENCODING_BIT) !== 0 && !this.#checkTransferEncoding(head)) return false;
    const refused = REFUSED_METHODS.get(head.method);
    if (refused !== undefined) return this.#refuse(405, refused);
    if (head.absoluteForm && (this.#seen & HOST_BIT) !== 0) head.headers.set('Host', head.hostHeader);
    return true;
  }

  #checkTransferEncoding(head: RequestHead): boolean {
    if (head.version < 11) return this.#refuse(400, 'client sent HTTP/1.0 request with "Transfer-Encoding" header');
    if (!head.chunked) {
      const value = head.headers.get('transfer-encoding') ?? '';
      // Whatever follows `chunked` could be read as its end or as its beginning; another coding is only one that we lack.
      if (/^\s*chunked\s*,/i.test(value)) {
        return this.#refuse(400, `client sent "Transfer-Encoding" that goes on behind "chunked": "${shown(value)}"`);
      }
      return this.#refuse(501, `client sent unknown "Transfer-Encoding": "${shown(value)}"`);
    }
    if ((this.#seen & CONTENT_LENGTH_BIT) === 0) return true;
    return this.#refuse(400, 'client sent "Content-Length" and "Transfer-Encoding" headers at the same time');
  }

  #refuseRepeat(headers: Headers, name: FieldName, value: string): false {
    const kind = name.kind === HOST ? 'host header' : 'header line';
    if (name.secret) return this.#refuse(400, `client sent duplicate ${kind}: "${name.name}"`);
    const previous = `${name.name}: ${shown(headers.get(name.lowerName) ?? '')}`;
    return this.#refuse(
      400,
      `client sent duplicate ${kind}: "${name.name}: ${shown(value)}", previous value: "${previous}"`,
    );
  }

  #refuseLine(scan: RequestScan, bytes: Buffer, base: number, end: number): number {
    this.#describe(scan, bytes, base, end);
    this.#refuse(scan.line.status as Refusal['status'], scan.line.reason);
    return REFUSED;
  }

  #refuseFields(scan: RequestScan, bytes: Buffer, base: number, end: number): number {
    this.#describe(scan, bytes, base, end);
    const fields = scan.fields;
    if (fields.fault === TOO_MANY) this.#refuse(494, 'client sent too many header lines');
    else if (fields.fault === TOO_LARGE) {
      this.#refuse(
        494,
        `client sent too long header line: ${fields.describeLongLine(bytes, base, Math.min(end, base + scan.room.end))}`,
      );
    } else this.#refuse(400, `client sent invalid header line: ${fields.describeBadLine(bytes, base)}`);
    return REFUSED;
  }

  /** Makes `head` of what there is, for the log and for choosing the server whose error page is sent. */
  #describe(scan: RequestScan, bytes: Buffer, base: number, end: number): void {
    const head = new RequestHead();
    const text = latin1(bytes, base, Math.min(end, base + mostBytes(this.#limits)));
    this.head = head;
    this.droppedHeaders = scan.fields.skipped;
    if (scan.hasLine) this.#fill(head, scan, text);
    else describeLine(head, scan.line, text);
    head.headLength = text.length;
  }

  #refuse(status: Refusal['status'], reason: string): false {
    this.refusal = { status, reason };
    return false;
  }
}

function takeScan(limits: HeadLimits): RequestScan {
  const scan = idleScan ?? new RequestScan();
  idleScan = undefined;
  scan.reset(limits);
  return scan;
}

/** Clients send an empty line after a body now and then (RFC 9112, 2.2). */
function skipEmptyLines(bytes: Buffer, start: number, end: number): number {
  let i = start;
  while (i < end && (bytes[i] === CR || bytes[i] === LF)) i++;
  return i;
}

function fillLine(head: RequestHead, scan: RequestScan, text: string): void {
  const line = scan.line;
  head.method = methodOf(text, line.methodEnd);
  head.target = targetOf(text, line);
  head.version = line.version;
  head.requestLine = text.slice(0, line.length);
  head.lineLength = scan.lineLength;
}

/** What can be said of a request line that is incomplete or wrong. */
function describeLine(head: RequestHead, line: RequestLine, text: string): void {
  head.requestLine = text.slice(0, Math.min(text.length, LONGEST_LOGGED_LINE)).replace(/[\r\n].*/s, '');
  head.method = text.slice(0, line.methodEnd);
}

/** The usual ones as constants, so that comparing them is comparing addresses. */
function methodOf(text: string, end: number): string {
  if (end === 3 && text.startsWith('GET')) return 'GET';
  if (end === 4 && text.startsWith('POST')) return 'POST';
  return text.slice(0, end);
}

function targetOf(text: string, line: RequestLine): string {
  if (line.form === AUTHORITY_FORM) return '/';
  const target = text.slice(line.targetStart, line.targetEnd);
  return line.form === ABSOLUTE_FORM && !target.startsWith('/') ? `/${target}` : target;
}

function setConnectionOptions(head: RequestHead, options: number): void {
  if ((options & CLOSE) !== 0) head.connectionClose = true;
  if ((options & KEEP_ALIVE) !== 0) head.connectionKeepAlive = true;
  if ((options & UPGRADE_OPTION) !== 0) head.connectionUpgrade = true;
}
