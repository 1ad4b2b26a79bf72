// A worker thread as the master sees it: messages become calls, answers become promises.

import { Worker } from 'node:worker_threads';
import type { LogDescriptors } from '../diagnostics/log-files.ts';
import type { Plan } from './engine.ts';
import { createHeart, HeartWatch } from './heartbeat.ts';
import type { FromWorker, ToWorker, WorkerBirth } from './messages.ts';
import type { Privileges } from './privileges.ts';
import { type Ending, WorkerEnded, type WorkerHandle } from './worker-handle.ts';

export interface ThreadWorkerOptions extends Omit<WorkerBirth, 'heart' | 'asksToListen'> {
  readonly privileges: Privileges;
}

/** This file's own ending: `.ts` from source, `.js` when built. */
const WORKER_FILE = new URL(`./worker${import.meta.url.slice(-3)}`, import.meta.url);

interface Answer {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * What a handshake leaves behind dies young, and a tunnel makes no garbage: so a small young generation costs nothing, and saves
 * some 10 KB for each of the first thousands of tunnels that V8 would else spend on room for more.
 */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 12 };

export class ThreadWorker implements WorkerHandle {
  readonly index: number;
  readonly ended: Promise<Ending>;
  readonly #privileges: Privileges;
  readonly #thread: Worker;
  readonly #watch: HeartWatch;
  readonly #answers = new Map<number, Answer>();
  readonly #retired = new Map<number, () => void>();
  /** Rights that were taken back for it and that it still needs. */
  readonly #raised: (() => void)[] = [];
  #round = 0;
  #reason: string | undefined = undefined;

  constructor({ privileges, ...birth }: ThreadWorkerOptions) {
    const heart = createHeart();
    const workerData: WorkerBirth = { ...birth, heart, asksToListen: privileges.isRoot };
    this.index = birth.worker;
    this.#privileges = privileges;
    this.#watch = new HeartWatch(heart);
    this.#thread = new Worker(WORKER_FILE, {
      name: `worker ${birth.worker}`,
      workerData,
      resourceLimits: RESOURCE_LIMITS,
    });
    this.#thread.on('message', (message: FromWorker) => this.#hear(message));
    this.#thread.on('error', (error: Error) => {
      this.#reason = error.stack ?? error.message;
    });
    this.ended = new Promise((resolve) => this.#thread.once('exit', (code) => resolve(this.#end(code))));
  }

  get thread(): number {
    return this.#watch.thread;
  }

  prepare(plan: Plan): Promise<void> {
    return this.#ask((round) => ({ kind: 'prepare', round, plan }));
  }

  commit(retired: () => void): Promise<void> {
    const done = this.#ask((round) => ({ kind: 'commit', round }));
    this.#retired.set(this.#round, retired);
    return done;
  }

  switchLogs(logs: LogDescriptors): Promise<void> {
    return this.#ask((round) => ({ kind: 'switch-logs', round, logs }));
  }

  quit(timeout: number): void {
    this.#tell({ kind: 'quit', timeout });
  }

  stop(): void {
    this.#tell({ kind: 'stop' });
  }

  kill(): void {
    void this.#thread.terminate();
  }

  look(now: number): string | undefined {
    return this.#watch.look(now);
  }

  #ask(message: (round: number) => ToWorker): Promise<void> {
    const round = ++this.#round;
    return new Promise((resolve, reject) => {
      this.#answers.set(round, { resolve, reject });
      this.#tell(message(round));
    });
  }

  #tell(message: ToWorker): void {
    this.#thread.postMessage(message);
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case 'done':
        this.#answerOf(message.round)?.resolve();
        break;
      case 'failed':
        this.#answerOf(message.round)?.reject(new Error(message.reason));
        break;
      case 'retired':
        this.#retired.get(message.round)?.();
        this.#retired.delete(message.round);
        break;
      case 'may-listen':
        this.#raised.push(this.#privileges.raise());
        this.#tell({ kind: 'listen-now' });
        break;
      case 'listened':
        this.#raised.pop()?.();
    }
  }

  #answerOf(round: number): Answer | undefined {
    const answer = this.#answers.get(round);
    this.#answers.delete(round);
    return answer;
  }

  #end(code: number): Ending {
    for (const lower of this.#raised.splice(0)) lower();
    for (const { reject } of this.#answers.values()) reject(new WorkerEnded(`worker process ${this.thread} has ended`));
    this.#answers.clear();
    return { code, reason: this.#reason };
  }
}
