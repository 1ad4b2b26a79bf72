// A configuration as text, running: loaded as the command loads it, served by a gateway in this process, on ports that the system chose.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DiskFiles } from '../../src/config/files.ts';
import { LogFiles } from '../../src/diagnostics/log-files.ts';
import { Gateway } from '../../src/gateway.ts';
import type { ListenSettings } from '../../src/listen/listen-settings.ts';
import { loadSnapshot } from '../../src/load-snapshot.ts';
import type { Snapshot } from '../../src/snapshot.ts';
import { ZoneDirectory } from '../../src/zones/zone-directory.ts';

export interface ConfigWish {
  /** What stands in `http`. Addresses to listen on are names here: `listen 127.0.0.1:8080` is reached at `port('127.0.0.1:8080')`. */
  readonly http: string;
  /** What stands before it. Default: `error_log logs/error.log info;`, which is there wherever this has no error_log of its own. */
  readonly main?: string;
  /** More files of the prefix, by relative path. `html/` and `logs/` are there. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
}

/** To be stopped by whoever started it. @throws {Error} with all that is said of a configuration that is refused */
export async function gatewayFromConfig(wish: ConfigWish): Promise<RunningGateway> {
  const prefix = makePrefix(wish);
  const logFiles = new LogFiles();
  const { snapshot, problems } = await loadSnapshot({
    configFile: join(prefix, 'nginx.conf'),
    prefix: `${prefix}/`,
    globals: '',
    errorLogPath: join(prefix, 'logs/error.log'),
    files: new DiskFiles(),
    logFiles,
    zones: ZoneDirectory.create(),
    worker: 0,
    secrets: { ticketKeys: Buffer.alloc(48, 1), stickyKey: Buffer.alloc(32, 2) },
  });
  if (snapshot === undefined) {
    rmSync(prefix, { recursive: true });
    throw new Error(problems.toString());
  }
  logFiles.open([...snapshot.logFiles, ...snapshot.core.errorLogs.map(({ path }) => path)]);
  const running = new RunningGateway(prefix, snapshot, logFiles, problems.headlines);
  await running.listen();
  return running;
}

function makePrefix({ http, main = '', files = {} }: ConfigWish): string {
  const prefix = mkdtempSync(join(tmpdir(), 'sockgate-'));
  const ownLog = main.includes('error_log') ? '' : 'error_log logs/error.log info;';
  const conf = `${main}\n${ownLog}\nevents {}\nhttp {\n${http}\n}\n`;
  for (const folder of ['html', 'logs']) mkdirSync(join(prefix, folder));
  for (const [path, content] of Object.entries({ 'nginx.conf': conf, ...files })) {
    const whole = join(prefix, path);
    mkdirSync(dirname(whole), { recursive: true });
    writeFileSync(whole, content);
  }
  return prefix;
}

export class RunningGateway {
  readonly prefix: string;
  /** What was said of the configuration. */
  readonly warnings: readonly string[];
  readonly #snapshot: Snapshot;
  readonly #logFiles: LogFiles;
  readonly #gateway: Gateway;
  readonly #servers = new Map<string, Server>();

  constructor(prefix: string, snapshot: Snapshot, logFiles: LogFiles, warnings: readonly string[]) {
    this.prefix = prefix;
    this.warnings = warnings;
    this.#snapshot = snapshot;
    this.#logFiles = logFiles;
    this.#gateway = new Gateway({ connectionNumbers: new Int32Array(new SharedArrayBuffer(4)) });
    this.#gateway.apply(snapshot, () => {});
  }

  /** Opens a port for each address of the configuration. */
  async listen(): Promise<void> {
    for (const { address } of this.#snapshot.listeners) {
      const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) =>
        this.#gateway.accept(address.key, socket),
      );
      this.#servers.set(address.key, server);
      await new Promise<void>((resolve) => {
        if (address.kind === 'unix') server.listen(address.path, resolve);
        else server.listen(0, '127.0.0.1', resolve);
      });
    }
  }

  /** Closes everything and removes the prefix. */
  stop(): void {
    this.#gateway.stop();
    for (const server of this.#servers.values()) server.close();
    rmSync(this.prefix, { recursive: true, force: true });
  }

  /** The port of an address as the configuration names it; by default the first one. */
  port(address = this.#snapshot.listeners[0]?.address.key ?? ''): number {
    const server = this.#servers.get(address);
    if (server === undefined) throw new Error(`the configuration does not listen on ${address}`);
    return (server.address() as AddressInfo).port;
  }

  /** Resolves once all connections to an address have been closed by us: what clients do with theirs is not looked at. */
  async untilAllClosed(address = this.#snapshot.listeners[0]?.address.key ?? ''): Promise<void> {
    const server = this.#servers.get(address);
    const count = (): Promise<number> =>
      new Promise((resolve) => {
        if (server === undefined) resolve(0);
        else server.getConnections((_error, open) => resolve(open));
      });
    while ((await count()) > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /** What was made of an address of the configuration. */
  listener(address: string): ListenSettings {
    const found = this.#snapshot.listeners.find(({ address: { key } }) => key === address);
    if (found === undefined) throw new Error(`the configuration does not listen on ${address}`);
    return found;
  }

  /** A file of the prefix as a byte string; '' where there is none. */
  read(path: string): string {
    try {
      return readFileSync(join(this.prefix, path), 'latin1');
    } catch {
      return '';
    }
  }

  /** The lines of a log, without their end; of the error log by default. */
  lines(path = 'logs/error.log'): string[] {
    return this.read(path)
      .split('\n')
      .filter((line) => line !== '');
  }

  /** Writes what buffered logs hold back. */
  flushLogs(): void {
    this.#logFiles.flush();
  }
}
