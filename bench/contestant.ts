// One proxy under one work: a fresh process on its own core, with a peer and a load generator of its own on the other.

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CertificateFiles } from './certificate.ts';
import { Child } from './children.ts';
import { freePorts, untilAccepting } from './ports.ts';
import { cpuMicroseconds, memoryBytes, processTree } from './process-cost.ts';
import type { ProxyProgram } from './proxies/proxy-program.ts';
import type { Work } from './works.ts';

/** What all contestants share. */
export interface Arena {
  readonly folder: string;
  readonly programs: { readonly load: string; readonly peer: string };
  readonly certificate: CertificateFiles;
  /** The core for the proxy, and the one for everybody else; undefined leaves it to the kernel. */
  readonly proxyCore: number | undefined;
  readonly loadCore: number | undefined;
  /** How many client connections a proxy must be able to hold. */
  readonly connectionsMost: number;
}

/** One measured run. */
export interface Run {
  readonly units: number;
  readonly seconds: number;
  readonly cpuMicroseconds: number;
}

const START_MOST_MS = 15_000;
const RUN_MOST_MS = 120_000;
/** A proxy is at rest when it used less than this within one look. */
const REST_MICROSECONDS = 500;
const LOOK_MS = 50;
const LOOKS_MOST = 40;
/** Memory has settled when it changed by less than this share between looks half a second apart. */
const SETTLED_SHARE = 0.002;
const SETTLE_LOOK_MS = 500;
const SETTLE_LOOKS_MOST = 16;

let contestants = 0;

function loadWords(work: Work, port: number): string[] {
  const words = [work.mode, '--port', port, '--connections', work.connections, '--size', work.size];
  const path = work.mode === 'get' ? '/' : '/websocket';
  return [...words.map(String), '--path', path, ...(work.tls ? ['--tls'] : [])];
}

export class Contestant {
  readonly name: string;
  readonly #proxy: Child;
  readonly #peer: Child;
  readonly #load: Child;
  readonly #processes: readonly number[];
  readonly #folder: string;

  private constructor(name: string, folder: string, proxy: Child, peer: Child, load: Child) {
    this.name = name;
    this.#folder = folder;
    this.#proxy = proxy;
    this.#peer = peer;
    this.#load = load;
    this.#processes = processTree(proxy.pid);
  }

  /** Resolves when the load generator has its connections open through the proxy. */
  static async start(proxy: ProxyProgram, work: Work, arena: Arena): Promise<Contestant> {
    const folder = join(arena.folder, `${work.name}-${proxy.name}-${++contestants}`);
    mkdirSync(folder);
    const started: Child[] = [];
    const start = (command: readonly string[], core: number | undefined): Child => {
      const child = new Child(command, core);
      started.push(child);
      return child;
    };
    try {
      const peer = start([arena.programs.peer], arena.loadCore);
      const { port: peerPort } = (await peer.answer(START_MOST_MS)) as { port: number };
      const [port = 0, tlsPort = 0] = await freePorts(2);
      const setup = { ...arena, folder, port, tlsPort, peerPort };
      const gateway = start(proxy.command(setup), arena.proxyCore);
      await untilAccepting(gateway, [port, tlsPort]);
      const load = start([arena.programs.load, ...loadWords(work, work.tls ? tlsPort : port)], arena.loadCore);
      await load.answer(START_MOST_MS);
      return new Contestant(proxy.name, folder, gateway, peer, load);
    } catch (error) {
      await Promise.all(started.map((child) => child.stop()));
      throw error;
    }
  }

  /**
   * Works until the proxy has used that much CPU time, so that a JIT compiler has done its work; not longer than four
   * times that, for a proxy that is never busy. Returns units a second at the end.
   */
  async warm(seconds: number): Promise<number> {
    const end = performance.now() + seconds * 4000;
    const enough = cpuMicroseconds(this.#processes) + seconds * 1e6;
    let rate = 1000;
    do {
      const run = await this.run(Math.ceil(rate / 4));
      rate = run.units / run.seconds;
    } while (cpuMicroseconds(this.#processes) < enough && performance.now() < end);
    return rate;
  }

  /**
   * `pass` is for `idle`, whose tunnels are then not held. Throws, with what the proxy itself said last, when the load
   * generator did not get what it should.
   */
  async run(units: number, command: 'run' | 'pass' = 'run'): Promise<Run> {
    const before = cpuMicroseconds(this.#processes);
    this.#load.say(`${command} ${units}`);
    const { seconds } = (await this.#load.answer(RUN_MOST_MS).catch((error) => this.#explain(error))) as Run;
    return { units, seconds, cpuMicroseconds: (await this.#cpuAtRest()) - before };
  }

  #explain(error: Error): never {
    const log = join(this.#folder, 'error.log');
    const said = existsSync(log) ? readFileSync(log, 'utf8') : this.#proxy.complaint;
    throw new Error([error.message, ...said.trim().split('\n').slice(-2)].filter(Boolean).join('; '));
  }

  /** What a proxy still does when its clients have their answers (closing, collecting garbage) is part of its cost. */
  async #cpuAtRest(): Promise<number> {
    let used = cpuMicroseconds(this.#processes);
    for (let look = 0; look < LOOKS_MOST; look++) {
      await sleep(LOOK_MS);
      const now = cpuMicroseconds(this.#processes);
      if (now - used < REST_MICROSECONDS) return now;
      used = now;
    }
    return used;
  }

  /** The proxy's memory in bytes, when it no longer changes. */
  async settledMemory(): Promise<number> {
    let bytes = memoryBytes(this.#processes);
    for (let look = 0; look < SETTLE_LOOKS_MOST; look++) {
      await sleep(SETTLE_LOOK_MS);
      const now = memoryBytes(this.#processes);
      if (Math.abs(now - bytes) < bytes * SETTLED_SHARE) return now;
      bytes = now;
    }
    return bytes;
  }

  async stop(): Promise<void> {
    await Promise.all([this.#load, this.#proxy, this.#peer].map((child) => child.stop()));
  }
}
