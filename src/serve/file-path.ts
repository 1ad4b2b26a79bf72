// Where a URI's file is, and what a file that cannot be had means for the answer.

import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import type { Exchange } from '../exchange/exchange.ts';

/** A `..` as a segment of its own, or a NUL, at which the system would end the path. */
const UNSAFE = /(?:^|\/)\.\.(?:\/|$)|\0/;

/** Whether a path, or a name that comes from a request, could lead out of its folder: it has `..` as a segment, or a NUL. */
export function leavesFolder(path: string): boolean {
  return UNSAFE.test(path);
}

/**
 * The path of the exchange's file, a byte string; undefined, and a line in the error log, where the path could lead out of
 * its folder: `/i../x` under `location /i { alias /data/; }` is `/data/../x` (nginx opens it). The URI itself has no `..`
 * left, and `root` and `alias` come with theirs resolved.
 * @param name what is looked for under it, where it is a folder
 */
export function filePathOf(exchange: Exchange, name = ''): string | undefined {
  return safePath(exchange, exchange.location.filePath(exchange, exchange.uri) + name);
}

/** The path, unless it could lead out of its folder: see `filePathOf`. */
export function safePath(exchange: Exchange, path: string): string | undefined {
  if (!leavesFolder(path)) return path;
  exchange.log(
    'error',
    `"${path.replaceAll('\0', '\\0')}" is refused: a path with ".." or NUL could lead out of its folder`,
  );
  return undefined;
}

/** What `fs` takes: names of files are bytes. */
export function pathBytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

/**
 * The status for a file that cannot be had; writes nginx's line to the error log.
 * @param call the system call that failed, for the log: `open()`
 */
export function refuseFile(exchange: Exchange, call: string, path: string, error: unknown): number {
  const code = systemErrorCode(error);
  const status = statusOf(code);
  if (status !== 404 || exchange.location.logNotFound) {
    exchange.log(status === 500 ? 'crit' : 'error', `${call} "${path}" failed (${systemErrorText(code)})`);
  }
  return status;
}

function statusOf(code: string): number {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ENAMETOOLONG':
      return 404;
    case 'EACCES':
    case 'EMLINK':
    case 'ELOOP':
      return 403;
    default:
      return 500;
  }
}
