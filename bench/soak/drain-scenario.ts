// QUIT with many tunnels: are their clients asked to go at the pace that is configured, the silent ones first?

import { setTimeout as sleep } from 'node:timers/promises';
import type { Farewell } from './crowd-processes.ts';
import { atMost, exactly, type Finding, type Scenario, type Setting, told } from './scenario.ts';
import { type Standing, stand, tooMany } from './standing.ts';

/** Every so many-th tunnel talks all the time, so often. */
const TALKS_EACH = 10;
const TALK_MS = 1000;
/** So long they talk before QUIT, so that each has spoken after the last silent one. */
const TALK_BEFORE_MS = 2500;
const PROGRESS_MS = 1000;
const WINDOW_MS = 1000;
const RESTART = 1012;
/** Where the median talker must be in the order of going, in percent. */
const TALKERS_BEHIND = 80;

/** The most that came within any second. */
function mostInASecond(farewells: readonly Farewell[]): number {
  let first = 0;
  let most = 0;
  for (const [i, [at]] of farewells.entries()) {
    while ((farewells[first] as Farewell)[0] <= at - WINDOW_MS) first++;
    most = Math.max(most, i - first + 1);
  }
  return most;
}

/** The place of the median talker in the order, in percent of all. */
function medianTalker(farewells: readonly Farewell[]): number {
  const places = farewells.flatMap(([, , talks], i) => (talks ? [i] : []));
  return Math.round(((places[Math.floor(places.length / 2)] ?? 0) / farewells.length) * 100);
}

/** Resolves with whether it left in order; tells meanwhile how many were asked. */
async function quit({ gateway, crowd }: Standing, milliseconds: number, { numbers, say }: Setting): Promise<boolean> {
  let isGone = false;
  const left = gateway.quit(milliseconds).finally(() => {
    isGone = true;
  });
  for (let second = 1; !isGone; second++) {
    await Promise.race([left, sleep(PROGRESS_MS)]);
    say(`${second} s after QUIT: ${(await crowd.look()).asked} of ${numbers['tunnels']} were asked to go`);
  }
  return left;
}

async function run(setting: Setting): Promise<Finding[]> {
  const { tunnels = 0, rate = 0 } = setting.numbers;
  const seconds = Math.ceil((tunnels / rate) * 2) + 30;
  const standing = await stand(setting, {
    tunnels,
    main: `worker_shutdown_timeout ${seconds}s;`,
    http: `websocket_drain_rate ${rate}/s;`,
  });
  const { crowd } = standing;
  await crowd.open(tunnels, (open) => setting.say(`${open} of ${tunnels} tunnels stand`));
  setting.say(`${await crowd.talk(TALK_MS, TALKS_EACH)} of them talk`);
  await sleep(TALK_BEFORE_MS);
  const began = performance.now();
  const left = await quit(standing, (seconds + 10) * 1000, setting);
  const took = performance.now() - began;
  const { lost } = await crowd.look();
  const farewells = await crowd.farewells(setting.folder);
  await crowd.stop();
  return findings(setting.numbers, farewells, { left, lost, took });
}

function findings(
  { tunnels = 0, rate = 0 }: Setting['numbers'],
  farewells: readonly Farewell[],
  { left, lost, took }: { readonly left: boolean; readonly lost: number; readonly took: number },
): Finding[] {
  const place = medianTalker(farewells);
  const [first, last] = [farewells[0]?.[0] ?? 0, farewells.at(-1)?.[0] ?? 0];
  const pace = (farewells.length / Math.max(last - first, 1)) * 1000;
  return [
    atMost(`close frames in any second, at ${rate}/s`, 2 * rate, mostInASecond(farewells)),
    exactly('clients that were asked to go', tunnels, farewells.length),
    exactly(`of them with ${RESTART}`, tunnels, farewells.filter(([, code]) => code === RESTART).length),
    exactly('tunnels lost without being asked', 0, lost),
    {
      what: 'place of the median talker in the order',
      target: `at ${TALKERS_BEHIND} % or later`,
      measured: `${place} %`,
      reached: place >= TALKERS_BEHIND,
    },
    told('silent ones that went after the first talker', String(silentAfterFirstTalker(farewells))),
    told('pace from the first to the last', `${pace.toFixed(0)}/s`),
    told('from QUIT to its exit', `${(took / 1000).toFixed(1)} s`),
    exactly('QUIT', 'left with status 0', left ? 'left with status 0' : 'did not'),
  ];
}

function silentAfterFirstTalker(farewells: readonly Farewell[]): number {
  const first = farewells.findIndex(([, , talks]) => talks);
  return farewells.slice(first).filter(([, , talks]) => !talks).length;
}

export const drainScenario: Scenario = {
  name: 'drain',
  says: 'QUIT: the pace at which clients are asked to go, their order, and the exit',
  options: {
    tunnels: { otherwise: 5000, says: `tunnels, of which every ${TALKS_EACH}th talks all the time` },
    rate: { otherwise: 500, says: 'websocket_drain_rate, in a second; twice as many in any second are too many' },
  },
  wrong: ({ tunnels = 0, rate = 0 }) =>
    tunnels < 2 * rate
      ? `--tunnels ${tunnels} is less than two seconds of --rate ${rate}: no pace could be seen`
      : tooMany(tunnels),
  run,
};
