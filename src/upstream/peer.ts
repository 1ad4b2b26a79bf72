// One server of an upstream: its address, its weight, and what is known of its health in all workers.

import type { Row, RowShape } from '../zones/shared-rows.ts';
import { type CheckRule, HEALTH_CELLS, HEALTH_OWNERS, type HealthChange, PeerHealth } from './peer-health.ts';
import type { PeerReturns } from './peer-returns.ts';
import { nowMs, OWN_TIME_CELLS, PeerTimes, SHARED_TIME_CELLS } from './peer-times.ts';

/** Where a peer is reached. */
export type PeerAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * One address of a `server` line of an upstream (a name with several addresses is several peers).
 * https://nginx.org/en/docs/http/ngx_http_upstream_module.html#server
 */
export interface PeerSettings {
  readonly address: PeerAddress;
  /** As it is shown and compared: `127.0.0.1:8080`, `[::1]:80`, `unix:/path`. */
  readonly name: string;
  /** As it was written, port included only if it was: consistent hash counts this, so that all addresses of a name share it. */
  readonly server: string;
  /** Default: 1. */
  readonly weight: number;
  /** Failures within `failTimeout` that disable the peer for `failTimeout`; 0: never. Default: 1. */
  readonly maxFails: number;
  /** Seconds, as in nginx. Default: 10. */
  readonly failTimeout: number;
  /** The most connections at a time over all workers; 0: no limit. */
  readonly maxConns: number;
  readonly backup: boolean;
  readonly down: boolean;
  /** Only for clients that are bound to it. */
  readonly drain: boolean;
  /** ms in which its weight grows from 0 after it has come, or come back; undefined, and 0: it is there at once. */
  readonly slowStart?: number | undefined;
  /** `route=`; '' where there is none. */
  readonly route: string;
}

/** Shared cells. An untouched row is that of a healthy peer. */
const FAILS = 0;
const CHECKED = 1;
const ACCESSED = 2;
const CURRENT_WEIGHT = 3;
/** How much the effective weight is below the weight. */
const WEIGHT_DEFICIT = 4;
/** The configuration that has taken it up: its `PeerTable.epoch`. 0: none has. */
const EPOCH = 5;
/** When it began to start slowly, by `nowMs`; 0: it does not. */
const SLOW_SINCE = 6;
const HEALTH = 7;
const TIMES = HEALTH + HEALTH_CELLS;
/** Cells of each worker. */
const ACTIVE = 0;
const OWN_TIMES = 1;

export const PEER_SHAPE: RowShape = {
  shared: TIMES + SHARED_TIME_CELLS,
  perWorker: OWN_TIMES + OWN_TIME_CELLS,
  ownerCells: { first: HEALTH + HEALTH_OWNERS.first, count: HEALTH_OWNERS.count },
};

/** What peers have from their upstream. */
export interface PeerFrame {
  /** The health checks of the upstream. */
  readonly checks: readonly CheckRule[];
  /** Told when the peer can be used again. */
  readonly returns: PeerReturns;
  /** Told when the peer has a connection less. */
  readonly line: { placeFree(): void };
}

/** A row that may be another peer's from now on: what was known is forgotten. */
export function clearPeerRow(row: Row): void {
  for (let cell = 0; cell < PEER_SHAPE.shared; cell++) row.set(cell, 0);
}

/** Whether somebody has connections to the peer of a row. */
export function isPeerRowBusy(row: Row): boolean {
  return row.total(ACTIVE) !== 0 || row.total(OWN_TIMES) !== 0;
}

/** Seconds since 1970, wrapped to what a cell holds; nginx's clock for failures ticks in seconds too. */
export function secondsNow(): number {
  return Math.floor(Date.now() / 1000) | 0;
}

export class Peer {
  readonly settings: PeerSettings;
  /** What it is known by in its upstream, whoever comes and goes beside it. */
  readonly identity: string;
  readonly address: PeerAddress;
  readonly name: string;
  readonly weight: number;
  readonly down: boolean;
  /** Who a client is bound to: nginx's SID, or what bare `sticky route` puts into its cookie; '' where nothing is sticky. */
  readonly routeId: string;
  /** How long it takes; only `least_time` learns it. */
  readonly times: PeerTimes;
  /** What health checks say of it. */
  readonly health: PeerHealth;
  /** ms; 0: it never starts slowly. */
  readonly slowStart: number;
  readonly #returns: PeerReturns;
  readonly #line: PeerFrame['line'];
  readonly #row: Row;
  /** Of the last configuration of this worker that has it. */
  #epoch = 0;

  constructor(settings: PeerSettings, identity: string, routeId: string, row: Row, frame: PeerFrame) {
    this.settings = settings;
    this.identity = identity;
    this.address = settings.address;
    this.name = settings.name;
    this.weight = settings.weight;
    this.down = settings.down;
    this.routeId = routeId;
    this.times = new PeerTimes(row, { shared: TIMES, perWorker: OWN_TIMES });
    this.health = new PeerHealth(frame.checks, row, HEALTH);
    this.slowStart = settings.slowStart ?? 0;
    this.#returns = frame.returns;
    this.#line = frame.line;
    this.#row = row;
  }

  /** Connections (or tunnels) that are in use now, over all workers. */
  get active(): number {
    return this.#row.total(ACTIVE);
  }

  get fails(): number {
    return this.#row.get(FAILS);
  }

  /** Whether `max_fails` has disabled it at this time. */
  isDisabled(now: number): boolean {
    const { maxFails, failTimeout } = this.settings;
    if (maxFails === 0 || this.#row.get(FAILS) < maxFails) return false;
    const elapsed = (now - this.#row.get(CHECKED)) | 0;
    // A clock that was set back must not disable a peer for longer than `fail_timeout`.
    return elapsed >= 0 && elapsed <= failTimeout;
  }

  get isFull(): boolean {
    return this.settings.maxConns !== 0 && this.active >= this.settings.maxConns;
  }

  /** Fit for any request. */
  isAvailable(now: number): boolean {
    return !this.down && !this.settings.drain && !this.isDisabled(now) && !this.isFull && this.health.isFit;
  }

  /** Fit for a request that is bound to it. */
  isAvailableToBound(now: number): boolean {
    return !this.down && !this.isDisabled(now) && !this.isFull && this.health.isFit;
  }

  /** `max_fails` may have disabled it, but nothing else keeps a request from trying whether it is back. */
  get mayBeBack(): boolean {
    return !this.down && !this.settings.drain && !this.isFull && this.health.isFit;
  }

  /**
   * One step of smooth weighted round robin.
   * @param scale the group's `weightScale`
   * @returns the effective weight that was added
   */
  gainWeight(scale = 1): number {
    const deficit = Math.min(this.#row.get(WEIGHT_DEFICIT), this.weight);
    const gained = scale === 1 ? this.weight - deficit : this.#scaledWeight(this.weight - deficit, scale);
    this.#row.add(CURRENT_WEIGHT, gained);
    if (deficit > 0) this.#row.set(WEIGHT_DEFICIT, deficit - 1);
    return gained;
  }

  /** Never 0: where nobody else is fit, it is chosen from the first moment on. */
  #scaledWeight(weight: number, scale: number): number {
    return Math.max(1, Math.trunc(weight * scale * this.grownShare));
  }

  /** How much of its weight it has at this time: less than 1 while it starts slowly, never 0. */
  get grownShare(): number {
    if (this.slowStart === 0) return 1;
    const since = this.#row.get(SLOW_SINCE);
    if (since === 0) return 1;
    const elapsed = (nowMs() - since) | 0;
    if (elapsed >= 0 && elapsed < this.slowStart) return Math.max(elapsed, 1) / this.slowStart;
    this.#row.swap(SLOW_SINCE, since, 0);
    return 1;
  }

  get currentWeight(): number {
    return this.#row.get(CURRENT_WEIGHT);
  }

  loseWeight(total: number): void {
    this.#row.add(CURRENT_WEIGHT, -total);
  }

  /** It was chosen: where `fail_timeout` has passed since the last check, this request is the next check. */
  markChosen(now: number): void {
    const elapsed = (now - this.#row.get(CHECKED)) | 0;
    if (elapsed > this.settings.failTimeout || elapsed < 0) this.#row.set(CHECKED, now);
  }

  /** @returns whether this failure has disabled it: nginx warns `upstream server temporarily disabled` */
  countFailure(now: number): boolean {
    const { maxFails } = this.settings;
    const fails = this.#row.add(FAILS, 1);
    this.#row.set(ACCESSED, now);
    this.#row.set(CHECKED, now);
    if (maxFails === 0) return false;
    const deficit = this.#row.get(WEIGHT_DEFICIT) + Math.trunc(this.weight / maxFails);
    this.#row.set(WEIGHT_DEFICIT, Math.min(deficit, this.weight));
    return fails >= maxFails;
  }

  /** It has answered: forgets its failures if this was a check. */
  countSuccess(): void {
    const fails = this.#row.get(FAILS);
    if (fails === 0 || ((this.#row.get(ACCESSED) - this.#row.get(CHECKED)) | 0) >= 0) return;
    this.#row.set(FAILS, 0);
    if (this.settings.maxFails !== 0 && fails >= this.settings.maxFails) this.returned();
  }

  /** It can be used again: it starts slowly where it shall, and whoever waits for a peer is told. */
  returned(): void {
    this.#startSlowly();
    this.#returns.note();
  }

  #startSlowly(): void {
    if (this.slowStart === 0) return;
    this.#row.set(SLOW_SINCE, nowMs() || 1);
    this.#row.set(CURRENT_WEIGHT, 0);
  }

  /**
   * A configuration that has it begins to serve in this worker. What that means for what is known of it is settled by the first one.
   * @param epoch of the configuration
   * @param isAdded if nothing is known of it, it is one more beside others, and starts slowly where it shall
   */
  enter(epoch: number, isAdded: boolean): void {
    this.#epoch = epoch;
    const former = this.#row.get(EPOCH);
    if (former === epoch || !this.#row.swap(EPOCH, former, epoch)) return;
    if (former === 0 && isAdded) this.#startSlowly();
    this.health.enter();
  }

  /**
   * A check of its health has ended. What it says counts for nothing once another worker serves by a newer configuration.
   * @param check its number: `Upstream.addCheck`
   */
  checked(check: number, passed: boolean): HealthChange {
    if (this.#row.get(EPOCH) !== this.#epoch) return undefined;
    const change = passed ? this.health.passed(check) : this.health.failed(check);
    if (change === 'healthy' && this.health.isFit) this.returned();
    return change;
  }

  /** It has answered, though `max_fails` had disabled it: it is back at once. */
  recover(): void {
    if (this.#row.get(FAILS) === 0) return;
    this.#row.set(FAILS, 0);
    this.returned();
  }

  forgetFailures(): void {
    if (this.#row.get(FAILS) !== 0) this.#row.set(FAILS, 0);
  }

  /**
   * One more connection. No lock is needed to keep `max_conns`: of several workers that count themselves at once, those
   * beyond it take it back.
   * @returns false: it is full
   */
  reserve(): boolean {
    this.#row.addOwn(ACTIVE, 1);
    const { maxConns } = this.settings;
    if (maxConns === 0 || this.active <= maxConns) return true;
    this.#row.addOwn(ACTIVE, -1);
    return false;
  }

  /** The end of what was reserved. */
  leave(): void {
    this.#row.addOwn(ACTIVE, -1);
    this.#line.placeFree();
  }

  /** How many seconds ago it was last checked: tried after `fail_timeout`, or found failing. */
  secondsUnchecked(now: number): number {
    return Math.max(0, (now - this.#row.get(CHECKED)) | 0);
  }

  /** As in a new configuration: all take their first turn anew. */
  beginTurns(): void {
    this.#row.set(CURRENT_WEIGHT, 0);
  }
}
