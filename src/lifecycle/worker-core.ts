// What one worker does, whether it has a thread of its own or shares the main one: builds snapshots, listens, serves, leaves.

import { setTimeout as sleep } from 'node:timers/promises';
import { headline } from '../config/errors.ts';
import { BundleFiles } from '../config/files.ts';
import type { ErrorLog } from '../diagnostics/error-log.ts';
import type { LogFiles } from '../diagnostics/log-files.ts';
import { ListeningSockets } from '../listen/sockets.ts';
import type { Snapshot } from '../snapshot.ts';
import type { ZoneDirectory } from '../zones/zone-directory.ts';
import type { Engine, GatewayContext, Plan, WorkerGateway } from './engine.ts';

export interface WorkerCoreOptions extends Omit<GatewayContext, 'flushLogs'> {
  readonly engine: Engine;
  readonly logFiles: LogFiles;
  readonly zones: ZoneDirectory;
  /** Waits for the rights to listen; see ListeningSockets. */
  readonly permit: () => Promise<() => void>;
}

/** nginx's lines of a worker that leaves, each at [notice]. */
const LEAVING = ['exiting', 'exit'] as const;

/** What was cut is closed and logged within this time, or not at all. */
const STOP_MOST_MS = 500;

export class WorkerCore {
  readonly #options: WorkerCoreOptions;
  readonly #gateway: WorkerGateway;
  readonly #sockets: ListeningSockets;
  #current: Snapshot | undefined = undefined;
  #prepared: Snapshot | undefined = undefined;
  #opening: Promise<void> = Promise.resolve();

  constructor(options: WorkerCoreOptions) {
    this.#options = options;
    const { engine, worker, secrets, connectionNumbers, logFiles, permit } = options;
    const flushLogs = (): void => logFiles.flushTurn();
    this.#gateway = engine.createGateway({ worker, secrets, connectionNumbers, flushLogs });
    this.#sockets = new ListeningSockets({
      accept: (key, socket) => this.#gateway.accept(key, socket),
      inUse: () => this.#gateway.connections + this.#gateway.tunnels,
      log: () => this.log,
      permit,
      takesUnix: worker === 0,
    });
  }

  /** The error log of the configuration in use. */
  get log(): ErrorLog {
    return this.#current?.errorLog ?? NO_LOG;
  }

  /** Builds the snapshot and keeps it for `commit`; nothing that is served changes. @throws where it cannot be built */
  async prepare({ source, bundle }: Plan): Promise<void> {
    this.#prepared = undefined;
    const { engine, logFiles, zones, worker, secrets } = this.#options;
    const files = new BundleFiles(bundle);
    const { snapshot, problems } = await engine.load({ ...source, files, logFiles, zones, worker, secrets });
    if (snapshot === undefined) throw new Error(problems.all.map(headline).join('; '));
    this.#prepared = snapshot;
  }

  /**
   * Serves by the prepared snapshot: at once, and on its addresses once they are open.
   * @param retired called when nothing uses this snapshot any more
   * @throws ListenError where an address cannot be opened; the others are
   */
  async commit(retired: () => void): Promise<void> {
    const snapshot = this.#prepared;
    if (snapshot === undefined) throw new Error('nothing was prepared');
    this.#prepared = undefined;
    const before = this.#current;
    this.#current = snapshot;
    this.#sockets.workerConnections = snapshot.core.workerConnections;
    before?.errorLog.write('notice', 'gracefully shutting down');
    this.#gateway.apply(snapshot, () => void this.#retire(snapshot, retired));
    this.#opening = this.#sockets.open(snapshot.listeners);
    await this.#opening.finally(() => this.#sockets.closeOthers(snapshot.listeners));
  }

  /** Who waits for the old configuration to go expects the new one to be there. */
  async #retire(snapshot: Snapshot, retired: () => void): Promise<void> {
    await this.#opening.catch(() => {});
    this.#sayLeaving(snapshot.errorLog);
    retired();
  }

  /** No new connections; what runs is finished. @param timeout `worker_shutdown_timeout`: ms, 0 waits as long as it takes */
  quit(timeout: number): Promise<void> {
    this.log.write('notice', 'gracefully shutting down');
    this.#sockets.close();
    return new Promise((resolve) => {
      this.#gateway.quit(timeout, () => {
        this.#leave();
        resolve();
      });
    });
  }

  /** Everything ends now. */
  async stop(): Promise<void> {
    this.#sockets.close();
    const left = new Promise<void>((resolve) => this.#gateway.stop(resolve));
    await Promise.race([left, sleep(STOP_MOST_MS, undefined, { ref: false })]);
    this.#leave();
  }

  #leave(): void {
    this.#sayLeaving(this.log);
    this.#options.logFiles.flush();
  }

  #sayLeaving(log: ErrorLog): void {
    for (const line of LEAVING) log.write('notice', line);
  }
}

const NO_LOG: ErrorLog = { enabled: () => false, write: () => {} };
