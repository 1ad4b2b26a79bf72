// Reload after reload under standing tunnels that talk: do all of them stay, and is nothing left of the old configurations?

import { setTimeout as sleep } from 'node:timers/promises';
import type { State } from './gateway.ts';
import { atMost, exactly, type Finding, type Scenario, type Setting, told } from './scenario.ts';
import { type Standing, stand, tooMany } from './standing.ts';

/** How often each tunnel says something. */
const TALK_MS = 2000;
/** Reloads before the first measurement, so that what they compile is not counted. */
const WARM_UP = 3;
const WARM_UP_STEP_MS = 500;
const SETTLE_MOST_MS = 30_000;
const LOOK_MS = 500;
const QUIT_MOST_MS = 60_000;
const MEGABYTE = 1024 * 1024;
/** What may be more of the live heap after a collection: V8 compiles some more. */
const HEAP_MORE_BYTES = 3 * MEGABYTE;
const HEAP_MORE_SHARE = 0.05;
/** What may be more of the process: an allocator keeps some memory, and somewhat more after each reload. */
const memoryMore = (reloads: number): number => Math.min(32 + reloads / 2, 256) * MEGABYTE;

const DONE = /\]: reconfiguring$|\d: reconfiguring$/;
const REFUSED = /\[(emerg|alert)\]/;

async function inForce(port: number): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/label`, { headers: { connection: 'close' } });
  return answer.text();
}

class Storm {
  readonly #setting: Setting;
  readonly #standing: Standing;
  label = 0;

  constructor(setting: Setting, standing: Standing) {
    this.#setting = setting;
    this.#standing = standing;
  }

  /** HUP so often, one every so many milliseconds. */
  async reload(times: number, step: number): Promise<void> {
    const { gateway, configuration } = this.#standing;
    const began = performance.now();
    for (let sent = 1; sent <= times; sent++) {
      gateway.reload(configuration(wishOf(this.#setting, ++this.label)));
      if (sent % Math.ceil(times / 10) === 0) this.#setting.say(`${sent} of ${times} reloads asked for`);
      await sleep(Math.max(0, began + sent * step - performance.now()));
    }
  }

  /** The state when the last configuration is in force and memory falls no more, or when the time for that is over. */
  async settled(most: State | undefined): Promise<State> {
    const { gateway, port } = this.#standing;
    const deadline = Date.now() + SETTLE_MOST_MS;
    while (Date.now() < deadline && (await inForce(port)) !== `${this.label}`) await sleep(LOOK_MS);
    let state = await gateway.state();
    for (let before = Infinity; Date.now() < deadline; state = await gateway.state()) {
      const isBack = state.openFiles <= (most?.openFiles ?? Infinity);
      if (isBack && state.memoryBytes > before * 0.99) break;
      before = state.memoryBytes;
      await sleep(LOOK_MS);
    }
    return state;
  }
}

function wishOf({ numbers }: Setting, label: number) {
  const { tunnels = 0, seconds = 0 } = numbers;
  return { tunnels, server: `proxy_read_timeout ${seconds + 300}s; location = /label { return 200 ${label}; }` };
}

async function run(setting: Setting): Promise<Finding[]> {
  const { tunnels = 0, reloads = 0, seconds = 0 } = setting.numbers;
  const standing = await stand(setting, { ...wishOf(setting, 0), looksInside: true });
  const { gateway, crowd, port } = standing;
  await crowd.open(tunnels, (open) => setting.say(`${open} of ${tunnels} tunnels stand`));
  const storm = new Storm(setting, standing);
  await storm.reload(WARM_UP, WARM_UP_STEP_MS);
  const before = await storm.settled(undefined);
  const doneBefore = gateway.count(DONE);
  await crowd.look();
  await crowd.talk(TALK_MS, 1);
  await storm.reload(reloads, (seconds * 1000) / reloads);
  const { slowest } = await crowd.look();
  await crowd.hush();
  const after = await storm.settled(before);
  const label = await inForce(port);
  const echoed = await crowd.echo();
  const { lost, why } = await crowd.look();
  if (why !== undefined) setting.say(`one was lost: ${why}`);
  const [done, refused] = [gateway.count(DONE) - doneBefore, gateway.count(REFUSED)];
  await crowd.stop();
  const left = await gateway.quit(QUIT_MOST_MS);
  return [
    exactly('tunnels lost', 0, lost),
    exactly('tunnels that echo afterwards', tunnels, echoed),
    exactly('the configuration in force', `${storm.label}`, label),
    exactly('[emerg] and [alert] in the error log', 0, refused),
    told(`reloads made, of ${reloads} asked for in ${seconds} s`, String(done)),
    told('the slowest echo in the storm', `${slowest.toFixed(0)} ms`),
    exactly('open files more than before the storm', 0, Math.max(0, after.openFiles - before.openFiles)),
    ...sizes(before, after, reloads),
    exactly('QUIT', 'left with status 0', left ? 'left with status 0' : 'did not'),
  ];
}

const megabytes = (bytes: number): number => Math.round((bytes / MEGABYTE) * 10) / 10;

/** What has grown from before the storm to after it. */
function sizes(before: State, after: State, reloads: number): Finding[] {
  const grown = megabytes(after.memoryBytes - before.memoryBytes);
  const memory = [
    told('memory before the storm', `${megabytes(before.memoryBytes)} MB`),
    atMost('memory more after it', megabytes(memoryMore(reloads)), grown, ' MB'),
  ];
  if (before.alive === undefined || after.alive === undefined) return memory;
  const most = Math.max(HEAP_MORE_BYTES, before.alive.heapBytes * HEAP_MORE_SHARE);
  const heap = megabytes(after.alive.heapBytes - before.alive.heapBytes);
  return [
    ...memory,
    told('live heap before the storm', `${megabytes(before.alive.heapBytes)} MB`),
    atMost('live heap more after it', megabytes(most), heap, ' MB'),
  ];
}

export const stormScenario: Scenario = {
  name: 'storm',
  says: 'reload after reload under tunnels that talk: none is lost, memory comes back',
  options: {
    tunnels: { otherwise: 2000, says: 'tunnels' },
    reloads: { otherwise: 100, says: 'SIGHUPs, each with another configuration' },
    seconds: { otherwise: 60, says: 'in which they come; or --minutes' },
  },
  wrong: ({ tunnels = 0, reloads = 0, seconds = 0 }) =>
    reloads > seconds * 100
      ? `--reloads ${reloads} in --seconds ${seconds}: more than 100 in a second`
      : tooMany(tunnels),
  run,
};
