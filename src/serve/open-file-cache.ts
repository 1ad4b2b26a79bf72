// open_file_cache: files that stay open between requests, and what was found out about them.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#open_file_cache

import fs from 'node:fs';
import type { OpenFileRule } from '../exchange/exchange.ts';
import { Deadline, type DeadlineOwner, now } from '../transport/deadlines.ts';

/** A file that the cache has open. Its descriptor is closed when the cache has dropped it and nobody reads it any more. */
export interface KeptFile {
  readonly descriptor: number;
  readonly stats: fs.Stats;
  /** Those who read it at the moment. */
  users: number;
  dropped: boolean;
}

/** What the cache knows of a path. */
interface Entry {
  uses: number;
  usedAt: number;
  checkedAt: number;
  /** Open; or the error that opening it gave; or neither, as long as it was used too seldom. */
  file: KeptFile | undefined;
  error: NodeJS.ErrnoException | undefined;
}

/**
 * By `max` and `inactive`: a configuration that is loaded anew finds its cache again, and one that is not used any more empties itself.
 */
const caches = new Map<string, OpenFileCache>();

export function openFileCache({ max, inactive }: OpenFileRule): OpenFileCache {
  const key = `${max} ${inactive}`;
  const known = caches.get(key);
  if (known !== undefined) return known;
  const made = new OpenFileCache(max, inactive);
  caches.set(key, made);
  return made;
}

export class OpenFileCache implements DeadlineOwner {
  readonly #max: number;
  readonly #inactive: number;
  /** The one that was not used for the longest time comes first. */
  readonly #entries = new Map<string, Entry>();
  readonly #deadline = new Deadline(this);

  /** @param inactive what is not used for so long, in ms, is dropped */
  constructor(max: number, inactive: number) {
    this.#max = max;
    this.#inactive = inactive;
  }

  /** Counts a use. @returns the file, which must be given back by `release`; the error that it had; undefined: it must be opened */
  use(path: string, { valid }: OpenFileRule): KeptFile | NodeJS.ErrnoException | undefined {
    const entry = this.#entries.get(path);
    if (entry === undefined) return undefined;
    const time = now();
    this.#touch(path, entry, time);
    if (time - entry.checkedAt > valid) return undefined;
    if (entry.file !== undefined) entry.file.users++;
    return entry.file ?? entry.error;
  }

  /** Whether a file is known to be there, without a use of it. */
  knows(path: string, { valid }: OpenFileRule): boolean {
    const entry = this.#entries.get(path);
    return entry?.file !== undefined && now() - entry.checkedAt <= valid;
  }

  /** Takes an open file over for whoever has just opened it. @returns undefined: it stays with them, for it is used too seldom */
  keep(path: string, { minUses }: OpenFileRule, descriptor: number, stats: fs.Stats): KeptFile | undefined {
    const entry = this.#renewed(path);
    if (entry.uses < minUses) return undefined;
    entry.file = { descriptor, stats, users: 1, dropped: false };
    return entry.file;
  }

  keepError(path: string, error: NodeJS.ErrnoException): void {
    this.#renewed(path).error = error;
  }

  release(file: KeptFile): void {
    file.users--;
    closeUnused(file);
  }

  deadlineReached(): void {
    const oldest = now() - this.#inactive;
    for (const [path, entry] of this.#entries) {
      if (entry.usedAt > oldest) break;
      this.#drop(path, entry);
    }
    if (this.#entries.size > 0) this.#deadline.set(this.#inactive);
  }

  /** The entry of a path, with nothing known of its file: it has just been looked at anew. */
  #renewed(path: string): Entry {
    const time = now();
    const known = this.#entries.get(path);
    if (known === undefined) return this.#add(path, time);
    forget(known);
    known.checkedAt = time;
    return known;
  }

  #add(path: string, time: number): Entry {
    const entry: Entry = { uses: 1, usedAt: time, checkedAt: time, file: undefined, error: undefined };
    for (const [oldest, old] of this.#entries) {
      if (this.#entries.size < this.#max) break;
      this.#drop(oldest, old);
    }
    this.#entries.set(path, entry);
    if (!this.#deadline.armed) this.#deadline.set(this.#inactive);
    return entry;
  }

  #touch(path: string, entry: Entry, time: number): void {
    entry.uses++;
    entry.usedAt = time;
    this.#entries.delete(path);
    this.#entries.set(path, entry);
  }

  #drop(path: string, entry: Entry): void {
    this.#entries.delete(path);
    forget(entry);
  }
}

function forget(entry: Entry): void {
  const { file } = entry;
  entry.file = undefined;
  entry.error = undefined;
  if (file === undefined) return;
  file.dropped = true;
  closeUnused(file);
}

function closeUnused(file: KeptFile): void {
  // Nothing was written, so there is nothing that closing could fail to do.
  if (file.dropped && file.users === 0) fs.close(file.descriptor, () => {});
}
