// The process of the peer: started on a port, killed without a word, and back on the same port.

import { fileURLToPath } from 'node:url';
import { Child } from '../children.ts';

const program = fileURLToPath(new URL('peer.ts', import.meta.url));
const START_MOST_MS = 15_000;

async function start(port: number): Promise<{ child: Child; port: number }> {
  const child = new Child([process.execPath, program, String(port)]);
  return { child, ...((await child.answer(START_MOST_MS)) as { port: number }) };
}

export class PeerProcess {
  readonly port: number;
  #child: Child;

  private constructor(child: Child, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(): Promise<PeerProcess> {
    const { child, port } = await start(0);
    return new PeerProcess(child, port);
  }

  /** How many pings have come so far. */
  async pings(): Promise<number> {
    this.#child.say('pings');
    return ((await this.#child.answer(START_MOST_MS)) as { pings: number }).pings;
  }

  async dieAndReturn(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#child.exited;
    this.#child = (await start(this.port)).child;
  }
}
