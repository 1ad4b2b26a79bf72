// Runs the tests, each file in a process group of its own, and says loudly what failed and what was left out. `npm test`.

import { globSync, mkdtempSync, rmSync } from 'node:fs';
import * as os from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type FileOutcome, killRunningFiles, type LeftOut, runTestFile } from './run-test-file.ts';

const ROOT = resolve(import.meta.dirname, '..');

const usage = `Usage: npm test [-- [options] [part of a path ...]]

  part of a path    only the files with one of these in their path: config, lexer, test/route/
  --concurrency N   files that run at the same time (default: the cores, at least 2)
  --timeout S       seconds after which a file that has not ended is killed and has failed (default 180)
  --require-all     a test that was left out has failed, unless this machine or user cannot have what it needs
                    (the same: SOCKGATE_REQUIRE_ALL=1)
  --help            this text

SOCKGATE_CHANNEL=stream runs what can be run so on channels over streams. Exits with 1 when a test failed.
`;

/** What no package could install: these reasons for leaving out are accepted even with --require-all. */
const BEYOND_PACKAGES = [/IPv6/i, /\broot\b/i, /\bNode \d/, /\bcores?\b/i];

const say = (line = ''): void => {
  process.stdout.write(`${line}\n`);
};

function positive(value: string | undefined, otherwise: number, option: string): number {
  const number = value === undefined ? otherwise : Number(value);
  if (!(number > 0)) throw new Error(`${option} takes a number above 0, not "${value}"`);
  return number;
}

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      concurrency: { type: 'string' },
      timeout: { type: 'string' },
      'require-all': { type: 'boolean', default: process.env['SOCKGATE_REQUIRE_ALL'] === '1' },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    help: values.help,
    concurrency: positive(values.concurrency, Math.max(2, os.availableParallelism()), '--concurrency'),
    timeoutMs: 1000 * positive(values.timeout, 180, '--timeout'),
    requireAll: values['require-all'],
    parts: positionals,
  };
}

type Options = ReturnType<typeof readOptions>;

function filesToRun(parts: readonly string[]): string[] {
  const all = globSync('test/**/*.test.ts', { cwd: ROOT }).sort();
  const files = all.filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)));
  if (files.length === 0)
    throw new Error(`no test file has ${parts.map((part) => `"${part}"`).join(' or ')} in its path`);
  return files;
}

const isExcused = ({ reason }: LeftOut): boolean => BEYOND_PACKAGES.some((pattern) => pattern.test(reason));

const indented = (text: string): string => text.trimEnd().replace(/^/gm, '      ');

function reportFile({ file, passed, failed, leftOut, seconds, output }: FileOutcome): void {
  const counts = [`${passed} passed`];
  if (failed.length > 0) counts.push(`${failed.length} failed`);
  if (leftOut.length > 0) counts.push(`${leftOut.length} left out`);
  say(`${failed.length > 0 ? 'FAILED' : 'ok    '}  ${file}  ${counts.join(', ')}  (${seconds.toFixed(1)} s)`);
  for (const { name, message } of failed) say(`    ✖ ${name}\n${indented(message)}`);
  if (failed.length > 0 && output.trim() !== '') say(`    its output:\n${indented(output)}`);
}

/** Some files at a time; the outcomes in the order in which they came. */
async function runAll(files: readonly string[], options: Options): Promise<FileOutcome[]> {
  const waiting = [...files];
  const outcomes: FileOutcome[] = [];
  const runOneAfterTheOther = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const outcome = await runTestFile(ROOT, file, options.timeoutMs);
      outcomes.push(outcome);
      reportFile(outcome);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, runOneAfterTheOther));
  return outcomes;
}

function reportLeftOut(leftOut: readonly LeftOut[]): void {
  if (leftOut.length === 0) return;
  say(`\n!!! LEFT OUT: ${leftOut.length}`);
  for (const reason of new Set(leftOut.map((one) => one.reason))) {
    const group = leftOut.filter((one) => one.reason === reason);
    say(`!!! because ${reason}:`);
    for (const { name } of group.slice(0, 5)) say(`!!!     ${name}`);
    if (group.length > 5) say(`!!!     and ${group.length - 5} more`);
  }
}

/** @returns whether all is well */
function reportAll(outcomes: readonly FileOutcome[], { requireAll }: Options, seconds: number): boolean {
  const failures = outcomes.flatMap(({ file, failed }) => failed.map(({ name }) => `${file}: ${name}`));
  const leftOut = outcomes.flatMap((outcome) => outcome.leftOut);
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  reportLeftOut(leftOut);
  const missed = requireAll ? leftOut.filter((one) => !isExcused(one)) : [];
  for (const { name, reason } of missed) failures.push(`left out, though everything is required: ${name} (${reason})`);
  if (failures.length > 0) say(`\nFailed:\n${failures.map((line) => `  ✖ ${line}`).join('\n')}`);
  say(
    `\nNode ${process.version}, ${process.env['SOCKGATE_CHANNEL'] ?? 'handle'} channels: ` +
      `${outcomes.length} files, ${leftOut.length} tests left out, ${seconds.toFixed(0)} s`,
  );
  say(`${passed} passed, ${failures.length} failed`);
  return failures.length === 0;
}

/** Hundreds of processes and threads load the same files: what the first of them compiled is there for the others. It goes with the run. */
function shareCompiledCode(): void {
  if (process.env['NODE_COMPILE_CACHE'] !== undefined) return;
  const folder = mkdtempSync(join(os.tmpdir(), 'sockgate-compiled-'));
  process.env['NODE_COMPILE_CACHE'] = folder;
  process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
}

async function main(): Promise<boolean> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(usage);
    return true;
  }
  shareCompiledCode();
  const began = performance.now();
  const parts = options.parts.map((part) => (part.startsWith('/') ? relative(ROOT, part) : part));
  const outcomes = await runAll(filesToRun(parts), options);
  return reportAll(outcomes, options, (performance.now() - began) / 1000);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    killRunningFiles();
    process.exit(1);
  });
}

main().then(
  (isWell) => process.exit(isWell ? 0 : 1),
  (error: unknown) => {
    process.stderr.write(`run-tests: ${error instanceof Error ? error.message : error}\n`);
    process.exit(1);
  },
);
