// Mistakes in a configuration: nginx's sentence, the place, a caret under it, and the mend where there is one.

import { lineAround, type Position } from './source.ts';

/** nginx's levels, as far as a configuration can cause them. Only `emerg` and `crit` refuse it. */
export type ProblemLevel = 'emerg' | 'crit' | 'warn' | 'notice';

export interface Problem {
  readonly level: ProblemLevel;
  /** nginx's own words for nginx's own mistakes; without the place. */
  readonly message: string;
  /** What the caret marks. */
  readonly at?: Position | undefined;
  /** How far nginx had read when it noticed (the end of the directive): the line that its message names. Default: `at`. */
  readonly noticed?: Position | undefined;
  /** How to put it right, shown beside the caret. Several lines are shown below it. */
  readonly mend?: string | undefined;
}

export type ProblemDetails = Pick<Problem, 'noticed' | 'mend'>;

/** One mistake that makes a configuration unusable. `message` is nginx's sentence without its place. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly at: Position | undefined;
  readonly noticed: Position | undefined;
  readonly mend: string | undefined;

  constructor(message: string, at?: Position, details: ProblemDetails = {}) {
    super(message);
    this.at = at;
    this.noticed = details.noticed;
    this.mend = details.mend;
  }
}

/** Takes a warning while values are read: a sentence and its place. */
export type Warn = (message: string, at: Position) => void;

/** Shown at most; a broken file of a megabyte must not fill a screen for minutes. */
const MOST_SHOWN = 100;

/** All that is wrong with a configuration, told in the order in which a reader, or nginx, would meet it. */
export class Problems {
  readonly #all: Problem[] = [];

  add(problem: Problem): void {
    this.#all.push(problem);
  }

  error(message: string, at?: Position, details: ProblemDetails = {}): void {
    this.add({ level: 'emerg', message, at, ...details });
  }

  warn(message: string, at?: Position, details: ProblemDetails = {}): void {
    this.add({ level: 'warn', message, at, ...details });
  }

  notice(message: string, at?: Position, details: ProblemDetails = {}): void {
    this.add({ level: 'notice', message, at, ...details });
  }

  /** Takes what a `catch` caught: a ConfigError becomes a problem, anything else is a fault of ours and is thrown on.
   * `at` and `noticed` stand in where the error has none. */
  caught(error: unknown, noticed?: Position, at?: Position): void {
    if (!(error instanceof ConfigError)) throw error;
    this.error(error.message, error.at ?? at, { noticed: error.noticed ?? noticed, mend: error.mend });
  }

  /** Runs a step; its ConfigError is noted, so that the next step can go on looking. */
  attempt<T>(step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      this.caught(error);
      return undefined;
    }
  }

  /** In reading order, included files where they are included; what has no place comes last. */
  get all(): readonly Problem[] {
    return this.#all.toSorted(byPlace);
  }

  /** Something is wrong that refuses the configuration. */
  get failed(): boolean {
    return this.#all.some(refuses);
  }

  /** One line for each: `[emerg] unknown directive "x" in FILE:3`. */
  get headlines(): readonly string[] {
    return this.all.map((problem) => `[${problem.level}] ${headline(problem)}`);
  }

  /** Throws the first mistake, where there is one. */
  throwFirst(): void {
    const first = this.all.find(refuses);
    if (first === undefined) return;
    throw new ConfigError(first.message, first.at, { noticed: first.noticed, mend: first.mend });
  }

  /** Everything as text: each problem with its source line and caret. Lines end with \n. */
  toString(): string {
    const all = this.all;
    const shown = all.slice(0, MOST_SHOWN).map((problem) => `${describe(problem)}\n`);
    if (all.length > MOST_SHOWN) shown.push(`… and ${all.length - MOST_SHOWN} more\n`);
    return shown.join('');
  }
}

const refuses = (problem: Problem): boolean => problem.level === 'emerg' || problem.level === 'crit';

/** nginx's sentence with its place: `unknown directive "x" in /etc/nginx/nginx.conf:3`. This goes into the error log. */
export function headline(problem: Problem): string {
  const { message, at } = problem;
  if (at === undefined) return message;
  if (at.source.commandLine) return `${message} in command line`;
  return `${message} in ${at.source.file}:${(problem.noticed ?? at).line}`;
}

/**
 * `[emerg] …` and, below, the source line with a caret and the mend. For a terminal: it shows a line of the configuration,
 * which may hold a secret, so logs get the headline only.
 */
export function describe(problem: Problem): string {
  return [`[${problem.level}] ${headline(problem)}`, ...snippet(problem)].join('\n');
}

function snippet(problem: Problem): string[] {
  const [first = '', ...more] = (problem.mend ?? '').split('\n');
  const { at } = problem;
  if (at === undefined) return first === '' ? [] : [first, ...more].map((line) => `    ${line}`);
  const gutter = `${at.line}`.padStart(6);
  const empty = ' '.repeat(gutter.length);
  const { line, pad, carets } = crop(lineAround(at.source, at.offset), at);
  return [
    `${gutter} | ${line}`,
    `${empty} | ${pad}${carets}${first === '' ? '' : ` ${first}`}`,
    ...more.map((text) => `${empty} | ${text}`),
    ...includedFrom(at),
  ];
}

/** The part of a long line that has the caret in it. */
const WIDEST = 140;
const LEAD = 60;

function crop(whole: string, at: Position): { line: string; pad: string; carets: string } {
  const skip = whole.length > WIDEST && at.column > LEAD ? at.column - LEAD : 0;
  const line = whole.slice(skip, skip + WIDEST);
  const before = whole.slice(skip, at.column - 1);
  const room = Math.max(1, line.length - before.length);
  const carets = '^'.repeat(Math.min(room, Math.max(1, at.length)));
  const [head, tail] = [skip > 0 ? '… ' : '', skip + WIDEST < whole.length ? ' …' : ''];
  // Tabs are kept, so that the caret stands below its character whatever a tab is wide.
  return { line: head + visible(line) + tail, pad: (head + visible(before)).replace(/[^\t]/g, ' '), carets };
}

/** Control characters could steer the terminal that shows them. */
const visible = (text: string): string => text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]|\p{Surrogate}/gu, '?');

function includedFrom(at: Position): string[] {
  const from = at.source.includedFrom;
  if (from === undefined) return [];
  return [`       = included from ${from.source.file}:${from.line}`, ...includedFrom(from)];
}

function byPlace(one: Problem, other: Problem): number {
  if (one.at === undefined || other.at === undefined)
    return Number(one.at === undefined) - Number(other.at === undefined);
  return comparePlaces(one.noticed ?? one.at, other.noticed ?? other.at);
}

/** In reading order: below 0 where the first one is read first. `-g` is read before the file. */
export function comparePlaces(one: Position, other: Position): number {
  const rank = Number(other.source.commandLine ?? false) - Number(one.source.commandLine ?? false);
  if (rank !== 0) return rank;
  const [mine, theirs] = [path(one), path(other)];
  for (let depth = 0; depth < Math.min(mine.length, theirs.length); depth++) {
    const difference = (mine[depth] as number) - (theirs[depth] as number);
    if (difference !== 0) return difference;
  }
  return mine.length - theirs.length;
}

/** Offsets from the main file inwards: where the include stands, where the include in that file stands, … the place itself. */
function path(at: Position): number[] {
  const { includedFrom } = at.source;
  return includedFrom === undefined ? [at.offset] : [...path(includedFrom), at.offset];
}
