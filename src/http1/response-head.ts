// Bytes to a response head, or why an upstream's answer is refused.

import { NEED_MORE, REFUSED } from './feed-result.ts';
import type { FieldRules } from './field-lines.ts';
import { FieldLines, TOO_LARGE, TOO_MANY } from './field-lines.ts';
import type { FieldName } from './field-names.ts';
import {
  CONNECTION,
  CONTENT_LENGTH,
  CONTENT_LENGTH_BIT,
  KEEP,
  OTHER_TOKEN,
  TRANSFER_ENCODING,
  TRANSFER_ENCODING_BIT,
  UPGRADE,
  X_ACCEL,
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
import { HeadRoom } from './head-room.ts';
import { Headers } from './headers.ts';
import { HeldBytes } from './held-bytes.ts';
import { latin1 } from './latin1.ts';
import { StatusLine, VERSION_LENGTH } from './status-line.ts';

export { NEED_MORE, REFUSED } from './feed-result.ts';

/** More fields than any server sends. */
const MOST_FIELDS = 1000;
const RULES: FieldRules = { keptShape: OTHER_TOKEN, skipOthers: false, most: MOST_FIELDS, bareLf: true };
const UNIQUE_BITS = CONTENT_LENGTH_BIT | TRANSFER_ENCODING_BIT;

/** One response as it was sent; an interim one (1xx) is a head of its own. */
export class ResponseHead {
  /** 10 or 11. */
  version = 0;
  /** 100 to 999. */
  status = 0;
  /** The reason phrase as sent; may be empty. */
  reason = '';
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
  /** It has a field `X-Accel-…`. */
  hasAccel = false;
  /** Fields that came again and were dropped, each a sentence for the error log. */
  dropped: string[] | undefined = undefined;
  /** Bytes of the head, the empty line with it. */
  headLength = 0;
}

/** What is known of a head while it is read. */
class ResponseScan {
  readonly line = new StatusLine();
  readonly fields = new FieldLines();
  readonly room = new HeadRoom();
  hasLine = false;

  reset(size: number): void {
    this.line.reset();
    this.fields.reset();
    this.room.reset(size, 0, 0);
    this.hasLine = false;
  }
}

/** Most heads come whole, so one scan serves all connections; only an incomplete head keeps one to itself. */
let idleScan: ResponseScan | undefined;

/** Reads the heads of one upstream connection, one after the other. */
export class ResponseHeadParser {
  /** The last head that was read. */
  head = new ResponseHead();
  /** After REFUSED: a sentence for the error log. The client gets 502. */
  reason = '';
  readonly #size: number;
  /** Both exist only while a head is incomplete. */
  #scan: ResponseScan | undefined;
  #held: HeldBytes | undefined;

  /** @param size bytes that a head may have: `proxy_buffer_size` */
  constructor(size: number) {
    this.#size = size;
  }

  /** Whether a head has begun and is not complete. */
  get isInsideHead(): boolean {
    return this.#held !== undefined;
  }

  /**
   * Takes the bytes `[start, end)`; they are the caller's again when it returns.
   * @returns the index after the head when `head` is complete, NEED_MORE, or REFUSED (`reason` says why; the connection is of no more use)
   */
  feed(bytes: Buffer, start: number, end: number): number {
    if (this.#held !== undefined) return this.#feedHeld(this.#held, bytes, start, end);
    if (start === end) return NEED_MORE;
    const scan = takeScan(this.#size);
    const next = this.#read(scan, bytes, start, start, end);
    if (next === NEED_MORE) this.#hold(scan, bytes, start, end);
    else idleScan = scan;
    return next;
  }

  /** Forgets an incomplete head. */
  reset(): void {
    if (this.#held !== undefined) this.#release();
  }

  #feedHeld(held: HeldBytes, bytes: Buffer, start: number, end: number): number {
    const scan = this.#scan as ResponseScan;
    const before = held.length;
    held.append(bytes, start, end);
    if (before >= VERSION_LENGTH && !held.hasNews(before) && held.length < scan.room.end) return NEED_MORE;
    const next = this.#read(scan, held.bytes, 0, scan.hasLine ? scan.fields.lineStart : 0, held.length);
    if (next === NEED_MORE) return NEED_MORE;
    this.#release();
    return next < 0 ? next : start + next - before;
  }

  #hold(scan: ResponseScan, bytes: Buffer, start: number, end: number): void {
    this.#scan = scan;
    this.#held = new HeldBytes(this.#size + 1);
    this.#held.append(bytes, start, end);
  }

  #release(): void {
    this.#held = undefined;
    idleScan = this.#scan;
    this.#scan = undefined;
  }

  /** Reads on at `at` in the head that begins at `base`. */
  #read(scan: ResponseScan, bytes: Buffer, base: number, at: number, end: number): number {
    let next = at;
    if (!scan.hasLine) {
      next = scan.line.scan(bytes, base, end, scan.room);
      if (next < 0) return next === NEED_MORE ? NEED_MORE : this.#refuse(scan.line.reason);
      scan.hasLine = true;
      scan.fields.lineStart = next - base;
    }
    next = scan.fields.scan(bytes, base, next, end, RULES, scan.room);
    if (next < 0) return next === NEED_MORE ? NEED_MORE : this.#refuseFields(scan.fields, bytes, base);
    return this.#complete(scan, bytes, base, next) ? next : REFUSED;
  }

  #complete(scan: ResponseScan, bytes: Buffer, base: number, end: number): boolean {
    const head = new ResponseHead();
    const text = latin1(bytes, base, end);
    this.head = head;
    head.version = scan.line.version;
    head.status = scan.line.status;
    head.reason = text.slice(scan.line.phraseStart, scan.line.phraseEnd);
    head.headLength = end - base;
    return this.#fillFields(head, scan.fields, text) && this.#checkVersion(head);
  }

  #fillFields(head: ResponseHead, fields: FieldLines, text: string): boolean {
    const { headers } = head;
    let seen = 0;
    let singles = 0;
    for (let i = 0; i < fields.count; i++) {
      const name = fields.nameAt(i);
      const value = fields.valueAt(i, text);
      if ((singles & name.singleBit) !== 0) {
        drop(head, name, value);
        continue;
      }
      singles |= name.singleBit;
      const bit = name.uniqueBit & UNIQUE_BITS;
      if ((seen & bit) !== 0) return this.#refuseRepeat(headers, name, value);
      seen |= bit;
      headers.addParsed(name.name, name.lowerName, value);
      if (name.kind !== KEEP && !this.#act(head, name, value)) return false;
    }
    return (seen & UNIQUE_BITS) !== UNIQUE_BITS || this.#refuseBoth();
  }

  /** Acts on one of the fields that say how the message is read. */
  #act(head: ResponseHead, name: FieldName, value: string): boolean {
    if (name.kind === CONNECTION) setConnectionOptions(head, connectionOptionsOf(value));
    else if (name.kind === UPGRADE) head.upgrade = head.upgrade === '' ? value : `${head.upgrade}, ${value}`;
    else if (name.kind === X_ACCEL) head.hasAccel = true;
    else if (name.kind === CONTENT_LENGTH) return this.#contentLength(head, name, value);
    else if (name.kind === TRANSFER_ENCODING) return this.#transferEncoding(head, value);
    return true;
  }

  #contentLength(head: ResponseHead, name: FieldName, value: string): boolean {
    head.contentLength = contentLengthOf(value);
    if (head.contentLength >= 0) return true;
    this.#refuse(`upstream sent invalid "Content-Length" header: "${name.name}: ${shown(value)}"`);
    return false;
  }

  #transferEncoding(head: ResponseHead, value: string): boolean {
    head.chunked = head.version === 11 && isChunked(value);
    if (head.chunked) return true;
    if (head.version < 11) this.#refuse('upstream sent HTTP/1.0 response with "Transfer-Encoding" header');
    else this.#refuse(`upstream sent unknown "Transfer-Encoding": "${shown(value)}"`);
    return false;
  }

  /** HTTP/1.0 knows no interim responses (RFC 9110, 15.2): a reader of that version takes the first head for the last. */
  #checkVersion(head: ResponseHead): boolean {
    if (head.version === 11 || head.status >= 200) return true;
    this.#refuse(`upstream sent HTTP/1.0 response with status ${head.status}`);
    return false;
  }

  #refuseRepeat(headers: Headers, name: FieldName, value: string): false {
    this.#refuse(repeatOf(headers, name, value));
    return false;
  }

  #refuseBoth(): false {
    this.#refuse('upstream sent "Content-Length" and "Transfer-Encoding" headers at the same time');
    return false;
  }

  #refuseFields(fields: FieldLines, bytes: Buffer, base: number): number {
    if (fields.fault === TOO_LARGE) return this.#refuse('upstream sent too big header');
    if (fields.fault === TOO_MANY) return this.#refuse('upstream sent too many header lines');
    return this.#refuse(`upstream sent invalid header: ${fields.describeBadLine(bytes, base)}`);
  }

  #refuse(reason: string): number {
    this.reason = reason;
    return REFUSED;
  }
}

function repeatOf(headers: Headers, name: FieldName, value: string): string {
  const previous = `${name.name}: ${shown(headers.get(name.lowerName) ?? '')}`;
  return `upstream sent duplicate header line: "${name.name}: ${shown(value)}", previous value: "${previous}"`;
}

function drop(head: ResponseHead, name: FieldName, value: string): void {
  head.dropped ??= [];
  head.dropped.push(`${repeatOf(head.headers, name, value)}, ignored`);
}

function takeScan(size: number): ResponseScan {
  const scan = idleScan ?? new ResponseScan();
  idleScan = undefined;
  scan.reset(size);
  return scan;
}

function setConnectionOptions(head: ResponseHead, options: number): void {
  if ((options & CLOSE) !== 0) head.connectionClose = true;
  if ((options & KEEP_ALIVE) !== 0) head.connectionKeepAlive = true;
  if ((options & UPGRADE_OPTION) !== 0) head.connectionUpgrade = true;
}
