// One worker thread: runs a gateway, and obeys the master. The master starts this file as a thread; nobody imports it.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { ErrorLog } from '../diagnostics/error-log.ts';
import { THREAD_NUMBER } from '../diagnostics/thread-number.ts';
import { onOwnerFault } from '../transport/owner-fault.ts';
import { ZoneDirectory } from '../zones/zone-directory.ts';
import { type Engine, importEngine, type Plan } from './engine.ts';
import { Faults } from './faults.ts';
import { Heart } from './heartbeat.ts';
import { createLogFiles } from './log-faults.ts';
import { type FromWorker, TOO_MANY_FAULTS, type ToWorker, type WorkerBirth } from './messages.ts';
import { receiveSecrets } from './secrets.ts';
import { WorkerCore } from './worker-core.ts';

class WorkerThread {
  readonly #birth: WorkerBirth;
  readonly #port: MessagePort;
  readonly #heart: Heart;
  readonly #engine: Promise<Engine>;
  readonly #logFiles = createLogFiles({ log: () => this.#log, perTurn: true });
  /** Those who wait for `listen-now`. */
  readonly #wantToListen: (() => void)[] = [];
  #zones: ZoneDirectory | undefined = undefined;
  #core: WorkerCore | undefined = undefined;

  constructor(birth: WorkerBirth, port: MessagePort) {
    this.#birth = birth;
    this.#port = port;
    this.#heart = new Heart(birth.heart, THREAD_NUMBER);
    this.#engine = this.#heart.whileBusy(() => importEngine(birth.engineUrl));
  }

  live(): void {
    const faults = new Faults({ log: () => this.#log, giveUp: () => process.exit(TOO_MANY_FAULTS) });
    faults.catchAll();
    onOwnerFault((fault) => faults.note(fault));
    process.on('exit', () => this.#logFiles.flush());
    this.#port.on('message', (message: ToWorker) => this.#obey(message));
  }

  get #log(): ErrorLog {
    return this.#core?.log ?? NO_LOG;
  }

  #obey(message: ToWorker): void {
    switch (message.kind) {
      case 'prepare':
        this.#answer(message.round, () => this.#heart.whileBusy(() => this.#prepare(message.plan)));
        break;
      case 'commit':
        this.#answer(message.round, () => this.#commit(message.round));
        break;
      case 'switch-logs':
        this.#answer(message.round, async () => this.#logFiles.adopt(message.logs));
        break;
      case 'listen-now':
        this.#wantToListen.shift()?.();
        break;
      case 'quit':
        this.#quit(message.timeout);
        break;
      case 'stop':
        void this.#stop();
    }
  }

  async #stop(): Promise<void> {
    await this.#core?.stop();
    process.exit(0);
  }

  /** Does what was asked and says how it went. */
  #answer(round: number, work: () => Promise<void>): void {
    work().then(
      () => this.#say({ kind: 'done', round }),
      (error: unknown) =>
        this.#say({ kind: 'failed', round, reason: error instanceof Error ? error.message : String(error) }),
    );
  }

  async #prepare(plan: Plan): Promise<void> {
    this.#logFiles.adopt(plan.logs);
    this.#zones ??= ZoneDirectory.join(plan.zones, this.#birth.worker);
    this.#zones.adopt(plan.zones);
    this.#core ??= await this.#createCore(this.#zones);
    await this.#core.prepare(plan);
  }

  async #createCore(zones: ZoneDirectory): Promise<WorkerCore> {
    const { worker, connectionNumbers, secrets } = this.#birth;
    const engine = await this.#engine;
    return new WorkerCore({
      engine,
      worker,
      connectionNumbers,
      secrets: receiveSecrets(secrets),
      logFiles: this.#logFiles,
      zones,
      permit: () => this.#permit(),
    });
  }

  async #commit(round: number): Promise<void> {
    await this.#core?.commit(() => this.#say({ kind: 'retired', round }));
  }

  #quit(timeout: number): void {
    if (this.#core === undefined) process.exit(0);
    void this.#core.quit(timeout).then(() => process.exit(0));
  }

  #permit(): Promise<() => void> {
    if (!this.#birth.asksToListen) return Promise.resolve(() => {});
    this.#say({ kind: 'may-listen' });
    return new Promise((resolve) => this.#wantToListen.push(() => resolve(() => this.#say({ kind: 'listened' }))));
  }

  #say(message: FromWorker): void {
    // What the master says about it in the log comes after what was said here.
    this.#logFiles.flushTurn();
    this.#port.postMessage(message);
  }
}

const NO_LOG: ErrorLog = { enabled: () => false, write: () => {} };

if (parentPort === null) throw new Error('worker.ts runs only as a thread of the master');
new WorkerThread(workerData as WorkerBirth, parentPort).live();
