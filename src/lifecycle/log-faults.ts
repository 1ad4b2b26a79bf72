// Log files that cannot be written to: said in the error log, and where that is the one, on the standard error output.

import type { ErrorLog } from '../diagnostics/error-log.ts';
import type { LogFault } from '../diagnostics/log-file.ts';
import { LogFiles, STDERR } from '../diagnostics/log-files.ts';
import { systemErrorText } from '../diagnostics/system-error.ts';

export interface LogFaultsOptions {
  readonly log: () => ErrorLog;
  /** See LogFilesOptions. */
  readonly perTurn: boolean;
}

/** Log files that tell of their own faults. */
export function createLogFiles({ log, perTurn }: LogFaultsOptions): LogFiles {
  const onFault = (fault: LogFault): void => {
    const message = describeLogFault(fault);
    // A full pipe is slowness of its reader, no mistake of the administrator's.
    log().write(fault.code === 'EAGAIN' ? 'warn' : 'alert', message);
    if (fault.path !== STDERR) logFiles.file(STDERR).write(`sockgate: ${message}`);
  };
  const logFiles = new LogFiles({ onFault, perTurn });
  return logFiles;
}

function describeLogFault({ path, code, lost }: LogFault): string {
  return `write() to "${path}" failed (${systemErrorText(code)}), lines lost: ${lost}`;
}
