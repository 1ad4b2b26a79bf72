// How many connections there are over all workers, and what they do: what `stub_status` tells.

import { privateRow, type Row, type RowShape } from './shared-rows.ts';
import type { ZoneDirectory } from './zone-directory.ts';

// Shared cells. What is counted for ever has two: the upper one counts how often the lower one has begun anew.
const ACCEPTED = 0;
const REQUESTS = 2;
// Cells of each worker.
const ACTIVE = 0;
const READING = 1;
const WRITING = 2;

const SHAPE: RowShape = { shared: 4, perWorker: 3 };

export class ConnectionCounts {
  readonly #row: Row;

  constructor(row: Row) {
    this.#row = row;
  }

  /** Those of all workers: the same ones over every reload. */
  static of(zones: ZoneDirectory): ConnectionCounts {
    return new ConnectionCounts(zones.row('connections', SHAPE, ''));
  }

  /** Counts that nobody shares. */
  static alone(): ConnectionCounts {
    return new ConnectionCounts(privateRow(SHAPE));
  }

  /** A connection was accepted. */
  accept(): void {
    this.#countUp(ACCEPTED);
  }

  /** This worker has so many connections more, greetings and tunnels among them. */
  change(by: number): void {
    this.#row.addOwn(ACTIVE, by);
  }

  /** The head of a request has begun to come, and is not there yet. */
  headBegins(): void {
    this.#row.addOwn(READING, 1);
  }

  headEnds(): void {
    this.#row.addOwn(READING, -1);
  }

  requestBegins(): void {
    this.#countUp(REQUESTS);
    this.#row.addOwn(WRITING, 1);
  }

  /** It has been answered, or its tunnel has closed. */
  requestEnds(): void {
    this.#row.addOwn(WRITING, -1);
  }

  get accepted(): number {
    return this.#counted(ACCEPTED);
  }

  get requests(): number {
    return this.#counted(REQUESTS);
  }

  get active(): number {
    return this.#row.total(ACTIVE);
  }

  get reading(): number {
    return this.#row.total(READING);
  }

  get writing(): number {
    return this.#row.total(WRITING);
  }

  /** Those on which nothing is asked or answered. */
  get waiting(): number {
    return Math.max(0, this.active - this.reading - this.writing);
  }

  #countUp(cell: number): void {
    if (this.#row.add(cell, 1) === 0) this.#row.add(cell + 1, 1);
  }

  #counted(cell: number): number {
    return this.#row.get(cell + 1) * 2 ** 32 + (this.#row.get(cell) >>> 0);
  }
}
