// A file's text to statements: words up to a `;`, a `{`, or a `}`. Quotes, escapes, comments exactly as nginx reads them.

import type { ProblemDetails, Problems } from './errors.ts';
import { lastLineOf, type Source } from './source.ts';
import type { Argument, Position } from './tree.ts';

/** What ended: `terminated` by `;`, `opened` by `{`, a block `closed` by `}`, or the text came to its end. */
export interface Statement {
  readonly kind: 'terminated' | 'opened' | 'closed' | 'ended';
  readonly words: readonly Argument[];
  /** Where the `;`, `{`, `}` or the end stands. */
  readonly at: Position;
  /** A mistake in its words has been noted: what they mean is anyone's guess. */
  readonly spoilt?: boolean;
}

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DOUBLE_QUOTE = 0x22;
const HASH = 0x23;
const DOLLAR = 0x24;
const SINGLE_QUOTE = 0x27;
const CLOSING_PARENTHESIS = 0x29;
const SEMICOLON = 0x3b;
const BACKSLASH = 0x5c;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/** nginx reads through a buffer of this many bytes, and a word, a quoted string or a comment must fit into it. */
const LONGEST = 4096;

/** What web pages and word processors make of quotes: read as the plain ones at the beginning of a word. */
const DOUBLE_LIKE = '“”„‟«»';
const SINGLE_LIKE = '‘’‚‛‹›';
/** Spaces that look like a space, and characters that look like nothing. */
const NO_BREAK = '\u00a0\u2007\u202f';
const ZERO_WIDTH = '\u200b\u2060\ufeff';

const isSpace = (code: number): boolean => code === SPACE || code === LF || code === TAB || code === CR;
const isForeignSpace = (code: number): boolean => code >= 0xa0 && NO_BREAK.includes(String.fromCharCode(code));
const isZeroWidth = (code: number): boolean => code >= 0x200b && ZERO_WIDTH.includes(String.fromCharCode(code));

/**
 * Reads one statement after the other. A mistake is noted in `problems` and reading goes on as well as it can, so that
 * one run finds them all; the first one noted is the one that nginx would give.
 */
export class Lexer {
  readonly #source: Source;
  readonly #text: string;
  readonly #problems: Problems;
  #index = 0;
  #line = 1;
  /** Where the current line begins. */
  #lineStart = 0;
  #words: Argument[] = [];
  #spoilt = false;

  constructor(source: Source, problems: Problems) {
    this.#source = source;
    this.#text = source.text;
    this.#problems = problems;
  }

  next(): Statement {
    this.#words = [];
    this.#spoilt = false;
    for (;;) {
      this.#between();
      if (this.#index >= this.#text.length) return this.#end();
      const statement = this.#wordOrEnd(this.#text.charCodeAt(this.#index));
      if (statement !== undefined) return statement;
    }
  }

  #wordOrEnd(code: number): Statement | undefined {
    switch (code) {
      case SEMICOLON:
        return this.#semicolon();
      case OPENING_BRACE:
        return this.#open();
      case CLOSING_BRACE:
        return this.#close();
      case DOUBLE_QUOTE:
      case SINGLE_QUOTE:
        this.#quoted(code);
        return undefined;
      default:
        if (code < 0x80 || !this.#typographic()) this.#bare();
        return undefined;
    }
  }

  // Between words: white space and comments.

  #between(): void {
    for (; this.#index < this.#text.length; this.#index++) {
      const code = this.#text.charCodeAt(this.#index);
      if (code === LF) this.#newLine(this.#index);
      else if (code === HASH) this.#comment();
      else if (code >= 0xa0 && (isForeignSpace(code) || isZeroWidth(code))) this.#foreignSpaces();
      else if (!isSpace(code)) return;
    }
  }

  #newLine(index: number): void {
    this.#line++;
    this.#lineStart = index + 1;
  }

  /** Leaves the index before the end of the line. */
  #comment(): void {
    const start = this.#index;
    const end = this.#text.indexOf('\n', start);
    this.#index = (end === -1 ? this.#text.length : end) - 1;
    this.#checkLength(start, this.#index + 1, this.#here(start), LONGEST);
  }

  /** Leaves the index on the last one of a run. */
  #foreignSpaces(): void {
    const start = this.#index;
    let end = start + 1;
    const isForeign = (code: number) => isForeignSpace(code) || isZeroWidth(code);
    while (isForeign(this.#text.charCodeAt(end))) end++;
    this.#index = end - 1;
    this.#warnForeign(start, end);
  }

  #warnForeign(start: number, end: number): void {
    const code = this.#text.charCodeAt(start).toString(16).toUpperCase().padStart(4, '0');
    const known = isZeroWidth(this.#text.charCodeAt(start)) ? 'invisible character' : 'no-break space';
    const meaning = known === 'no-break space' ? 'read as a plain space' : 'left out';
    this.#problems.warn(`${known} U+${code} is ${meaning}`, this.#here(start, end - start));
  }

  // Ends of a statement.

  #semicolon(): Statement | undefined {
    if (this.#words.length > 0) return this.#finish('terminated');
    this.#unexpected(';', { mend: 'there is no directive before it' });
    this.#index++;
    return undefined;
  }

  #open(): Statement {
    if (this.#words.length === 0) this.#unexpected('{', { mend: 'there is no directive before it' });
    return this.#finish('opened');
  }

  #close(): Statement {
    if (this.#words.length === 0) return this.#finish('closed');
    this.#unexpected('}', { mend: `a ";" is missing ${this.#whereMissing()}` });
    // The brace is left for the next statement, as if the `;` had been there.
    return { kind: 'terminated', words: this.#words, at: this.#here(), spoilt: true };
  }

  #whereMissing(): string {
    const [first] = this.#words;
    const line = lastLineOf((this.#words.at(-1) as Argument).at);
    return line === this.#line ? `at the end of "${first?.text}"` : `at the end of line ${line}`;
  }

  #finish(kind: Statement['kind']): Statement {
    const at = this.#here();
    this.#index++;
    return { kind, words: this.#words, at, spoilt: this.#spoilt };
  }

  #end(): Statement {
    if (this.#words.length > 0) this.#unexpectedEnd(this.#words[0]?.at as Position, 'a ";" is missing');
    return { kind: 'ended', words: [], at: this.#here() };
  }

  // Words.

  /** A word without quotes: up to a space, a `;` or a `{` that is not `${`. A backslash takes the next character along. */
  #bare(): void {
    const start = this.#index;
    const { line, column } = this.#spot();
    const end = this.#bareEnd();
    const at: Position = { source: this.#source, line, column, offset: start, length: end - start };
    if (end === -1) {
      this.#broken({ ...at, length: 1 });
      return;
    }
    this.#index = end;
    const raw = this.#text.slice(start, end);
    this.#checkLength(start, end, at, LONGEST);
    this.#push(this.#withoutZeroWidthEnd(raw, start), false, at);
  }

  #bareEnd(): number {
    const text = this.#text;
    let variable = false;
    for (let index = this.#index; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code === BACKSLASH) {
        index++;
        if (text.charCodeAt(index) === LF) this.#newLine(index);
      } else if (code === SEMICOLON || isSpace(code)) return index;
      else if (code === OPENING_BRACE && !variable) return index;
      else if (code >= 0xa0 && isForeignSpace(code)) return index;
      variable = code === DOLLAR || (code === OPENING_BRACE && variable);
    }
    return -1;
  }

  #withoutZeroWidthEnd(raw: string, start: number): string {
    let end = raw.length;
    while (end > 0 && isZeroWidth(raw.charCodeAt(end - 1))) end--;
    if (end < raw.length) this.#warnForeign(start + end, start + raw.length);
    return raw.slice(0, end);
  }

  #quoted(quote: number): void {
    const start = this.#index + 1;
    const { line, column } = this.#spot();
    const end = this.#quoteEnd(quote, start);
    const at: Position = { source: this.#source, line, column, offset: start - 1, length: end - start + 2 };
    if (end === -1) {
      this.#unclosed({ ...at, length: 1 }, start, quote);
      return;
    }
    this.#index = end + 1;
    this.#checkQuotedLength(start, end, at, quote);
    this.#push(this.#text.slice(start, end), true, at);
    this.#afterQuote();
  }

  #quoteEnd(quote: number, start: number): number {
    for (let index = start; index < this.#text.length; index++) {
      const code = this.#text.charCodeAt(index);
      if (code === quote) return index;
      if (code === BACKSLASH) index++;
      if (this.#text.charCodeAt(index) === LF) this.#newLine(index);
    }
    return -1;
  }

  /** After a closing quote nginx wants a space, `;`, `{`, or a `)` as in `if ($a = "b")`. */
  #afterQuote(): void {
    const code = this.#text.charCodeAt(this.#index);
    if (this.#index >= this.#text.length || isSpace(code) || isForeignSpace(code) || isZeroWidth(code)) return;
    if (code === SEMICOLON || code === OPENING_BRACE || code === CLOSING_PARENTHESIS) return;
    const character = String.fromCodePoint(this.#text.codePointAt(this.#index) as number);
    this.#spoilt = true;
    this.#unexpected(character, { mend: 'after a closing quote there must be a space, ";" or "{"' });
  }

  /**
   * `“upgrade”` as a web page shows it. It counts as a quoted word only where a closing one of its kind stands on the
   * same line and ends the word; else it is text like any other, as for nginx.
   */
  #typographic(): boolean {
    const start = this.#index;
    const family = familyOf(this.#text.charAt(start));
    const end = family === undefined ? -1 : this.#typographicEnd(family, start + 1);
    if (end === -1) return false;
    const at = this.#here(start, end + 1 - start);
    this.#index = end + 1;
    const shown = this.#text.slice(start, end + 1);
    this.#problems.warn(`typographic quotes in ${shown} are read as plain ones`, at);
    this.#push(this.#text.slice(start + 1, end), true, at);
    return true;
  }

  #typographicEnd(family: string, start: number): number {
    for (let index = start; index < this.#text.length; index++) {
      const code = this.#text.charCodeAt(index);
      if (code === LF) return -1;
      if (code === BACKSLASH) index++;
      else if (family.includes(this.#text.charAt(index)) && this.#endsWord(index + 1)) return index;
    }
    return -1;
  }

  #endsWord(index: number): boolean {
    const code = this.#text.charCodeAt(index);
    if (index >= this.#text.length || isSpace(code) || isForeignSpace(code) || isZeroWidth(code)) return true;
    return code === SEMICOLON || code === OPENING_BRACE || code === CLOSING_BRACE || code === CLOSING_PARENTHESIS;
  }

  #push(raw: string, quoted: boolean, at: Position): void {
    this.#words.push({ text: decodeEscapes(raw), quoted, at });
  }

  // Mistakes.

  #unexpected(character: string, details: ProblemDetails): void {
    this.#problems.error(`unexpected "${character}"`, this.#here(), details);
  }

  /** The text ended inside a word. */
  #broken(at: Position): void {
    this.#index = this.#text.length;
    this.#unexpectedEnd(this.#words[0]?.at ?? at, 'a ";" is missing');
    this.#words = [];
  }

  #unclosed(at: Position, start: number, quote: number): void {
    this.#index = this.#text.length;
    if (this.#bytes(start, this.#index) >= LONGEST && !this.#source.commandLine) this.#missingQuote(at, quote);
    else this.#unexpectedEnd(at, 'this quote is never closed');
    this.#words = [];
  }

  #unexpectedEnd(at: Position, mend: string): void {
    const [end, expected] = this.#source.commandLine ? ['parameter', '";"'] : ['file', '";" or "}"'];
    this.#problems.error(`unexpected end of ${end}, expecting ${expected}`, at, {
      noticed: this.#here(this.#text.length),
      mend,
    });
  }

  #missingQuote(at: Position, quote: number): void {
    const character = String.fromCharCode(quote);
    this.#spoilt = true;
    const message = `too long parameter, probably missing terminating "${character}" character`;
    this.#problems.error(message, at, { mend: `at most ${LONGEST - 1} bytes, or is the closing quote missing?` });
  }

  #checkLength(start: number, end: number, at: Position, limit: number): void {
    if (this.#bytes(start, end) < limit) return;
    this.#spoilt = true;
    const beginning = this.#text.slice(start, start + 10);
    this.#problems.error(`too long parameter "${beginning}..." started`, at, { mend: `at most ${limit - 1} bytes` });
  }

  /** nginx keeps the closing quote in its buffer as well, so a quoted string may be one byte shorter. */
  #checkQuotedLength(start: number, end: number, at: Position, quote: number): void {
    if (this.#bytes(start, end) < LONGEST) this.#checkLength(start, end, at, LONGEST - 1);
    else if (!this.#source.commandLine) this.#missingQuote(at, quote);
  }

  /** Bytes in the file from `start` to `end`; only counted where they may be too many. There is no limit for `-g`. */
  #bytes(start: number, end: number): number {
    if ((end - start) * 3 < LONGEST - 1 || this.#source.commandLine) return 0;
    return Buffer.byteLength(this.#text.slice(start, end));
  }

  /** Line and column of the index: a word may go on over several lines. */
  #spot(): { line: number; column: number } {
    return { line: this.#line, column: this.#index - this.#lineStart + 1 };
  }

  #here(offset = this.#index, length = 1): Position {
    return { source: this.#source, line: this.#line, column: offset - this.#lineStart + 1, offset, length };
  }
}

function familyOf(character: string): string | undefined {
  if (DOUBLE_LIKE.includes(character)) return `${DOUBLE_LIKE}"`;
  if (SINGLE_LIKE.includes(character)) return `${SINGLE_LIKE}'`;
  return undefined;
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', r: '\r', n: '\n' };

function decodeEscapes(raw: string): string {
  if (!raw.includes('\\')) return raw;
  return raw.replace(/\\(["'\\trn])/g, (_, character: string) => ESCAPES[character] ?? character);
}
