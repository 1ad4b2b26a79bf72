// Waits for what another process does, which no event tells of: looks again and again, and says what it waited for when it gives up.

import { setTimeout as wait } from 'node:timers/promises';

const LOOK_AGAIN = 10;
/** ms after which what has not happened will not: longer than a busy machine hesitates, shorter than the minute of nginx's own timeouts. */
const PATIENCE = 30_000;

/** @returns what `look` found, once that is neither undefined nor false. @throws after `patience` ms */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  patience = PATIENCE,
): Promise<T> {
  const end = performance.now() + patience;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`waited ${patience} ms in vain: ${what}`);
    await wait(LOOK_AGAIN);
  }
}
