// Asks tunnels to go, so many in a second: whoever they are for can take them back at that pace.

import { Deadline, type DeadlineOwner, now } from '../transport/deadlines.ts';
import type { Tunnel } from './tunnel.ts';
import type { GatewayCause } from './tunnel-cause.ts';

export interface DrainPace {
  /** So many in a second. */
  readonly rate: number;
  /** All of them within so many ms, whatever the rate is; undefined: as long as it takes. */
  readonly within?: number | undefined;
}

/** ms between two looks, where several tunnels go in that time. */
const SHORTEST_STEP = 20;
/** What the loop is held up by beyond so many steps is not made good: that would be a burst. */
const MOST_STEPS = 2;

/** One timer while anybody waits, nothing otherwise. Holds no more than the tunnels that are open: they are taken out when they end. */
export class DrainPacer implements DeadlineOwner {
  /** In the order in which they go. */
  #waiting = new Map<Tunnel, GatewayCause>();
  readonly #deadline = new Deadline(this);
  #rate = 1;
  #endsAt = Number.POSITIVE_INFINITY;
  #lookedAt = 0;
  /** The part of a tunnel that the steps so far have left over. */
  #rest = 0;

  /** How many are still to be asked. */
  get count(): number {
    return this.#waiting.size;
  }

  /** Those that have been silent longest go first, among those that wait already, too, whose causes stay. */
  drain(tunnels: Iterable<Tunnel>, cause: GatewayCause, { rate, within }: DrainPace): void {
    const endsAt = within === undefined ? Number.POSITIVE_INFINITY : now() + within;
    const { size } = this.#waiting;
    for (const tunnel of tunnels) if (!this.#waiting.has(tunnel)) this.#waiting.set(tunnel, cause);
    if (size === 0 || endsAt < this.#endsAt || rate > this.#rate) this.#hurry(size === 0, rate, endsAt);
    // One that comes alone goes to the end.
    if (this.#waiting.size > size + 1) this.#sort();
  }

  #hurry(isFirst: boolean, rate: number, endsAt: number): void {
    const time = now();
    this.#rate = rate;
    this.#endsAt = isFirst ? endsAt : Math.min(this.#endsAt, endsAt);
    if (isFirst) this.#lookedAt = time;
    if (isFirst) this.#rest = 0;
    this.#wait(this.#rateAt(time));
  }

  #sort(): void {
    this.#waiting = new Map([...this.#waiting].sort(([one], [other]) => bySilence(one, other)));
  }

  /** Why it is to be asked; undefined: it is not, or has been. */
  causeFor(tunnel: Tunnel): GatewayCause | undefined {
    return this.#waiting.get(tunnel);
  }

  /** It has ended, or is to stay after all; one that does not wait is no fault. */
  remove(tunnel: Tunnel): void {
    if (this.#waiting.delete(tunnel) && this.#waiting.size === 0) this.#deadline.clear();
  }

  /** Nobody is asked any more. */
  stop(): void {
    this.#waiting.clear();
    this.#deadline.clear();
  }

  deadlineReached(): void {
    const time = now();
    const rate = this.#rateAt(time);
    const elapsed = Math.min(time - this.#lookedAt, MOST_STEPS * stepOf(rate));
    const due = this.#rest + (elapsed * rate) / 1000;
    const whole = Math.floor(due);
    this.#rest = due - whole;
    this.#lookedAt = time;
    this.#ask(whole);
    this.#wait(rate);
  }

  /** The jitter is between half a step and one and a half. */
  #wait(rate: number): void {
    if (this.#waiting.size > 0) this.#deadline.set(stepOf(rate) * (0.5 + Math.random()));
  }

  /** Raised where the time would not suffice. */
  #rateAt(time: number): number {
    const left = Math.max(this.#endsAt - time, SHORTEST_STEP);
    return Math.max(this.#rate, (this.#waiting.size * 1000) / left);
  }

  #ask(count: number): void {
    let left = count;
    for (const [tunnel, cause] of this.#waiting) {
      if (left <= 0) return;
      this.#waiting.delete(tunnel);
      if (tunnel.leave(cause)) left--;
    }
  }
}

const stepOf = (rate: number): number => Math.max(SHORTEST_STEP, 1000 / rate);

/** For sorting: the one that has been silent longest comes first. */
export const bySilence = (one: Tunnel, other: Tunnel): number => spokenAt(one) - spokenAt(other);

/** When either side last said anything that is not a ping or a pong. */
const spokenAt = ({ client, peer }: Tunnel): number => Math.max(client.spokenAt, peer.spokenAt);
