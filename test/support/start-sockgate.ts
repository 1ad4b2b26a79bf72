// Runs the real command as a process of its own, with a configuration in a folder of its own; nothing of it outlives the test.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from './temporary-folder.ts';
import { until } from './until.ts';

export interface SockgateOptions {
  /** nginx.conf. `daemon off`, `pid` and `error_log … debug` are put before it, unless `bare`. */
  readonly conf: string;
  readonly bare?: boolean;
  /** More files of the prefix, by relative path. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
  /** More arguments. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What is run: a file for Node. Default: the command, from source; SOCKGATE_ENTRY names another one. */
  readonly entry?: string;
  /** Do not wait for the pid file: it may not start at all. */
  readonly mayFail?: boolean;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const COMMAND = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

const GLOBALS = 'daemon off;\npid logs/nginx.pid;\nerror_log logs/error.log debug;\n';

/** Made by `startSockgate` or, without running anything yet, by `prepareSockgate`. */
export class Sockgate {
  readonly prefix: string;
  readonly #options: SockgateOptions;
  readonly #children: ChildProcess[] = [];
  #stderr = '';

  constructor(t: TestContext, options: SockgateOptions) {
    this.#options = options;
    // Before the folder is removed: who still writes into it keeps it from being empty.
    t.after(() => this.#killAll());
    this.prefix = temporaryFolder(t, { 'logs/': '', 'nginx.conf': this.#whole(options.conf), ...options.files });
    // Workers that are not root must be able to enter it.
    chmodSync(this.prefix, 0o755);
  }

  /** What the started process has written to its standard error output so far. */
  get stderr(): string {
    return this.#stderr;
  }

  get pid(): number {
    return Number(this.read('logs/nginx.pid'));
  }

  /** Starts the gateway; see `mayFail`. */
  async start(): Promise<void> {
    const child = this.#spawn(this.#options.args ?? []);
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr += chunk;
    });
    if (this.#options.mayFail === true) return;
    await until(`a pid file; it says: ${this.#stderr}`, () => this.has('logs/nginx.pid') || child.exitCode !== null);
    if (child.exitCode !== null) throw new Error(`sockgate ended with code ${child.exitCode}: ${this.#stderr}`);
  }

  /** Runs the command once more in the same prefix, to its end. */
  async run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const child = this.#spawn(args);
    let [stdout, stderr] = ['', ''];
    child.stdout?.on('data', (chunk: Buffer) => {
      stdout += chunk;
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdout, stderr };
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** Ends it, gracefully or at once. @returns how it ended */
  async stop(name: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    const ended = this.exited();
    this.signal(name);
    return ended;
  }

  async exited(): Promise<Exit> {
    const child = this.#children[0] as ChildProcess;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return { code: child.exitCode, signal: child.signalCode };
  }

  /** Replaces nginx.conf, and does no more. @param globals stand before it, instead of the usual ones */
  configure(conf: string, globals?: string): void {
    writeFileSync(join(this.prefix, 'nginx.conf'), globals === undefined ? this.#whole(conf) : `${globals}\n${conf}`);
  }

  /** Replaces nginx.conf, sends HUP, and waits until the old configuration has gone from all workers. */
  async reload(conf: string, workers = 1): Promise<void> {
    const before = this.count(/exited with code 0/g);
    this.configure(conf);
    this.signal('SIGHUP');
    await this.logged(/exited with code 0/g, before + workers);
  }

  has(path: string): boolean {
    return existsSync(join(this.prefix, path));
  }

  /** A file of the prefix; '' where there is none. */
  read(path: string): string {
    return this.has(path) ? readFileSync(join(this.prefix, path), 'latin1') : '';
  }

  errorLog(): string {
    return this.read('logs/error.log');
  }

  count(pattern: RegExp): number {
    return [...this.errorLog().matchAll(pattern)].length;
  }

  /** Until the error log has so many of these. */
  async logged(pattern: RegExp, times = 1): Promise<void> {
    const global = new RegExp(pattern, 'g');
    await until(`${times} × ${pattern} in the error log:\n${this.errorLog()}`, () => this.count(global) >= times);
  }

  #whole(conf: string): string {
    return this.#options.bare === true ? conf : GLOBALS + conf;
  }

  #spawn(args: readonly string[]): ChildProcess {
    const entry = this.#options.entry ?? process.env['SOCKGATE_ENTRY'] ?? COMMAND;
    const env = { ...process.env, ...this.#options.env };
    const child = spawn(process.execPath, [entry, '-p', this.prefix, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.push(child);
    return child;
  }

  async #killAll(): Promise<void> {
    const { pid } = this;
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    // A daemon is nobody's child.
    if (pid > 0 && this.#children.every((child) => child.pid !== pid))
      await until('the daemon to end', () => isGone(pid));
  }
}

/** Kills a process, and tells whether there is nothing left to kill. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL');
    return false;
  } catch {
    return true;
  }
}

/** Starts it and waits until it listens. */
export async function startSockgate(t: TestContext, options: SockgateOptions): Promise<Sockgate> {
  const sockgate = new Sockgate(t, options);
  await sockgate.start();
  return sockgate;
}
