// worker_rlimit_nofile: asks the system for another number of open files. Node cannot; the `prlimit` command can, where it is there.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** How many files the process may have open; undefined where the system does not say. Node itself takes all that it may have. */
export function fileLimit(): { readonly soft: number; readonly hard: number } | undefined {
  try {
    const line = /^Max open files +(\d+) +(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
    if (line === null) return undefined;
    return { soft: Number(line[1]), hard: line[2] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(line[2]) };
  } catch {
    return undefined;
  }
}

/**
 * Tries once to set the limit of this process.
 * @returns why it could not, for a warning in the log; undefined where it could
 */
export function setFileLimit(limit: number): string | undefined {
  // A limit that has been lowered for good could not be raised again by the next reload.
  const hard = Math.max(limit, fileLimit()?.hard ?? limit);
  const range = `--nofile=${limit}:${Number.isFinite(hard) ? hard : 'unlimited'}`;
  const { status, stderr, error } = spawnSync('prlimit', ['--pid', String(process.pid), range], {
    encoding: 'latin1',
    timeout: 5_000,
  });
  if (status === 0) return undefined;
  const reason = error === undefined ? stderr.trim() : 'there is no prlimit command here';
  return `setrlimit(RLIMIT_NOFILE, ${limit}) failed: ${reason}; the limit stays at ${fileLimit()?.soft ?? 'what it was'}`;
}
