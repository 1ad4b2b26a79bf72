// All log files of a thread, by path. The master opens them with its rights; workers write to the same descriptors.

import { closeSync, constants, fstatSync, openSync, readlinkSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type LogFault, LogFile, type LogFileOptions, NOT_OPEN } from './log-file.ts';
import { SyslogServers } from './syslog.ts';
import { systemErrorCode, systemErrorText } from './system-error.ts';

/** Which path has which descriptor: fit for `workerData` and `postMessage`, for descriptors belong to the process. */
export type LogDescriptors = ReadonlyMap<string, number>;

/** `open() "/x/access.log" failed (13: Permission denied)`. */
export class LogFileError extends Error {
  override readonly name = 'LogFileError';
  readonly path: string;
  readonly code: string;

  constructor(path: string, code: string) {
    super(`open() "${path}" failed (${systemErrorText(code)})`);
    this.path = path;
    this.code = code;
  }
}

export interface LogFilesOptions {
  /** Told once a minute for each file that cannot be written to, with the number of lines that were lost. */
  readonly onFault?: (fault: LogFault) => void;
  /**
   * Lines are written at the end of the event loop's turn in which they came, or by `flushTurn()`; which is to be called before
   * a connection closes whose line must be in the file then. Saves most of the system calls. Default: each line is written at once.
   */
  readonly perTurn?: boolean;
}

/** What is to be closed once no thread writes to it any more. */
export interface OldDescriptors {
  /** How many there are. */
  readonly count: number;
  /** Files that could not be opened anew. */
  readonly failures: readonly LogFileError[];
  /** Closes them. Before that, every other thread must have adopted the new ones: a number that is closed can become a client's. */
  close(): void;
}

/** The name under which the standard error output stands in `error_log`. */
export const STDERR = 'stderr';

/** Descriptors of files that no configuration names any more, but to which a tunnel may still write its line when it ends. */
const MOST_UNUSED = 64;

export class LogFiles {
  /** What goes to syslog rather than to a file. */
  readonly syslog: SyslogServers;
  readonly #files = new Map<string, LogFile>();
  readonly #fileOptions: LogFileOptions;
  readonly #dirty: LogFile[] = [];
  #turnPlanned = false;

  constructor(options: LogFilesOptions = {}) {
    const onPending = options.perTurn === true ? (file: LogFile) => this.#planTurn(file) : undefined;
    const onFault = options.onFault ?? (() => {});
    this.#fileOptions = { onFault, onPending };
    this.syslog = new SyslogServers(onFault);
  }

  /**
   * The file of a path, always the same one. It is not opened by this: lines wait (64 KB of them) until `open` or `adopt`.
   * @param path absolute; or `stderr`
   */
  file(path: string): LogFile {
    let file = this.#files.get(path);
    if (file === undefined) {
      file = new LogFile(path, this.#fileOptions);
      this.#files.set(path, file);
    }
    return file;
  }

  /** Opens what is not open yet, or only these. For the master. @throws LogFileError for the first that cannot be opened */
  open(paths: Iterable<string> = [...this.#files.keys()]): void {
    for (const path of paths) {
      const file = this.file(path);
      if (file.descriptor === NOT_OPEN) file.switchTo(openLog(path));
    }
  }

  /** What is open, for workers to adopt. */
  descriptors(): LogDescriptors {
    const open = [...this.#files.values()].filter((file) => file.descriptor !== NOT_OPEN);
    return new Map(open.map((file) => [file.path, file.descriptor]));
  }

  /** Uses these descriptors from now on, and no others. For workers. */
  adopt(descriptors: LogDescriptors): void {
    for (const [path, descriptor] of descriptors) this.file(path).switchTo(descriptor);
    for (const path of this.#files.keys()) {
      if (!descriptors.has(path)) this.#remove(path);
    }
  }

  /** Opens all files anew, as after a rotation. One that cannot be opened goes on as it was. For the master. */
  reopen(): OldDescriptors {
    const failures: LogFileError[] = [];
    const old: number[] = [];
    for (const file of this.#files.values()) {
      if (file.descriptor === NOT_OPEN || isStandardStream(file.path)) continue;
      try {
        const descriptor = openLog(file.path);
        old.push(file.descriptor);
        file.switchTo(descriptor);
      } catch (error) {
        failures.push(error as LogFileError);
      }
    }
    return { count: old.length, failures, close: () => old.forEach(closeLog) };
  }

  /** Forgets the files that are not used any more, apart from the latest few, whose last lines may be yet to come. For the master. */
  forget(used: ReadonlySet<string>): OldDescriptors {
    const unused = [...this.#files.values()].filter((file) => !used.has(file.path));
    const forgotten = unused.slice(0, Math.max(0, unused.length - MOST_UNUSED));
    const old = forgotten.map((file) => file.descriptor);
    for (const file of forgotten) this.#remove(file.path);
    return { count: old.length, failures: [], close: () => old.forEach(closeLog) };
  }

  /** Lines lost by this thread, in all files. */
  get lost(): number {
    return [...this.#files.values()].reduce((sum, file) => sum + file.lost, 0);
  }

  /** Writes the unbuffered lines that wait for the end of the turn. Costs nothing where there are none. */
  flushTurn(): void {
    for (let file = this.#dirty.pop(); file !== undefined; file = this.#dirty.pop()) file.flush();
  }

  /** Writes everything, buffered lines too. */
  flush(): void {
    this.#dirty.length = 0;
    for (const file of this.#files.values()) file.flush();
  }

  #remove(path: string): void {
    this.#files.get(path)?.switchTo(NOT_OPEN);
    this.#files.delete(path);
  }

  #planTurn(file: LogFile): void {
    this.#dirty.push(file);
    if (this.#turnPlanned) return;
    this.#turnPlanned = true;
    setImmediate(this.#endTurn);
  }

  readonly #endTurn = (): void => {
    this.#turnPlanned = false;
    this.flushTurn();
  };
}

const isStandardStream = (path: string): boolean => path === STDERR || /^\/(dev|proc)\//.test(path);

/** Opens for appending, never waiting: not for a pipe's reader now, nor for room in it later. */
function openLog(path: string): number {
  const realPath = path === STDERR ? '/dev/stderr' : path;
  const shared = STREAMS[realPath];
  if (shared !== undefined && isRegularFile(shared)) return shared;
  try {
    return openSync(realPath, constants.O_APPEND | constants.O_NONBLOCK | accessFor(realPath), 0o644);
  } catch (error) {
    const stream = streamBehind(realPath);
    if (stream === undefined || !isOpen(stream)) throw new LogFileError(path, systemErrorCode(error));
    return stream;
  }
}

/** For streams that cannot be opened by name, being a socket or another user's: they are written to as they are. */
const STREAMS: Readonly<Record<string, number>> = { '/dev/stdout': 1, '/dev/stderr': 2 };

/** Containers often have a link to a stream where a log file is expected. */
function streamBehind(path: string): number | undefined {
  let name = path;
  for (let links = 0; links < 8 && STREAMS[name] === undefined; links++) {
    const next = linkAt(name);
    if (next === undefined) return undefined;
    name = resolve(dirname(name), next);
  }
  return STREAMS[name];
}

function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** A named pipe that nobody reads can be opened only for both directions (Linux). */
function accessFor(path: string): number {
  const isPipe = statSync(path, { throwIfNoEntry: false })?.isFIFO() ?? false;
  return isPipe ? constants.O_RDWR : constants.O_WRONLY | constants.O_CREAT;
}

/** Where a stream was redirected into a file, others write there too: only its own descriptor has their common position. */
function isRegularFile(descriptor: number): boolean {
  return isOpen(descriptor) && fstatSync(descriptor).isFile();
}

function isOpen(descriptor: number): boolean {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

function closeLog(descriptor: number): void {
  if (descriptor <= 2) return;
  try {
    closeSync(descriptor);
  } catch {
    // A descriptor that cannot be closed is closed all the same.
  }
}
