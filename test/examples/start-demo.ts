// Runs the demo, as `npm start` does once it has built, on free ports and with a folder of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePorts } from '../support/free-port.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';

const START = join(import.meta.dirname, '../../examples/demo/start.ts');
/** Of its own: a peer that leaves its port for a while must find that no other demo has taken it. */
const PEERS = ['--peers', '0'];

export interface DemoEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One run of the demo's program. */
export class DemoRun {
  readonly process: ChildProcess;
  /** What it has said so far, on both outputs. */
  text = '';
  /** Fulfilled when it has ended and said all. */
  readonly ended: Promise<DemoEnd>;

  constructor(t: TestContext, args: readonly string[]) {
    this.process = spawn(process.execPath, [START, ...PEERS, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const output of [this.process.stdout, this.process.stderr]) {
      output?.on('data', (chunk: Buffer) => {
        this.text += chunk;
      });
    }
    this.ended = once(this.process, 'close').then(([code, signal]) => ({ code, signal }));
    t.after(async () => {
      this.process.kill('SIGKILL');
      await this.ended;
    });
  }

  async said(pattern: RegExp): Promise<void> {
    const { process } = this;
    const found = await until(
      `${pattern} from the demo`,
      () => pattern.test(this.text) || (process.exitCode !== null && 'ended'),
    );
    if (found === 'ended') throw new Error(`the demo ended with code ${process.exitCode}: ${this.text}`);
  }
}

export interface RunningDemo {
  readonly run: DemoRun;
  readonly http: number;
  readonly https: number;
  readonly files: string;
}

export async function startDemo(t: TestContext): Promise<RunningDemo> {
  const [http, https] = (await freePorts(2)) as [number, number];
  const folder = temporaryFolder(t, {});
  const files = join(folder, 'kept');
  const run = new DemoRun(t, ['--http', `${http}`, '--https', `${https}`, '--files', files]);
  await run.said(/Ctrl-C ends it/);
  return { run, http, https, files };
}
