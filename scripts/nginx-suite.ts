// Runs nginx's own test suite against the built tree, and writes the score: SUITE=../nginx-tests node scripts/nginx-suite.ts LIST

import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERSION } from '../src/version.ts';
import { type FileScore, type ListedFile, readList, scoreOf, scorePage } from './suite-score.ts';

const ROOT = join(import.meta.dirname, '..');
const PAGE = join(ROOT, 'docs/nginx-suite.md');

const HELP = `Runs nginx's own test suite against sockgate, and writes docs/nginx-suite.md, from which "npm run docs" takes the README's table.

  npm run build && SUITE=../nginx-tests node scripts/nginx-suite.ts LIST

LIST     a file that says which: on each line a test file, its number of assertions, anything, its group
SUITE    a checkout of the suite, outside of this tree:  git clone https://github.com/nginx/nginx-tests
TIMEOUT  seconds for each file; default: 60
TAP      a folder that keeps what each file has said; default: none is kept

It needs Perl and, on Debian: libio-socket-ssl-perl libnet-ssleay-perl libprotocol-websocket-perl openssl.
The suite uses fixed ports: never two runs at once. As root the tests run as "nobody".
`;

interface Run {
  readonly suite: string;
  readonly binary: string;
  readonly folder: string;
  readonly seconds: number;
  readonly tapFolder: string | undefined;
}

const isRoot = process.getuid?.() === 0;

/** Whoever runs the tests must be able to read it, and nothing of it may change meanwhile. */
function copyTree(folder: string): string {
  const copy = join(folder, 'sockgate');
  for (const part of ['bin', 'dist', 'package.json']) cpSync(join(ROOT, part), join(copy, part), { recursive: true });
  symlinkSync(realpathSync(join(ROOT, 'node_modules')), join(copy, 'node_modules'));
  if (isRoot) execFileSync('chmod', ['-R', 'a+rX', copy]);
  return join(copy, 'bin/sockgate');
}

interface Spoken {
  readonly tap: string;
  readonly end: string;
}

/** One file in a process group of its own, which ends with it. */
function runFile({ name }: ListedFile, run: Run): Promise<Spoken> {
  const temporary = mkdtempSync(join(run.folder, 'tmp-'));
  chmodSync(temporary, 0o777);
  const perl = ['perl', '-I', 'lib', `${name}.t`];
  const [command = '', ...args] = isRoot
    ? ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups', ...perl]
    : perl;
  const env = { ...process.env, TEST_NGINX_BINARY: run.binary, TMPDIR: temporary };
  const child = spawn(command, args, { cwd: run.suite, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let [tap, errors, end] = ['', '', ''];
  child.stdout.on('data', (bytes: Buffer) => (tap += bytes.toString('latin1')));
  child.stderr.on('data', (bytes: Buffer) => (errors += bytes.toString('latin1')));
  const patience = setTimeout(() => {
    end = `timed out after ${run.seconds} s`;
    endGroup(child.pid);
    endLeftovers(temporary);
  }, run.seconds * 1000);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(patience);
      endLeftovers(temporary);
      rmSync(temporary, { recursive: true, force: true });
      if (run.tapFolder !== undefined) writeFileSync(join(run.tapFolder, `${name}.tap`), tap + errors, 'latin1');
      resolve({ tap, end: end === '' && code !== 0 ? `exited with ${code}` : end });
    });
  });
}

function endGroup(leader: number | undefined): void {
  if (leader !== undefined) endProcess(-leader);
}

function endProcess(id: number): void {
  try {
    process.kill(id, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** What a file has left running: known by the temporary folder that its command line names. */
function endLeftovers(folder: string): void {
  for (const id of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    if (Number(id) !== process.pid && commandLine(id).includes(folder)) endProcess(Number(id));
  }
}

function commandLine(id: string): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

async function runAll(files: readonly ListedFile[], run: Run): Promise<FileScore[]> {
  const scores: FileScore[] = [];
  for (const file of files) {
    const { tap, end } = await runFile(file, run);
    const score = scoreOf(file, tap, end);
    console.log(`${score.state.padEnd(8)} ${score.passed}/${score.of}  ${file.name}.t  ${score.note}`);
    scores.push(score);
  }
  return scores;
}

const commitOf = (suite: string): string =>
  execFileSync('git', ['-C', suite, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();

async function main(list: string, suite: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'suite-'));
  chmodSync(folder, 0o755);
  const { TIMEOUT: seconds = '60', TAP: tapFolder } = process.env;
  if (tapFolder !== undefined) mkdirSync(tapFolder, { recursive: true });
  try {
    const files = readList(readFileSync(list, 'utf8'));
    const run: Run = { suite, binary: copyTree(folder), folder, seconds: Number(seconds), tapFolder };
    const scores = await runAll(files, run);
    const day = new Date().toISOString().slice(0, 10);
    const node = process.versions.node;
    writeFileSync(PAGE, scorePage(scores, { commit: commitOf(suite), version: VERSION, node, day }));
    const [passed, of] = [
      scores.reduce((sum, one) => sum + one.passed, 0),
      scores.reduce((sum, one) => sum + one.of, 0),
    ];
    console.log(`${passed} of ${of} assertions passed; written to docs/nginx-suite.md`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const [list] = process.argv.slice(2);
const suite = process.env['SUITE'];
if (list === undefined || suite === undefined) {
  console.error(HELP);
  process.exitCode = 2;
} else await main(list, suite);
