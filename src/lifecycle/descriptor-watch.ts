// Notices that the process has no file descriptor left: Node then closes new connections without a word.

import { closeSync, openSync } from 'node:fs';
import type { ErrorLog } from '../diagnostics/error-log.ts';
import { RateLimit } from '../diagnostics/rate-limit.ts';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';

const INTERVAL = 1_000;
const REPORT_INTERVAL = 10_000;

/** Tries once a second, and says so every ten seconds while it lasts. @returns stops watching */
export function watchDescriptors(log: () => ErrorLog): () => void {
  const reports = new RateLimit(REPORT_INTERVAL);
  const look = (): void => {
    const code = tryOne();
    if ((code !== 'EMFILE' && code !== 'ENFILE') || reports.pass() === 0) return;
    log().write(
      'crit',
      `accept4() failed (${systemErrorText(code)}): new connections are closed until others end; see worker_rlimit_nofile`,
    );
  };
  const timer = setInterval(look, INTERVAL).unref();
  return () => clearInterval(timer);
}

/** @returns the code of what went wrong */
function tryOne(): string | undefined {
  try {
    closeSync(openSync('/dev/null', 'r'));
    return undefined;
  } catch (error) {
    return systemErrorCode(error);
  }
}
