// Runs one test file in a process group of its own, so that whatever it started can be ended with it.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import * as os from 'node:os';
import { join } from 'node:path';
import type { TestLine } from './test-reporter.ts';

export interface Failure {
  readonly name: string;
  readonly message: string;
}

export interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

export interface FileOutcome {
  readonly file: string;
  readonly passed: number;
  readonly failed: readonly Failure[];
  readonly leftOut: readonly LeftOut[];
  readonly seconds: number;
  /** What it wrote to its standard output and error, or the last of it. */
  readonly output: string;
}

const REPORTER = join(import.meta.dirname, 'test-reporter.ts');
const OUTPUT_MOST = 64 * 1024;

const running = new Set<ChildProcess>();

/** Ends every file that runs now, with all that it started. */
export function killRunningFiles(): void {
  for (const child of running) killGroup(child);
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody of the group is left.
  }
}

/**
 * @param file relative to `root`
 * @param timeoutMs after which it is killed, and counts as failed
 */
export async function runTestFile(root: string, file: string, timeoutMs: number): Promise<FileOutcome> {
  const folder = mkdtempSync(join(os.tmpdir(), 'sockgate-test-'));
  const linesFile = join(folder, 'lines');
  const began = performance.now();
  try {
    const end = await runToEnd(root, file, linesFile, timeoutMs);
    const lines = existsSync(linesFile) ? readLines(linesFile) : [];
    return { file, ...judge(lines, end, timeoutMs), seconds: (performance.now() - began) / 1000, output: end.output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly isTimedOut: boolean;
  readonly output: string;
}

function runToEnd(root: string, file: string, linesFile: string, timeoutMs: number): Promise<End> {
  const args = [`--test-reporter=${REPORTER}`, `--test-reporter-destination=${linesFile}`, file];
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, args, { cwd: root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk).slice(-OUTPUT_MOST);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return new Promise((resolve) => {
    let isTimedOut = false;
    const timer = setTimeout(() => {
      isTimedOut = true;
      killGroup(child);
    }, timeoutMs);
    child.on('error', (error) => keep(Buffer.from(error.message)));
    child.on('exit', () => killGroup(child)); // What it left behind would keep its output open.
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ code, signal, isTimedOut, output });
    });
  });
}

function readLines(linesFile: string): TestLine[] {
  const complete = readFileSync(linesFile, 'utf8').split('\n').slice(0, -1);
  return complete.map((line) => JSON.parse(line) as TestLine);
}

function judge(
  lines: readonly TestLine[],
  end: End,
  timeoutMs: number,
): Pick<FileOutcome, 'passed' | 'failed' | 'leftOut'> {
  const failed: Failure[] = lines.flatMap((line) => (line.kind === 'failed' ? [line] : []));
  const leftOut = lines.flatMap((line) => (line.kind === 'left out' ? [line] : []));
  const passed = lines.filter(({ kind }) => kind === 'passed').length;
  const message = faultOfTheFile(lines, failed.length, passed + leftOut.length, end, timeoutMs);
  if (message !== undefined) failed.push({ name: 'the file itself', message });
  return { passed, failed, leftOut };
}

/** What is wrong beside its tests. */
function faultOfTheFile(lines: readonly TestLine[], failed: number, others: number, end: End, timeoutMs: number) {
  const last = lines.at(-1)?.name;
  if (end.isTimedOut)
    return `killed after ${timeoutMs / 1000} s; ${last === undefined ? 'no test had ended' : `the last test that ended: ${last}`}`;
  if (end.signal !== null) return `killed by ${end.signal}`;
  if (end.code !== 0 && failed === 0) return `exited with code ${end.code}`;
  if (failed + others === 0) return 'it has no tests';
  return undefined;
}
