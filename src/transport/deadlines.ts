// Deadlines for tens of thousands of connections: those that fall together share a timer, and activity costs a number.

import { reportOwnerFault } from './owner-fault.ts';

/** Who is told that a deadline has passed. */
export interface DeadlineOwner {
  /** The time is over; the deadline is not armed any more. */
  deadlineReached(deadline: Deadline): void;
}

/** Deadlines of up to `SHORT_MS` are rounded up to `FINE_MS`, the others to `COARSE_MS`. All in milliseconds. */
const SHORT_MS = 1000;
const FINE_MS = 10;
const COARSE_MS = 50;
/** Node's timers cannot be longer than 24 days; a longer wait is made of several. */
const LONGEST_WAIT_MS = 2 ** 30;
/** Who looks so late, in milliseconds, was held up: what came meanwhile is read first, before anybody is told that nothing came. */
const HELD_UP_MS = 50;

/** The deadlines that are looked at together. */
interface Group {
  /** When, on the clock of `now`. */
  readonly time: number;
  first: Deadline | undefined;
}

const groups = new Map<number, Group>();
/** The times of all groups, as a binary heap: the earliest comes first. */
const times: number[] = [];
/** How many deadlines are armed. */
let armed = 0;
let timer: NodeJS.Timeout | undefined;
/** When `timer` fires. */
let timerTime = Number.POSITIVE_INFINITY;
/** The loop was held up, and turns some more times before deadlines are looked at. */
let catchingUp = false;

/**
 * Milliseconds on a clock that only goes forward; they mean nothing but as a difference. A call costs
 * 50 ns, so it is not kept for the turn of the event loop: somebody would have to notice the next turn.
 */
export function now(): number {
  return performance.now();
}

/**
 * A deadline of an owner, to be armed again and again. It never comes early; it may be late by 10 ms, above a second by 50 ms, and where
 * the loop was held up it comes when that has caught up with what has happened. It does not keep the process alive.
 */
export class Deadline {
  readonly #owner: DeadlineOwner;
  #span = 0;
  /** When it is reached; its group may be looked at earlier. */
  #due = 0;
  #group: Group | undefined = undefined;
  #previous: Deadline | undefined = undefined;
  #next: Deadline | undefined = undefined;

  constructor(owner: DeadlineOwner) {
    this.#owner = owner;
  }

  /** Arms it, anew if it was armed: it is reached in so many milliseconds. `Infinity` clears it. */
  set(ms: number): void {
    if (ms === Number.POSITIVE_INFINITY) this.clear();
    else this.#arm(ms);
  }

  #arm(ms: number): void {
    this.#span = Math.max(0, Math.ceil(ms));
    this.#due = Math.ceil(now()) + this.#span;
    // Later than its group: it stays there, and is put right when the group is looked at.
    if (this.#group !== undefined && this.#group.time <= this.#due) return;
    this.#leave();
    this.#join();
  }

  /** Something happened: the time that was set begins again. Does nothing where it is not armed. */
  touch(): void {
    if (this.#group !== undefined) this.#due = Math.ceil(now()) + this.#span;
  }

  /** Disarms it. */
  clear(): void {
    if (this.#group !== undefined) this.#leave();
  }

  get armed(): boolean {
    return this.#group !== undefined;
  }

  /** The milliseconds that are left; 0 where it is not armed. */
  get left(): number {
    return this.#group === undefined ? 0 : Math.max(0, this.#due - now());
  }

  #join(): void {
    const grain = this.#span <= SHORT_MS ? FINE_MS : COARSE_MS;
    const group = groupAt(Math.ceil(this.#due / grain) * grain);
    armed++;
    this.#group = group;
    this.#next = group.first;
    if (group.first !== undefined) group.first.#previous = this;
    group.first = this;
  }

  #leave(): void {
    const group = this.#group;
    if (group === undefined) return;
    if (this.#previous === undefined) group.first = this.#next;
    else this.#previous.#next = this.#next;
    if (this.#next !== undefined) this.#next.#previous = this.#previous;
    this.#group = undefined;
    this.#previous = undefined;
    this.#next = undefined;
    armed--;
  }

  /** Its group's time has come: it is reached, or it waits for the rest. */
  look(time: number): void {
    this.#leave();
    if (this.#due > time) {
      this.#join();
      return;
    }
    try {
      this.#owner.deadlineReached(this);
    } catch (fault) {
      reportOwnerFault(fault);
    }
  }
}

function groupAt(time: number): Group {
  const known = groups.get(time);
  if (known !== undefined) return known;
  const group: Group = { time, first: undefined };
  groups.set(time, group);
  pushTime(time);
  if (time < timerTime) startTimer(time);
  return group;
}

function startTimer(time: number): void {
  clearTimeout(timer);
  timerTime = time;
  timer = setTimeout(fire, Math.min(LONGEST_WAIT_MS, Math.max(1, Math.ceil(time - now())))).unref();
}

function fire(): void {
  const time = now();
  catchingUp = !catchingUp && time - timerTime > HELD_UP_MS;
  if (catchingUp) {
    timer = setTimeout(fire, FINE_MS).unref();
    return;
  }
  timerTime = Number.POSITIVE_INFINITY;
  for (let at = times[0]; at !== undefined && at <= time; at = times[0]) lookAt(shiftTime(), time);
  if (armed === 0) forgetGroups();
  else if (times[0] !== undefined && times[0] < timerTime) startTimer(times[0]);
}

/** A deadline that is armed again while its own group is looked at joins another one: the group is not in the map any more. */
function lookAt(groupTime: number, time: number): void {
  const group = groups.get(groupTime);
  groups.delete(groupTime);
  while (group?.first !== undefined) group.first.look(time);
}

/** Groups that became empty keep their place until their time has come, or until nothing is armed. */
function forgetGroups(): void {
  groups.clear();
  times.length = 0;
  clearTimeout(timer);
  timerTime = Number.POSITIVE_INFINITY;
}

function pushTime(time: number): void {
  let at = times.length;
  for (let parent = (at - 1) >> 1; at > 0 && (times[parent] as number) > time; parent = (at - 1) >> 1) {
    times[at] = times[parent] as number;
    at = parent;
  }
  times[at] = time;
}

/** Takes the earliest time out; there must be one. */
function shiftTime(): number {
  const earliest = times[0] as number;
  const last = times.pop() as number;
  if (times.length > 0) sink(last);
  return earliest;
}

function sink(time: number): void {
  let at = 0;
  for (
    let child = smallerChild(at);
    child < times.length && (times[child] as number) < time;
    child = smallerChild(at)
  ) {
    times[at] = times[child] as number;
    at = child;
  }
  times[at] = time;
}

function smallerChild(at: number): number {
  const left = 2 * at + 1;
  const right = left + 1;
  return right < times.length && (times[right] as number) < (times[left] as number) ? right : left;
}
