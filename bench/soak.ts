// The soak: thousands of tunnels that end in every way a tunnel can, and then nothing of them may be left. `npm run soak`.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeCertificate } from './certificate.ts';
import { freePorts } from './ports.ts';
import { Complaints } from './soak/complaints.ts';
import { type Ending, endings } from './soak/endings.ts';
import { Gateway, type State } from './soak/gateway.ts';
import { PeerProcess } from './soak/peer-process.ts';
import { runScenario, scenariosUsage } from './soak/scenarios.ts';
import { runWave, type Wave } from './soak/wave.ts';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** How long the gateway may take to give everything back, and to leave. */
const SETTLE_MOST_MS = 15_000;
const LOOK_MS = 500;
/** Memory that has become less than this share of what it was half a second ago is still being given back. */
const STILL_FALLING = 0.99;
/** What may be more at the end than after the first wave: an allocator keeps some memory, V8 compiles some more. */
const MEMORY_MORE_BYTES = 16 * 1024 * 1024;
const HEAP_MORE_BYTES = 3 * 1024 * 1024;
const MEMORY_MORE_SHARE = 0.15;
const HEAP_MORE_SHARE = 0.05;

const usage = `Usage: npm run soak -- [options]

  --tunnels N       tunnels in all, after a first wave that only warms up (default 20000)
  --at-once N       tunnels that stand at the same time (default 2000)
  --workers N       worker_processes (default 1)
  --endings NAMES   only these ways to end, separated by commas
  --gateway PATH    another program with nginx's options and configuration (default bin/sockgate)
  --help            this text

Half of the tunnels come by wss. They end in these ways, in turn:
${endings.map(({ name }) => `  ${name}\n`).join('')}
Exits with 1 and says what is wrong when a tunnel did not end as it should, or when afterwards open files, sockets to
peers or memory are not back where they began.

Or, with --scenario NAME, instead of these waves:
${scenariosUsage}
They take --gateway, too, end with a table of what was to be reached and what was measured, and exit with 1 when
something was missed.
`;

const SCENARIO = { scenario: { type: 'string' }, help: { type: 'boolean' } } as const;

/** The scenario that was asked for; undefined for the waves. */
function scenarioName(): string | undefined {
  const { scenario, help } = parseArgs({ options: SCENARIO, strict: false }).values;
  if (help === true || scenario === 'waves') return undefined;
  return scenario === undefined ? undefined : scenario === true ? '' : String(scenario);
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

function whole(value: string | undefined, otherwise: number, option: string): number {
  const number = value === undefined ? otherwise : Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`${option} takes a whole number above 0, not "${value}"`);
  return number;
}

function endingNamed(name: string): Ending {
  const found = endings.find((ending) => ending.name === name);
  if (found === undefined) throw new Error(`no ending "${name}"; --help lists them`);
  return found;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      tunnels: { type: 'string' },
      'at-once': { type: 'string' },
      workers: { type: 'string' },
      endings: { type: 'string' },
      gateway: { type: 'string' },
      scenario: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    help: values.help,
    tunnels: whole(values.tunnels, 20_000, '--tunnels'),
    atOnce: whole(values['at-once'], 2000, '--at-once'),
    workers: whole(values.workers, 1, '--workers'),
    program: values.gateway ?? here('../bin/sockgate'),
    endings: values.endings === undefined ? endings : values.endings.split(',').map(endingNamed),
  };
}

type Options = ReturnType<typeof readOptions>;

/** The state before the first tunnel, once the connections that looked whether it listens are gone. */
async function atRest(gateway: Gateway): Promise<State> {
  let state = await gateway.state();
  for (let before = Infinity; state.openFiles < before; state = await gateway.state()) {
    before = state.openFiles;
    await sleep(LOOK_MS);
  }
  return state;
}

/** The state when files and sockets are back and memory falls no more, or when the time for that is over. */
async function settled(gateway: Gateway, start: State): Promise<State> {
  const deadline = Date.now() + SETTLE_MOST_MS;
  let state = await gateway.state();
  for (let before = Infinity; Date.now() < deadline; state = await gateway.state()) {
    const isBack = state.openFiles <= start.openFiles && state.socketsToPeers === 0;
    if (isBack && state.memoryBytes > before * STILL_FALLING) break;
    before = state.memoryBytes;
    await sleep(LOOK_MS);
  }
  return state;
}

const megabytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MB`;

function described({ openFiles, socketsToPeers, memoryBytes, alive }: State): string {
  const inside = alive ? `, ${alive.handles} handles, ${megabytes(alive.heapBytes)} of live heap` : '';
  return `${openFiles} open files, ${socketsToPeers} sockets to peers, ${megabytes(memoryBytes)} of memory${inside}`;
}

function compareSize(what: string, before: number, after: number, most: number, complaints: Complaints): void {
  if (after <= most) return;
  const [from, to, allowed] = [before, after, most].map(megabytes);
  complaints.add(`${what}: ${from} after the first wave, ${to} at the end, ${allowed} allowed`);
}

/** `start` is the state before the first tunnel, `warm` the one after the first wave. */
function compare(start: State, warm: State, end: State, complaints: Complaints): void {
  if (end.openFiles !== start.openFiles) {
    complaints.add(`open files: ${start.openFiles} at the start, ${end.openFiles} at the end`);
  }
  if (end.socketsToPeers !== 0) complaints.add(`${end.socketsToPeers} sockets to peers are left`);
  const mostMemory = warm.memoryBytes + Math.max(MEMORY_MORE_BYTES, warm.memoryBytes * MEMORY_MORE_SHARE);
  compareSize('memory', warm.memoryBytes, end.memoryBytes, mostMemory, complaints);
  if (start.alive === undefined || warm.alive === undefined || end.alive === undefined) return;
  if (end.alive.handles > start.alive.handles) {
    complaints.add(`handles: ${start.alive.handles} at the start, ${end.alive.handles} at the end`);
  }
  const mostHeap = warm.alive.heapBytes + Math.max(HEAP_MORE_BYTES, warm.alive.heapBytes * HEAP_MORE_SHARE);
  compareSize('live heap', warm.alive.heapBytes, end.alive.heapBytes, mostHeap, complaints);
}

/** Runs the waves, and compares what was with what is. */
async function soak(
  { tunnels, atOnce }: Options,
  gateway: Gateway,
  plan: Omit<Wave, 'tunnels' | 'first'>,
): Promise<void> {
  const start = await atRest(gateway);
  say(`start: ${described(start)}`);
  await runWave({ ...plan, tunnels: atOnce, first: 0 });
  const warm = await settled(gateway, start);
  say(`after ${atOnce} tunnels to warm up: ${described(warm)}`);
  let end = warm;
  for (let done = 0; done < tunnels && gateway.isRunning; ) {
    const count = Math.min(atOnce, tunnels - done);
    await runWave({ ...plan, tunnels: count, first: done });
    done += count;
    end = await settled(gateway, start);
    say(`after ${done} of ${tunnels} tunnels: ${described(end)}`);
  }
  compare(start, warm, end, plan.complaints);
}

async function leave(gateway: Gateway, exchanges: number, complaints: Complaints): Promise<void> {
  if (!gateway.isRunning) {
    complaints.add(`the gateway exited: ${gateway.complaint}`);
    return;
  }
  if (!(await gateway.quit(SETTLE_MOST_MS))) complaints.add('QUIT: it did not leave in order, with status 0');
  const lines = gateway.accessLogLines();
  if (lines !== exchanges) complaints.add(`the access log has ${lines} lines for ${exchanges} requests`);
  for (const alarm of gateway.alarms().slice(0, 20)) complaints.add(alarm);
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sockgate-soak-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function run(options: Options): Promise<Complaints> {
  const folder = temporaryFolder();
  const [peer, mortal] = [await PeerProcess.start(), await PeerProcess.start()];
  const [port = 0, tlsPort = 0] = await freePorts(2);
  const doors = { port, tlsPort };
  const certificate = await makeCertificate(folder);
  const ports = { ...doors, peerPort: peer.port, mortalPort: mortal.port };
  const gateway = await Gateway.start({ ...options, ...ports, folder, certificate });
  const complaints = new Complaints();
  await soak(options, gateway, { doors, endings: options.endings, mortal, complaints });
  await leave(gateway, options.tunnels + options.atOnce, complaints);
  return complaints;
}

async function main(): Promise<number> {
  const scenario = scenarioName();
  if (scenario !== undefined) {
    const setting = { program: here('../bin/sockgate'), folder: temporaryFolder(), say };
    return (await runScenario(scenario, process.argv.slice(2), setting)) ? 0 : 1;
  }
  const options = readOptions();
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  const began = performance.now();
  const wrong = (await run(options)).lines();
  for (const line of wrong) say(`WRONG ${line}`);
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  const verdict = wrong.length === 0 ? 'all is well' : 'not well';
  say(`${options.tunnels} tunnels, ${options.endings.length} ways to end, ${seconds} s: ${verdict}`);
  return wrong.length === 0 ? 0 : 1;
}

main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    say(`soak: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  },
);
