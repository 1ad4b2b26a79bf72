// Those who wait for a peer of one upstream in one worker, in the order in which they came: `queue`, and `websocket_connect_wait`.

import { Deadline, type DeadlineOwner, now } from '../transport/deadlines.ts';
import { reportOwnerFault } from '../transport/owner-fault.ts';
import type { Row } from '../zones/shared-rows.ts';
import { nowMs } from './peer-times.ts';
import { ReturnPace } from './return-pace.ts';

/** Cells of each worker in the row of an upstream: how many wait in the queue, how many for a peer to come back. */
const QUEUED = 0;
const RETURNING = 1;
/** Since when the first one in the queue has waited, by `nowMs`; 0: nobody waits. */
const OLDEST = 2;
export const WAITING_CELLS = 3;

/** ms between two looks at what other workers and the clock have changed; only while somebody waits. */
const LOOK_AGAIN = 40;
/** So much is added to it by chance, lest workers look in step. */
const JITTER = 20;
/** Who has waited in another worker so many ms longer goes first. */
const UNFAIR = 200;
/** That worker has so many ms to take the place, two looks of it; then somebody else does. */
const PATIENCE = 2 * (LOOK_AGAIN + JITTER);

/** How somebody waits. */
export interface WaitLimits {
  /** ms. */
  readonly timeout: number;
  /** The most who may wait so at a time for the upstream, over all workers. */
  readonly most: number;
  /** Waits for a peer that is gone to come back: so many in a second are let go at most, over all workers. undefined: waits in the queue. */
  readonly rate?: number | undefined;
}

/** Who waits. None of it is called from inside `join` or `again`. */
export interface WaitOwner {
  /** How many peers there are. */
  readonly peerCount: number;
  /** Waits for a peer that takes no others than those who are bound to it: it may be free for this one alone. */
  readonly isBound: boolean;
  /** Whether a peer could be had. */
  hasPeer(): boolean;
  /**
   * Takes a peer if one can be had, and does no more.
   * @param probe even one that has been found failing, to see whether it is back
   * @returns false: there is none, it waits on
   */
  takePeer(probe: boolean): boolean;
  /** It has a peer: goes on. */
  goOn(): void;
  /** The time is over, and so is its place. */
  waitEnded(): void;
}

type State = 'waiting' | 'trying' | 'over';

/** One place in the line: held until `leave`, also while its owner tries a peer. */
export class PlaceInLine implements DeadlineOwner {
  readonly owner: WaitOwner;
  readonly limits: WaitLimits;
  readonly since = nowMs();
  readonly #startedAt = now();
  readonly #deadline = new Deadline(this);
  line: WaitingLine;
  state: State = 'waiting';
  previous: PlaceInLine | undefined = undefined;
  next: PlaceInLine | undefined = undefined;

  constructor(line: WaitingLine, owner: WaitOwner, limits: WaitLimits) {
    this.line = line;
    this.owner = owner;
    this.limits = limits;
    this.#deadline.set(limits.timeout);
  }

  /** ms. */
  get waited(): number {
    return now() - this.#startedAt;
  }

  /** The peer that was tried is not there: waits on, behind the others. @returns false: the time is over, and so is its place */
  again(): boolean {
    if (this.#deadline.armed) {
      this.line.append(this);
      return true;
    }
    this.leave();
    return false;
  }

  /** The peer that was tried has answered: so others may follow. The place is free. */
  succeeded(): void {
    this.leave();
    this.line.succeeded();
  }

  /** Safe to call twice. */
  leave(): void {
    if (this.state === 'over') return;
    this.#deadline.clear();
    this.line.remove(this);
  }

  deadlineReached(): void {
    if (this.state !== 'waiting') return;
    this.leave();
    this.owner.waitEnded();
  }
}

/** Costs nothing while nobody waits. */
export class WaitingLine implements DeadlineOwner {
  readonly #row: Row;
  readonly #pace = new ReturnPace();
  #looking: Deadline | undefined = undefined;
  #first: PlaceInLine | undefined = undefined;
  #last: PlaceInLine | undefined = undefined;
  /** How many of those in the list wait for a peer to come back, and how many in the queue. */
  #returning = 0;
  #queued = 0;
  #woken = false;
  /** Since when a place has been left to another worker; 0: none is. */
  #leftSince = 0;
  /** The line of the same upstream in a newer configuration: all who waited are there. */
  #successor: WaitingLine | undefined = undefined;

  /** @param row the upstream's own; its cells of each worker are this line's */
  constructor(row: Row) {
    this.#row = row;
  }

  /** @returns undefined: too many wait already */
  join(owner: WaitOwner, limits: WaitLimits): PlaceInLine | undefined {
    const cell = countOf(limits);
    this.#row.addOwn(cell, 1);
    if (this.#row.total(cell) > limits.most) {
      this.#row.addOwn(cell, -1);
      return undefined;
    }
    const place = new PlaceInLine(this, owner, limits);
    this.append(place);
    return place;
  }

  /** Whether others wait, in whichever worker, behind whom a request that comes now has its place in the queue. */
  get hasQueue(): boolean {
    return this.#row.total(OLDEST) !== 0;
  }

  /** Whether others wait here for a peer to come back. */
  get hasReturning(): boolean {
    return this.#returning > 0;
  }

  /** A peer has one connection less. */
  placeFree(): void {
    if (this.#successor !== undefined) this.#successor.placeFree();
    else if (this.#first !== undefined) this.#wake();
  }

  /** Those who wait in the line of the configuration before wait here from now on. */
  takeOver(former: WaitingLine): void {
    if (former === this) return;
    former.#successor = this;
    former.#looking?.clear();
    let place = former.#first;
    former.#first = undefined;
    former.#last = undefined;
    former.#returning = 0;
    former.#queued = 0;
    while (place !== undefined) {
      const { next } = place;
      place.next = undefined;
      place.line = this;
      this.append(place);
      place = next;
    }
  }

  deadlineReached(): void {
    this.#turn();
  }

  // For places.

  append(place: PlaceInLine): void {
    if (this.#successor !== undefined) {
      place.line = this.#successor;
      this.#successor.append(place);
      return;
    }
    if (this.#first === undefined) this.#pace.begin(now());
    place.state = 'waiting';
    place.previous = this.#last;
    if (this.#last === undefined) this.#first = place;
    else this.#last.next = place;
    this.#last = place;
    if (isReturning(place)) this.#returning++;
    else this.#queued++;
    this.#publish();
    this.#looking ??= new Deadline(this);
    if (!this.#looking.armed) this.#lookAgain();
  }

  /** The end of a place, whether it waits or tries. */
  remove(place: PlaceInLine): void {
    if (place.state === 'waiting') this.#unlink(place);
    place.state = 'over';
    this.#row.addOwn(countOf(place.limits), -1);
    this.#publish();
  }

  succeeded(): void {
    if (this.#successor !== undefined) {
      this.#successor.succeeded();
      return;
    }
    this.#pace.succeeded(now());
    if (this.#first !== undefined) this.#wake();
  }

  /** Not from inside what has freed a place: at the end of this turn of the event loop. */
  #wake(): void {
    if (this.#woken) return;
    this.#woken = true;
    setImmediate(() => {
      this.#woken = false;
      try {
        this.#turn();
      } catch (fault) {
        reportOwnerFault(fault);
      }
    });
  }

  // One look: who can go now.

  #turn(): void {
    const first = this.#first;
    if (first === undefined) return;
    this.#lookAgain();
    if (this.#returning > 0) this.#refill();
    const look = { blocked: this.#isLeftToOthers(), gone: false };
    for (let place: PlaceInLine | undefined = first; place !== undefined; ) {
      const { next }: PlaceInLine = place;
      if (isReturning(place)) this.#offerReturn(place, look);
      else if (!look.blocked || place.owner.isBound) this.#offerPlace(place, look);
      place = next;
    }
    this.#publish();
  }

  #offerPlace(place: PlaceInLine, look: Look): void {
    if (!this.#offer(place, false) && !place.owner.isBound) look.blocked = true;
  }

  #offerReturn(place: PlaceInLine, look: Look): void {
    const bound = place.owner.isBound;
    if (!this.#pace.mayGo || (look.gone && !bound)) return;
    if (this.#offer(place, false) || this.#offer(place, true)) this.#pace.went();
    else if (!bound) look.gone = true;
  }

  #offer(place: PlaceInLine, probe: boolean): boolean {
    if (place.state !== 'waiting' || !place.owner.takePeer(probe)) return false;
    this.#unlink(place);
    place.state = 'trying';
    place.owner.goOn();
    return true;
  }

  #refill(): void {
    let place = this.#first;
    while (place !== undefined && !isReturning(place)) place = place.next;
    if (place?.limits.rate === undefined) return;
    const workers = this.#row.each(RETURNING).filter((count) => count > 0).length;
    this.#pace.refill(now(), { rate: place.limits.rate, peers: place.owner.peerCount, workers });
  }

  /** Somebody in another worker has waited much longer: a place that is free is that one's, if it is taken soon. */
  #isLeftToOthers(): boolean {
    const oldest = this.#oldest;
    if (oldest === undefined || !this.#isOlderElsewhere(oldest.since) || !oldest.owner.hasPeer()) {
      this.#leftSince = 0;
      return false;
    }
    if (this.#leftSince === 0) this.#leftSince = now();
    return now() - this.#leftSince < PATIENCE;
  }

  #isOlderElsewhere(since: number): boolean {
    const time = nowMs();
    const own = (time - since) | 0;
    return this.#row.each(OLDEST).some((other) => other !== 0 && ageOf(other, time) - own > UNFAIR);
  }

  /** The first one of the queue who takes any peer. */
  get #oldest(): PlaceInLine | undefined {
    let place = this.#queued === 0 ? undefined : this.#first;
    while (place !== undefined && (isReturning(place) || place.owner.isBound)) place = place.next;
    return place;
  }

  #publish(): void {
    if (this.#successor !== undefined) return;
    const oldest = this.#oldest;
    this.#row.setOwn(OLDEST, oldest === undefined ? 0 : published(oldest.since));
  }

  #lookAgain(): void {
    this.#looking?.set(LOOK_AGAIN + Math.random() * JITTER);
  }

  #unlink(place: PlaceInLine): void {
    if (place.previous === undefined) this.#first = place.next;
    else place.previous.next = place.next;
    if (place.next === undefined) this.#last = place.previous;
    else place.next.previous = place.previous;
    place.previous = undefined;
    place.next = undefined;
    if (isReturning(place)) this.#returning--;
    else this.#queued--;
    if (this.#first === undefined) this.#looking?.clear();
  }
}

/** What one look has found so far. */
interface Look {
  /** The queue gets nothing more: no peer is free, or it is another worker's. */
  blocked: boolean;
  /** No peer is there for those who wait for one to come back, not even to be tried. */
  gone: boolean;
}

const isReturning = ({ limits }: PlaceInLine): boolean => limits.rate !== undefined;
const countOf = ({ rate }: WaitLimits): number => (rate === undefined ? QUEUED : RETURNING);

/** Positive, so that a sum over all workers is 0 only where nobody waits; 31 bits of the time. */
const published = (since: number): number => (since & 0x7fffffff) | 1;
/** Signed: what was published in this very ms may stand a ms ahead, for its lowest bit is set. */
const ageOf = (other: number, time: number): number => ((time - other) << 1) >> 1;
