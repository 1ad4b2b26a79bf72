// The results as files: latest.json for programs, latest.md and latest.svg for people.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cost, Outcome, Settings } from './measure.ts';
import { picture } from './picture.ts';

export interface Report {
  /** ISO 8601. */
  readonly date: string;
  readonly machine: string;
  /** Only the proxies that took part, the one that is 1 first. */
  readonly versions: Readonly<Record<string, string>>;
  readonly settings: Settings;
  readonly minutes: number;
  readonly outcomes: readonly Outcome[];
}

/** Ours, whose targets stand in works.ts. */
const OURS = 'sockgate';

/** Three digits say all that a ratio knows; a cost in bytes is a whole number. */
const figure = (cost: Cost, { work }: Outcome): string => cost.median.toFixed(work.counts === 'cpu' ? 1 : 0);

function cell(outcome: Outcome, name: string): string {
  const cost = outcome.costs[name];
  if (cost === undefined) return 'failed';
  return cost.ratio === undefined ? figure(cost, outcome) : `${cost.ratio.toFixed(2)} (${figure(cost, outcome)})`;
}

function verdict({ work, costs }: Outcome): string {
  const ratio = costs[OURS]?.ratio;
  if (ratio === undefined) return '';
  return ratio <= work.target ? 'reached' : `missed by ${Math.round((ratio / work.target - 1) * 100)} %`;
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;

/** One line a work: the target, the first proxy's cost, the others' ratios to it with their own cost in brackets. */
export function table({ versions, outcomes }: Report): string {
  const names = Object.keys(versions);
  const [first = '', ...others] = names;
  const head = row(['work', 'target', `${first}, and its unit`, ...others, `${OURS}'s target`]);
  const lines = outcomes.map((outcome) => {
    const cost = outcome.costs[first];
    const base = cost === undefined ? 'failed' : `${figure(cost, outcome)} ${outcome.work.unit}`;
    const rest = others.map((name) => cell(outcome, name));
    return row([outcome.work.title, outcome.work.target.toFixed(2), base, ...rest, verdict(outcome)]);
  });
  return head + row(Array.from({ length: others.length + 4 }, () => '---')) + lines.join('');
}

function failures({ outcomes }: Report): string {
  const lines = outcomes.flatMap(({ work, failures: failed }) =>
    Object.entries(failed).map(([name, reason]) => `- ${name} in "${work.title}": ${reason.split('\n')[0]}\n`),
  );
  return lines.length === 0 ? '' : `\n## Failed\n\n${lines.join('')}`;
}

const memoryUnits = ({ outcomes }: Report): string =>
  outcomes
    .flatMap(({ work, units }) => (work.counts === 'memory' ? [`${units} ${work.tls ? 'wss' : 'ws'}`] : []))
    .join(' and ');

function page(report: Report): string {
  const { date, machine, versions, settings, minutes } = report;
  return `# What it costs

What the proxy's process uses for the same work, as a ratio to ${Object.keys(versions)[0]} in the same round, less being better;
in brackets the cost itself. CPU time is the proxy's own, not that of its clients or of the peer. The target is the most that
${OURS} should cost.

![The ratios as bars](latest.svg)

${table(report)}${failures(report)}
## How it was measured

- ${date.slice(0, 10)}, ${machine}.
- ${Object.values(versions).join(', ')}. One worker or thread each, alone on one core; load generator and peer on another.
- CPU: medians of ${settings.rounds} rounds in turn, each of ${settings.seconds} s of nginx's work, after ${settings.warmSeconds} s of CPU time to warm up.
- Memory: medians of ${settings.memoryRounds} rounds, each with a fresh process: growth over ${memoryUnits(report)} tunnels, each of which
  has echoed one message; ${settings.tunnelsPassing} others came and went before, and ${settings.tunnelsBefore} stood already. The
  kernel's socket buffers are not in it.
- wss: TLS 1.3 with TLS_AES_256_GCM_SHA384 on the client's side, plain to the peer.
- To repeat it: \`npm ci && npm run bench\` (${Math.ceil(minutes)} minutes). What is behind each figure: [bench/README.md](../README.md).
`;
}

/** Writes the three files into a folder that exists. */
export function writeReport(folder: string, report: Report): void {
  writeFileSync(join(folder, 'latest.json'), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(join(folder, 'latest.md'), page(report));
  writeFileSync(join(folder, 'latest.svg'), picture(report.outcomes, Object.keys(report.versions)));
}
