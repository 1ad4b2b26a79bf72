// A regular expression that may take exponential time, and is stopped before it holds up everybody else.

import { Script } from 'node:vm';

/** ms for one match, and for all those of a worker that are given up one after another. */
const MOST_MS = 50;

/** ms for one match where others have just used up what there is: what does fit is found in less. */
const LEAST_MS = 2;

/** ms that come back in a ms: who tries without a break has a twentieth of the worker's time. */
const REFILL = 1 / 20;

/** ms for all such short matches of one expression that are given up one after another; behind them it is not tried any more for a while. */
const SHORT_MS = 10;

/** A shorter subject ends in time, unless a repeated group holds something that repeats or chooses. */
const LONG_SUBJECT = 512;
/** A subject so short ends in time in any case. */
const SHORT_SUBJECT = 16;

/** So many times as long as it was given took a match whose thread was not let run: that says nothing of the match. */
const HELD_UP = 1.5;

/** A match was given up. What it was asked for is not known, so it counts neither as fitting nor as not fitting. */
export class MatchTimeout extends Error {
  override readonly name = 'MatchTimeout';

  /** @param timeout ms; 0: it was not tried */
  constructor(source: string, timeout: number) {
    const when = timeout === 0 ? 'at once, for others have used up its time' : `after ${timeout} ms`;
    super(`matching "${source}" was given up ${when}`);
  }
}

/** ms that are spent, and come back. */
class Allowance {
  readonly #most: number;
  #left: number;
  #asOf = 0;

  constructor(most: number) {
    this.#most = most;
    this.#left = most;
  }

  /** @returns ms that are left */
  left(): number {
    const now = performance.now();
    this.#left = Math.min(this.#most, this.#left + (now - this.#asOf) * REFILL);
    this.#asOf = now;
    return this.#left;
  }

  spend(ms: number): void {
    this.#left = Math.max(0, this.#left - ms);
  }
}

/** What matches that are given up may take, of all expressions of a worker together: else many requests at once would wait in turn for 50 ms each. */
const allowance = new Allowance(MOST_MS);

let pending: (() => RegExpExecArray | null) | undefined;
/** Only what runs inside of a Script can be stopped. It costs a tenth of a millisecond. */
let guard: Script | undefined;
const GUARDED = Symbol.for('sockgate.match');

function execGuarded(match: () => RegExpExecArray | null, timeout: number): RegExpExecArray | null {
  guard ??= new Script("globalThis[Symbol.for('sockgate.match')]()");
  Object.defineProperty(globalThis, GUARDED, { value: () => pending?.() ?? null, configurable: true });
  pending = match;
  return guard.runInThisContext({ timeout }) as RegExpExecArray | null;
}

export interface BoundedRegExpOptions {
  /** As it stands in the configuration. */
  readonly text: string;
  /** It may take exponential time, rather than only the cube of the subject's length. */
  readonly isExponential: boolean;
}

/** For what V8's linear engine cannot take over. @throws MatchTimeout from whatever matches */
export class BoundedRegExp extends RegExp {
  readonly #text: string;
  readonly #harmless: number;
  /** What its short matches may take: forty at once would add up, too. */
  readonly #short = new Allowance(SHORT_MS);

  constructor(source: string, flags: string, { text, isExponential }: BoundedRegExpOptions) {
    super(source, flags);
    this.#text = text;
    this.#harmless = isExponential ? SHORT_SUBJECT : LONG_SUBJECT;
  }

  override exec(subject: string): RegExpExecArray | null {
    if (subject.length <= this.#harmless) return super.exec(subject);
    const left = Math.floor(allowance.left());
    return left > LEAST_MS ? this.#exec(subject, left, allowance) : this.#execShortly(subject);
  }

  #execShortly(subject: string): RegExpExecArray | null {
    if (this.#short.left() < LEAST_MS) throw new MatchTimeout(this.#text, 0);
    return this.#exec(subject, LEAST_MS, this.#short);
  }

  #exec(subject: string, timeout: number, from: Allowance): RegExpExecArray | null {
    const match = (): RegExpExecArray | null => super.exec(subject);
    const began = performance.now();
    let found = execWithin(match, timeout);
    const took = performance.now() - began;
    if (found === undefined && timeout > LEAST_MS && took > timeout * HELD_UP) found = execWithin(match, timeout);
    if (found !== undefined) return found;
    from.spend(timeout);
    throw new MatchTimeout(this.#text, timeout);
  }
}

/** @returns undefined where the time was over, which goes on while the machine does other things */
function execWithin(match: () => RegExpExecArray | null, timeout: number): RegExpExecArray | null | undefined {
  try {
    return execGuarded(match, timeout);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    return undefined;
  }
}
