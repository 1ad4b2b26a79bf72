// The default content: a file under `root` or `alias`.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#root

import { randomInt } from 'node:crypto';
import type { Stats } from 'node:fs';
import type { ClientWatcher } from '../exchange/client-link.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { PENDING, type Verdict } from '../exchange/verdict.ts';
import { formatHttpDate } from '../http1/http-date.ts';
import { redirectTo } from '../route/redirects.ts';
import { escapeUri } from '../route/uri.ts';
import { answerSafely } from './answer.ts';
import { type ByteRange, parseRanges, type RangeRequest } from './byte-ranges.ts';
import { filePathOf, pathBytes, refuseFile } from './file-path.ts';
import { type FilePart, FileTransfer } from './file-transfer.ts';
import { typeOf } from './mime-types.ts';
import { type FileError, OpenFile } from './open-file.ts';
import { checkPreconditions, rangeApplies, type Validators } from './preconditions.ts';

/**
 * Answers GET and HEAD with the file of the URI; redirects the name of a folder to the same with a slash; answers 403, 404
 * and 405 where nginx does. It is the last of the content handlers: a folder that nothing else has answered for is forbidden.
 */
export function serveFile(exchange: Exchange): Verdict {
  const { method, uri } = exchange;
  // POST learns first whether there is such a file, as in nginx.
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return 405;
  if (uri.endsWith('/')) return refuseFolder(exchange);
  const path = filePathOf(exchange);
  if (path === undefined) return 403;
  new FileAnswer(exchange, path).open();
  return PENDING;
}

function refuseFolder(exchange: Exchange): Verdict {
  const { location, uri } = exchange;
  exchange.log('error', `directory index of "${location.filePath(exchange, uri)}" is forbidden`);
  return 403;
}

/** Finds out what a file is, and what to answer with it. The file is its own until a transfer takes it over. */
class FileAnswer implements ClientWatcher {
  readonly #exchange: Exchange;
  readonly #path: string;
  readonly #file = new OpenFile();

  constructor(exchange: Exchange, path: string) {
    this.#exchange = exchange;
    this.#path = path;
  }

  open(): void {
    this.#exchange.watcher = this;
    this.#file.open(pathBytes(this.#path), (error) => {
      if (error !== null) this.#leave(() => refuseFile(this.#exchange, 'open()', this.#path, error));
      else this.#stat();
    });
  }

  clientDrain(): void {}
  clientBlocked(): void {}
  clientEnded(): void {}
  clientGone(): void {
    this.#file.close();
  }

  #stat(): void {
    this.#file.stat((error, stats) => {
      answerSafely(this.#exchange, () => this.#examine(error, stats));
      if (this.#exchange.finished) this.#file.close();
    });
  }

  #examine(error: FileError, stats: Stats): void {
    if (error !== null) this.#leave(() => refuseFile(this.#exchange, 'fstat()', this.#path, error));
    else if (stats.isDirectory()) this.#leave(() => redirectToFolder(this.#exchange));
    else if (!stats.isFile()) this.#leave(() => this.#refuseSpecialFile());
    else if (this.#exchange.method === 'POST') this.#leave(() => 405);
    else this.#answer(stats);
  }

  /** There is no file to be sent: the phases go on with a verdict. */
  #leave(verdict: () => Verdict): void {
    this.#file.close();
    this.#exchange.watcher = undefined;
    answerSafely(this.#exchange, () => this.#exchange.resume(verdict()));
  }

  #refuseSpecialFile(): Verdict {
    this.#exchange.log('crit', `"${this.#path}" is not a regular file`);
    return 404;
  }

  #answer(stats: Stats): void {
    const exchange = this.#exchange;
    const lastModified = Math.floor(stats.mtimeMs / 1000);
    const validators = { lastModified, etag: exchange.location.etag ? etagOf(lastModified, stats.size) : '' };
    const status = statusOf(exchange, validators);
    const ranges = status === 200 ? rangesOf(exchange, stats.size, validators) : 'whole';
    if (status === 412) this.#leave(() => 412);
    else if (ranges === 'unsatisfiable') this.#leave(() => refuseRange(exchange, stats.size));
    else this.#send(status, ranges, stats.size, validators);
  }

  #send(status: 200 | 304, ranges: readonly ByteRange[] | 'whole', size: number, validators: Validators): void {
    const exchange = this.#exchange;
    exchange.status = status;
    if (!isErrorPage(exchange)) {
      // `error_page … =200`: the answer may become 206 or 304 all the same.
      exchange.errorStatus = 0;
      exchange.answer.set('Last-Modified', formatHttpDate(validators.lastModified * 1000));
    }
    if (validators.etag !== '') exchange.answer.set('ETag', validators.etag);
    const parts = status === 304 ? [] : planParts(exchange, ranges, size);
    if (size > 0 && !exchange.bodiless) new FileTransfer(exchange, this.#file, this.#path, parts).start();
    else this.#sendHeadAlone();
  }

  #sendHeadAlone(): void {
    this.#file.close();
    this.#exchange.sendHead();
    this.#exchange.finish();
  }
}

/** nginx's: both numbers in hexadecimal. */
function etagOf(lastModified: number, size: number): string {
  return `"${lastModified.toString(16)}-${size.toString(16)}"`;
}

/** The file tells of an error: what the client knows of a file or wants of it is not about this one. */
function isErrorPage({ errorStatus }: Exchange): boolean {
  return errorStatus !== 0 && errorStatus !== 200;
}

function statusOf(exchange: Exchange, validators: Validators): 200 | 304 | 412 {
  if (isErrorPage(exchange)) return 200;
  return checkPreconditions(exchange.head.headers, validators, exchange.location.ifModifiedSince);
}

function redirectToFolder(exchange: Exchange): Verdict {
  const folder = `${escapeUri(exchange.uri)}/`;
  return redirectTo(exchange, 301, exchange.args === '' ? folder : `${folder}?${exchange.args}`);
}

function rangesOf(exchange: Exchange, size: number, validators: Validators): RangeRequest {
  const { head, location } = exchange;
  const range = head.headers.get('range');
  if (range === undefined || head.version < 10 || isErrorPage(exchange)) return 'whole';
  if (!rangeApplies(head.headers, validators)) return 'whole';
  return parseRanges(range, size, location.maxRanges);
}

function refuseRange(exchange: Exchange, size: number): Verdict {
  exchange.answer.set('Content-Range', `bytes */${size}`);
  return 416;
}

/** What of the file is sent in which order; sets status, length and the headers that go with it. */
function planParts(exchange: Exchange, ranges: readonly ByteRange[] | 'whole', size: number): FilePart[] {
  const { location, uri } = exchange;
  const type = typeOf(uri, location.types, location.defaultType);
  if (ranges === 'whole') return planWhole(exchange, size, type);
  exchange.status = 206;
  return ranges.length === 1
    ? planRange(exchange, ranges[0] as ByteRange, size, type)
    : planRanges(exchange, ranges, size, type);
}

function planWhole(exchange: Exchange, size: number, type: string): FilePart[] {
  if (exchange.location.maxRanges > 0 && !isErrorPage(exchange)) exchange.answer.set('Accept-Ranges', 'bytes');
  setEntity(exchange, size, type);
  return [{ head: '', start: 0, end: size }];
}

function planRange(exchange: Exchange, range: ByteRange, size: number, type: string): FilePart[] {
  exchange.answer.set('Content-Range', contentRange(range, size));
  setEntity(exchange, range.end - range.start, type);
  return [{ ...range, head: '' }];
}

/** RFC 9110 14.6. */
function planRanges(exchange: Exchange, ranges: readonly ByteRange[], size: number, type: string): FilePart[] {
  const boundary = nextBoundary();
  const typeLine = type === '' ? '' : `Content-Type: ${type}\r\n`;
  const parts = ranges.map((range) => ({
    ...range,
    head: `\r\n--${boundary}\r\n${typeLine}Content-Range: ${contentRange(range, size)}\r\n\r\n`,
  }));
  parts.push({ head: `\r\n--${boundary}--\r\n`, start: 0, end: 0 });
  const length = parts.reduce((sum, part) => sum + part.head.length + part.end - part.start, 0);
  setEntity(exchange, length, `multipart/byteranges; boundary=${boundary}`);
  return parts;
}

function setEntity(exchange: Exchange, length: number, type: string): void {
  exchange.contentLength = length;
  if (type !== '') exchange.answer.set('Content-Type', type);
}

function contentRange(range: ByteRange, size: number): string {
  return `bytes ${range.start}-${range.end - 1}/${size}`;
}

/** Random, so that no file can be made to contain it. */
function nextBoundary(): string {
  return randomInt(2 ** 47)
    .toString()
    .padStart(20, '0');
}
