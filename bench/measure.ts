// Measures one work: every proxy in turn, round after round, each figure beside nginx's of the same round.

import { type Arena, Contestant } from './contestant.ts';
import type { ProxyProgram } from './proxies/proxy-program.ts';
import type { Work } from './works.ts';

export interface Settings {
  readonly rounds: number;
  /** How long the first proxy takes for the work of one round; the others get the same work. */
  readonly seconds: number;
  readonly warmSeconds: number;
  /** Rounds for memory, where each starts the proxy anew. */
  readonly memoryRounds: number;
  /** For memory: tunnels opened and closed again, and those held, before memory is first read. */
  readonly tunnelsPassing: number;
  readonly tunnelsBefore: number;
  /** The most tunnels whose memory is measured, where a work asks for more. */
  readonly tunnelsMost: number;
}

/** What one proxy cost in one work. */
export interface Cost {
  /** One figure a round, in the unit of the work. */
  readonly rounds: readonly number[];
  readonly median: number;
  /** The share of the wall clock in which the proxy was working, 1 being a full core; undefined for memory. */
  readonly busy?: number;
  /** The median of the ratios to the first proxy in the same round; undefined where that one is absent. */
  ratio?: number;
}

export interface Outcome {
  readonly work: Work;
  /** Units in a round. */
  readonly units: number;
  readonly costs: Readonly<Record<string, Cost>>;
  /** Proxies that could not do the work, and why. */
  readonly failures: Readonly<Record<string, string>>;
}

type Say = (line: string) => void;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle) - 1] ?? NaN)) / 2;
}

/** The figures of one work while they are gathered. */
class Sheet {
  readonly figures = new Map<string, number[]>();
  readonly busy = new Map<string, number[]>();
  readonly failures: Record<string, string> = {};
  readonly #say: Say;

  constructor(say: Say) {
    this.#say = say;
  }

  add(name: string, figure: number, busy?: number): void {
    this.figures.set(name, [...(this.figures.get(name) ?? []), figure]);
    if (busy !== undefined) this.busy.set(name, [...(this.busy.get(name) ?? []), busy]);
  }

  /** A proxy that failed once takes no further part: its rounds would no longer stand beside the others'. */
  fail(name: string, error: unknown): void {
    const reason = (error instanceof Error ? error.message : String(error)).split('\n').slice(0, 3).join(' ');
    this.failures[name] = reason;
    this.figures.delete(name);
    this.#say(`  ${name} FAILED: ${reason}`);
  }

  failed(name: string): boolean {
    return name in this.failures;
  }

  outcome(work: Work, units: number, reference: string): Outcome {
    const base = this.figures.get(reference);
    const costs: Record<string, Cost> = {};
    for (const [name, rounds] of this.figures) {
      const busy = this.busy.get(name);
      costs[name] = {
        rounds,
        median: median(rounds),
        ...(busy && { busy: median(busy) }),
        ...(base && { ratio: median(rounds.map((figure, round) => figure / (base[round] as number))) }),
      };
    }
    return { work, units, costs, failures: this.failures };
  }
}

/** Each round begins with another proxy, so that none always follows the same one. */
function turned<Item>(items: readonly Item[], round: number): Item[] {
  const by = round % Math.max(1, items.length);
  return [...items.slice(by), ...items.slice(0, by)];
}

async function startAll(
  proxies: readonly ProxyProgram[],
  work: Work,
  arena: Arena,
  sheet: Sheet,
): Promise<Contestant[]> {
  const contestants: Contestant[] = [];
  for (const proxy of proxies) {
    try {
      contestants.push(await Contestant.start(proxy, work, arena));
    } catch (error) {
      sheet.fail(proxy.name, error);
    }
  }
  return contestants;
}

/** Warms all of them; the first one's rate decides how much work a round is. */
async function unitsOfARound(contestants: readonly Contestant[], settings: Settings, sheet: Sheet): Promise<number> {
  let units = 0;
  for (const contestant of contestants) {
    try {
      const rate = await contestant.warm(settings.warmSeconds);
      if (units === 0) units = Math.ceil((rate * settings.seconds) / 100) * 100;
    } catch (error) {
      sheet.fail(contestant.name, error);
    }
  }
  return units;
}

async function runOnce(contestant: Contestant, units: number, sheet: Sheet): Promise<void> {
  if (sheet.failed(contestant.name)) return;
  try {
    const run = await contestant.run(units);
    sheet.add(contestant.name, run.cpuMicroseconds / units, run.cpuMicroseconds / 1e6 / run.seconds);
  } catch (error) {
    sheet.fail(contestant.name, error);
  }
}

function roundLine(sheet: Sheet, round: number, of: number, digits: number): string {
  const figures = [...sheet.figures].map(([name, values]) => `${name} ${(values[round] ?? NaN).toFixed(digits)}`);
  return `  round ${round + 1} of ${of}: ${figures.join('   ')}`;
}

async function measureCpu(work: Work, proxies: readonly ProxyProgram[], arena: Arena, settings: Settings, say: Say) {
  const sheet = new Sheet(say);
  const contestants = await startAll(proxies, work, arena, sheet);
  try {
    const units = await unitsOfARound(contestants, settings, sheet);
    for (let round = 0; round < settings.rounds; round++) {
      for (const contestant of turned(contestants, round)) await runOnce(contestant, units, sheet);
      say(roundLine(sheet, round, settings.rounds, 2));
    }
    return sheet.outcome(work, units, (proxies[0] as ProxyProgram).name);
  } finally {
    await Promise.all(contestants.map((contestant) => contestant.stop()));
  }
}

const tunnelsOf = (work: Work, settings: Settings): number => Math.min(work.connections, settings.tunnelsMost);

/**
 * Bytes for one more tunnel, beyond those that were open already. Many have passed before, and a JIT compiler and a heap
 * have grown to their size.
 */
async function bytesOfATunnel(contestant: Contestant, tunnels: number, settings: Settings): Promise<number> {
  await contestant.run(settings.tunnelsPassing, 'pass');
  await contestant.run(settings.tunnelsBefore);
  const before = await contestant.settledMemory();
  await contestant.run(tunnels);
  return ((await contestant.settledMemory()) - before) / tunnels;
}

async function measureOneMemory(
  proxy: ProxyProgram,
  work: Work,
  arena: Arena,
  settings: Settings,
  sheet: Sheet,
): Promise<void> {
  if (sheet.failed(proxy.name)) return;
  let contestant: Contestant | undefined;
  try {
    contestant = await Contestant.start(proxy, work, arena);
    sheet.add(proxy.name, await bytesOfATunnel(contestant, tunnelsOf(work, settings), settings));
  } catch (error) {
    sheet.fail(proxy.name, error);
  } finally {
    await contestant?.stop();
  }
}

async function measureMemory(work: Work, proxies: readonly ProxyProgram[], arena: Arena, settings: Settings, say: Say) {
  const sheet = new Sheet(say);
  for (let round = 0; round < settings.memoryRounds; round++) {
    for (const proxy of turned(proxies, round)) await measureOneMemory(proxy, work, arena, settings, sheet);
    say(roundLine(sheet, round, settings.memoryRounds, 0));
  }
  return sheet.outcome(work, tunnelsOf(work, settings), (proxies[0] as ProxyProgram).name);
}

/** Never throws for a proxy that fails: that stands in the outcome. `proxies` holds at least one. */
export function measure(
  work: Work,
  proxies: readonly ProxyProgram[],
  arena: Arena,
  settings: Settings,
  say: Say,
): Promise<Outcome> {
  return work.counts === 'cpu'
    ? measureCpu(work, proxies, arena, settings, say)
    : measureMemory(work, proxies, arena, settings, say);
}
