// Rows of small counters in memory that all worker threads share: exact totals over workers without a message.

/** The most worker threads that can have a column. Untouched columns cost no memory: the system maps pages when they are used. */
export const MAX_WORKERS = 256;

/** What a row consists of: 32-bit signed integers. */
export interface RowShape {
  /** Cells that all workers read and write: `fails`, `checked` … */
  readonly shared: number;
  /** Cells that each worker has for itself, and whose sum is the total: connections in use. Zeroed when a worker dies. */
  readonly perWorker: number;
  /** The shared cell that serves `lock`, if any; see `Row.lock`. */
  readonly lockCell?: number;
  /** Shared cells that say which worker has something to do, if any; see `Row.own`. */
  readonly ownerCells?: { readonly first: number; readonly count: number };
}

const ROWS_PER_SEGMENT = 64;

/** How often a lock is tried before going on without it; some tens of microseconds. */
const LOCK_TRIES = 2000;

/**
 * Memory for a number of rows: first the shared cells of all of them, then one column after the other, so that a dead
 * worker's column is one stretch, and workers seldom write to the same cache line.
 */
export class Segment {
  readonly cells: Int32Array;
  readonly #shape: RowShape;
  readonly #rows: number;

  constructor(shape: RowShape, rows: number, cells: Int32Array) {
    this.#shape = shape;
    this.#rows = rows;
    this.cells = cells;
  }

  sharedAt(slot: number): number {
    return slot * this.#shape.shared;
  }

  columnAt(slot: number, worker: number): number {
    const { shared, perWorker } = this.#shape;
    return this.#rows * (shared + perWorker * worker) + slot * perWorker;
  }

  /** From a worker's cell to the next worker's. */
  get columnStride(): number {
    return this.#rows * this.#shape.perWorker;
  }

  zeroColumn(worker: number): void {
    this.#zero(this.columnAt(0, worker), this.columnStride);
  }

  zeroRow(slot: number): void {
    this.#zero(this.sharedAt(slot), this.#shape.shared);
    for (let worker = 0; worker < MAX_WORKERS; worker++) {
      this.#zero(this.columnAt(slot, worker), this.#shape.perWorker);
    }
  }

  /** Opens every lock that this worker held when it died, and leaves to others what it owned. */
  releaseLocks(worker: number): void {
    const { lockCell, ownerCells } = this.#shape;
    if (lockCell !== undefined) this.#forget(worker, lockCell, 1);
    if (ownerCells !== undefined) this.#forget(worker, ownerCells.first, ownerCells.count);
  }

  #forget(worker: number, first: number, count: number): void {
    for (let slot = 0; slot < this.#rows; slot++) {
      const from = this.sharedAt(slot) + first;
      for (let at = from; at < from + count; at++) Atomics.compareExchange(this.cells, at, worker + 1, 0);
    }
  }

  #zero(from: number, count: number): void {
    for (let i = from; i < from + count; i++) Atomics.store(this.cells, i, 0);
  }
}

function sharedSegment(shape: RowShape, buffer?: SharedArrayBuffer): Segment {
  const size = ROWS_PER_SEGMENT * (shape.shared + shape.perWorker * MAX_WORKERS) * Int32Array.BYTES_PER_ELEMENT;
  return new Segment(shape, ROWS_PER_SEGMENT, new Int32Array(buffer ?? new SharedArrayBuffer(size)));
}

/** One row as one worker has it in hand. Cheap enough to be used for every request. */
export class Row {
  readonly #cells: Int32Array;
  readonly #shared: number;
  readonly #own: number;
  readonly #firstColumn: number;
  readonly #columnStride: number;
  readonly #lockCell: number;
  readonly #lockMark: number;
  /** Cell 0: how many columns are in use. */
  readonly #workers: Int32Array;

  constructor(shape: RowShape, segment: Segment, slot: number, worker: number, workers: Int32Array) {
    this.#cells = segment.cells;
    this.#shared = segment.sharedAt(slot);
    this.#own = segment.columnAt(slot, worker);
    this.#firstColumn = segment.columnAt(slot, 0);
    this.#columnStride = segment.columnStride;
    this.#lockCell = this.#shared + (shape.lockCell ?? 0);
    this.#lockMark = worker + 1;
    this.#workers = workers;
  }

  get(cell: number): number {
    return Atomics.load(this.#cells, this.#shared + cell);
  }

  set(cell: number, value: number): void {
    Atomics.store(this.#cells, this.#shared + cell, value);
  }

  /** Adds to a shared cell. @returns the sum */
  add(cell: number, value: number): number {
    return Atomics.add(this.#cells, this.#shared + cell, value) + value;
  }

  /** Sets a shared cell if it is `expected`. @returns whether it was */
  swap(cell: number, expected: number, value: number): boolean {
    return Atomics.compareExchange(this.#cells, this.#shared + cell, expected, value) === expected;
  }

  /**
   * One of the workers shall do something: this one does, if no other one is to. Needs `RowShape.ownerCells`; a worker that
   * dies owns nothing any more.
   * @returns whether it is this one, now or already
   */
  own(cell: number): boolean {
    const owner = Atomics.compareExchange(this.#cells, this.#shared + cell, 0, this.#lockMark);
    return owner === 0 || owner === this.#lockMark;
  }

  /** Leaves it to others, if it was this worker's. */
  disown(cell: number): void {
    Atomics.compareExchange(this.#cells, this.#shared + cell, this.#lockMark, 0);
  }

  /** Adds to this worker's own cell. */
  addOwn(cell: number, value: number): void {
    Atomics.add(this.#cells, this.#own + cell, value);
  }

  setOwn(cell: number, value: number): void {
    Atomics.store(this.#cells, this.#own + cell, value);
  }

  /** A cell of each worker, this one's among them: for paths that are not hot. */
  each(cell: number): number[] {
    const workers = Atomics.load(this.#workers, 0);
    return Array.from({ length: workers }, (_, worker) =>
      Atomics.load(this.#cells, this.#firstColumn + cell + worker * this.#columnStride),
    );
  }

  /** The exact sum of a cell over all workers. */
  total(cell: number): number {
    const workers = Atomics.load(this.#workers, 0);
    let sum = 0;
    let at = this.#firstColumn + cell;
    for (let worker = 0; worker < workers; worker++, at += this.#columnStride) sum += Atomics.load(this.#cells, at);
    return sum;
  }

  /**
   * Keeps the other workers out for the few steps until `unlock`; needs `RowShape.lockCell`. A worker may be stopped or killed
   * while it holds a lock, so the wait is bounded: what is guarded must survive two workers at once now and then.
   * @returns whether the lock was got: pass it to `unlock`.
   */
  lock(): boolean {
    if (Atomics.load(this.#workers, 0) <= 1) return false;
    for (let tries = 0; tries < LOCK_TRIES; tries++) {
      if (Atomics.compareExchange(this.#cells, this.#lockCell, 0, this.#lockMark) === 0) return true;
    }
    return false;
  }

  unlock(locked: boolean): void {
    if (locked) Atomics.compareExchange(this.#cells, this.#lockCell, this.#lockMark, 0);
  }
}

/** What a table is, for a worker that joins: plain, and fit for `postMessage`. */
export interface SharedRowsState {
  readonly shape: RowShape;
  readonly buffers: readonly SharedArrayBuffer[];
  readonly rows: readonly (readonly [identity: string, index: number])[];
}

/** The most rows that a table can have: 1024 segments. */
export const ROW_LIMIT = 65_536;

interface Allocation {
  readonly index: number;
  /** The configurations that asked for this row and have not ended. */
  readonly holders: Set<number>;
}

/** A table of rows by identity, as one thread has it. Made and led by a `ZoneDirectory`. */
export class SharedRows {
  readonly #shape: RowShape;
  readonly #worker: number;
  readonly #workers: Int32Array;
  readonly #segments: Segment[] = [];
  readonly #allocated = new Map<string, Allocation>();
  /** Indexes that were used and are free again. */
  readonly #free: number[] = [];
  #next = 0;

  constructor(shape: RowShape, worker: number, workers: Int32Array) {
    this.#shape = shape;
    this.#worker = worker;
    this.#workers = workers;
  }

  /** How many rows are taken. */
  get size(): number {
    return this.#allocated.size;
  }

  /** The row of this identity, held by `configuration`; allocated if it is new. @throws {RangeError} beyond ROW_LIMIT */
  hold(identity: string, configuration: number): Row {
    const allocation = this.#allocated.get(identity) ?? this.#allocate(identity);
    allocation.holders.add(configuration);
    return this.#rowAt(allocation.index);
  }

  /** The row of this identity; one that only the caller has where the master has not allocated it. */
  find(identity: string): Row {
    const allocation = this.#allocated.get(identity);
    return allocation === undefined ? privateRow(this.#shape) : this.#rowAt(allocation.index);
  }

  /** `configuration` has gone: frees the rows that nobody holds any more and of which nothing is in use. */
  drop(configuration: number): void {
    for (const [identity, allocation] of this.#allocated) {
      allocation.holders.delete(configuration);
      if (allocation.holders.size === 0 && this.#isIdle(allocation.index)) this.#release(identity, allocation.index);
    }
  }

  zeroColumn(worker: number): void {
    for (const segment of this.#segments) {
      segment.zeroColumn(worker);
      segment.releaseLocks(worker);
    }
  }

  state(): SharedRowsState {
    const buffers = this.#segments.map((segment) => segment.cells.buffer as SharedArrayBuffer);
    const rows = [...this.#allocated].map(([identity, { index }]) => [identity, index] as const);
    return { shape: this.#shape, buffers, rows };
  }

  /** Takes over what the master has now. Rows that somebody has in hand go on. */
  adopt(state: SharedRowsState): void {
    for (const buffer of state.buffers.slice(this.#segments.length)) {
      this.#segments.push(sharedSegment(this.#shape, buffer));
    }
    this.#allocated.clear();
    for (const [identity, index] of state.rows) this.#allocated.set(identity, { index, holders: new Set() });
  }

  #allocate(identity: string): Allocation {
    if (this.#allocated.size >= ROW_LIMIT) throw new RangeError(`more than ${ROW_LIMIT} rows of shared memory`);
    const index = this.#free.pop() ?? this.#next++;
    if (index >= this.#segments.length * ROWS_PER_SEGMENT) this.#segments.push(sharedSegment(this.#shape));
    const allocation = { index, holders: new Set<number>() };
    this.#allocated.set(identity, allocation);
    return allocation;
  }

  #release(identity: string, index: number): void {
    this.#allocated.delete(identity);
    this.#segmentOf(index).zeroRow(index % ROWS_PER_SEGMENT);
    this.#free.push(index);
  }

  #isIdle(index: number): boolean {
    const row = this.#rowAt(index);
    for (let cell = 0; cell < this.#shape.perWorker; cell++) {
      if (row.total(cell) !== 0) return false;
    }
    return true;
  }

  #rowAt(index: number): Row {
    const slot = index % ROWS_PER_SEGMENT;
    return new Row(this.#shape, this.#segmentOf(index), slot, this.#worker, this.#workers);
  }

  #segmentOf(index: number): Segment {
    return this.#segments[Math.floor(index / ROWS_PER_SEGMENT)] as Segment;
  }
}

/** A row that nobody shares: for what lives as long as one request. */
export function privateRow(shape: RowShape): Row {
  return new Row(shape, new Segment(shape, 1, new Int32Array(shape.shared + shape.perWorker)), 0, 0, ALONE);
}

const ALONE = Int32Array.of(1);
