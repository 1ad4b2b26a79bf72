// Child processes of the benchmark: pinned to a core, spoken to by lines, and never left behind.

import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** How much of a child's standard error is kept to explain its failure, in characters. */
const COMPLAINT_MOST = 4000;

const running = new Set<Child>();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const [signal, status] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const, ['SIGHUP', 129] as const]) {
  process.on(signal, () => process.exit(status));
}

/** The path of a program, also in the folders where servers stand that are not on every user's PATH. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** What a program prints when asked for its version; undefined when it cannot be run. */
export function firstLineOf(program: string, argument: string): string | undefined {
  const { status, stdout, stderr } = spawnSync(program, [argument], { encoding: 'utf8', timeout: 10_000 });
  return status === 0 ? `${stdout}${stderr}`.trim().split('\n')[0] : undefined;
}

const taskset = findProgram('taskset');

/** Whether children can be pinned to a core here. */
export const canPin = taskset !== undefined;

/** One child, in a process group of its own, so that its own children go when it goes. */
export class Child {
  readonly pid: number;
  /** What it said on standard error, its end. */
  complaint = '';
  exitCode: number | undefined;
  readonly exited: Promise<void>;
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  #text = '';
  #heard: () => void = () => {};

  /** Throws when the program cannot be started. `core` pins it there, where the machine can. */
  constructor(command: readonly string[], core?: number, environment: NodeJS.ProcessEnv = {}) {
    const pinned = core !== undefined && taskset !== undefined ? [taskset, '-c', String(core), ...command] : command;
    const [program = '', ...rest] = pinned;
    const env = { ...process.env, ...environment };
    this.#process = spawn(program, rest, { env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    this.pid = this.#process.pid ?? 0;
    if (this.pid === 0) {
      this.#process.on('error', () => {});
      throw new Error(`cannot start ${program}`);
    }
    running.add(this);
    this.exited = new Promise((resolve) => this.#process.once('close', resolve)).then(() => this.#gone());
    this.#process.on('error', () => {});
    this.#process.stdin.on('error', () => {});
    this.#process.stdout.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    this.#process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.complaint = (this.complaint + text).slice(-COMPLAINT_MOST);
    });
  }

  #hear(text: string): void {
    this.#text = (this.#text + text).slice(-COMPLAINT_MOST);
    this.#heard();
  }

  #gone(): void {
    this.exitCode = this.#process.exitCode ?? 1;
    running.delete(this);
    this.#heard();
  }

  say(line: string): void {
    this.#process.stdin.write(`${line}\n`);
  }

  /** The next line of its standard output, read as JSON. Throws when it exits, or says nothing for that long. */
  async answer(milliseconds: number): Promise<unknown> {
    const deadline = Date.now() + milliseconds;
    while (!this.#text.includes('\n')) {
      if (this.exitCode !== undefined) throw new Error(this.complaint.trim() || `exited with ${this.exitCode}`);
      if (Date.now() >= deadline) throw new Error(`said nothing for ${milliseconds / 1000} s`);
      await this.#wake(Math.max(1, deadline - Date.now()));
    }
    const end = this.#text.indexOf('\n');
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return JSON.parse(line);
  }

  #wake(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#heard = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  kill(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal);
    } catch {
      // It had already gone.
    }
  }

  /** Ends it and all that it started: asked first, forced after two seconds. */
  async stop(): Promise<void> {
    this.kill('SIGTERM');
    const forced = setTimeout(() => this.kill('SIGKILL'), 2000);
    await this.exited;
    clearTimeout(forced);
    this.kill('SIGKILL');
  }
}
