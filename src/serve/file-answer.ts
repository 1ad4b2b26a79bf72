// An answer that is a file: found, looked at, compared with what the client knows of it, and sent.

import type { Stats } from 'node:fs';
import type { ClientWatcher } from '../exchange/client-link.ts';
import type { Exchange, SymlinkRule } from '../exchange/exchange.ts';
import type { Verdict } from '../exchange/verdict.ts';
import { formatHttpDate } from '../http1/http-date.ts';
import { answerSafely } from './answer.ts';
import { FileTransfer } from './file-transfer.ts';
import { typeOf } from './mime-types.ts';
import { type FileError, OpenFile } from './open-file.ts';
import { checkPreconditions } from './preconditions.ts';
import { planParts } from './ranges.ts';
import { mayFollow, type OpenedFile } from './symbolic-links.ts';

/** What a handler makes of what it finds. */
export interface FileWish {
  /** The file is an encoding of what the URI names (`Content-Encoding`); '': it is that itself. */
  readonly encoding: string;
  /** There is such a file. @returns undefined: it is to be sent */
  found(): Verdict | undefined;
  /** @param call the system call that failed, for the log */
  missing(call: string, error: unknown): Verdict;
  folder(): Verdict;
}

/** Finds out what a file is, and what to answer with it. The file is its own until a transfer takes it over. */
export class FileAnswer implements ClientWatcher {
  readonly #exchange: Exchange;
  readonly #path: string;
  readonly #wish: FileWish;
  readonly #file = new OpenFile();

  constructor(exchange: Exchange, path: string, wish: FileWish) {
    this.#exchange = exchange;
    this.#path = path;
    this.#wish = wish;
  }

  open(): void {
    this.#exchange.watcher = this;
    this.#file.open(this.#path, this.#exchange.location.openFiles, (error) => {
      if (error !== null) this.#leave(() => this.#wish.missing('open()', error));
      else this.#opened();
    });
  }

  clientDrain(): void {}
  clientBlocked(): void {}
  clientEnded(): void {}
  clientGone(): void {
    this.#file.close();
  }

  #opened(): void {
    const rule = this.#exchange.location.symlinks;
    if (rule === undefined) this.#stat();
    else
      this.#file.realPath((error, real) => {
        this.#file.stat((fault, stats) => {
          if (fault !== null) this.#leave(() => this.#wish.missing('fstat()', fault));
          else this.#lookAtLinks(rule, { real: error === null ? real : undefined, owner: stats.uid });
        });
      });
  }

  #lookAtLinks(rule: SymlinkRule, opened: OpenedFile): void {
    mayFollow(this.#exchange, rule, this.#path, opened).then(
      (may) => this.#linksSeen(may ? undefined : LINKED),
      (fault: unknown) => this.#linksSeen(fault),
    );
  }

  #linksSeen(error: unknown): void {
    if (this.#exchange.finished) return;
    if (error === undefined) answerSafely(this.#exchange, () => this.#stat());
    else this.#leave(() => this.#wish.missing('open()', error));
  }

  #stat(): void {
    this.#file.stat((error, stats) => {
      answerSafely(this.#exchange, () => this.#examine(error, stats));
      if (this.#exchange.finished) this.#file.close();
    });
  }

  #examine(error: FileError, stats: Stats): void {
    if (error !== null) this.#leave(() => this.#wish.missing('fstat()', error));
    else if (stats.isDirectory()) this.#leave(() => this.#wish.folder());
    else if (!stats.isFile()) this.#leave(() => this.#refuseSpecialFile());
    else {
      const verdict = this.#wish.found();
      if (verdict === undefined) this.#answer(stats);
      else this.#leave(() => verdict);
    }
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
    // The conditions are those of the request that asks, not of its subrequest.
    const status =
      isErrorPage(exchange) || exchange.parent !== undefined
        ? 200
        : checkPreconditions(exchange.head.headers, validators, exchange.location.ifModifiedSince);
    if (status === 412) {
      this.#leave(() => 412);
      return;
    }
    exchange.status = status;
    if (!isErrorPage(exchange)) {
      // `error_page … =200`: the answer may become 206 or 304 all the same.
      exchange.errorStatus = 0;
      exchange.answer.set('Last-Modified', formatHttpDate(lastModified * 1000));
    }
    if (validators.etag !== '') exchange.answer.set('ETag', validators.etag);
    if (status === 304) this.#sendHeadAlone();
    else this.#send(stats.size);
  }

  #send(size: number): void {
    const exchange = this.#exchange;
    this.#describe(size);
    exchange.prepareHead();
    const parts = planParts(exchange, size);
    if (parts.length === 0) this.#leave(() => 416);
    else if (size > 0 && !exchange.bodiless) new FileTransfer(exchange, this.#file, this.#path, parts).start();
    else this.#sendHeadAlone();
  }

  #describe(size: number): void {
    const exchange = this.#exchange;
    const { location, uri, answer } = exchange;
    // Who has sent us here with X-Accel-Redirect may have said it better.
    const type = exchange.answer.get('content-type') ?? typeOf(uri, location.types, location.defaultType);
    exchange.contentLength = size;
    exchange.allowRanges = true;
    if (type !== '') answer.set('Content-Type', type);
    if (this.#wish.encoding !== '') answer.set('Content-Encoding', this.#wish.encoding);
  }

  #sendHeadAlone(): void {
    this.#file.close();
    this.#exchange.sendHead();
    this.#exchange.finish();
  }
}

/** What the system says where it may follow no link. */
const LINKED = Object.assign(new Error('a symbolic link'), { code: 'ELOOP' });

/** nginx's: both numbers in hexadecimal. */
function etagOf(lastModified: number, size: number): string {
  return `"${lastModified.toString(16)}-${size.toString(16)}"`;
}

/** The file tells of an error: what the client knows of a file or wants of it is not about this one. */
function isErrorPage({ errorStatus }: Exchange): boolean {
  return errorStatus !== 0 && errorStatus !== 200;
}
