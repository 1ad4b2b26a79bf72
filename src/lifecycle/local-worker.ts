// `master_process off`: the main thread is the only worker.

import type { LogDescriptors } from '../diagnostics/log-files.ts';
import type { Plan } from './engine.ts';
import type { WorkerCore } from './worker-core.ts';
import type { Ending, WorkerHandle } from './worker-handle.ts';

export class LocalWorker implements WorkerHandle {
  readonly index = 0;
  readonly thread = process.pid;
  readonly ended: Promise<Ending>;
  readonly #core: WorkerCore;
  #end: (ending: Ending) => void = () => {};

  constructor(core: WorkerCore) {
    this.#core = core;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  prepare(plan: Plan): Promise<void> {
    return this.#core.prepare(plan);
  }

  commit(retired: () => void): Promise<void> {
    return this.#core.commit(retired);
  }

  /** The master's log files are its own. */
  async switchLogs(_logs: LogDescriptors): Promise<void> {}

  quit(timeout: number): void {
    void this.#core.quit(timeout).then(() => this.#end({ code: 0, reason: undefined }));
  }

  stop(): void {
    void this.#core.stop().then(() => this.kill());
  }

  kill(): void {
    this.#end({ code: 0, reason: undefined });
  }

  /** Who stands still himself cannot see it. */
  look(): undefined {
    return undefined;
  }
}
