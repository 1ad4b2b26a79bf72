// Log files that cannot be written to: said in the error log, and where that is the one, on the standard error output.

import type { ErrorLog, Level } from '../diagnostics/error-log.ts';
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
    log().write(levelOf(fault), message);
    if (fault.path !== STDERR) logFiles.file(STDERR).write(`sockgate: ${message}`);
  };
  const logFiles = new LogFiles({ onFault, perTurn });
  return logFiles;
}

/** A full pipe is slowness of its reader, no mistake of the administrator's; nor is a network where nobody listens. */
function levelOf({ code, path }: LogFault): Level {
  if (code === 'EAGAIN') return 'warn';
  return path.startsWith('syslog:') ? 'error' : 'alert';
}

function describeLogFault({ path, code, lost }: LogFault): string {
  return `write() to "${path}" failed (${systemErrorText(code)}), lines lost: ${lost}`;
}
