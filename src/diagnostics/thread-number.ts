// The system's number of this thread, as `top -H` shows it: nginx's TID in the error log, and our workers' names.

import { readlinkSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

/** In the main thread this is the process's own number. Where there is no /proc, Node's number of the thread. */
export const THREAD_NUMBER = readThreadNumber();

function readThreadNumber(): number {
  try {
    const number = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    if (Number.isInteger(number)) return number;
  } catch {
    // Not Linux, or no /proc in this container.
  }
  return threadId === 0 ? process.pid : threadId;
}
