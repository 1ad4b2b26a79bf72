// -s: tells the running sockgate to stop, quit, reload or reopen its logs, by its pid file.

import { constants } from 'node:os';
import type { ErrorLog } from '../diagnostics/error-log.ts';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import { PidFileError, readPidFile } from '../lifecycle/pid-file.ts';
import { COMMANDED, type Command } from '../lifecycle/signals.ts';

/** @returns the exit code */
export function sendSignal(command: Command, pidFile: string, log: ErrorLog): number {
  log.write('notice', 'signal process started');
  try {
    return kill(readPidFile(pidFile), COMMANDED[command], log);
  } catch (error) {
    if (!(error instanceof PidFileError)) throw error;
    log.write('error', error.message);
    return 1;
  }
}

function kill(pid: number, signal: (typeof COMMANDED)[Command], log: ErrorLog): number {
  try {
    process.kill(pid, signal);
    return 0;
  } catch (error) {
    const number = constants.signals[signal];
    log.write('alert', `kill(${pid}, ${number}) failed (${systemErrorText(systemErrorCode(error))})`);
    return 1;
  }
}
