// The benchmark: what sockgate costs beside nginx, HAProxy and http-proxy-3, for nine works. Run by `npm run bench`.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import * as os from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeCertificate } from './certificate.ts';
import { canPin } from './children.ts';
import { compilePrograms } from './compile.ts';
import type { Arena } from './contestant.ts';
import { measure, type Outcome, type Settings } from './measure.ts';
import { proxies } from './proxies/all.ts';
import type { ProxyProgram } from './proxies/proxy-program.ts';
import { type Report, table, writeReport } from './report.ts';
import { type Work, works } from './works.ts';

const usage = `Usage: npm run bench -- [options]

  --rounds N        rounds of each work (default 5)
  --seconds S       how long nginx works in one round; all others get the same work (default 1)
  --quick           2 rounds of 0.4 s; nothing is written unless --out is given
  --only NAMES      only these works, separated by commas: ${works.map(({ name }) => name).join(', ')}
  --proxies NAMES   only these proxies: ${proxies.map(({ name }) => name).join(', ')}; the first of them is the 1 of the ratios
  --out FOLDER      where latest.json, latest.md and latest.svg go (default: bench/results for a run of
                    everything; a part of it is only printed)
  --help            this text

Each proxy runs alone on one core, with one worker; the load generator and the peer run on another.
`;

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

function positive(value: string | undefined, otherwise: number, option: string): number {
  const number = value === undefined ? otherwise : Number(value);
  if (!(number > 0)) throw new Error(`${option} takes a number above 0, not "${value}"`);
  return number;
}

function chosen<Item extends { readonly name: string }>(all: readonly Item[], names: string | undefined): Item[] {
  if (names === undefined) return [...all];
  return names.split(',').map((name) => {
    const found = all.find((item) => item.name === name);
    if (found === undefined) throw new Error(`no "${name}"; there are ${all.map((item) => item.name).join(', ')}`);
    return found;
  });
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      proxies: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  return values;
}

type Options = ReturnType<typeof readOptions>;

const TUNNELS_BEFORE = 500;

/** As many tunnels as two open files each allow. */
function tunnelsWithin(openFiles: number, quick: boolean): number {
  const wanted = quick ? 2000 : Math.max(...works.map(({ mode, connections }) => (mode === 'idle' ? connections : 0)));
  const possible = Math.floor((openFiles - 1000) / 2) - TUNNELS_BEFORE;
  if (possible < 100) throw new Error(`${openFiles} open files are too few: raise it with ulimit -n`);
  if (possible < wanted)
    say(`open files are limited to ${openFiles}: memory is measured with ${possible} tunnels at most`);
  return Math.min(wanted, possible);
}

function settingsOf(options: Options, openFiles: number): Settings {
  const rounds = Math.ceil(positive(options.rounds, options.quick ? 2 : 5, '--rounds'));
  return {
    rounds,
    seconds: positive(options.seconds, options.quick ? 0.4 : 1, '--seconds'),
    warmSeconds: options.quick ? 1 : 2,
    memoryRounds: options.quick ? 1 : Math.min(rounds, 3),
    tunnelsPassing: 3000,
    tunnelsBefore: TUNNELS_BEFORE,
    tunnelsMost: tunnelsWithin(openFiles, options.quick),
  };
}

/** How many files a child may open; Node raises its own limit, its children begin with what `ulimit -n` says. */
function openFilesMost(): number {
  const hard = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  return hard === 'unlimited' ? 1_000_000 : Number(hard);
}

function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

function coresToUse(): { proxyCore: number | undefined; loadCore: number | undefined } {
  if (!canPin) say('no taskset on this machine: nothing is pinned to a core');
  const [proxyCore, loadCore] = allowedCores();
  if (loadCore === undefined) say('one core only: the proxies share it with the load, and the figures are worth less');
  return { proxyCore, loadCore: loadCore ?? proxyCore };
}

/** Leaves out, loudly, what is not on this machine. */
function present(wanted: readonly ProxyProgram[]): { here: ProxyProgram[]; versions: Record<string, string> } {
  const versions: Record<string, string> = {};
  const here = wanted.filter((proxy) => {
    const found = proxy.find();
    if ('missing' in found) say(`LEFT OUT ${proxy.name}: ${found.missing}`);
    else versions[proxy.name] = found.version;
    return 'version' in found;
  });
  if (here.length === 0) throw new Error('none of the proxies is on this machine');
  return { here, versions };
}

async function openArena(folder: string, settings: Settings): Promise<Arena> {
  return {
    folder,
    programs: compilePrograms(),
    certificate: await makeCertificate(folder),
    connectionsMost: settings.tunnelsBefore + settings.tunnelsMost + 200,
    ...coresToUse(),
  };
}

async function measureAll(wanted: readonly Work[], here: readonly ProxyProgram[], arena: Arena, settings: Settings) {
  const outcomes: Outcome[] = [];
  for (const [index, work] of wanted.entries()) {
    say(`${index + 1} of ${wanted.length}, ${work.name}: ${work.title}, ${work.unit}`);
    outcomes.push(await measure(work, here, arena, settings, say));
  }
  return outcomes;
}

/** A part of the benchmark, or a quick one, does not replace the figures of a whole one. */
function resultsFolder({ out, quick, only, proxies: some }: Options): string | undefined {
  if (out !== undefined) return resolve(out);
  if (quick || only !== undefined || some !== undefined) return undefined;
  return fileURLToPath(new URL('results', import.meta.url));
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(os.tmpdir(), 'sockgate-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(usage);
    return;
  }
  const began = performance.now();
  const settings = settingsOf(options, openFilesMost());
  const wanted = chosen(works, options.only);
  const { here, versions } = present(chosen(proxies, options.proxies));
  const outcomes = await measureAll(wanted, here, await openArena(temporaryFolder(), settings), settings);
  const report: Report = {
    date: new Date().toISOString(),
    machine: `${os.cpus()[0]?.model.trim()}, ${os.cpus().length} cores, Linux ${os.release()}`,
    versions,
    settings,
    minutes: (performance.now() - began) / 60_000,
    outcomes,
  };
  process.stdout.write(`\n${table(report)}`);
  const folder = resultsFolder(options);
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  writeReport(folder, report);
  say(`written to ${folder}`);
}

main().catch((error: unknown) => {
  say(`bench: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
});
