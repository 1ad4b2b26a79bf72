// Knows whether a worker's event loop still turns: workers count beats in shared memory, the master watches them.

import { readFileSync } from 'node:fs';

/** One worker's cells in shared memory. */
const BEATS = 0;
const BUSY = 1;
const THREAD = 2;
const CELLS = 3;

const BEAT_INTERVAL = 200;
/** ms between two looks of the master. */
export const WATCH_INTERVAL = 250;

/** Memory for one worker's heart; travels in `workerData`. */
export function createHeart(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT));
}

/** The worker's side. */
export class Heart {
  readonly #cells: Int32Array;
  readonly #timer: NodeJS.Timeout;

  /** @param thread the system's number of this thread */
  constructor(cells: Int32Array, thread: number) {
    this.#cells = cells;
    Atomics.store(cells, THREAD, thread);
    this.#timer = setInterval(() => this.#beat(), BEAT_INTERVAL).unref();
  }

  /** Says beforehand that the loop may stand still for long, while a configuration is loaded. */
  async whileBusy<T>(work: () => Promise<T>): Promise<T> {
    Atomics.add(this.#cells, BUSY, 1);
    try {
      return await work();
    } finally {
      this.#beat();
      Atomics.sub(this.#cells, BUSY, 1);
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    Atomics.add(this.#cells, BEATS, 1);
  }
}

export interface HeartLimits {
  /** ms of processor time that a worker may use without a beat: its loop is caught in something endless. */
  readonly busy: number;
  /** ms that a worker may give no sign without using the processor (it waits for a dead disk, say), counted only while the master itself runs on time. */
  readonly silent: number;
  /** The same two, for a worker that starts or loads a configuration. */
  readonly loading: number;
}

export const HEART_LIMITS: HeartLimits = { busy: 1_000, silent: 10_000, loading: 60_000 };

/**
 * The master's side, for one worker. A machine that has no time for us must not cost a worker its connections: so what counts is the
 * processor time that the thread itself has used since its last beat, not the clock.
 */
export class HeartWatch {
  readonly #cells: Int32Array;
  readonly #limits: HeartLimits;
  readonly #processorTime: (thread: number) => number | undefined;
  #lastBeats = -1;
  #lastLook = 0;
  /** Processor time at the last beat that was seen. */
  #usedThen = 0;
  #silence = 0;

  constructor(cells: Int32Array, limits: HeartLimits = HEART_LIMITS, processorTime = threadTime) {
    this.#cells = cells;
    this.#limits = limits;
    this.#processorTime = processorTime;
  }

  /** The system's number of the worker's thread; 0 until it runs. */
  get thread(): number {
    return Atomics.load(this.#cells, THREAD);
  }

  /**
   * One look, to be taken every WATCH_INTERVAL ms.
   * @param now ms of a clock that never jumps
   * @returns what is wrong, as a sentence's end; undefined where all is well
   */
  look(now: number): string | undefined {
    const beats = Atomics.load(this.#cells, BEATS);
    const used = this.#processorTime(this.thread);
    const onTime = now - this.#lastLook < 2 * WATCH_INTERVAL;
    this.#lastLook = now;
    if (beats !== this.#lastBeats) {
      this.#lastBeats = beats;
      this.#usedThen = used ?? 0;
      this.#silence = 0;
      return undefined;
    }
    if (onTime) this.#silence += WATCH_INTERVAL;
    return this.#judge(used === undefined ? undefined : used - this.#usedThen);
  }

  #judge(busy: number | undefined): string | undefined {
    const loading = this.thread === 0 || Atomics.load(this.#cells, BUSY) > 0;
    const { busy: mostBusy, silent } = this.#limits;
    if (busy !== undefined && busy >= (loading ? this.#limits.loading : mostBusy)) {
      return `is caught in a loop (no sign of life in ${busy} ms of processor time)`;
    }
    if (this.#silence >= (loading ? this.#limits.loading : silent))
      return `has given no sign of life for ${this.#silence} ms`;
    return undefined;
  }
}

/** ms in a clock tick of /proc: USER_HZ is 100 everywhere. */
const MS_PER_TICK = 10;

/** Processor time that a thread of this process has used, in ms; undefined where the system does not say. */
export function threadTime(thread: number): number | undefined {
  if (thread === 0) return undefined;
  try {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'latin1');
    // The name in brackets may hold anything; behind it, utime and stime are the 12th and 13th field.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
  } catch {
    return undefined;
  }
}
