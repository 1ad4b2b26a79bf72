// All tables that the threads share: the master allocates, workers join, and a reload changes only what it has to.

import { SharedCache } from './shared-cache.ts';
import { SharedCounts } from './shared-counts.ts';
import { SharedRates } from './shared-rates.ts';
import { MAX_WORKERS, type Row, type RowShape, SharedRows, type SharedRowsState } from './shared-rows.ts';

/** What a worker needs to join: plain, and fit for `workerData` and `postMessage`. */
export interface ZoneDirectoryState {
  readonly workers: SharedArrayBuffer;
  readonly tables: readonly (readonly [name: string, table: SharedRowsState])[];
  readonly caches: readonly (readonly [identity: string, memory: SharedArrayBuffer])[];
  readonly configuration: number;
}

/** The memory of a cache, and the configurations that asked for it and have not ended. */
interface HeldMemory {
  readonly memory: SharedArrayBuffer;
  readonly holders: Set<number>;
  /** What is to be done with it when a worker has died. */
  forget?: (worker: number) => void;
}

/**
 * The tables of shared rows, by name. There is one leader: the master, or the only thread. Its way:
 * `beginConfiguration()`, load the configuration (whatever asks for `row` gets one), send `state()` to the workers, and
 * when an older configuration has gone from every worker, or could not be loaded, `endConfiguration(number)`.
 * A worker's way: `ZoneDirectory.join(state, worker)`, and `adopt(state)` before it loads another configuration.
 */
export class ZoneDirectory {
  readonly #worker: number;
  /** It is the master's, or that of the only thread. */
  readonly leads: boolean;
  readonly #workers: Int32Array;
  readonly #tables = new Map<string, SharedRows>();
  readonly #caches = new Map<string, HeldMemory>();
  #configuration = 0;

  private constructor(worker: number, leads: boolean, workers: Int32Array) {
    this.#worker = worker;
    this.leads = leads;
    this.#workers = workers;
  }

  /** The leader's directory. The master, whose own column is never used, and the only thread, which has column 0, are alike. */
  static create(): ZoneDirectory {
    const workers = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    workers[0] = 1;
    return new ZoneDirectory(0, true, workers);
  }

  /** A worker's directory. @param worker its number, from 0 to MAX_WORKERS - 1; a successor has its predecessor's */
  static join(state: ZoneDirectoryState, worker: number): ZoneDirectory {
    const directory = new ZoneDirectory(worker, false, new Int32Array(state.workers));
    directory.adopt(state);
    return directory;
  }

  /** Says how many workers there are, before they start. Never shrinks: a worker that leaves may still have tunnels. */
  useWorkers(count: number): void {
    if (count > MAX_WORKERS) throw new RangeError(`more than ${MAX_WORKERS} worker processes`);
    Atomics.store(this.#workers, 0, Math.max(count, Atomics.load(this.#workers, 0)));
  }

  /** The number of the configuration that was begun last, the same for all workers that load it. 0: none was. */
  get configuration(): number {
    return this.#configuration;
  }

  /** Rows asked for from now on belong to a new configuration. @returns its number, for `endConfiguration` */
  beginConfiguration(): number {
    return ++this.#configuration;
  }

  /** This configuration has gone from all workers, or was never used: rows that no other one has are freed once they are idle. */
  endConfiguration(configuration: number): void {
    for (const table of this.#tables.values()) table.drop(configuration);
    for (const [identity, { holders }] of this.#caches) {
      holders.delete(configuration);
      if (holders.size === 0) this.#caches.delete(identity);
    }
  }

  /**
   * The row of an identity, which is what it was before a reload where it was there before.
   * A worker that asks for what the master does not know (a name that was resolved to another address) gets a row of its own.
   */
  row(table: string, shape: RowShape, identity: string): Row {
    const rows = this.#table(table, shape);
    return this.leads ? rows.hold(identity, this.#configuration) : rows.find(identity);
  }

  /**
   * The cache of an identity, with what it held before a reload where it was there before. Give the size a part in the identity:
   * one of another size is another cache.
   * @throws {RangeError} for more bytes than there are
   */
  cache(identity: string, bytes: number): SharedCache {
    return new SharedCache(this.memory(identity, bytes), this.#worker);
  }

  /**
   * A piece of memory that all workers share, zeroed when it is new, and found again as a cache is. A worker that asks for what the
   * master does not know gets memory of its own. The system gives pages when they are written.
   * @throws {RangeError} for more bytes than there are
   */
  memory(identity: string, bytes: number): SharedArrayBuffer {
    const held: HeldMemory = this.#caches.get(identity) ?? {
      memory: new SharedArrayBuffer(bytes),
      holders: new Set<number>(),
    };
    if (this.leads) {
      held.holders.add(this.#configuration);
      this.#caches.set(identity, held);
    }
    return held.memory;
  }

  /** A table of counts in such a piece of memory. */
  counts(identity: string, bytes: number): SharedCounts {
    const counts = new SharedCounts(this.memory(identity, bytes), this.#worker);
    this.#onDeath(identity, (worker) => counts.forget(worker));
    return counts;
  }

  /** A table of leaky buckets in such a piece of memory. */
  rates(identity: string, bytes: number): SharedRates {
    const rates = new SharedRates(this.memory(identity, bytes), this.#worker);
    this.#onDeath(identity, (worker) => rates.openLocks(worker));
    return rates;
  }

  #onDeath(identity: string, forget: (worker: number) => void): void {
    const held = this.#caches.get(identity);
    if (held !== undefined) held.forget = forget;
  }

  /** A worker has died and none of its threads runs any more: what it counted is forgotten, what it had locked is open. */
  zeroColumn(worker: number): void {
    for (const table of this.#tables.values()) table.zeroColumn(worker);
    for (const { forget } of this.#caches.values()) forget?.(worker);
  }

  /** How many rows a table has. */
  size(table: string): number {
    return this.#tables.get(table)?.size ?? 0;
  }

  state(): ZoneDirectoryState {
    const tables = [...this.#tables].map(([name, table]) => [name, table.state()] as const);
    const caches = [...this.#caches].map(([identity, { memory }]) => [identity, memory] as const);
    const workers = this.#workers.buffer as SharedArrayBuffer;
    return { workers, tables, caches, configuration: this.#configuration };
  }

  /** Takes over what the leader has now. */
  adopt(state: ZoneDirectoryState): void {
    this.#configuration = state.configuration;
    for (const [name, table] of state.tables) this.#table(name, table.shape).adopt(table);
    this.#caches.clear();
    for (const [identity, memory] of state.caches) this.#caches.set(identity, { memory, holders: new Set() });
  }

  #table(name: string, shape: RowShape): SharedRows {
    let table = this.#tables.get(name);
    if (table === undefined) {
      table = new SharedRows(shape, this.#worker, this.#workers);
      this.#tables.set(name, table);
    }
    return table;
  }
}
