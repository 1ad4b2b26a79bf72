// What the master can ask of a worker, whether that is a thread or the main thread itself.

import type { LogDescriptors } from '../diagnostics/log-files.ts';
import type { Plan } from './engine.ts';

/** How a worker came to its end. */
export interface Ending {
  /** The thread's exit code; 0 where it left as it was told. */
  readonly code: number;
  /** What it died of, where that is known. */
  readonly reason: string | undefined;
}

/** The worker ended before it could answer. */
export class WorkerEnded extends Error {
  override readonly name = 'WorkerEnded';
}

export interface WorkerHandle {
  /** Its number, from 0; a successor has its predecessor's. */
  readonly index: number;
  /** The system's number of its thread: its name in the log. 0 until the thread runs. */
  readonly thread: number;
  /** Resolved when nothing of it runs any more. */
  readonly ended: Promise<Ending>;
  /** Builds the plan's snapshot, and keeps it for `commit`. Rejected where that fails; with WorkerEnded where the worker ends. */
  prepare(plan: Plan): Promise<void>;
  /** Serves by it. Rejected where an address cannot be opened. @param retired called when nothing uses this snapshot any more; not where the worker ends */
  commit(retired: () => void): Promise<void>;
  switchLogs(logs: LogDescriptors): Promise<void>;
  /** Leaves gently. @param timeout ms, 0: as long as it takes */
  quit(timeout: number): void;
  stop(): void;
  /** Ends it whether it wants or not. */
  kill(): void;
  /** What is wrong with it, as the end of a sentence. To be called every WATCH_INTERVAL ms. @param now ms of a clock that never jumps */
  look(now: number): string | undefined;
}
