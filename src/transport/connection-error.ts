// Errors of a connection, as Node would have made them: `code`, `errno`, `syscall`.

import { getSystemErrorName } from 'node:util';

/** An error with the fields that Node's own socket errors have. */
export interface ConnectionError extends Error {
  /** Node's name for it: ECONNRESET, EPIPE … */
  code: string;
  /** libuv's number; negative. */
  errno: number;
  /** What was being done: read, write, shutdown. */
  syscall: string;
}

/**
 * An error from libuv's (negative) number. It has no stack: it comes from the event loop, so a stack says nothing, and
 * when a network breaks thousands are made at once.
 */
export function connectionError(errno: number, syscall: string): ConnectionError {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const code = errorName(errno);
  const error = Object.assign(new Error(`${syscall} ${code}`), { code, errno, syscall });
  Error.stackTraceLimit = limit;
  return error;
}

function errorName(errno: number): string {
  return errno < 0 ? getSystemErrorName(errno) : 'UNKNOWN';
}

/** As Node says it of a peer that hung up. */
export function disconnectedError(message: string): Error & { code: string } {
  return Object.assign(new Error(message), { code: 'ECONNRESET' });
}
