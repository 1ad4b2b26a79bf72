// How many tunnels there are and were over all workers, and what ended them: what `websocket_status` tells.

import type { RefusalCause } from '../exchange/traces.ts';
import { privateRow, type Row, type RowShape } from '../zones/shared-rows.ts';
import type { ZoneDirectory } from '../zones/zone-directory.ts';
import type { TunnelCause } from './tunnel-cause.ts';
import { TUNNEL_CAUSES } from './tunnel-complaint.ts';

const REFUSALS: { readonly [cause in RefusalCause]: true } = { origin: true, subprotocol: true };

// Shared cells. What is counted for ever has two: the upper one counts how often the lower one has begun anew.
const OPENED = 0;
const CELL_OF_END = cells(TUNNEL_CAUSES, 2);
const CELL_OF_REFUSAL = cells(Object.keys(REFUSALS) as RefusalCause[], 2 + 2 * CELL_OF_END.size);
const RESUMED = 2 + 2 * (CELL_OF_END.size + CELL_OF_REFUSAL.size);
const LOST = RESUMED + 2;
// The cell of each worker.
const OPEN = 0;

const SHAPE: RowShape = { shared: LOST + 2, perWorker: 1 };

function cells<Cause>(causes: readonly Cause[], first: number): ReadonlyMap<Cause, number> {
  return new Map(causes.map((cause, index) => [cause, first + 2 * index]));
}

export class TunnelCounts {
  readonly #row: Row;

  constructor(row: Row) {
    this.#row = row;
  }

  /** Those of all workers: the same ones over every reload. */
  static of(zones: ZoneDirectory): TunnelCounts {
    return new TunnelCounts(zones.row('tunnels', SHAPE, ''));
  }

  /** Counts that nobody shares. */
  static alone(): TunnelCounts {
    return new TunnelCounts(privateRow(SHAPE));
  }

  tunnelOpened(): void {
    this.#countUp(OPENED);
    this.#row.addOwn(OPEN, 1);
  }

  /** To be called once for each that was opened. */
  tunnelEnded(cause: TunnelCause): void {
    this.#row.addOwn(OPEN, -1);
    this.#countUp(CELL_OF_END.get(cause) as number);
  }

  handshakeRefused(cause: RefusalCause): void {
    this.#countUp(CELL_OF_REFUSAL.get(cause) as number);
  }

  tunnelResumed(): void {
    this.#countUp(RESUMED);
  }

  /** So many messages may be lost. */
  messagesLost(count: number): void {
    if (count > 0) this.#countUp(LOST, count);
  }

  /** How often a tunnel has gone on with another peer. */
  get resumed(): number {
    return this.#counted(RESUMED);
  }

  get lostMessages(): number {
    return this.#counted(LOST);
  }

  get opened(): number {
    return this.#counted(OPENED);
  }

  /** Those of a worker that died are not among them, nor among those that ended. */
  get open(): number {
    return this.#row.total(OPEN);
  }

  /** How many ended by each cause; all causes, in a fixed order. */
  *ended(): Generator<readonly [TunnelCause, number]> {
    for (const [cause, cell] of CELL_OF_END) yield [cause, this.#counted(cell)];
  }

  /** How many handshakes each rule has refused. */
  *refused(): Generator<readonly [RefusalCause, number]> {
    for (const [cause, cell] of CELL_OF_REFUSAL) yield [cause, this.#counted(cell)];
  }

  #countUp(cell: number, by = 1): void {
    const before = (this.#row.add(cell, by) - by) >>> 0;
    if (before + by >= 2 ** 32) this.#row.add(cell + 1, 1);
  }

  #counted(cell: number): number {
    return this.#row.get(cell + 1) * 2 ** 32 + (this.#row.get(cell) >>> 0);
  }
}
