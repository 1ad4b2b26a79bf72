// Many tunnels in which nothing passes but the gateway's pings: what does that cost?

import { setTimeout as sleep } from 'node:timers/promises';
import { exactly, type Finding, type Scenario, type Setting, told } from './scenario.ts';
import { type Standing, stand, tooMany } from './standing.ts';

/** Until what opening them has left is collected, and the first pings are spread. */
const SETTLE_MS = 3000;
const PROGRESS_MS = 15_000;
const QUIT_MOST_MS = 30_000;

interface Sample {
  readonly at: number;
  readonly cpu: number;
  readonly toClients: number;
  readonly toPeers: number;
}

async function sampleOf({ gateway, crowd, peer }: Standing): Promise<Sample> {
  const [cpu, at] = [gateway.cpuMicroseconds(), performance.now()];
  return { at, cpu, toClients: (await crowd.look()).pings, toPeers: await peer.pings() };
}

/** The share of one core that it used between the two, in percent. */
const percentOf = (from: Sample, to: Sample): number => (to.cpu - from.cpu) / (to.at - from.at) / 10;

async function idle({ numbers, say }: Setting, standing: Standing): Promise<[Sample, Sample]> {
  const first = await sampleOf(standing);
  const until = first.at + (numbers['seconds'] as number) * 1000;
  for (let before = first; ; ) {
    await sleep(Math.min(PROGRESS_MS, Math.max(0, until - performance.now())));
    const sample = await sampleOf(standing);
    const percent = percentOf(before, sample).toFixed(2);
    const pings = `${sample.toClients} pings to clients, ${sample.toPeers} to peers`;
    say(`idle for ${((sample.at - first.at) / 1000).toFixed(0)} s: ${percent} % of a core lately, ${pings}`);
    if (performance.now() >= until) return [first, sample];
    before = sample;
  }
}

async function run(setting: Setting): Promise<Finding[]> {
  const { tunnels = 0, cpu = 0, 'read-timeout': readTimeout = 0 } = setting.numbers;
  const standing = await stand(setting, {
    tunnels,
    server: `proxy_read_timeout ${readTimeout}s; websocket_ping auto;`,
  });
  const { gateway, crowd } = standing;
  const before = gateway.memoryBytes();
  await crowd.open(tunnels, (open) => setting.say(`${open} of ${tunnels} tunnels stand`));
  await sleep(SETTLE_MS);
  const opened = gateway.memoryBytes();
  const [first, last] = await idle(setting, standing);
  const after = gateway.memoryBytes();
  const { lost, why } = await crowd.look();
  if (why !== undefined) setting.say(`one was lost: ${why}`);
  const echoed = await crowd.echo();
  await crowd.stop();
  const left = await gateway.quit(QUIT_MOST_MS);
  return findings({ tunnels, cpu, readTimeout, first, last, lost, echoed, left, memory: [before, opened, after] });
}

interface Outcome {
  readonly tunnels: number;
  readonly cpu: number;
  readonly readTimeout: number;
  readonly first: Sample;
  readonly last: Sample;
  readonly lost: number;
  readonly echoed: number;
  readonly left: boolean;
  readonly memory: readonly [before: number, opened: number, after: number];
}

function findings({ tunnels, cpu, readTimeout, first, last, lost, echoed, left, memory }: Outcome): Finding[] {
  const seconds = (last.at - first.at) / 1000;
  const percent = percentOf(first, last);
  // A side is pinged once in a third of the timeout, so at least as often as whole thirds have passed; half of it is asked for.
  const pingsLeast = Math.floor((tunnels * Math.floor((seconds * 3) / readTimeout)) / 2);
  const [toClients, toPeers] = [last.toClients - first.toClients, last.toPeers - first.toPeers];
  const perTunnel = (bytes: number): string => `${Math.round(bytes / tunnels)} bytes`;
  const [before, opened, after] = memory;
  return [
    {
      what: `CPU of the gateway, ${tunnels} tunnels, ${seconds.toFixed(0)} s`,
      target: `below ${cpu} % of a core`,
      measured: `${percent.toFixed(2)} %`,
      reached: percent < cpu,
    },
    exactly('tunnels lost', 0, lost),
    exactly('tunnels that echo afterwards', tunnels, echoed),
    ...[toClients, toPeers].map((pings, i) => ({
      what: `pings to ${i === 0 ? 'clients' : 'peers'}`,
      target: `at least ${pingsLeast}`,
      measured: String(pings),
      reached: pings >= pingsLeast,
    })),
    told('CPU for one ping with its pong', `${((last.cpu - first.cpu) / (toClients + toPeers)).toFixed(1)} µs`),
    told('memory of a tunnel when they stand', perTunnel(opened - before)),
    told('memory of a tunnel at the end', perTunnel(after - before)),
    exactly('QUIT', 'left with status 0', left ? 'left with status 0' : 'did not'),
  ];
}

export const idleScenario: Scenario = {
  name: 'idle',
  says: 'tunnels in which only pings pass: CPU, memory, and whether all stay',
  options: {
    tunnels: { otherwise: 9000, says: 'tunnels, all in one worker' },
    seconds: { otherwise: 600, says: 'how long they are idle; or --minutes' },
    'read-timeout': { otherwise: 60, says: 'proxy_read_timeout in seconds; a side is pinged after a third of it' },
    cpu: { otherwise: 3, says: 'the share of one core that is too much, in percent' },
  },
  wrong: ({ tunnels = 0, seconds = 0, 'read-timeout': readTimeout = 0 }) =>
    seconds <= readTimeout
      ? `--seconds ${seconds} is not above --read-timeout ${readTimeout}: no tunnel could die of its silence`
      : tooMany(tunnels),
  run,
};
