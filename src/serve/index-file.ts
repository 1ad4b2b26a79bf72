// A folder's index: the first of the given files that is there answers in the folder's stead.
// https://nginx.org/en/docs/http/ngx_http_index_module.html

import fs from 'node:fs';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Text } from '../exchange/settings.ts';
import { DECLINED, PENDING, type Verdict } from '../exchange/verdict.ts';
import { answerSafely } from './answer.ts';
import { filePathOf, pathBytes, refuseFile } from './file-path.ts';
import { openFileCache } from './open-file-cache.ts';
import { mayFollow } from './symbolic-links.ts';

/**
 * Handles a URI that ends in `/`: redirects internally to the first name under it that is a file. A name that begins with
 * `/` is not looked for, but redirected to. Declines when there is none.
 * @param names the arguments of `index`
 */
export function serveIndex(exchange: Exchange, names: readonly Text[]): Verdict {
  const { method, uri } = exchange;
  if (!uri.endsWith('/') || (method !== 'GET' && method !== 'HEAD' && method !== 'POST')) return DECLINED;
  return new IndexSearch(exchange, names).next();
}

/** Looks for one name after the other. It holds nothing that would have to be freed when the client goes. */
class IndexSearch {
  readonly #exchange: Exchange;
  readonly #names: readonly Text[];
  #index = 0;
  /** That there is no first file may mean that there is no folder: that is looked at once. */
  #folderSeen = false;

  constructor(exchange: Exchange, names: readonly Text[]) {
    this.#exchange = exchange;
    this.#names = names;
  }

  /** Looks for the name whose turn it is. */
  next(): Verdict {
    const exchange = this.#exchange;
    const name = this.#names[this.#index]?.(exchange);
    if (name === undefined) return DECLINED;
    if (name.startsWith('/')) return this.#redirect(name);
    const path = filePathOf(exchange, name);
    if (path === undefined) return 403;
    const { openFiles } = exchange.location;
    if (openFiles !== undefined && openFileCache(openFiles).knows(path, openFiles)) return this.#found(path, name);
    fs.stat(pathBytes(path), (error) => {
      this.#step(() => (error === null ? this.#found(path, name) : this.#miss(path, name, error)));
    });
    return PENDING;
  }

  #found(path: string, name: string): Verdict {
    const exchange = this.#exchange;
    const rule = exchange.location.symlinks;
    if (rule === undefined) return this.#redirect(exchange.uri + name);
    mayFollow(exchange, rule, path).then(
      (may) => this.#step(() => (may ? this.#redirect(exchange.uri + name) : 403)),
      (error: unknown) => this.#step(() => refuseFile(exchange, 'realpath()', path, error)),
    );
    return PENDING;
  }

  #redirect(uri: string): Verdict {
    this.#exchange.pipeline.redirect(this.#exchange, uri, this.#exchange.args);
    return PENDING;
  }

  /** Goes on after a call of the system, with whatever verdict that leads to. */
  #step(next: () => Verdict): void {
    const exchange = this.#exchange;
    if (exchange.finished) return;
    answerSafely(exchange, () => {
      const verdict = next();
      if (verdict !== PENDING) exchange.resume(verdict);
    });
  }

  #miss(path: string, name: string, error: NodeJS.ErrnoException): Verdict {
    const code = systemErrorCode(error);
    if (code === 'ELOOP' || code === 'EMLINK') return 403;
    if (code === 'ENOTDIR' || code === 'ENAMETOOLONG' || code === 'EACCES') return this.#refuse(path, code);
    if (!this.#folderSeen) return this.#lookAtFolder(path, name, error);
    return this.#goOn(path, error);
  }

  #goOn(path: string, error: NodeJS.ErrnoException): Verdict {
    if (systemErrorCode(error) !== 'ENOENT') return refuseFile(this.#exchange, 'stat()', path, error);
    this.#index++;
    return this.next();
  }

  #lookAtFolder(path: string, name: string, missed: NodeJS.ErrnoException): Verdict {
    this.#folderSeen = true;
    const folder = path.slice(0, path.length - name.length);
    fs.stat(pathBytes(folder), (error, stats) => {
      this.#step(() => {
        if (error !== null) return this.#folderMissed(path, missed, error);
        return stats.isDirectory() ? this.#goOn(path, missed) : this.#refuseFolder(folder);
      });
    });
    return PENDING;
  }

  #folderMissed(path: string, missed: NodeJS.ErrnoException, error: NodeJS.ErrnoException): Verdict {
    const code = systemErrorCode(error);
    if (code === 'ENOENT') return this.#refuse(path, code);
    if (code === 'EACCES') return this.#goOn(path, missed);
    return refuseFile(this.#exchange, 'stat()', path, error);
  }

  #refuseFolder(folder: string): Verdict {
    this.#exchange.log('alert', `"${folder}" is not a directory`);
    return 500;
  }

  #refuse(path: string, code: string): Verdict {
    const exchange = this.#exchange;
    const text = systemErrorText(code);
    if (code === 'EACCES') {
      exchange.log('error', `"${path}" is forbidden (${text})`);
      return 403;
    }
    if (exchange.location.logNotFound) exchange.log('error', `"${path}" is not found (${text})`);
    return 404;
  }
}
