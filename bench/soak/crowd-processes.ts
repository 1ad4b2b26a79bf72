// The crowd of standing tunnels, spread over as many processes as it takes.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../children.ts';

const program = fileURLToPath(new URL('crowd.ts', import.meta.url));
/** Tunnels of one process, so that its answers to pings do not wait for those of too many others. */
const TUNNELS_MOST = 4000;
/** Between two lines of progress. */
const OPENED_AT_ONCE = 500;
const ANSWER_MOST_MS = 60_000;

/** Tunnels, and what was seen of them since the last look. */
export interface Look {
  readonly open: number;
  readonly lost: number;
  /** Why one of them was lost. */
  readonly why: string | undefined;
  /** Pings since they were opened. */
  readonly pings: number;
  /** The slowest echo, in milliseconds. */
  readonly slowest: number;
  /** How many were asked to go. */
  readonly asked: number;
}

/** One client was asked to go: when (ms), with which code, and whether it talked all the time. */
export type Farewell = readonly [at: number, code: number, talks: boolean];

type Answer = Readonly<Record<string, number>>;

const sumOf = (answers: readonly Answer[], what: string): number =>
  answers.reduce((sum, answer) => sum + (answer[what] ?? 0), 0);

export class Crowd {
  readonly #children: readonly Child[];

  constructor(port: number, tunnels: number) {
    const processes = Math.ceil(tunnels / TUNNELS_MOST);
    this.#children = Array.from({ length: processes }, () => new Child([process.execPath, program, String(port)]));
  }

  async #all(command: string): Promise<unknown[]> {
    for (const child of this.#children) child.say(command);
    return Promise.all(this.#children.map((child) => child.answer(ANSWER_MOST_MS)));
  }

  /** Opens them in parts, and says how many stand after each. Throws when one does not open. */
  async open(tunnels: number, progress: (opened: number) => void): Promise<void> {
    const opened = this.#children.map(() => 0);
    for (let asked = 0, turn = 0; asked < tunnels; turn = (turn + 1) % this.#children.length) {
      const count = Math.min(OPENED_AT_ONCE, tunnels - asked);
      const child = this.#children[turn] as Child;
      child.say(`open ${count}`);
      opened[turn] = ((await child.answer(ANSWER_MOST_MS)) as { open: number }).open;
      asked += count;
      const open = opened.reduce((sum, part) => sum + part, 0);
      progress(open);
      if (open < asked) throw new Error(`${asked - open} of ${asked} tunnels did not open: ${(await this.look()).why}`);
    }
  }

  /** Every `each`th tunnel sends a message in so many milliseconds. How many do. */
  async talk(milliseconds: number, each: number): Promise<number> {
    return sumOf((await this.#all(`talk ${milliseconds} ${each}`)) as Answer[], 'talkers');
  }

  async hush(): Promise<void> {
    await this.#all('hush');
  }

  /** Every tunnel sends a message; how many came back. */
  async echo(): Promise<number> {
    return sumOf((await this.#all('echo')) as Answer[], 'echoed');
  }

  async look(): Promise<Look> {
    const looks = (await this.#all('look')) as Look[];
    const answers = looks as unknown as Answer[];
    return {
      open: sumOf(answers, 'open'),
      lost: sumOf(answers, 'lost'),
      why: looks.find(({ why }) => why !== undefined)?.why,
      pings: sumOf(answers, 'pings'),
      slowest: Math.max(...looks.map(({ slowest }) => slowest)),
      asked: sumOf(answers, 'asked'),
    };
  }

  /** All that were asked to go, in the order of time. */
  async farewells(folder: string): Promise<Farewell[]> {
    const all: Farewell[] = [];
    for (const [i, child] of this.#children.entries()) {
      const file = join(folder, `farewells-${i}`);
      child.say(`farewells ${file}`);
      await child.answer(ANSWER_MOST_MS);
      const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
      all.push(...lines.map((line) => JSON.parse(line) as Farewell));
    }
    return all.sort(([one], [other]) => one - other);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
  }
}
