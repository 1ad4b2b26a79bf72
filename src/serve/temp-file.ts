// A temporary file: what does not fit into memory waits there. Nothing of it blocks the event loop.

import { close, mkdir, type NoParamCallback, open, read, unlink, writev } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import type { TempFolder } from '../exchange/kept-body.ts';

/** What remains of a file: nothing but what is open; its name until `close`; its name for good. */
export type TempFileKind = 'nameless' | 'until-closed' | 'kept';

/** nginx's names have so many digits. */
const DIGITS = 10;
const MOST_NUMBERS = 10 ** DIGITS;
/** Others may have taken a name: so often another one is tried. */
const MOST_NAMES = 100;

/** Workers share their folders: each begins somewhere else. */
let lastNumber = Math.floor(Math.random() * MOST_NUMBERS);

function nextName(folder: TempFolder): string {
  lastNumber = (lastNumber + 1) % MOST_NUMBERS;
  const digits = `${lastNumber}`.padStart(DIGITS, '0');
  let end = digits.length;
  const folders: string[] = [];
  for (const length of folder.levels) {
    folders.push(digits.slice(end - length, end));
    end -= length;
  }
  return join(folder.path, ...folders, digits);
}

/** What the system said, as nginx has it in its log: `open() "/path" failed (28: No space left on device)`. */
export class TempFileError extends Error {
  override readonly name = 'TempFileError';

  constructor(call: string, path: string, cause: NodeJS.ErrnoException) {
    super(`${call} "${path}" failed (${systemErrorText(systemErrorCode(cause))})`, { cause });
  }
}

/** Told when a step is done; with what went wrong, where something did. */
export type Done = (error: TempFileError | undefined) => void;

/** One step at a time of writing, and one of reading. */
export class TempFile {
  /** '' until it is open. */
  path = '';
  /** Bytes that were written. */
  length = 0;
  readonly #folder: TempFolder;
  #kind: TempFileKind;
  #fd = -1;
  /** Steps under way: a reader that was stopped may still be at its last one when another begins. */
  #steps = 0;
  #closed = false;

  constructor(folder: TempFolder, kind: TempFileKind) {
    this.#folder = folder;
    this.#kind = kind;
  }

  /** Writes behind what is there. The memory is the file's until `done`; after `close` nobody is told. */
  append(pieces: readonly Buffer[], done: Done): void {
    this.#steps++;
    if (this.#fd < 0)
      this.#open(nextName(this.#folder), MOST_NAMES, (error) =>
        error === undefined ? this.#write(pieces, done) : this.#end(done, error),
      );
    else this.#write(pieces, done);
  }

  /** @param done told how many bytes were read: fewer than asked for only at the end */
  read(into: Buffer, position: number, done: (error: TempFileError | undefined, length: number) => void): void {
    this.#steps++;
    read(this.#fd, into, 0, into.length, position, (error, length) => {
      this.#end(
        (fault) => done(fault, length),
        error === null ? undefined : new TempFileError('pread()', this.path, error),
      );
    });
  }

  /** Forgets what stands behind `length`: it is written over. Only between two steps of writing. */
  cutTo(length: number): void {
    this.length = length;
  }

  /** It has been renamed: what has its name from now on is not ours. */
  leaveName(): void {
    this.#kind = 'kept';
  }

  /** Safe to call at any time, and twice: what is under way is waited for. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#steps === 0) this.#release();
  }

  #open(path: string, triesLeft: number, done: Done): void {
    open(path, 'wx+', 0o600, (error, fd) => {
      if (error === null) this.#opened(path, fd, done);
      else if (error.code === 'EEXIST' && triesLeft > 0) this.#open(nextName(this.#folder), triesLeft - 1, done);
      else if (error.code === 'ENOENT' && triesLeft > 0) this.#makeFolder(path, done);
      else done(new TempFileError('open()', path, error));
    });
  }

  /** Folders of the levels are made when they are needed, as nginx does. */
  #makeFolder(path: string, done: Done): void {
    const folder = dirname(path);
    mkdir(folder, { recursive: true, mode: 0o700 }, (error) => {
      if (error === null) this.#open(path, 0, done);
      else done(new TempFileError('mkdir()', folder, error));
    });
  }

  #opened(path: string, fd: number, done: Done): void {
    this.#fd = fd;
    this.path = path;
    if (this.#kind === 'nameless') unlink(path, () => done(undefined));
    else done(undefined);
  }

  #write(pieces: readonly Buffer[], done: Done): void {
    const size = pieces.reduce((sum, { length }) => sum + length, 0);
    if (size === 0) {
      this.#end(done, undefined);
      return;
    }
    writev(this.#fd, pieces, this.length, (error, written) => {
      if (error !== null) {
        this.#end(done, new TempFileError('pwrite()', this.path, error));
        return;
      }
      this.length += written;
      if (written === size) this.#end(done, undefined);
      else this.#write(without(pieces, written), done);
    });
  }

  #end(done: Done, error: TempFileError | undefined): void {
    this.#steps--;
    if (!this.#closed) done(error);
    else if (this.#steps === 0) this.#release();
  }

  #release(): void {
    const fd = this.#fd;
    this.#fd = -1;
    if (fd < 0) return;
    if (this.#kind === 'until-closed') unlink(this.path, ignore);
    close(fd, ignore);
  }
}

/** A file that cannot be closed or removed is nothing that a request could be told of. */
const ignore: NoParamCallback = () => {};

/** What is left when the first `written` bytes have been written. */
function without(pieces: readonly Buffer[], written: number): Buffer[] {
  let skip = written;
  const left: Buffer[] = [];
  for (const piece of pieces) {
    if (skip < piece.length) left.push(piece.subarray(skip));
    skip = Math.max(0, skip - piece.length);
  }
  return left;
}
