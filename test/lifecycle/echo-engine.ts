// An engine for tests of the lifecycle: a TCP server that answers lines, and can be told to hang, to fail and to hold on to its snapshot.

import { existsSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { Problems } from '../../src/config/errors.ts';
import { ErrorLogFile } from '../../src/diagnostics/error-log-file.ts';
import type { Engine, Loaded, LoadRequest, WorkerGateway } from '../../src/lifecycle/engine.ts';
import type { ListenAddress, ListenSettings } from '../../src/listen/listen-settings.ts';
import type { CoreSettings, Snapshot } from '../../src/snapshot.ts';
import { TunnelCounts } from '../../src/websocket/tunnel-counts.ts';
import { ConnectionCounts } from '../../src/zones/connection-counts.ts';
import type { Row } from '../../src/zones/shared-rows.ts';
import { until } from '../support/until.ts';

/** The configuration file is this, as JSON. */
export interface EchoConfig {
  /** What the command `label` answers. */
  readonly label: string;
  /** Ports of 127.0.0.1, and paths. */
  readonly listen: readonly (number | string)[];
  readonly core?: Partial<CoreSettings>;
  readonly accessLog?: string;
  /** The loader fails only in this worker. */
  readonly failsInWorker?: number;
  /** ms that the loader keeps the event loop busy. */
  readonly loadingTime?: number;
  /** The loader does not go on before this file is there, and says by another one, `…-awaited`, that it has come so far. */
  readonly loadsAfter?: string;
}

interface EchoSnapshot extends Snapshot {
  readonly label: string;
  readonly counter: Row;
  readonly logLine: (line: string) => void;
}

const COUNTER = { shared: 0, perWorker: 1 };

export const engine: Engine = {
  async load(request) {
    const problems = new Problems();
    const config = problems.attempt(() => readConfig(request, problems));
    if (config?.loadsAfter !== undefined) await comingOf(config.loadsAfter);
    const snapshot = config === undefined || problems.failed ? undefined : buildSnapshot(config, request);
    return { snapshot, problems, fileNames: [request.configFile] } satisfies Loaded;
  },
  createGateway: ({ worker, connectionNumbers }) => new EchoGateway(worker, connectionNumbers),
};

function readConfig({ files, configFile, worker }: LoadRequest, problems: Problems): EchoConfig | undefined {
  let config: EchoConfig;
  try {
    config = JSON.parse(files.read(configFile).toString()) as EchoConfig;
  } catch (error) {
    problems.error((error as Error).message);
    return undefined;
  }
  const end = performance.now() + (config.loadingTime ?? 0);
  while (performance.now() < end);
  if (config.failsInWorker === worker) problems.error(`worker ${worker} is not able`);
  return config;
}

async function comingOf(path: string): Promise<void> {
  if (!existsSync(path)) writeFileSync(`${path}-awaited`, '');
  await until(`${path} to be there`, () => existsSync(path));
}

function buildSnapshot(config: EchoConfig, { prefix, logFiles, zones }: LoadRequest): EchoSnapshot {
  const errorLog = `${prefix}logs/error.log`;
  const accessLog = config.accessLog === undefined ? undefined : prefix + config.accessLog;
  return {
    label: config.label,
    core: {
      daemon: false,
      masterProcess: true,
      pidFile: `${prefix}logs/nginx.pid`,
      user: undefined,
      workerProcesses: 1,
      workerConnections: 512,
      workerRlimitNofile: undefined,
      workerShutdownTimeout: 0,
      errorLogs: [{ path: errorLog, level: 'debug' }],
      ...config.core,
    },
    errorLog: new ErrorLogFile([{ file: logFiles.file(errorLog), level: 'debug' }]),
    tempFolders: new Map(),
    logFiles: accessLog === undefined ? [] : [accessLog],
    listeners: config.listen.map((where) => listenerAt(where)),
    upstreams: new Map(),
    healthChecks: [],
    drainRate: 1,
    proxied: new Map(),
    connectionCounts: ConnectionCounts.alone(),
    tunnelCounts: TunnelCounts.alone(),
    use: { count: 0, retired: undefined },
    counter: zones.row('counters', COUNTER, 'tickets'),
    logLine: (line) => (accessLog === undefined ? undefined : logFiles.file(accessLog).write(line)),
  };
}

function listenerAt(where: number | string): ListenSettings {
  const address: ListenAddress =
    typeof where === 'string'
      ? { key: `unix:${where}`, kind: 'unix', path: where }
      : { key: `127.0.0.1:${where}`, kind: 'tcp', host: '127.0.0.1', port: where, ipv6Only: true };
  const options = { backlog: 511, soKeepalive: undefined };
  return { address, options } as ListenSettings;
}

class EchoGateway implements WorkerGateway {
  readonly tunnels = 0;
  readonly #worker: number;
  readonly #numbers: Int32Array;
  readonly #sockets = new Set<Socket>();
  #snapshot: EchoSnapshot | undefined = undefined;
  #retired: () => void = () => {};
  #left: (() => void) | undefined = undefined;

  constructor(worker: number, numbers: Int32Array) {
    this.#worker = worker;
    this.#numbers = numbers;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  apply(snapshot: Snapshot, retired: () => void): void {
    const [old, oldRetired] = [this.#snapshot, this.#retired];
    this.#snapshot = snapshot as EchoSnapshot;
    this.#retired = retired;
    if (old === undefined) return;
    if (old.use.count === 0) oldRetired();
    else old.use.retired = oldRetired;
  }

  accept(_addressKey: string, socket: Socket): void {
    Atomics.add(this.#numbers, 0, 1);
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (this.#sockets.size === 0) this.#left?.();
    });
    const held: EchoSnapshot[] = [];
    createInterface({ input: socket }).on('line', (line) => socket.write(`${this.#answer(line, held)}\n`));
    socket.on('end', () => socket.end());
    socket.resume();
  }

  quit(shutdownTimeout: number, left: () => void): void {
    this.#left = left;
    if (this.#sockets.size === 0) left();
    if (shutdownTimeout > 0) setTimeout(() => this.stop(), shutdownTimeout);
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** What a line asks for. @param held snapshots that this connection keeps from retiring */
  #answer(line: string, held: EchoSnapshot[]): string | number {
    const snapshot = this.#snapshot as EchoSnapshot;
    switch (line) {
      case 'label':
        return snapshot.label;
      case 'worker':
        return this.#worker;
      case 'user':
        return process.geteuid?.() ?? -1;
      case 'connections':
        return Atomics.load(this.#numbers, 0);
      case 'take':
        snapshot.counter.addOwn(0, 1);
        return snapshot.counter.total(0);
      case 'taken':
        return snapshot.counter.total(0);
      case 'hold':
        snapshot.use.count++;
        held.push(snapshot);
        return 'held';
      case 'release':
        for (const { use } of held.splice(0)) if (--use.count === 0) use.retired?.();
        return 'released';
      case 'throw':
        setImmediate(() => {
          throw new Error('thrown on demand');
        });
        return 'thrown';
      case 'throw for ever':
        throwForEver();
        return 'thrown';
      case 'hang':
        setImmediate(() => {
          for (;;);
        });
        return 'hanging';
      case 'die':
        setImmediate(() => process.exit(3));
        return 'dying';
      default:
        snapshot.logLine(line);
        return line;
    }
  }
}

function throwForEver(): void {
  setImmediate(throwForEver);
  throw new Error('thrown again');
}
