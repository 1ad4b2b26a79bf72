// Work that is done in steps, so that whoever does it may let the event loop turn between two of them.

import { setImmediate } from 'node:timers/promises';

export type Steps<T> = Generator<void, T, void>;

/** Does all of it at once. */
export function allSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** ms after which whoever waits for the event loop gets a turn of it. */
const SLICE_MS = 5;

/** Lets the event loop turn between two steps whenever they have taken their slice; a step must be short. */
export async function inSlices<T>(steps: Steps<T>): Promise<T> {
  let began = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() - began < SLICE_MS) continue;
    await setImmediate();
    began = performance.now();
  }
}
