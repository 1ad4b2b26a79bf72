// Log files whose names are made of variables: opened when a line comes, by the worker with its own rights, and kept open as
// open_log_file_cache says. https://nginx.org/en/docs/http/ngx_http_log_module.html#open_log_file_cache

import { closeSync, constants, openSync, statSync, writeSync } from 'node:fs';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import { leavesFolder } from '../serve/file-path.ts';

/** How long files stay open. Times in ms. */
export interface NamedLogPolicy {
  /** The most files that are kept open in each worker; 0: each is closed when its line is written. */
  readonly max: number;
  /** A file that got no line for so long is closed. */
  readonly inactive: number;
  /** So many lines must have come within `inactive` before a file is kept open. */
  readonly minUses: number;
  /** After so long it is looked whether the name still means this file. */
  readonly valid: number;
}

export const NO_CACHE: NamedLogPolicy = { max: 0, inactive: 10_000, minUses: 1, valid: 60_000 };

const APPEND = constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY | constants.O_NONBLOCK;
const NOT_KEPT = -1;
/** ms; Node's timers cannot be longer than 24 days. */
const LONGEST_SWEEP = 2 ** 30;

export interface NamedLogOptions {
  /** The file's absolute path, a byte string. */
  readonly path: Text;
  /** The whole line, without its newline, as a byte string. */
  readonly line: Text;
  /** `if=`: nothing is written where this is `0` or empty. */
  readonly condition: Text | undefined;
  readonly policy: NamedLogPolicy;
}

/** One access_log whose path has variables. */
export class NamedLog {
  readonly #options: NamedLogOptions;

  constructor(options: NamedLogOptions) {
    this.#options = options;
  }

  write(exchange: Exchange): void {
    const { path, line, condition, policy } = this.#options;
    const wanted = condition?.(exchange) ?? '1';
    if (wanted !== '' && wanted !== '0') appendLine(exchange, path(exchange), line(exchange), policy);
  }
}

function appendLine(exchange: Exchange, path: string, line: string, policy: NamedLogPolicy): void {
  if (leavesFolder(path)) {
    exchange.log('error', `access log "${path.replaceAll('\0', '\\0')}" is refused: its name has ".." or NUL`);
    return;
  }
  if (!rootExists(exchange)) return;
  try {
    openFiles.append(path, `${line}\n`, policy);
  } catch (error) {
    exchange.log('crit', `open() "${path}" failed (${systemErrorText(systemErrorCode(error))})`);
  }
}

/** nginx writes no log for a name whose document root is not there: else anybody could fill a folder with files. */
function rootExists(exchange: Exchange): boolean {
  const root = exchange.location.documentRoot(exchange);
  const code = folderFault(root);
  if (code !== undefined) exchange.log('error', `testing "${root}" existence failed (${systemErrorText(code)})`);
  return code === undefined;
}

function folderFault(path: string): string | undefined {
  try {
    return statSync(Buffer.from(path === '' ? '/' : path, 'latin1')).isDirectory() ? undefined : 'ENOTDIR';
  } catch (error) {
    return systemErrorCode(error);
  }
}

interface OpenFile {
  descriptor: number;
  policy: NamedLogPolicy;
  uses: number;
  usedAt: number;
  openedAt: number;
}

/** The files that a thread keeps open, over reloads, too. */
class OpenFiles {
  /** By path, the one used longest ago first. */
  readonly #files = new Map<string, OpenFile>();
  #sweep: NodeJS.Timeout | undefined = undefined;
  #sweepAt = Number.POSITIVE_INFINITY;

  /** @throws the system's error */
  append(path: string, line: string, policy: NamedLogPolicy): void {
    const file = policy.max === 0 ? undefined : this.#find(path, policy);
    const kept = file === undefined || file.descriptor === NOT_KEPT ? undefined : file.descriptor;
    const descriptor = kept ?? this.#open(path);
    try {
      writeSync(descriptor, line, null, 'latin1');
    } finally {
      if (file === undefined || file.uses < policy.minUses) closeSync(descriptor);
      else if (kept === undefined) Object.assign(file, { descriptor, openedAt: Date.now() });
      if (file !== undefined) this.#keep(path, file, policy);
    }
  }

  /** What cannot be opened takes nobody's place. */
  #open(path: string): number {
    try {
      return openSync(Buffer.from(path, 'latin1'), APPEND, 0o644);
    } catch (error) {
      this.#files.delete(path);
      throw error;
    }
  }

  /** What is known of a file, counted as used. */
  #find(path: string, policy: NamedLogPolicy): OpenFile {
    const now = Date.now();
    const file = this.#files.get(path) ?? { descriptor: NOT_KEPT, policy, uses: 0, usedAt: now, openedAt: now };
    const isForgotten = now - file.usedAt > policy.inactive;
    if (isForgotten) file.uses = 0;
    if (isForgotten || now - file.openedAt > policy.valid) close(file);
    return Object.assign(file, { policy, uses: file.uses + 1, usedAt: now });
  }

  /** At the end, as the one used last. */
  #keep(path: string, file: OpenFile, { max, inactive }: NamedLogPolicy): void {
    this.#files.delete(path);
    this.#makeRoom(max);
    this.#files.set(path, file);
    this.#sweepIn(inactive);
  }

  /** A file that may stay for an hour must not keep those waiting that may stay for a second. */
  #sweepIn(ms: number): void {
    const at = Date.now() + ms;
    if (at >= this.#sweepAt) return;
    clearTimeout(this.#sweep);
    this.#sweepAt = at;
    this.#sweep = setTimeout(() => this.#closeInactive(), Math.min(ms, LONGEST_SWEEP)).unref();
  }

  #makeRoom(max: number): void {
    for (const [path, file] of this.#files) {
      if (this.#files.size < max) return;
      close(file);
      this.#files.delete(path);
    }
  }

  /** Closes what nobody writes to any more, also where no line will come to any file. */
  #closeInactive(): void {
    const now = Date.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [path, file] of this.#files) {
      const left = file.usedAt + file.policy.inactive - now;
      if (left > 0) {
        next = Math.min(next, left);
        continue;
      }
      close(file);
      this.#files.delete(path);
    }
    this.#sweepAt = Number.POSITIVE_INFINITY;
    if (this.#files.size > 0) this.#sweepIn(next);
  }
}

function close(file: OpenFile): void {
  if (file.descriptor !== NOT_KEPT) closeSync(file.descriptor);
  file.descriptor = NOT_KEPT;
}

const openFiles = new OpenFiles();
