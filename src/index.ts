// The TypeScript API: a gateway inside your own process, by an nginx configuration.

import { closeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { headline, type Problem } from './config/errors.ts';
import { DiskFiles, type FileBundle, type Files } from './config/files.ts';
import type { ErrorLog, Level } from './diagnostics/error-log.ts';
import { checkAddresses } from './lifecycle/bind-check.ts';
import { logPaths } from './lifecycle/configuration.ts';
import type { ConfigurationSource, GatewayContext, WorkerGateway } from './lifecycle/engine.ts';
import { createLogFiles } from './lifecycle/log-faults.ts';
import { createSecrets } from './lifecycle/secrets.ts';
import { engine } from './lifecycle/sockgate-engine.ts';
import { WorkerCore } from './lifecycle/worker-core.ts';
import type { ListenSettings } from './listen/listen-settings.ts';
import { removeSocket, unixPaths } from './listen/unix-sockets.ts';
import type { Snapshot } from './snapshot.ts';
import { ZoneDirectory } from './zones/zone-directory.ts';

export { VERSION } from './version.ts';

export interface GatewayOptions {
  /** The configuration file, relative to `prefix`. Default: `nginx.conf`. */
  readonly configFile?: string;
  /**
   * The configuration itself: `configFile` is not read then, but what is relative to it (`include`, certificates) still begins at its
   * folder, and messages bear its name.
   */
  readonly configText?: string;
  /** Where relative paths of logs, roots and so on begin, as with `sockgate -p`. Default: the folder of `configFile`. */
  readonly prefix?: string;
  /** Directives before those of the configuration, as with `sockgate -g`. Default: none. */
  readonly globals?: string;
  /** Where errors go if the configuration has no `error_log`: a path relative to `prefix`, or `stderr`, the default. */
  readonly errorLog?: string;
}

/** An address that the gateway listens on. */
export interface GatewayAddress {
  /** As nginx writes it: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/sockgate.sock`. */
  readonly text: string;
  /** Whether connections begin with a TLS handshake: https and wss. */
  readonly tls: boolean;
  /** Undefined where it is a `unix:` address. */
  readonly host: string | undefined;
  readonly port: number | undefined;
}

export interface RunningGateway {
  /** Where it listens, in the order of the configuration. */
  readonly addresses: readonly GatewayAddress[];
  /**
   * Reads the configuration again and serves by it; no connection and no tunnel notices. One reload waits for the one before.
   * @param configText the new text, where the gateway was started by `configText`; default: the same text as before
   * @returns what the configuration was warned of. @throws GatewayError where the new one cannot be used; the old one goes on then
   */
  reload(configText?: string): Promise<readonly GatewayProblem[]>;
  /**
   * Takes no new connections, lets what runs finish, asks WebSockets to go at the rate of `websocket_drain_rate`, and is done when nothing is left.
   * @param timeout ms after which what is still open is closed, WebSockets with 1001; 0: never. Default: `worker_shutdown_timeout`
   */
  quit(timeout?: number): Promise<void>;
  /** Closes everything now. */
  stop(): Promise<void>;
}

/** One thing that is wrong with a configuration, or doubtful. */
export interface GatewayProblem {
  readonly level: 'emerg' | 'crit' | 'warn' | 'notice';
  /** nginx's sentence with the place: `unknown directive "x" in /etc/nginx.conf:3`. */
  readonly message: string;
  readonly file: string | undefined;
  /** From 1, as `column` is. */
  readonly line: number | undefined;
  readonly column: number | undefined;
}

/** Why a gateway could not start, or not take its new configuration: the configuration, a log file, or an address. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: 'ERR_CONFIGURATION' | 'ERR_LOG_FILE' | 'ERR_LISTEN';
  /** All mistakes and warnings of the configuration, where `code` is `ERR_CONFIGURATION`. */
  readonly problems: readonly GatewayProblem[];

  constructor(code: GatewayError['code'], message: string, problems: readonly GatewayProblem[] = []) {
    super(message);
    this.code = code;
    this.problems = problems;
  }
}

/**
 * Starts a gateway in this process and thread, and waits until it listens on every address. As with nginx's `master_process off`
 * there are no workers, and what concerns a whole process is left to yours: `daemon`, `pid`, `user`, `worker_processes` and
 * `worker_rlimit_nofile` are checked and have no effect, and no signal is listened to.
 * @throws GatewayError
 */
export async function startGateway(options: GatewayOptions = {}): Promise<RunningGateway> {
  const gateway = new EmbeddedGateway(options);
  await gateway.start();
  return gateway;
}

/** A configuration in use. */
interface Current {
  readonly snapshot: Snapshot;
  /** Its number in the zone directory. */
  readonly number: number;
}

/** Found good, but nothing of it is open yet. */
interface Draft extends Current {
  readonly bundle: FileBundle;
  readonly problems: readonly GatewayProblem[];
}

class EmbeddedGateway implements RunningGateway {
  readonly #source: ConfigurationSource;
  readonly #logFiles = createLogFiles({ log: () => this.#core.log, perTurn: true });
  readonly #zones = ZoneDirectory.create();
  readonly #secrets = createSecrets();
  readonly #core: WorkerCore;
  /** What runs in the core: it knows when nothing is left. */
  #gateway: WorkerGateway | undefined = undefined;
  readonly #flushLogs = (): void => this.#logFiles.flush();
  #configText: string | undefined;
  #current: Current | undefined = undefined;
  #leaving = false;
  /** Fulfilled when nothing is left, once it was told to leave. */
  #left: Promise<void> | undefined = undefined;
  /** The latest reload, after which the next one begins. */
  #reloading: Promise<unknown> = Promise.resolve();

  constructor(options: GatewayOptions) {
    this.#source = findSource(options);
    this.#configText = options.configText;
    this.#core = new WorkerCore({
      engine: { ...engine, createGateway: (context) => this.#createGateway(context) },
      worker: 0,
      secrets: this.#secrets,
      connectionNumbers: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
      logFiles: this.#logFiles,
      zones: this.#zones,
      permit: async () => () => {},
    });
  }

  #createGateway(context: GatewayContext): WorkerGateway {
    this.#gateway = engine.createGateway(context);
    return this.#gateway;
  }

  get addresses(): readonly GatewayAddress[] {
    return (this.#current?.snapshot.listeners ?? []).map(describeAddress);
  }

  async start(): Promise<void> {
    await engine.prepare?.();
    try {
      await this.#take(await this.#read(this.#configText));
    } catch (error) {
      await this.stop();
      throw error;
    }
    process.on('exit', this.#flushLogs);
  }

  reload(configText = this.#configText): Promise<readonly GatewayProblem[]> {
    const reloaded = this.#reloading.then(() => this.#reload(configText));
    this.#reloading = reloaded.catch(() => {});
    return reloaded;
  }

  async quit(timeout = this.#current?.snapshot.core.workerShutdownTimeout ?? 0): Promise<void> {
    this.#leave();
    this.#left ??= this.#core.quit(timeout);
    await this.#left;
    this.#end();
  }

  async stop(): Promise<void> {
    this.#leave();
    // A graceful end that is under way is cut short; who waits for that one is told too.
    await this.#core.stop();
    this.#end();
  }

  async #reload(configText: string | undefined): Promise<readonly GatewayProblem[]> {
    const draft = await this.#read(configText);
    if (this.#leaving) {
      this.#zones.endConfiguration(draft.number);
      throw new Error('the gateway is about to end');
    }
    const before = this.#current;
    await this.#take(draft);
    this.#configText = configText;
    if (before !== undefined) this.#letGo(before.snapshot, draft.snapshot);
    return draft.problems;
  }

  /** @throws GatewayError */
  async #read(configText: string | undefined): Promise<Draft> {
    const number = this.#zones.beginConfiguration();
    const files = new TextAndDisk(this.#source.configFile, configText);
    const [logFiles, zones, secrets] = [this.#logFiles, this.#zones, this.#secrets];
    const { snapshot, problems } = await engine.load({ ...this.#source, files, logFiles, zones, worker: -1, secrets });
    if (snapshot !== undefined)
      return { snapshot, number, bundle: files.bundle(), problems: problems.all.map(describeProblem) };
    this.#zones.endConfiguration(number);
    throw new GatewayError('ERR_CONFIGURATION', problems.toString().trimEnd(), problems.all.map(describeProblem));
  }

  /** Serves by it. Where that is not possible, nothing has changed. @throws GatewayError */
  async #take(draft: Draft): Promise<void> {
    try {
      await this.#open(draft);
    } catch (error) {
      this.#zones.endConfiguration(draft.number);
      throw error;
    }
    this.#current = draft;
    for (const { level, message } of draft.problems) draft.snapshot.errorLog.write(level, message);
  }

  async #open({ snapshot, bundle, number }: Draft): Promise<void> {
    const [source, zones, logFiles] = [this.#source, this.#zones, this.#logFiles];
    try {
      logFiles.open(logPaths(snapshot));
    } catch (error) {
      throw new GatewayError('ERR_LOG_FILE', (error as Error).message);
    }
    await this.#expectFreeAddresses(snapshot);
    await this.#core.prepare({ source, bundle, logs: logFiles.descriptors(), zones: zones.state() });
    try {
      await this.#core.commit(() => zones.endConfiguration(number));
    } catch (error) {
      throw new GatewayError('ERR_LISTEN', (error as Error).message);
    }
  }

  /** Sockets are opened so that they can be shared: without this another gateway on the same port would not be noticed. */
  async #expectFreeAddresses({ listeners }: Snapshot): Promise<void> {
    const own = (this.#current?.snapshot.listeners ?? []).map(({ address }) => address);
    const known = new Set(own.map(({ key }) => key));
    const fresh = listeners.map(({ address }) => address).filter(({ key }) => !known.has(key));
    const complaints = new Complaints();
    if (!(await checkAddresses(fresh, { log: complaints, own })))
      throw new GatewayError('ERR_LISTEN', [...complaints.messages].join('; '));
  }

  #letGo(before: Snapshot, after: Snapshot): void {
    const kept = new Set(unixPaths(after.listeners));
    unixPaths(before.listeners)
      .filter((path) => !kept.has(path))
      .forEach(removeSocket);
    // There is no other thread that could still write to them.
    this.#logFiles.forget(logPaths(after)).close();
  }

  /** Paths are removed while they are still listened on: afterwards they could be another program's. */
  #leave(): void {
    if (!this.#leaving && this.#current !== undefined)
      unixPaths(this.#current.snapshot.listeners).forEach(removeSocket);
    this.#leaving = true;
  }

  #end(): void {
    process.off('exit', this.#flushLogs);
    const open = this.#logFiles.descriptors();
    this.#logFiles.adopt(new Map());
    for (const descriptor of open.values()) if (descriptor > STDERR_NUMBER) closeSync(descriptor);
  }
}

const STDERR_NUMBER = 2;

function findSource({ configFile = 'nginx.conf', prefix, globals = '', errorLog }: GatewayOptions) {
  const file = resolve(prefix ?? '', configFile);
  const folder = prefix === undefined ? dirname(file) : resolve(prefix);
  return {
    configFile: file,
    prefix: folder === '/' ? folder : `${folder}/`,
    globals,
    errorLogPath: errorLog === undefined || errorLog === 'stderr' ? 'stderr' : resolve(folder, errorLog),
  };
}

/** The disk, but for the one file whose text was given. */
class TextAndDisk implements Files {
  readonly #disk = new DiskFiles();
  readonly #path: string;
  readonly #text: Buffer | undefined;

  constructor(path: string, text: string | undefined) {
    this.#path = path;
    this.#text = text === undefined ? undefined : Buffer.from(text);
  }

  read(path: string): Buffer {
    return this.#text !== undefined && path === this.#path ? this.#text : this.#disk.read(path);
  }

  glob(pattern: string): readonly string[] {
    return this.#disk.glob(pattern);
  }

  exists(path: string): boolean {
    return this.#disk.exists(path);
  }

  lookUp(host: string): readonly string[] | undefined {
    return this.#disk.lookUp(host);
  }

  lookUpAsked(): Promise<boolean> {
    return this.#disk.lookUpAsked();
  }

  bundle(): FileBundle {
    const bundle = this.#disk.bundle();
    if (this.#text === undefined) return bundle;
    return { ...bundle, reads: new Map([...bundle.reads, [this.#path, this.#text]]) };
  }
}

/** Keeps what would refuse an address, each sentence once, however often it was tried. */
class Complaints implements ErrorLog {
  readonly messages = new Set<string>();

  enabled(level: Level): boolean {
    return level === 'emerg';
  }

  write(level: Level, message: string): void {
    if (this.enabled(level)) this.messages.add(message);
  }
}

function describeAddress({ address, ssl }: ListenSettings): GatewayAddress {
  const { host, port } = address.kind === 'tcp' ? address : { host: undefined, port: undefined };
  return { text: address.key, tls: ssl, host, port };
}

function describeProblem(problem: Problem): GatewayProblem {
  const place = problem.noticed ?? problem.at;
  return {
    level: problem.level,
    message: headline(problem),
    file: place?.source.file,
    line: place?.line,
    column: problem.at?.column,
  };
}
