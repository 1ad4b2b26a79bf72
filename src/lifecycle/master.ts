// The main thread: starts the workers, keeps them alive, obeys the signals, and ends last.

import type { ErrorLog } from '../diagnostics/error-log.ts';
import type { LogFiles } from '../diagnostics/log-files.ts';
import { STDERR } from '../diagnostics/log-files.ts';
import { MirroredLog } from '../diagnostics/mirrored-log.ts';
import { removeSocket, unixPaths } from '../listen/unix-sockets.ts';
import type { CoreSettings } from '../snapshot.ts';
import { onOwnerFault } from '../transport/owner-fault.ts';
import { VERSION } from '../version.ts';
import type { ZoneDirectory } from '../zones/zone-directory.ts';
import { checkAddresses } from './bind-check.ts';
import type { Configuration, Configurations, Draft } from './configuration.ts';
import { Crew } from './crew.ts';
import type { Engine } from './engine.ts';
import { Faults } from './faults.ts';
import { fileLimit, setFileLimit } from './file-limit.ts';
import { LocalWorker } from './local-worker.ts';
import { OneAtATime } from './one-at-a-time.ts';
import { removePidFile, writePidFile } from './pid-file.ts';
import type { Privileges } from './privileges.ts';
import { reload } from './reload.ts';
import type { Secrets } from './secrets.ts';
import { onSignals, type Signalled } from './signals.ts';
import { ThreadWorker } from './thread-worker.ts';
import { WorkerCore } from './worker-core.ts';
import type { WorkerHandle } from './worker-handle.ts';

export interface MasterOptions {
  readonly engine: Engine;
  /** The URL of the module that exports `engine`: each worker thread loads it for itself. */
  readonly engineUrl: string;
  readonly configurations: Configurations;
  readonly logFiles: LogFiles;
  readonly zones: ZoneDirectory;
  readonly privileges: Privileges;
  readonly secrets: Secrets;
  /** Takes what is said while it starts, for whoever started it. */
  readonly print: (text: string) => void;
}

/** Why it could not start: has been said already, in the log and to whoever started it. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

type State = 'starting' | 'running' | 'quitting' | 'stopping' | 'over';

export class Master {
  readonly #options: MasterOptions;
  readonly #connectionNumbers = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  readonly #crew: Crew;
  readonly #reloads = new OneAtATime(() => this.#reload());
  readonly #reopenings = new OneAtATime(() => this.#reopen());
  readonly #ended: Promise<number>;
  #end: (code: number) => void = () => {};
  #state: State = 'starting';
  #log: ErrorLog = NO_LOG;
  #current: Configuration | undefined = undefined;
  #pidFile: string | undefined = undefined;

  constructor(options: MasterOptions) {
    this.#options = options;
    this.#crew = new Crew({
      hire: (index) => this.#hire(index),
      log: () => this.#log,
      died: (index) => options.zones.zeroColumn(index),
      gone: (configuration) => options.configurations.forget(configuration),
    });
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** The error log of the configuration in use. */
  get log(): ErrorLog {
    return this.#log;
  }

  /** The exit code, once all is over. */
  get ended(): Promise<number> {
    return this.#ended;
  }

  /**
   * Starts everything by a configuration that has been read. When this is done every address is open and the pid file is there;
   * unless it was told to stop meanwhile. @throws StartError
   */
  async start(draft: Draft): Promise<void> {
    onSignals((signalled) => this.#obey(signalled));
    process.on('exit', () => this.#tidyUp());
    const configuration = this.#try(() => this.#options.configurations.open(draft));
    const { snapshot } = configuration;
    this.#log = this.#mirrored(configuration);
    this.#current = configuration;
    this.#catchFaults();
    this.#log.write(
      'notice',
      `sockgate/${VERSION} (Node ${process.versions.node}, OpenSSL ${process.versions.openssl})`,
    );
    this.#try(() => this.#options.privileges.check(snapshot.core.user));
    this.#limitFiles(snapshot.core);
    await this.#startWorkers(configuration);
    if (this.#state !== 'starting') return;
    this.#try(() => this.#keepPidFile(snapshot.core.pidFile));
    this.#log = snapshot.errorLog;
    this.#state = 'running';
  }

  /** Does a step of the start; says what goes wrong with it. */
  #try<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      throw this.#cannotStart(error);
    }
  }

  #cannotStart(error: unknown): StartError {
    const { message } = error as Error;
    if (this.#log === NO_LOG) this.#options.print(`sockgate: [emerg] ${message}\n`);
    else this.#log.write('emerg', message);
    return new StartError(message);
  }

  /** Where the error log is the terminal itself, saying it twice helps nobody. */
  #mirrored({ snapshot }: Configuration): ErrorLog {
    const isTerminal = snapshot.core.errorLogs.some(({ path }) => path === STDERR);
    return isTerminal ? snapshot.errorLog : new MirroredLog(snapshot.errorLog, this.#options.print);
  }

  async #startWorkers(configuration: Configuration): Promise<void> {
    const { core, listeners } = configuration.snapshot;
    const addresses = listeners.map(({ address }) => address);
    if (!(await checkAddresses(addresses, { log: this.#log }))) throw new StartError('no address to listen on');
    if (this.#state !== 'starting') return;
    this.#try(() => this.#options.privileges.become(core.user));
    const count = core.masterProcess ? core.workerProcesses : 1;
    try {
      this.#options.zones.useWorkers(count);
      await this.#crew.start(count, configuration);
    } catch (error) {
      if (this.#state === 'starting') throw this.#cannotStart(error);
    }
  }

  #hire(index: number): WorkerHandle {
    const { engineUrl, engine, logFiles, zones, privileges, secrets } = this.#options;
    const born = { worker: index, secrets, connectionNumbers: this.#connectionNumbers };
    if (this.#current?.snapshot.core.masterProcess !== false)
      return new ThreadWorker({ ...born, engineUrl, privileges });
    const permit = async (): Promise<() => void> => privileges.raise();
    return new LocalWorker(new WorkerCore({ ...born, engine, logFiles, zones, permit }));
  }

  #catchFaults(): void {
    const faults = new Faults({ log: () => this.#log, giveUp: () => process.exit(1) });
    faults.catchAll();
    onOwnerFault((fault) => faults.note(fault));
  }

  #limitFiles({ workerRlimitNofile: wanted, workerConnections, workerProcesses }: CoreSettings): void {
    if (wanted !== undefined && wanted !== fileLimit()?.soft) {
      const failure = this.#options.privileges.asOwner(() => setFileLimit(wanted));
      if (failure !== undefined) this.#log.write('warn', failure);
    }
    const limit = fileLimit()?.soft ?? Number.POSITIVE_INFINITY;
    if (workerConnections * workerProcesses <= limit) return;
    const workers = workerProcesses === 1 ? '' : ` in ${workerProcesses} workers`;
    this.#log.write(
      'warn',
      `${workerConnections} worker_connections${workers} exceed open file resource limit: ${limit}`,
    );
  }

  /** Writes the pid file, and removes the one that was there under another name. @throws PidFileError */
  #keepPidFile(path: string): void {
    const old = this.#pidFile;
    if (path === old) return;
    this.#options.privileges.asOwner(() => {
      writePidFile(path);
      this.#pidFile = path;
      if (old !== undefined) removePidFile(old);
    });
  }

  #obey({ wish, level, message }: Signalled): void {
    this.#log.write(level, message);
    if (wish === 'stop') void this.#stop();
    else if (wish === 'quit') void this.#quit();
    else if (this.#state !== 'running') return;
    else if (wish === 'reload') this.#reloads.request();
    else if (wish === 'reopen') this.#reopenings.request();
  }

  async #reload(): Promise<void> {
    const current = this.#current;
    if (this.#state !== 'running' || current === undefined) return;
    const configuration = await reload({ ...this.#options, crew: this.#crew, log: this.#log, current });
    if (configuration === current) return;
    this.#current = configuration;
    this.#log = configuration.snapshot.errorLog;
    const kept = unixPaths(configuration.snapshot.listeners);
    this.#removeSockets(unixPaths(current.snapshot.listeners).filter((path) => !kept.includes(path)));
    this.#limitFiles(configuration.snapshot.core);
    this.#movePidFile(configuration.snapshot.core.pidFile);
  }

  #movePidFile(path: string): void {
    try {
      this.#keepPidFile(path);
    } catch (error) {
      this.#log.write('emerg', `${(error as Error).message}; the pid file stays "${this.#pidFile}"`);
    }
  }

  async #reopen(): Promise<void> {
    const { logFiles, privileges } = this.#options;
    this.#log.write('notice', 'reopening logs');
    const old = privileges.asOwner(() => logFiles.reopen());
    for (const failure of old.failures) this.#log.write('emerg', failure.message);
    await this.#crew.switchLogs(logFiles.descriptors());
    old.close();
  }

  async #stop(): Promise<void> {
    if (this.#state === 'stopping') return;
    this.#state = 'stopping';
    this.#removeAllSockets();
    await this.#crew.stop();
    this.#over();
  }

  async #quit(): Promise<void> {
    if (this.#state === 'starting') return this.#stop();
    if (this.#state !== 'running') return;
    this.#state = 'quitting';
    this.#removeAllSockets();
    await this.#crew.quit(this.#current?.snapshot.core.workerShutdownTimeout ?? 0);
    // A TERM that came meanwhile ends it by itself.
    if (this.#state === 'quitting') this.#over();
  }

  #over(): void {
    this.#state = 'over';
    this.#log.write('notice', 'exit');
    this.#end(0);
  }

  /** While they are still listened on: afterwards the path could be another program's. */
  #removeAllSockets(): void {
    if (this.#current !== undefined) this.#removeSockets(unixPaths(this.#current.snapshot.listeners));
  }

  #removeSockets(paths: readonly string[]): void {
    if (paths.length === 0) return;
    this.#options.privileges.asOwner(() => paths.forEach(removeSocket));
  }

  /** However the process ends, as long as it can do anything. */
  #tidyUp(): void {
    const pidFile = this.#pidFile;
    if (pidFile !== undefined) this.#options.privileges.asOwner(() => removePidFile(pidFile));
    this.#options.logFiles.flush();
  }
}

const NO_LOG: ErrorLog = { enabled: () => false, write: () => {} };
