// Many standing tunnels in one process, as a program that obeys lines of its standard input, each answered with a line of JSON.
//
//   node crowd.ts PORT
//     open N          opens so many more, each echoes a message; {"open":N}, those that stand
//     talk MS EACH    every EACHth tunnel sends a message every MS milliseconds from now on; {"talkers":N}
//     hush            nobody sends any more; {"open":N}
//     look            {"open","lost","why","pings","slowest","asked"}: tunnels, their pings and slowest echo (ms) since the last look
//     echo            every tunnel sends a message; {"echoed":N}, those that came back
//     farewells FILE  writes a line of JSON for each tunnel that was asked to go: [at, code, talks]; {"asked":N}

import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { StandingTunnel } from './standing-tunnel.ts';

const OPENING_AT_ONCE = 50;
const TALK_STEP_MS = 10;
/** How long a message may take to come back. */
const ECHO_MOST_MS = 15_000;

const port = Number(process.argv[2]);
const tunnels: StandingTunnel[] = [];
let talkers: StandingTunnel[] = [];
let talking: NodeJS.Timeout | undefined;

const standing = (): StandingTunnel[] => tunnels.filter(({ end, farewell }) => end === undefined && !farewell);

async function echoed(asked: readonly StandingTunnel[]): Promise<number> {
  const before = asked.map(({ echoes }) => echoes);
  const time = new AbortController();
  await Promise.race([
    Promise.all(asked.map((tunnel) => tunnel.echo())),
    sleep(ECHO_MOST_MS, undefined, { signal: time.signal }).catch(() => {}),
  ]);
  time.abort();
  return asked.filter(({ echoes }, i) => echoes > (before[i] as number)).length;
}

async function open(count: number): Promise<object> {
  for (let left = count; left > 0; left -= OPENING_AT_ONCE) {
    const batch = Array.from({ length: Math.min(left, OPENING_AT_ONCE) }, () => new StandingTunnel(port));
    tunnels.push(...batch);
    await echoed(batch);
  }
  return { open: standing().length };
}

/** They take turns, so that messages are spread evenly over the time. */
function talk(milliseconds: number, each: number): object {
  talkers = tunnels.filter((_, i) => i % each === 0);
  const began = performance.now();
  let spoken = 0;
  talking = setInterval(() => {
    const due = ((performance.now() - began) / milliseconds) * talkers.length;
    const most = spoken + talkers.length;
    for (; spoken < Math.min(due, most); spoken++) talkers[spoken % talkers.length]?.talk();
  }, TALK_STEP_MS);
  return { talkers: talkers.length };
}

function look(): object {
  const report = {
    open: standing().length,
    lost: tunnels.filter(({ end, farewell }) => end !== undefined && !farewell).length,
    why: tunnels.find(({ end, farewell }) => end !== undefined && !farewell)?.end,
    pings: tunnels.reduce((sum, { pings }) => sum + pings, 0),
    slowest: tunnels.reduce((most, { slowest, waited }) => Math.max(most, slowest, waited), 0),
    asked: tunnels.filter(({ farewell }) => farewell).length,
  };
  for (const tunnel of tunnels) tunnel.forget();
  return report;
}

function farewells(file: string): object {
  const talks = new Set(talkers);
  const lines = tunnels.flatMap((tunnel) =>
    tunnel.farewell ? [`${JSON.stringify([tunnel.farewell.at, tunnel.farewell.code, talks.has(tunnel)])}\n`] : [],
  );
  writeFileSync(file, lines.join(''));
  return { asked: lines.length };
}

async function obey(line: string): Promise<object> {
  const [command, first = '', second = '1'] = line.split(' ');
  if (command === 'open') return open(Number(first));
  if (command === 'talk') return talk(Number(first), Number(second));
  if (command === 'look') return look();
  if (command === 'farewells') return farewells(first);
  if (command === 'echo') return { echoed: await echoed(standing()) };
  if (command !== 'hush') throw new Error(`no command "${command}"`);
  clearInterval(talking);
  return { open: standing().length };
}

createInterface(process.stdin)
  .on('line', (line) => {
    obey(line).then(
      (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`),
      (error: unknown) => {
        process.stderr.write(`crowd: ${error instanceof Error ? error.message : error}\n`);
        process.exit(1);
      },
    );
  })
  .on('close', () => process.exit(0));
