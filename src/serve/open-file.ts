// A file that is being read: it alone owns the descriptor and the buffer, and frees both, once, when no call of the system holds them.

import fs from 'node:fs';
import type { OpenFileRule } from '../exchange/exchange.ts';
import { pathBytes } from './file-path.ts';
import { type KeptFile, openFileCache } from './open-file-cache.ts';

export type FileError = NodeJS.ErrnoException | null;

/** Opening a named pipe must not wait for its writer. */
const OPEN_FLAGS = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK;

/** How much is read at once, in bytes. */
const READ_SIZE = 64 * 1024;
/** Buffers kept for whoever reads next; more may be in use, one for each file that is being read at the moment. */
const SPARE_BUFFERS = 16;
const spareBuffers: Buffer[] = [];
const NOTHING = Buffer.alloc(0);

/** One call at a time. After `close` no callback comes any more. */
export class OpenFile {
  #descriptor = -1;
  #buffer: Buffer | undefined = undefined;
  #calling = false;
  #closed = false;
  /** How it may be kept open for others, and the path that they know it by. */
  #rule: OpenFileRule | undefined = undefined;
  #path = '';
  /** The descriptor is the cache's. */
  #kept: KeptFile | undefined = undefined;

  /**
   * @param path a byte string
   * @param rule `open_file_cache`: where it is open already, `done` is called at once
   */
  open(path: string, rule: OpenFileRule | undefined, done: (error: FileError) => void): void {
    const known = rule === undefined ? undefined : openFileCache(rule).use(path, rule);
    if (known !== undefined) {
      this.#takeKnown(known, rule as OpenFileRule, done);
      return;
    }
    this.#calling = true;
    this.#rule = rule;
    this.#path = path;
    fs.open(pathBytes(path), OPEN_FLAGS, (error, descriptor) => {
      if (error === null) this.#descriptor = descriptor;
      else if (rule?.errors === true) openFileCache(rule).keepError(path, error);
      if (this.#returned()) done(error);
    });
  }

  #takeKnown(known: KeptFile | NodeJS.ErrnoException, rule: OpenFileRule, done: (error: FileError) => void): void {
    if (known instanceof Error) {
      done(known);
      return;
    }
    this.#rule = rule;
    this.#kept = known;
    this.#descriptor = known.descriptor;
    done(null);
  }

  stat(done: (error: FileError, stats: fs.Stats) => void): void {
    if (this.#kept !== undefined) {
      done(null, this.#kept.stats);
      return;
    }
    this.#calling = true;
    fs.fstat(this.#descriptor, (error, stats) => {
      if (error === null && stats.isFile()) this.#keep(stats);
      if (this.#returned()) done(error, stats);
    });
  }

  #keep(stats: fs.Stats): void {
    const rule = this.#rule;
    if (rule !== undefined) this.#kept = openFileCache(rule).keep(this.#path, rule, this.#descriptor, stats);
  }

  /** Where it really is, as a byte string: of this very file, wherever its path may lead by now. Linux tells it. */
  realPath(done: (error: FileError, path: string) => void): void {
    this.#calling = true;
    fs.readlink(`/proc/self/fd/${this.#descriptor}`, { encoding: 'latin1' }, (error, path) => {
      if (this.#returned()) done(error, path);
    });
  }

  /**
   * Reads up to `length` bytes at `position`, never more than READ_SIZE. What comes is lent until the next call of this object;
   * it is empty at the end of the file.
   */
  read(position: number, length: number, done: (error: FileError, bytes: Buffer) => void): void {
    this.#calling = true;
    this.#buffer ??= spareBuffers.pop() ?? Buffer.allocUnsafeSlow(READ_SIZE);
    const buffer = this.#buffer;
    fs.read(this.#descriptor, buffer, 0, Math.min(length, READ_SIZE), position, (error, count) => {
      if (this.#returned()) done(error, error === null ? buffer.subarray(0, count) : NOTHING);
    });
  }

  /** Gives the buffer back until the next `read`, while there is nothing to be read for. */
  rest(): void {
    if (this.#calling || this.#buffer === undefined) return;
    if (spareBuffers.length < SPARE_BUFFERS) spareBuffers.push(this.#buffer);
    this.#buffer = undefined;
  }

  /** May be called more than once, and while a call of the system is under way. */
  close(): void {
    this.#closed = true;
    if (!this.#calling) this.#free();
  }

  /** @returns whether the caller still wants to know */
  #returned(): boolean {
    this.#calling = false;
    if (this.#closed) this.#free();
    return !this.#closed;
  }

  #free(): void {
    this.rest();
    const descriptor = this.#descriptor;
    const kept = this.#kept;
    this.#descriptor = -1;
    this.#kept = undefined;
    if (kept !== undefined) {
      openFileCache(this.#rule as OpenFileRule).release(kept);
      return;
    }
    // Nothing was written, so there is nothing that closing could fail to do.
    if (descriptor >= 0) fs.close(descriptor, () => {});
  }
}
