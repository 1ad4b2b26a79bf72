// A file that is being read: it alone owns the descriptor and the buffer, and frees both, once, when no call of the system holds them.

import fs from 'node:fs';

export type FileError = NodeJS.ErrnoException | null;

/** Opening a named pipe must not wait for its writer. */
const OPEN_FLAGS = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK;

/** How much is read at once, in bytes. */
export const READ_SIZE = 64 * 1024;
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

  open(path: Buffer, done: (error: FileError) => void): void {
    this.#calling = true;
    fs.open(path, OPEN_FLAGS, (error, descriptor) => {
      if (error === null) this.#descriptor = descriptor;
      if (this.#returned()) done(error);
    });
  }

  stat(done: (error: FileError, stats: fs.Stats) => void): void {
    this.#calling = true;
    fs.fstat(this.#descriptor, (error, stats) => {
      if (this.#returned()) done(error, stats);
    });
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
    this.#descriptor = -1;
    // Nothing was written, so there is nothing that closing could fail to do.
    if (descriptor >= 0) fs.close(descriptor, () => {});
  }
}
