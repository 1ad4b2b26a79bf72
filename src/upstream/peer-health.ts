// What health checks have found of a peer, as all workers know it, and which worker makes them.

import type { Row } from '../zones/shared-rows.ts';

/** The most health checks that an upstream can have: each has its cells in the row of every peer. */
export const MOST_CHECKS = 8;

/** What one check says of a peer. From `UNHEALTHY` on it gets no requests. */
const UNKNOWN = 0;
const HEALTHY = 1;
const UNHEALTHY = 2;
/** Not known yet, and the check is mandatory. */
const CHECKING = 3;

/** Shared cells. How many checks there were when the peer was last taken up. */
const CHECKS = 0;
const STATES = 1;
/** Consecutive checks that ended alike: passed ones count up from 0, failed ones down. */
const RUNS = STATES + MOST_CHECKS;
/** Which worker makes the check. */
const OWNERS = RUNS + MOST_CHECKS;
export const HEALTH_OWNERS = { first: OWNERS, count: MOST_CHECKS };
export const HEALTH_CELLS = OWNERS + MOST_CHECKS;

/** What of a check decides over the state of a peer. */
export interface CheckRule {
  /** Consecutive failures that make a peer unhealthy, at least 1. */
  readonly fails: number;
  /** Consecutive successes that make it healthy, at least 1. */
  readonly passes: number;
  /** A peer gets no requests before the first check of it has passed. */
  readonly mandatory: boolean;
  /** With `mandatory`: what was known before a reload is still known after it. */
  readonly persistent: boolean;
}

/** What became of a peer by a check; undefined: nothing. */
export type HealthChange = 'healthy' | 'unhealthy' | undefined;

export class PeerHealth {
  readonly #rules: readonly CheckRule[];
  readonly #row: Row;
  readonly #from: number;

  /** @param rules the checks of the upstream: not yet all of them where its configuration is still being read @param from the first of its cells */
  constructor(rules: readonly CheckRule[], row: Row, from: number) {
    this.#rules = rules;
    this.#row = row;
    this.#from = from;
  }

  /** No check has found it unhealthy, and none that is mandatory has yet to find out. */
  get isFit(): boolean {
    const count = this.#rules.length;
    for (let check = 0; check < count; check++) if (this.#get(STATES + check) >= UNHEALTHY) return false;
    return true;
  }

  /** Another configuration serves from now on: what is known is kept, or forgotten, as each check has it. */
  enter(): void {
    const known = this.#get(CHECKS);
    this.#rules.forEach((rule, check) => {
      this.#enterCheck(rule, check, check < known);
    });
    this.#set(CHECKS, this.#rules.length);
  }

  #enterCheck({ mandatory, persistent }: CheckRule, check: number, wasThere: boolean): void {
    const keeps = wasThere && (!mandatory || persistent);
    const state = keeps ? this.#get(STATES + check) : UNKNOWN;
    if (!keeps) this.#set(RUNS + check, 0);
    this.#set(
      STATES + check,
      mandatory && state === UNKNOWN ? CHECKING : state === CHECKING && !mandatory ? UNKNOWN : state,
    );
  }

  /** @returns whether this worker makes the check: no other one does */
  own(check: number): boolean {
    return this.#row.own(this.#from + OWNERS + check);
  }

  disown(check: number): void {
    this.#row.disown(this.#from + OWNERS + check);
  }

  /** The check has passed. The first one decides alone. */
  passed(check: number): HealthChange {
    const { passes } = this.#rules[check] as CheckRule;
    const run = Math.max(this.#get(RUNS + check), 0) + 1;
    this.#set(RUNS + check, Math.min(run, passes));
    const state = this.#get(STATES + check);
    if (state === HEALTHY || (state === UNHEALTHY && run < passes)) return undefined;
    this.#set(STATES + check, HEALTHY);
    return state === UNKNOWN ? undefined : 'healthy';
  }

  failed(check: number): HealthChange {
    const { fails } = this.#rules[check] as CheckRule;
    const run = Math.min(this.#get(RUNS + check), 0) - 1;
    this.#set(RUNS + check, Math.max(run, -fails));
    const state = this.#get(STATES + check);
    if (state === UNHEALTHY || (state !== CHECKING && -run < fails)) return undefined;
    this.#set(STATES + check, UNHEALTHY);
    return 'unhealthy';
  }

  #get(cell: number): number {
    return this.#row.get(this.#from + cell);
  }

  #set(cell: number, value: number): void {
    this.#row.set(this.#from + cell, value);
  }
}
