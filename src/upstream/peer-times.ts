// How long a peer takes, as all workers have seen it: what `least_time` goes by.

import type { Row } from '../zones/shared-rows.ts';

/** Cells of a peer's row: the first of each kind that is the times'. */
export interface TimeCells {
  readonly shared: number;
  readonly perWorker: number;
}

/** Shared cells, in ms. */
const HEADER = 0;
const RESPONSE = 1;
const INFLIGHT = 2;
/** When the requests under way were last added up, by `nowMs`. */
const ADDED_UP_AT = 3;
/** How long they had been under way together then: many long requests do not fit one cell. */
const TOGETHER_LOW = 4;
const TOGETHER_HIGH = 5;
export const SHARED_TIME_CELLS = 6;

/** A cell of each worker: requests under way. */
const UNDER_WAY = 0;
export const OWN_TIME_CELLS = 1;

const LOW = 2 ** 30;
/** The share of the newest in an average; nginx's. */
const NEWEST = 0.05;

/** ms, wrapped to what a cell holds; the same for all workers. */
export function nowMs(): number {
  return Date.now() | 0;
}

/** The averages of one peer: nginx's, ms. 0: nothing is known yet. */
export class PeerTimes {
  readonly #row: Row;
  readonly #shared: number;
  readonly #own: number;

  constructor(row: Row, cells: TimeCells) {
    this.#row = row;
    this.#shared = cells.shared;
    this.#own = cells.perWorker;
  }

  /** Until the head of the answer has come. */
  get header(): number {
    return this.#row.get(this.#shared + HEADER);
  }

  /** Until all of it has. */
  get response(): number {
    return this.#row.get(this.#shared + RESPONSE);
  }

  /** What requests that are still under way have taken so far. */
  get inflight(): number {
    return this.#row.get(this.#shared + INFLIGHT);
  }

  get underWay(): number {
    return this.#row.total(this.#own + UNDER_WAY);
  }

  learnHeader(ms: number): void {
    this.#average(HEADER, ms);
  }

  learnResponse(ms: number): void {
    this.#average(RESPONSE, ms);
  }

  /** Looks at what is under way. */
  learnInflight(now: number): void {
    const count = this.underWay;
    if (count > 0) this.#average(INFLIGHT, Math.trunc(this.#together / count) + this.#since(now));
  }

  beginRequest(now: number): void {
    this.#addUp(now, this.underWay, 0);
    this.#row.addOwn(this.#own + UNDER_WAY, 1);
  }

  /** @param took how long it was under way */
  endRequest(now: number, took: number): void {
    const count = this.underWay;
    if (count > 1) this.#addUp(now, count, took);
    else this.#keepTogether(0);
    this.#row.addOwn(this.#own + UNDER_WAY, -1);
  }

  #addUp(now: number, count: number, without: number): void {
    this.#keepTogether(count === 0 ? 0 : Math.max(0, this.#together + this.#since(now) * count - without));
    this.#row.set(this.#shared + ADDED_UP_AT, now);
  }

  get #together(): number {
    return this.#row.get(this.#shared + TOGETHER_HIGH) * LOW + this.#row.get(this.#shared + TOGETHER_LOW);
  }

  #keepTogether(ms: number): void {
    this.#row.set(this.#shared + TOGETHER_HIGH, Math.floor(ms / LOW));
    this.#row.set(this.#shared + TOGETHER_LOW, ms % LOW);
  }

  /** A clock that was set back stands still. */
  #since(now: number): number {
    return Math.max(0, (now - this.#row.get(this.#shared + ADDED_UP_AT)) | 0);
  }

  #average(cell: number, ms: number): void {
    const known = this.#row.get(this.#shared + cell);
    this.#row.set(this.#shared + cell, known === 0 ? ms : Math.trunc(0.5 + ms * NEWEST + known * (1 - NEWEST)));
  }
}
