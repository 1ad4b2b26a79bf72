// The field lines of a head or of trailers: found, checked byte by byte, and turned into header fields.

import { nextControl, wordsOf } from './control-bytes.ts';
import { NEED_MORE, REFUSED } from './feed-result.ts';
import type { FieldName } from './field-names.ts';
import { fieldName, KEEP, SPACED } from './field-names.ts';
import type { HeadRoom } from './head-room.ts';
import { Headers } from './headers.ts';
import { latin1 } from './latin1.ts';
import { afterFault, afterLine } from './line-end.ts';

const TAB = 9;
const SPACE = 32;
const COLON = 58;

/** Why lines were refused. */
export const INVALID_LINE = 1;
export const TOO_LARGE = 2;
export const TOO_MANY = 3;

const NOT_IN_TOKEN = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/;
/** What is shown of a name in a log. */
const LONGEST_SHOWN = 200;

/** Which lines are taken. */
export interface FieldRules {
  /** The last shape of a name (field-names.ts) that is kept. */
  readonly keptShape: number;
  /** Whether a line whose name has another shape is skipped; otherwise it is refused. */
  readonly skipOthers: boolean;
  /** How many fields are kept at most. */
  readonly most: number;
  /** Whether a line may end in LF alone (RFC 9112, 2.2: a head may be read so, the framing of a body may not). */
  readonly bareLf: boolean;
}

/**
 * Goes over lines as they come. The strings are not made until the last line is here: then one copy of all the bytes is
 * made, and every value is a slice of it.
 */
export class FieldLines {
  /** The fields found so far. */
  count = 0;
  /** INVALID_LINE, TOO_LARGE or TOO_MANY. */
  fault = 0;
  /** Where the line begins that is not complete, or refused, counted from the base. */
  lineStart = 0;
  /** Names of the lines that were skipped, or undefined when there are none. */
  skipped: string[] | undefined;
  /** For each field: its name. What stands beyond `count` is left from the last head, which often had the same fields in the same order. */
  readonly #names: FieldName[] = [];
  /** For each field: where its value begins and ends, counted from the base. */
  readonly #spans: number[] = [];
  /** The index of the byte for which a line was refused. */
  #badAt = 0;

  reset(): void {
    this.count = 0;
    this.fault = 0;
    this.lineStart = 0;
    this.skipped = undefined;
  }

  /**
   * Goes over the lines in `[at, end)`; positions are kept relative to `base`.
   * @returns the index after the empty line, NEED_MORE (go on at `lineStart`) or REFUSED (`fault` says why)
   */
  scan(bytes: Uint8Array, base: number, at: number, end: number, rules: FieldRules, room: HeadRoom): number {
    const words = wordsOf(bytes);
    let line = at;
    for (;;) {
      const lineEnd = nextControl(bytes, words, line, end);
      const next = afterLine(bytes, lineEnd, end, rules.bareLf);
      if (next === NEED_MORE) return this.#wait(line - base, end - base, line, room);
      if (next === REFUSED) return this.#stop(line - base, afterFault(bytes, lineEnd) - base, line, lineEnd, room);
      if (next - base > room.end && !room.takes(line - base, next - base))
        return this.#refuse(TOO_LARGE, line - base, line);
      if (lineEnd === line) return next;
      if (!this.#line(bytes, base, line, lineEnd, rules)) return REFUSED;
      line = next;
    }
  }

  /** The fields, from `text`: the bytes from the base on. */
  toHeaders(text: string): Headers {
    const headers = new Headers();
    for (let i = 0; i < this.count; i++) {
      const { name, lowerName } = this.nameAt(i);
      headers.addParsed(name, lowerName, this.valueAt(i, text));
    }
    return headers;
  }

  nameAt(index: number): FieldName {
    return this.#names[index] as FieldName;
  }

  valueAt(index: number, text: string): string {
    return text.slice(this.#spans[index * 2] as number, this.#spans[index * 2 + 1] as number);
  }

  /** The refused line for a log, as nginx shows it: up to the byte that is wrong. Its value is left out, for it may be a secret. */
  describeBadLine(bytes: Uint8Array, base: number): string {
    const start = base + this.lineStart;
    const bad = (bytes[this.#badAt] as number).toString(16).padStart(2, '0');
    const colon = bytes.subarray(start, this.#badAt).indexOf(COLON);
    const isInValue = colon > 0;
    const shown = latin1(bytes, start, Math.min(isInValue ? start + colon : this.#badAt, start + LONGEST_SHOWN));
    return `"${shown}${isInValue ? ': ...' : ''}\\x${bad}..."`;
  }

  /** The beginning of a line that is too long, without its value. */
  describeLongLine(bytes: Uint8Array, base: number, end: number): string {
    const start = base + this.lineStart;
    const line = latin1(bytes, start, Math.min(end, start + LONGEST_SHOWN));
    const colon = line.indexOf(':');
    return `"${colon < 0 ? line : `${line.slice(0, colon)}: `}..."`;
  }

  /** A whole line without control bytes, and not an empty one. */
  #line(bytes: Uint8Array, base: number, start: number, end: number, rules: FieldRules): boolean {
    const guess = this.#names[this.count];
    const name = guess !== undefined && isNamed(guess, bytes, start, end) ? guess : this.#name(bytes, base, start, end);
    if (name === undefined) return false;
    const colon = start + name.bytes.length;
    if (name.shape > rules.keptShape) return this.#skip(name, base, start, rules);
    if (this.count === rules.most) return this.#refuseLine(base, start, start, TOO_MANY);
    // Some readers take a tab around a value for a part of it. Where it matters, it is one here too, and makes the value a wrong one.
    const tab = name.kind === KEEP ? TAB : SPACE;
    this.#keep(name, skipBlanks(bytes, colon + 1, end, tab) - base, skipBlanksBack(bytes, colon + 1, end, tab) - base);
    return true;
  }

  #name(bytes: Uint8Array, base: number, start: number, end: number): FieldName | undefined {
    let colon = start;
    while (colon < end && bytes[colon] !== COLON) colon++;
    if (colon > start && colon < end) return fieldName(bytes, start, colon);
    this.#refuseLine(base, start, firstBlank(bytes, start, colon));
    return undefined;
  }

  #keep(name: FieldName, valueStart: number, valueEnd: number): void {
    const at = this.count++;
    this.#names[at] = name;
    this.#spans[at * 2] = valueStart;
    this.#spans[at * 2 + 1] = Math.max(valueStart, valueEnd);
  }

  #skip(name: FieldName, base: number, start: number, rules: FieldRules): boolean {
    const bad = start + Math.max(0, name.name.search(NOT_IN_TOKEN));
    if (!rules.skipOthers || name.shape === SPACED) return this.#refuseLine(base, start, bad);
    this.skipped ??= [];
    this.skipped.push(name.name);
    return true;
  }

  /** The line that begins at `start` is here up to `upTo`, both counted from the base. */
  #wait(start: number, upTo: number, line: number, room: HeadRoom): number {
    this.lineStart = start;
    return room.takesMore(start, upTo) ? NEED_MORE : this.#refuse(TOO_LARGE, start, line);
  }

  /** A byte beyond the room would never have been looked at, had it come later. */
  #stop(start: number, upTo: number, line: number, bad: number, room: HeadRoom): number {
    return room.takes(start, upTo) ? this.#refuse(INVALID_LINE, start, bad) : this.#refuse(TOO_LARGE, start, line);
  }

  #refuseLine(base: number, start: number, bad: number, fault: number = INVALID_LINE): false {
    this.#refuse(fault, start - base, bad);
    return false;
  }

  #refuse(fault: number, lineStart: number, bad: number): number {
    this.fault = fault;
    this.lineStart = lineStart;
    this.#badAt = bad;
    return REFUSED;
  }
}

/** Whether the line `[start, end)` has this name and a colon. */
function isNamed(name: FieldName, bytes: Uint8Array, start: number, end: number): boolean {
  const spelling = name.bytes;
  const length = spelling.length;
  if (start + length >= end || bytes[start + length] !== COLON) return false;
  for (let i = 0; i < length; i++) {
    if (spelling[i] !== bytes[start + i]) return false;
  }
  return true;
}

/** The index of the first space or tab in `[start, end)`, or `end`. */
function firstBlank(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && bytes[i] !== SPACE && bytes[i] !== TAB) i++;
  return i;
}

function skipBlanks(bytes: Uint8Array, at: number, end: number, tab: number): number {
  let i = at;
  while (i < end && (bytes[i] === SPACE || bytes[i] === tab)) i++;
  return i;
}

function skipBlanksBack(bytes: Uint8Array, start: number, end: number, tab: number): number {
  let i = end;
  while (i > start && (bytes[i - 1] === SPACE || bytes[i - 1] === tab)) i--;
  return i;
}
