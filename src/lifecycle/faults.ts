// Faults of ours that nobody caught: each is said at [alert] and costs at most the connection it came from; a flood of them ends the worker.

import type { ErrorLog } from '../diagnostics/error-log.ts';
import { RateLimit } from '../diagnostics/rate-limit.ts';

export interface FaultsOptions {
  readonly log: () => ErrorLog;
  /** Called once, when there were so many faults that the state of this thread cannot be trusted. */
  readonly giveUp: () => void;
  readonly now?: () => number;
}

/**
 * A client that has found a way to cause faults must not be able to end a worker with them, so the limit is more than clients can
 * cause: only a thread that does nothing else any more reaches it.
 */
const MOST_PER_SECOND = 1_000;

export class Faults {
  readonly #options: FaultsOptions;
  readonly #now: () => number;
  readonly #told: RateLimit;
  #count = 0;
  #second = 0;
  #inThisSecond = 0;

  constructor(options: FaultsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#told = new RateLimit(1_000, this.#now);
  }

  /** How many there were. */
  get count(): number {
    return this.#count;
  }

  note(fault: unknown): void {
    this.#count++;
    const since = this.#told.pass();
    if (since > 0)
      this.#options
        .log()
        .write('alert', `${since > 1 ? `${since} faults, the last one: ` : ''}${describeFault(fault)}`);
    if (this.#isFlood()) this.#options.giveUp();
  }

  #isFlood(): boolean {
    const second = Math.floor(this.#now() / 1_000);
    if (second !== this.#second) this.#inThisSecond = 0;
    this.#second = second;
    return ++this.#inThisSecond === MOST_PER_SECOND;
  }

  /** Catches what would end this thread. @returns stops doing so */
  catchAll(): () => void {
    const caught = (fault: unknown): void => this.note(fault);
    // Rejections that nobody handles come here as well.
    process.on('uncaughtException', caught);
    return () => process.off('uncaughtException', caught);
  }
}

/** An error with its stack in one line. */
function describeFault(fault: unknown): string {
  if (!(fault instanceof Error)) return `uncaught ${String(fault)}`;
  return `uncaught ${(fault.stack ?? fault.message).split('\n').map(trim).join(' ')}`;
}

const trim = (line: string): string => line.trim();
