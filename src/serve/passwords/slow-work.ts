// Work that takes long, such as the hash of a password: done in slices, so that connections are served meanwhile.

/** Work that can stop: between two calls of `next` others have their turn. A slice of it should take less than a millisecond. */
export type SlowWork<T> = Generator<undefined, T>;

interface Job {
  /** @returns whether it is done */
  step(): boolean;
  failed(fault: unknown): void;
}

/** ms that the work of all jobs together may take in one turn of the event loop. */
const SLICE_MS = 2;

const waiting: Job[] = [];

/**
 * Does the work behind that of everybody who came before, and then calls `done`.
 * @param wanted asked before each slice: work that nobody waits for any more is dropped, without a call of `done`
 * @param failed called instead of `done` with what the work has thrown: those behind it must not wait for ever
 */
export function workSlowly<T>(
  work: SlowWork<T>,
  wanted: () => boolean,
  done: (result: T) => void,
  failed: (fault: unknown) => void,
): void {
  const step = (): boolean => {
    if (!wanted()) return true;
    const { done: isOver, value } = work.next();
    if (isOver === true) done(value as T);
    return isOver === true;
  };
  if (waiting.push({ step, failed }) === 1) setImmediate(workOn);
}

function workOn(): void {
  const end = performance.now() + SLICE_MS;
  while (waiting.length > 0 && performance.now() < end) {
    if (isDone(waiting[0] as Job)) waiting.shift();
  }
  if (waiting.length > 0) setImmediate(workOn);
}

function isDone(job: Job): boolean {
  try {
    return job.step();
  } catch (fault) {
    job.failed(fault);
    return true;
  }
}
