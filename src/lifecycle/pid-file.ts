// The pid file: says which process runs here, written last, removed at exit.

import { readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';

/** nginx's words: `open() "/run/nginx.pid" failed (13: Permission denied)`. */
export class PidFileError extends Error {
  override readonly name = 'PidFileError';
}

/** Writes this process's number, all at once: who sees the file can read it whole. @throws PidFileError */
export function writePidFile(path: string): void {
  const passing = `${path}.${process.pid}`;
  try {
    writeFileSync(passing, `${process.pid}\n`, { mode: 0o644 });
    renameSync(passing, path);
  } catch (error) {
    throw new PidFileError(`open() "${path}" failed (${systemErrorText(systemErrorCode(error))})`);
  }
}

/** Removes the file if it is still ours. */
export function removePidFile(path: string): void {
  try {
    if (readFileSync(path, 'latin1').trim() === String(process.pid)) unlinkSync(path);
  } catch {
    // Somebody was faster, or took our rights away: nothing is lost by a file that stays.
  }
}

/** @throws PidFileError */
export function readPidFile(path: string): number {
  const text = readPidText(path);
  const pid = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (pid === 0) throw new PidFileError(`invalid PID number "${text.slice(0, 32)}" in "${path}"`);
  return pid;
}

function readPidText(path: string): string {
  try {
    return readFileSync(path, 'latin1').replace(/[\r\n]+$/, '');
  } catch (error) {
    throw new PidFileError(`open() "${path}" failed (${systemErrorText(systemErrorCode(error))})`);
  }
}
