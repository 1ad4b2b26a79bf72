// What this process still holds, whatever the garbage collector was about to do.

import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes of live objects and buffers; a buffer that nobody has any more is freed some turns after it was found. */
export async function heldMemory(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    collectGarbage();
    await turn();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
