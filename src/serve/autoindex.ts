// A folder's list as content, where the folder has no index.
// https://nginx.org/en/docs/http/ngx_http_autoindex_module.html

import type { Dirent, Stats } from 'node:fs';
import { lstat, opendir, stat } from 'node:fs/promises';
import { systemErrorCode } from '../diagnostics/system-error.ts';
import type { ClientWatcher } from '../exchange/client-link.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { DECLINED, PENDING, type Verdict } from '../exchange/verdict.ts';
import { answerSafely } from './answer.ts';
import { filePathOf, pathBytes, refuseFile } from './file-path.ts';
import {
  compareEntries,
  type FolderEntry,
  htmlListing,
  jsonListing,
  type Listing,
  type ListingStyle,
  xmlListing,
} from './folder-listing.ts';

export interface AutoindexSettings extends ListingStyle {
  readonly format: 'html' | 'json' | 'jsonp' | 'xml';
}

/** Sorting more would hold up the event loop. */
const MOST_ENTRIES = 50_000;
/** How many are looked at side by side. */
const LOOKED_AT_ONCE = 32;
/** How many are written at once, before others have their turn. */
const WRITTEN_AT_ONCE = 500;
const LONGEST_CALLBACK = 128;

/** Handles GET and HEAD of a URI that ends in `/`. */
export function serveListing(exchange: Exchange, settings: AutoindexSettings): Verdict {
  const { method, uri } = exchange;
  if (!uri.endsWith('/') || (method !== 'GET' && method !== 'HEAD')) return DECLINED;
  const path = filePathOf(exchange);
  if (path === undefined) return 403;
  const listing = listingFor(exchange, settings);
  if (typeof listing === 'number') return listing;
  new FolderAnswer(exchange, path.length > 1 ? path.replace(/\/$/, '') : path, listing).start();
  return PENDING;
}

function listingFor(exchange: Exchange, settings: AutoindexSettings): Listing | number {
  if (settings.format === 'html') return htmlListing(exchange.uri, settings);
  if (settings.format === 'xml') return xmlListing();
  const callback = settings.format === 'jsonp' ? callbackOf(exchange.args) : '';
  const wrong = callback.length > LONGEST_CALLBACK ? 'too long' : /^[\w.]*$/.test(callback) ? '' : 'invalid';
  if (wrong === '') return jsonListing(callback);
  exchange.log('info', `client sent ${wrong} callback name: "${callback}"`);
  return 400;
}

/** The value as it was sent: what would have to be decoded is no name. */
function callbackOf(args: string): string {
  return /(?:^|&)callback=([^&]*)/i.exec(args)?.[1] ?? '';
}

class FolderAnswer implements ClientWatcher {
  readonly #exchange: Exchange;
  readonly #path: string;
  readonly #listing: Listing;
  #entries: FolderEntry[] = [];
  #written = 0;
  #blocked = false;
  #gone = false;

  constructor(exchange: Exchange, path: string, listing: Listing) {
    this.#exchange = exchange;
    this.#path = path;
    this.#listing = listing;
  }

  start(): void {
    this.#exchange.watcher = this;
    this.#read().then(
      () => this.#step(() => this.#answer()),
      (error: unknown) => this.#step(() => this.#refuse(error)),
    );
  }

  clientDrain(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#write();
  }

  clientBlocked(): void {
    this.#blocked = true;
  }

  clientEnded(): void {}

  clientGone(): void {
    this.#gone = true;
    this.#entries = [];
  }

  #step(step: () => void): void {
    if (!this.#gone && !this.#exchange.finished) answerSafely(this.#exchange, step);
  }

  async #read(): Promise<void> {
    let batch: string[] = [];
    for await (const { name } of await openFolder(this.#path)) {
      if (this.#gone) return;
      if (name.startsWith('.')) continue;
      batch.push(name);
      if (batch.length === LOOKED_AT_ONCE) {
        await this.#look(batch);
        batch = [];
      }
      if (this.#isFull) return;
    }
    await this.#look(batch);
  }

  get #isFull(): boolean {
    if (this.#entries.length < MOST_ENTRIES) return false;
    this.#exchange.log('error', `"${this.#path}" has more than ${MOST_ENTRIES} entries: the others are not listed`);
    return true;
  }

  async #look(names: readonly string[]): Promise<void> {
    const entries = await Promise.all(names.map((name) => this.#entryOf(name)));
    for (const entry of entries) if (entry !== undefined) this.#entries.push(entry);
  }

  /** A link is what it leads to; one that leads nowhere is itself. What we may not look at is left out. */
  async #entryOf(name: string): Promise<FolderEntry | undefined> {
    const path = `${this.#path}/${name}`;
    try {
      return entryFrom(name, await lookAt(path));
    } catch (error) {
      refuseFile(this.#exchange, 'stat()', path, error);
      if (systemErrorCode(error) === 'EACCES' || systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  #refuse(error: unknown): void {
    this.#leave();
    this.#exchange.resume(refuseFile(this.#exchange, 'opendir()', this.#path, error));
  }

  #leave(): void {
    this.#exchange.watcher = undefined;
  }

  #answer(): void {
    const exchange = this.#exchange;
    this.#entries.sort(compareEntries);
    exchange.status = 200;
    exchange.answer.set('Content-Type', this.#listing.type);
    exchange.gather();
    exchange.sendHead();
    if (exchange.bodiless) exchange.finish();
    else if (exchange.sendLatin1(this.#listing.head)) this.#write();
    else this.#blocked = true;
    exchange.release();
  }

  #write(): void {
    const { entry, separator } = this.#listing;
    const piece = this.#entries.slice(this.#written, this.#written + WRITTEN_AT_ONCE);
    const text = piece.map(entry).join(separator);
    const first = this.#written === 0;
    this.#written += piece.length;
    if (this.#written >= this.#entries.length) this.#writeEnd((first || text === '' ? '' : separator) + text);
    else if (this.#exchange.sendLatin1((first ? '' : separator) + text)) setImmediate(() => this.#goOn());
    else this.#blocked = true;
  }

  /** Others have had their turn; or what was gathered did not leave, and the client's drain will come. */
  #goOn(): void {
    this.#step(() => {
      if (!this.#blocked && this.#written < this.#entries.length) this.#write();
    });
  }

  #writeEnd(text: string): void {
    this.#exchange.sendLatin1(text + this.#listing.tail);
    this.#exchange.finish();
  }
}

/** Names are bytes. */
function openFolder(path: string): Promise<AsyncIterable<Dirent<string>>> {
  return opendir(pathBytes(path), { encoding: 'latin1', bufferSize: 4 * LOOKED_AT_ONCE });
}

async function lookAt(path: string): Promise<Stats> {
  try {
    return await stat(pathBytes(path));
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ELOOP') return lstat(pathBytes(path));
    throw error;
  }
}

function entryFrom(name: string, stats: Stats): FolderEntry {
  const kind = stats.isDirectory() ? 'directory' : stats.isFile() ? 'file' : 'other';
  return { name, kind, modified: Math.floor(stats.mtimeMs / 1000) * 1000, size: stats.size };
}
