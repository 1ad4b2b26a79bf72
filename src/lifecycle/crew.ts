// The workers of one process: hires them, gives them new configurations, replaces those that die or hang, sends them home.

import { setTimeout as wait } from 'node:timers/promises';
import type { ErrorLog, Level } from '../diagnostics/error-log.ts';
import type { LogDescriptors } from '../diagnostics/log-files.ts';
import { BackOff } from './back-off.ts';
import type { Configuration } from './configuration.ts';
import { WATCH_INTERVAL } from './heartbeat.ts';
import { type Ending, WorkerEnded, type WorkerHandle } from './worker-handle.ts';

export interface CrewOptions {
  readonly hire: (index: number) => WorkerHandle;
  readonly log: () => ErrorLog;
  /** Nothing of this worker runs any more: what it counted in shared memory is to be forgotten. */
  readonly died: (index: number) => void;
  /** No worker uses this configuration any more. */
  readonly gone: (configuration: Configuration) => void;
}

/** ms that a worker has to end after `stop`, and again after `kill`. */
const STOP_TIME = 2_000;

interface Member {
  readonly handle: WorkerHandle;
  readonly hiredAt: number;
  /** What it serves by; undefined while it starts. */
  configuration: Configuration | undefined;
  /** It was told to leave: its end is no surprise. */
  leaving: boolean;
  killed: boolean;
}

export class Crew {
  readonly #options: CrewOptions;
  readonly #members = new Set<Member>();
  readonly #backOffs = new Map<number, BackOff>();
  /** Who uses which configuration. */
  readonly #users = new Map<Configuration, Set<WorkerHandle>>();
  readonly #watch: NodeJS.Timeout;
  /** Told whenever a worker has ended. */
  readonly #waiting: (() => void)[] = [];
  #current: Configuration | undefined = undefined;
  #wanted = 0;
  #committing: Promise<unknown> = Promise.resolve();
  #closing = false;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#watch = setInterval(() => this.#look(), WATCH_INTERVAL).unref();
  }

  /** Starts so many workers, and waits until each of them serves. @throws where one of them cannot; the others are stopped */
  async start(count: number, configuration: Configuration): Promise<void> {
    this.#current = configuration;
    this.#wanted = count;
    this.#say('notice', 'start worker processes');
    await Promise.all(this.#missing.map((index) => this.#hire(index)));
  }

  /**
   * Gives all workers a new configuration, and makes their number so many. @throws where a worker cannot build it: then all go on with
   * the old one
   */
  async change(count: number, configuration: Configuration, shutdownTimeout: number): Promise<void> {
    const members = await this.#prepareAll(configuration);
    if (this.#closing) throw new Error('the process is about to end');
    const old = this.#current;
    this.#current = configuration;
    this.#wanted = count;
    this.#say('notice', 'start worker processes');
    this.#committing = Promise.all(members.map((member) => this.#commitOrSay(member, configuration)));
    await this.#committing;
    for (const member of this.#members) if (member.handle.index >= count) this.#sendHome(member, shutdownTimeout);
    if (old !== undefined) this.#checkGone(old);
    await this.#bringOthersUpToDate();
    await Promise.all(this.#missing.map((index) => this.#hireOrReplace(index)));
  }

  /** @returns those that have prepared it. One that dies meanwhile does not count, unless nobody is left. @throws where one cannot build it */
  async #prepareAll(configuration: Configuration): Promise<Member[]> {
    const members = this.#serving;
    const results = await Promise.allSettled(members.map(({ handle }) => handle.prepare(configuration.plan)));
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []));
    const refusal = failures.find((failure) => !(failure instanceof WorkerEnded));
    if (refusal !== undefined) throw refusal;
    if (failures[0] !== undefined && failures.length === members.length) throw failures[0];
    return members.filter((_, index) => results[index]?.status === 'fulfilled');
  }

  /** Until each worker writes to the new files. One that ends meanwhile does so as well. */
  async switchLogs(logs: LogDescriptors): Promise<void> {
    await Promise.allSettled([...this.#members].map(({ handle }) => handle.switchLogs(logs)));
  }

  /** Until all have left gently. @param timeout `worker_shutdown_timeout` in ms, 0: as long as it takes */
  async quit(timeout: number): Promise<void> {
    this.#closing = true;
    for (const member of this.#members) this.#sendHome(member, timeout);
    await this.#allEnded();
    clearInterval(this.#watch);
  }

  /** Until nothing runs any more, which takes a moment; what does not end is left behind. */
  async stop(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#watch);
    for (const member of this.#members) {
      member.leaving = true;
      member.handle.stop();
    }
    await this.#allEndedIn(STOP_TIME);
    for (const { handle } of this.#members) handle.kill();
    await this.#allEndedIn(STOP_TIME);
  }

  get #staying(): Member[] {
    return [...this.#members].filter((member) => !member.leaving);
  }

  /** Those that have served already. The others take the latest configuration by themselves. */
  get #serving(): Member[] {
    return this.#staying.filter((member) => member.configuration !== undefined);
  }

  async #allEndedIn(time: number): Promise<void> {
    const tooLate = new AbortController();
    await Promise.race([this.#allEnded(), wait(time, undefined, { signal: tooLate.signal }).catch(() => {})]);
    tooLate.abort();
  }

  async #allEnded(): Promise<void> {
    while (this.#members.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  get #missing(): number[] {
    const present = new Set(this.#staying.map(({ handle }) => handle.index));
    return Array.from({ length: this.#wanted }, (_, index) => index).filter((index) => !present.has(index));
  }

  /** Until the worker serves. @throws where it cannot */
  async #hire(index: number): Promise<void> {
    const handle = this.#options.hire(index);
    const member: Member = {
      handle,
      hiredAt: performance.now(),
      configuration: undefined,
      leaving: false,
      killed: false,
    };
    this.#members.add(member);
    void handle.ended.then((ending) => this.#ended(member, ending));
    try {
      await this.#bringUpToDate(member);
      this.#say('notice', `start worker process ${handle.thread}`);
    } catch (error) {
      this.#kill(member);
      throw error;
    }
  }

  /** A reload may overtake a worker that starts. */
  async #bringUpToDate(member: Member): Promise<void> {
    while (member.configuration !== this.#current) {
      const configuration = this.#current as Configuration;
      await member.handle.prepare(configuration.plan);
      await this.#commit(member, configuration);
      member.configuration = configuration;
    }
  }

  /** Workers that began to serve by the old configuration while the others prepared the new one. */
  async #bringOthersUpToDate(): Promise<void> {
    const late = this.#serving.filter((member) => member.configuration !== this.#current);
    await Promise.allSettled(late.map((member) => this.#bringUpToDate(member)));
  }

  async #commit(member: Member, configuration: Configuration): Promise<void> {
    const users = this.#users.get(configuration) ?? new Set();
    this.#users.set(configuration, users.add(member.handle));
    await member.handle.commit(() => void this.#retired(member.handle, configuration));
  }

  async #commitOrSay(member: Member, configuration: Configuration): Promise<void> {
    const { handle } = member;
    member.configuration = configuration;
    try {
      await this.#commit(member, configuration);
      this.#say('notice', `start worker process ${handle.thread}`);
    } catch (error) {
      this.#say('alert', `worker process ${handle.thread}: ${(error as Error).message}`);
    }
  }

  /**
   * nginx would now have one process less; the line is what programs wait for that want to know when a reload is over, so it comes
   * after all workers have the new configuration.
   */
  async #retired(handle: WorkerHandle, configuration: Configuration): Promise<void> {
    await this.#committing;
    if (!this.#users.get(configuration)?.delete(handle)) return;
    this.#say(
      'notice',
      `worker process ${handle.thread} exited with code 0: its old configuration has gone, it goes on with the new one`,
    );
    this.#checkGone(configuration);
  }

  #checkGone(configuration: Configuration): void {
    if (configuration === this.#current || (this.#users.get(configuration)?.size ?? 0) > 0) return;
    this.#users.delete(configuration);
    this.#options.gone(configuration);
  }

  #sendHome(member: Member, timeout: number): void {
    if (member.leaving) return;
    member.leaving = true;
    member.handle.quit(timeout);
  }

  /** Ends it; where even that does not help, it is given up. */
  #kill(member: Member): void {
    member.killed = true;
    member.handle.kill();
    const late = setTimeout(
      () => this.#ended(member, { code: -1, reason: 'it could not be ended and still stands there' }),
      STOP_TIME,
    );
    void member.handle.ended.then(() => clearTimeout(late));
  }

  #ended(member: Member, { code, reason }: Ending): void {
    const { handle } = member;
    if (!this.#members.delete(member)) return;
    for (const tell of this.#waiting.splice(0)) tell();
    for (const [configuration, users] of this.#users) if (users.delete(handle)) this.#checkGone(configuration);
    this.#options.died(handle.index);
    const what = `worker process ${handle.thread} exited with code ${code}`;
    if (member.leaving) {
      this.#say(code === 0 ? 'notice' : 'warn', what);
      return;
    }
    this.#say('alert', reason === undefined ? what : `${what}: ${reason.split('\n').map(trim).join(' ')}`);
    if (member.configuration !== undefined) void this.#replace(handle.index, performance.now() - member.hiredAt);
  }

  /** Tries once now; where that fails, again and again in the background. */
  async #hireOrReplace(index: number): Promise<void> {
    try {
      await this.#hire(index);
    } catch (error) {
      this.#say('alert', `could not start worker ${index}: ${(error as Error).message}`);
      void this.#replace(index, 0);
    }
  }

  async #replace(index: number, lived: number): Promise<void> {
    const backOff = this.#backOffs.get(index) ?? new BackOff();
    this.#backOffs.set(index, backOff);
    for (let life = lived; !this.#closing && index < this.#wanted; life = 0) {
      const delay = backOff.next(life);
      if (delay > 0) await wait(delay);
      if (this.#closing || index >= this.#wanted) return;
      try {
        return await this.#hire(index);
      } catch (error) {
        this.#say('alert', `could not replace worker ${index}: ${(error as Error).message}`);
      }
    }
  }

  #say(level: Level, message: string): void {
    this.#options.log().write(level, message);
  }

  #look(): void {
    const now = performance.now();
    for (const member of this.#members) {
      const wrong = member.handle.look(now);
      if (wrong === undefined || member.killed) continue;
      this.#say('alert', `worker process ${member.handle.thread} ${wrong}: it is ended`);
      this.#kill(member);
    }
  }
}

const trim = (text: string): string => text.trim();
