// Log files whose names are made of variables: opened when a line comes, by the worker with its own rights, and kept open as
// open_log_file_cache says. https://nginx.org/en/docs/http/ngx_http_log_module.html#open_log_file_cache

import { closeSync, constants, openSync, statSync, writeSync } from 'node:fs';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';

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

/** What a name must not lead out of its folder with, when a variable comes from a request. */
const UNSAFE = /(?:^|\/)\.\.(?:\/|$)|\0/;
const APPEND = constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY | constants.O_NONBLOCK;
const NOT_KEPT = -1;

interface NamedFile {
  descriptor: number;
  policy: NamedLogPolicy;
  uses: number;
  usedAt: number;
  openedAt: number;
}

/** The files of one thread, the one used longest ago first. */
const files = new Map<string, NamedFile>();
let sweeping: NodeJS.Timeout | undefined;

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
    if (wanted !== '' && wanted !== '0') appendNamed(exchange, path(exchange), line(exchange), policy);
  }
}

function appendNamed(exchange: Exchange, path: string, line: string, policy: NamedLogPolicy): void {
  if (UNSAFE.test(path)) {
    exchange.log('error', `access log "${path.replaceAll('\0', '\\0')}" is refused: its name has ".." or NUL`);
    return;
  }
  if (!rootExists(exchange)) return;
  try {
    append(path, `${line}\n`, policy);
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

function append(path: string, line: string, policy: NamedLogPolicy): void {
  const kept = policy.max === 0 ? undefined : keptFile(path, policy);
  const descriptor = kept === undefined ? NOT_KEPT : kept.descriptor;
  const open = descriptor === NOT_KEPT ? openSync(Buffer.from(path, 'latin1'), APPEND, 0o644) : descriptor;
  try {
    writeSync(open, line, null, 'latin1');
  } finally {
    if (kept !== undefined && kept.uses >= policy.minUses) keep(kept, open);
    else closeSync(open);
  }
}

function keep(file: NamedFile, descriptor: number): void {
  if (file.descriptor === descriptor) return;
  file.descriptor = descriptor;
  file.openedAt = Date.now();
}

/** What is known of a name, counted as used, and moved to the end. */
function keptFile(path: string, policy: NamedLogPolicy): NamedFile {
  const now = Date.now();
  const file = files.get(path) ?? { descriptor: NOT_KEPT, policy, uses: 0, usedAt: now, openedAt: now };
  if (now - file.usedAt > policy.inactive) file.uses = 0;
  if (now - file.openedAt > policy.valid) close(file);
  file.uses++;
  file.usedAt = now;
  file.policy = policy;
  files.delete(path);
  makeRoom(policy.max);
  files.set(path, file);
  sweeping ??= setTimeout(sweep, policy.inactive).unref();
  return file;
}

function makeRoom(max: number): void {
  for (const [path, file] of files) {
    if (files.size < max) return;
    close(file);
    files.delete(path);
  }
}

function close(file: NamedFile): void {
  if (file.descriptor !== NOT_KEPT) closeSync(file.descriptor);
  file.descriptor = NOT_KEPT;
}

/** Closes what nobody writes to any more, also where no line will come to any file. */
function sweep(): void {
  const now = Date.now();
  let next = Number.POSITIVE_INFINITY;
  for (const [path, file] of files) {
    const left = file.usedAt + file.policy.inactive - now;
    if (left > 0) {
      next = Math.min(next, left);
      continue;
    }
    close(file);
    files.delete(path);
  }
  sweeping = files.size === 0 ? undefined : setTimeout(sweep, Math.max(next, 1)).unref();
}
