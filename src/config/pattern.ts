// PCRE regular expressions, as nginx's users write them, to RegExp. What has no equal in JavaScript is refused with its place.

import { setFlagsFromString } from 'node:v8';
import { BoundedRegExp } from './bounded-regexp.ts';
import { ConfigError } from './errors.ts';
import { byteString, placeWithin } from './source.ts';
import type { Position } from './tree.ts';
import { bytesWithProperty } from './unicode-properties.ts';

export interface Pattern {
  /** As it stands in the configuration. */
  readonly text: string;
  /** Matches byte strings (see source.ts), as PCRE without UTF mode does. Neither global nor sticky. */
  readonly regexp: RegExp;
  /** Its named groups, in order: each is a variable. */
  readonly names: readonly string[];
  /** Groups that capture, named ones included: `$1` … */
  readonly captures: number;
  /** V8's linear engine cannot take over, for it looks around or back, or counts far: a match that takes too long is given up. */
  readonly canBacktrack: boolean;
}

export interface PatternOptions {
  /** `~*`. Default false. */
  readonly insensitive?: boolean;
  readonly at?: Position;
}

/**
 * Translates a pattern.
 * @throws ConfigError `pcre2_compile() failed: … in "PATTERN"`, with PCRE's words for what PCRE would refuse too
 */
export function compilePattern(text: string, options: PatternOptions = {}): Pattern {
  return new Translator(text, options).compile();
}

let linearFallback = false;

/**
 * Lets V8 go on with its linear engine where a match backtracks too much: `(a+)+$` takes milliseconds instead of minutes.
 * Once, at start-up, before any pattern is compiled; `SOCKGATE_REGEXP_FLAGS=off` leaves V8 as it is.
 */
export function enableLinearFallback(env: Readonly<Record<string, string | undefined>> = process.env): void {
  if (linearFallback || env['SOCKGATE_REGEXP_FLAGS'] === 'off') return;
  linearFallback = true;
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
  // Lets us ask, by the flag `l`, what that engine can take over.
  setFlagsFromString('--enable-experimental-regexp-engine');
}

function isLinear(source: string): boolean {
  try {
    new RegExp(source, 'l');
    return true;
  } catch {
    return false;
  }
}

/** POSIX classes in the C locale. */
const POSIX: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\0-\\x7f',
  blank: ' \\t',
  cntrl: '\\0-\\x1f\\x7f',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-/:-@\\[-`{-~',
  space: ' \\t-\\r',
  upper: 'A-Z',
  word: '\\w',
  xdigit: '0-9A-Fa-f',
};

const NOT_POSIX: Readonly<Record<string, string>> = {
  alnum: '\\0-/:-@\\[-`{-\\uffff',
  alpha: '\\0-@\\[-`{-\\uffff',
  ascii: '\\x80-\\uffff',
  blank: '\\0-\\x08\\n-\\x1f!-\\uffff',
  cntrl: ' -~\\x80-\\uffff',
  digit: '\\D',
  graph: '\\0- \\x7f-\\uffff',
  lower: '\\0-`{-\\uffff',
  print: '\\0-\\x1f\\x7f-\\uffff',
  punct: '\\0- 0-9A-Za-z\\x7f-\\uffff',
  space: '\\0-\\x08\\x0e-\\x1f!-\\uffff',
  upper: '\\0-@\\[-\\uffff',
  word: '\\W',
  xdigit: '\\0-/:-@G-`g-\\uffff',
};

/** Escapes that mean a set of characters, as they stand inside `[…]`. JavaScript's own `\s` and `\v` are others than PCRE's. */
const SETS: Readonly<Record<string, string>> = {
  s: ' \\t-\\r',
  S: '\\0-\\x08\\x0e-\\x1f!-\\uffff',
  h: ' \\t\\xa0',
  H: '\\0-\\x08\\n-\\x1f!-\\x9f\\xa1-\\uffff',
  v: '\\n-\\r\\x85',
  V: '\\0-\\t\\x0e-\\x84\\x86-\\uffff',
  N: '\\0-\\t\\x0b-\\uffff',
  d: '\\d',
  D: '\\D',
  w: '\\w',
  W: '\\W',
};

/** Escapes that stand for one character, or one place, and are written differently in JavaScript. */
const SAME: Readonly<Record<string, string>> = { a: '\\x07', e: '\\x1b', A: '(?<![^])', z: '(?![^])', Z: '$' };

/** Settings that `(?i)` and the like turn on or off, to the end of their group. */
interface Modes {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
  readonly x: boolean;
}

/** Something of PCRE that was read: what it is in JavaScript. `atom`: a quantifier may follow. */
type Piece = { readonly source: string; readonly atom: boolean };

const nothing: Piece = { source: '', atom: false };
const atom = (source: string): Piece => ({ source, atom: true });
const anchor = (source: string): Piece => ({ source, atom: false });

class Translator {
  readonly #text: string;
  readonly #pattern: string;
  readonly #at: Position | undefined;
  readonly #names: string[] = [];
  /** The modes outside of each group that is open. */
  readonly #groups: Modes[] = [];
  readonly #references: { readonly group: string | number; readonly after: number }[] = [];
  #index = 0;
  #modes: Modes;
  #captures = 0;
  #canBacktrack = false;
  /** For each group that is open, the whole pattern first: whether it holds something that repeats or chooses. */
  readonly #varies: boolean[] = [false];
  #closedVaries = false;
  /** A group that holds such a thing is itself repeated. */
  #isNested = false;
  #repeats = false;
  /**
   * RegExp's own flag makes the pattern case-insensitive. It keeps the linear engine away, so letters are written out in both
   * cases wherever that is possible: not where something refers to what was matched before.
   */
  readonly #wholeInsensitive: boolean;

  constructor(text: string, options: PatternOptions) {
    this.#text = text;
    this.#pattern = byteString(text);
    this.#at = options.at;
    const head = /^(?:\(\?[imsx]+\))*/.exec(this.#pattern)?.[0] ?? '';
    const has = (mode: string) => head.includes(mode);
    const insensitive = (options.insensitive ?? false) || has('i');
    this.#modes = { i: insensitive, m: has('m'), s: has('s'), x: has('x') };
    this.#index = head.length;
    this.#wholeInsensitive =
      insensitive &&
      /\\(?:[1-9]|[gk])|\(\?P=/.test(this.#pattern) &&
      !/\(\?[a-zA-Z]*-?[a-zA-Z]*i[a-zA-Z]*-?[a-zA-Z]*[):]/.test(this.#pattern.slice(head.length));
  }

  compile(): Pattern {
    const source = this.#translate();
    const plain = this.#build(source);
    const canBacktrack = this.#canBacktrack || (linearFallback ? !isLinear(source) : false);
    const isRisky = this.#repeats && (canBacktrack || !linearFallback);
    const options = { text: this.#text, isExponential: this.#isNested };
    const regexp = isRisky ? new BoundedRegExp(source, plain.flags, options) : plain;
    return { text: this.#text, regexp, names: this.#names, captures: this.#captures, canBacktrack };
  }

  #build(source: string): RegExp {
    try {
      return new RegExp(source, this.#wholeInsensitive ? 'i' : '');
    } catch (error) {
      throw this.#fault((error as Error).message.replace(/^.*\/: /s, '').toLowerCase(), 0, this.#pattern.length, false);
    }
  }

  #translate(): string {
    let source = '';
    let repeatable = false;
    while (this.#index < this.#pattern.length) {
      const quantifier = this.#quantifier();
      if (quantifier !== '') {
        if (!repeatable)
          throw this.#fault('quantifier does not follow a repeatable item', this.#index - quantifier.length);
        this.#noteQuantifier(quantifier, source.endsWith(')'));
        source += quantifier;
        repeatable = false;
        continue;
      }
      const piece = this.#piece();
      source += piece.source;
      repeatable = piece.atom || (repeatable && piece === nothing);
    }
    this.#checkReferences();
    if (this.#groups.length > 0) throw this.#fault('missing closing parenthesis', this.#pattern.length);
    return source;
  }

  /** `*`, `+?`, `{2,}`; a possessive one (`a++`) has no equal. A `{` that begins no quantifier is a letter like any other. */
  #quantifier(): string {
    const found = /^(?:[*+?]|\{\d+(?:,\d*)?\})\??/.exec(this.#rest)?.[0] ?? '';
    if (found !== '' && this.#rest[found.length] === '+' && !found.endsWith('?')) {
      throw this.#refuse('possessive quantifiers', this.#index, found.length + 1);
    }
    this.#index += found.length;
    return found;
  }

  /** `(a+)+` and its like: what could be divided up in very many ways. */
  #noteQuantifier(quantifier: string, isOfGroup: boolean): void {
    const isRepetition = !quantifier.startsWith('?');
    this.#varies[this.#varies.length - 1] = true;
    this.#repeats ||= isRepetition;
    this.#isNested ||= isRepetition && isOfGroup && this.#closedVaries;
  }

  get #rest(): string {
    return this.#pattern.slice(this.#index);
  }

  #piece(): Piece {
    const character = this.#pattern.charAt(this.#index);
    switch (character) {
      case '\\':
        return this.#escape();
      case '[':
        return this.#class();
      case '(':
        return this.#open();
      case ')':
        return this.#close();
      case '.':
        return this.#take(1, atom(this.#modes.s ? '[^]' : '[^\\n]'));
      case '^':
        return this.#take(1, anchor(this.#modes.m ? '(?<![^\\n])' : '^'));
      case '$':
        return this.#take(1, anchor(this.#modes.m ? '(?![^\\n])' : '$'));
      case '|':
        this.#varies[this.#varies.length - 1] = true;
        return this.#take(1, anchor('|'));
      default:
        return this.#letter(character);
    }
  }

  #take(length: number, piece: Piece): Piece {
    this.#index += length;
    return piece;
  }

  #letter(character: string): Piece {
    if (this.#modes.x && /\s/.test(character)) return this.#take(1, nothing);
    if (this.#modes.x && character === '#') return this.#take(/^[^\n]*/.exec(this.#rest)?.[0].length ?? 1, nothing);
    return this.#take(1, atom(this.#folded(character)));
  }

  /** A letter in both cases, where they are written out. */
  #folded(character: string): string {
    const plain = /[$()*+./?[\\\]^{|}]/.test(character) ? `\\${character}` : character;
    if (!this.#modes.i || this.#wholeInsensitive || !/[A-Za-z]/.test(character)) return plain;
    return `[${character.toLowerCase()}${character.toUpperCase()}]`;
  }

  // Escapes outside of classes.

  #escape(): Piece {
    const character = this.#pattern.charAt(this.#index + 1);
    if (character === '') throw this.#fault('\\ at end of pattern', this.#pattern.length);
    if (character === 'Q') return this.#verbatim();
    if (character === 'E') return this.#take(2, nothing);
    if (character === 'R') return this.#take(2, atom('(?:\\r\\n|[\\n-\\r\\x85])'));
    if (Object.hasOwn(SETS, character)) return this.#take(2, atom(this.#set(character)));
    if (character === 'A' || character === 'z') return this.#edge(character);
    if (Object.hasOwn(SAME, character)) return this.#take(2, anchorOrAtom(character));
    if ('bB'.includes(character)) return this.#take(2, anchor(`\\${character}`));
    if ('gk'.includes(character)) return this.#reference();
    if (/[0-9]/.test(character)) return this.#digits();
    if (character === 'x') return this.#hexadecimal();
    if ('pP'.includes(character)) return this.#property();
    if ('KGXCcou'.includes(character)) throw this.#refuse(`\\${character}`, this.#index, 2);
    if (/[a-zA-Z]/.test(character) && !'tnrf'.includes(character)) {
      throw this.#fault('unrecognized character follows \\', this.#index + 1);
    }
    return this.#take(2, atom('tnrf'.includes(character) ? `\\${character}` : this.#folded(character)));
  }

  /** `\A` and `\z` are `^` and `$` as long as `m` is off, which keeps them in reach of the linear engine. */
  #edge(character: string): Piece {
    if (!this.#modes.m) return this.#take(2, anchor(character === 'A' ? '^' : '$'));
    this.#canBacktrack = true;
    return this.#take(2, anchor(SAME[character] as string));
  }

  #property(): Piece {
    const bytes = this.#propertyBytes();
    return atom(bytes === '' ? '[]' : `[${bytes}]`);
  }

  /** `\p{L}`, `\pL`, `\P{L}`, `\p{^L}`, as members of a class. */
  #propertyBytes(): string {
    const found = /^\\([pP])(?:\{(\^?[\w& ]+)\}|(\w))/.exec(this.#rest);
    if (found === null) throw this.#fault('malformed \\P or \\p sequence', this.#index + 2);
    const [whole, letter, braced, single = ''] = found;
    const bytes = bytesWithProperty(braced ?? single, letter === 'P');
    if (bytes === undefined) throw this.#fault('unknown property after \\P or \\p', this.#index + whole.length);
    this.#index += whole.length;
    return bytes;
  }

  #set(character: string): string {
    return 'dDwW'.includes(character) ? `\\${character}` : `[${SETS[character]}]`;
  }

  /** `\Q…\E`: letters as they are. */
  #verbatim(): Piece {
    const end = this.#pattern.indexOf('\\E', this.#index + 2);
    const letters = this.#pattern.slice(this.#index + 2, end === -1 ? undefined : end);
    this.#index = end === -1 ? this.#pattern.length : end + 2;
    return letters === '' ? nothing : atom([...letters].map((letter) => this.#folded(letter)).join(''));
  }

  #reference(): Piece {
    const found = /^\\(?:k\{(\w+)\}|k<(\w+)>|k'(\w+)'|g\{([A-Za-z_]\w*)\}|g\{?(\d+)\}?)/.exec(this.#rest);
    if (found === null) throw this.#refuse('this reference', this.#index, 2);
    const [whole, braced, angled, quoted, general, number = ''] = found;
    return this.#referenceTo(braced ?? angled ?? quoted ?? general ?? Number(number), whole.length);
  }

  #referenceTo(group: string | number, length: number): Piece {
    this.#canBacktrack = true;
    this.#references.push({ group, after: this.#index + length });
    return this.#take(length, atom(typeof group === 'number' ? `(?:\\${group})` : `\\k<${group}>`));
  }

  /** JavaScript would read a reference to a group that is not there as letters. */
  #checkReferences(): void {
    for (const { group, after } of this.#references) {
      const known = typeof group === 'number' ? group > 0 && group <= this.#captures : this.#names.includes(group);
      if (!known) throw this.#fault('reference to non-existent subpattern', after);
    }
  }

  /** `\1` refers to a group; `\012`, and what is more than there are groups, is a character by its octal number. */
  #digits(): Piece {
    const digits = /^\\(\d+)/.exec(this.#rest)?.[1] ?? '';
    const number = Number(digits);
    if (!digits.startsWith('0') && (number < 10 || number <= countGroups(this.#pattern))) {
      return this.#referenceTo(number, digits.length + 1);
    }
    const octal = /^[0-7]{0,3}/.exec(digits)?.[0] ?? '';
    if (octal === '') throw this.#fault('reference to non-existent subpattern', this.#index + digits.length + 1);
    return this.#take(octal.length + 1, atom(this.#foldedCode(Number.parseInt(octal, 8) & 0xff)));
  }

  #hexadecimal(): Piece {
    const [length, value] = this.#hexCharacter();
    return this.#take(length, atom(this.#foldedCode(value)));
  }

  #hexCharacter(): [length: number, value: number] {
    const found = /^\\x(?:\{([0-9a-fA-F]+)\}|([0-9a-fA-F]{0,2}))/.exec(this.#rest) as RegExpExecArray;
    const value = Number.parseInt(found[1] ?? found[2] ?? '', 16) || 0;
    if (value > 0xff)
      throw this.#fault('character code point value in \\x{} or \\o{} is too large', this.#index + found[0].length - 1);
    return [found[0].length, value];
  }

  // Groups.

  #open(): Piece {
    const start = this.#index;
    if (this.#rest.startsWith('(*')) throw this.#refuse('verbs such as (*UTF8)', start, this.#rest.indexOf(')') + 1);
    if (!this.#rest.startsWith('(?')) return this.#capturing(1, '(');
    const named = /^\(\?(?:P?<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')/.exec(this.#rest);
    if (named !== null) return this.#named(named[0].length, (named[1] ?? named[2]) as string);
    const around = /^\(\?<?[=!]/.exec(this.#rest);
    if (around !== null) return this.#around(around[0]);
    if (this.#rest.startsWith('(?:')) return this.#group(3, '(?:');
    if (this.#rest.startsWith('(?#')) return this.#comment();
    const back = /^\(\?P=(\w+)\)/.exec(this.#rest);
    if (back !== null) return this.#referenceTo(back[1] as string, back[0].length);
    return this.#modifiersOrNone();
  }

  #group(length: number, source: string): Piece {
    this.#groups.push(this.#modes);
    this.#varies.push(false);
    return this.#take(length, anchor(source));
  }

  #capturing(length: number, source: string): Piece {
    this.#captures++;
    return this.#group(length, source);
  }

  #named(length: number, name: string): Piece {
    if (this.#names.includes(name)) {
      throw this.#fault('two named subpatterns have the same name (PCRE2_DUPNAMES not set)', this.#index + length - 1);
    }
    this.#names.push(name);
    return this.#capturing(length, `(?<${name}>`);
  }

  #around(opening: string): Piece {
    this.#canBacktrack = true;
    return this.#group(opening.length, opening);
  }

  #comment(): Piece {
    const end = this.#pattern.indexOf(')', this.#index);
    if (end === -1) throw this.#fault('missing ) after (?# comment', this.#pattern.length);
    return this.#take(end + 1 - this.#index, nothing);
  }

  /** `(?i)` to the end of the group, `(?i:…)` for a group of its own. */
  #modifiersOrNone(): Piece {
    const found = /^\(\?([imsx]*)(?:-([imsx]*))?([:)])/.exec(this.#rest);
    if (found === null) throw this.#unknownGroup();
    const [whole, on = '', off = '', end] = found;
    const mode = (name: keyof Modes) => (on.includes(name) || this.#modes[name]) && !off.includes(name);
    const modes: Modes = { i: mode('i'), m: mode('m'), s: mode('s'), x: mode('x') };
    const piece = end === ':' ? this.#group(whole.length, '(?:') : this.#take(whole.length, nothing);
    this.#modes = modes;
    return piece;
  }

  #unknownGroup(): ConfigError {
    const what = KNOWN_GROUPS.find(([beginning]) => beginning.test(this.#rest))?.[1];
    if (what !== undefined) return this.#refuse(what, this.#index, 3);
    return this.#fault('unrecognized character after (? or (?-', this.#index + 2);
  }

  #close(): Piece {
    const outer = this.#groups.pop();
    if (outer === undefined) throw this.#fault('unmatched closing parenthesis', this.#index);
    this.#modes = outer;
    this.#closedVaries = this.#varies.pop() ?? false;
    this.#varies[this.#varies.length - 1] ||= this.#closedVaries;
    return this.#take(1, atom(')'));
  }

  // Classes.

  #class(): Piece {
    const start = this.#index;
    const negated = this.#pattern.charAt(start + 1) === '^';
    this.#index = start + (negated ? 2 : 1);
    let body = '';
    // The first `]` is a member, not the end.
    for (let first = true; first || this.#pattern.charAt(this.#index) !== ']'; first = false) {
      if (this.#index >= this.#pattern.length) {
        throw this.#fault('missing terminating ] for character class', this.#pattern.length);
      }
      body += this.#member();
    }
    this.#index++;
    return atom(`[${negated ? '^' : ''}${body}]`);
  }

  /** A member of a class as JavaScript: a set, a range, or one character. */
  #member(): string {
    const posix = /^\[:(\^?)([a-z]+):\]/.exec(this.#rest);
    if (posix !== null) return this.#posix(posix);
    const from = this.#classCharacter();
    if (from.code === undefined) return from.source;
    if (!/^-(?!\]|\[:|$)/s.test(this.#rest)) return this.#foldedMember(from.code);
    this.#index++;
    const to = this.#classCharacter();
    if (to.code === undefined) return `${this.#foldedMember(from.code)}\\-${to.source}`;
    return this.#range(from.code, to.code);
  }

  #posix([whole, negated, name = '']: RegExpExecArray): string {
    const sets = negated === '' ? POSIX : NOT_POSIX;
    const set = sets[this.#modes.i && (name === 'lower' || name === 'upper') ? 'alpha' : name];
    if (set === undefined) throw this.#fault('unknown POSIX class name', this.#index);
    this.#index += whole.length;
    return set;
  }

  #range(from: number, to: number): string {
    if (from > to) throw this.#fault('range out of order in character class', this.#index - 1);
    const plain = `${code(from)}-${code(to)}`;
    return this.#modes.i && !this.#wholeInsensitive ? plain + otherCase(from, to) : plain;
  }

  #foldedMember(value: number): string {
    const plain = code(value);
    return this.#modes.i && !this.#wholeInsensitive ? plain + otherCase(value, value) : plain;
  }

  /** A character by its code, outside of a class. */
  #foldedCode(value: number): string {
    const members = this.#foldedMember(value);
    return members === code(value) ? members : `[${members}]`;
  }

  /** One character by its code, or (without a code) the source of a set. */
  #classCharacter(): ClassCharacter {
    const character = this.#pattern.charAt(this.#index);
    if (character === '\\') return this.#classEscape();
    this.#index++;
    return { code: character.charCodeAt(0), source: '' };
  }

  #classEscape(): ClassCharacter {
    const character = this.#pattern.charAt(this.#index + 1);
    if (character === 'x') return this.#classHexadecimal();
    if (/[0-7]/.test(character)) return this.#classOctal();
    if ('pP'.includes(character)) return { code: undefined, source: this.#propertyBytes() };
    if ('QEcoRXBCGKNu'.includes(character)) throw this.#refuse(`\\${character} in a class`, this.#index, 2);
    this.#index += 2;
    const set = Object.hasOwn(SETS, character) ? (SETS[character] as string) : '';
    const control = 'aebtnrf'.indexOf(character);
    if (set !== '') return { code: undefined, source: set };
    return { code: control === -1 ? character.charCodeAt(0) : (CONTROLS[control] as number), source: '' };
  }

  #classHexadecimal(): ClassCharacter {
    const [length, value] = this.#hexCharacter();
    this.#index += length;
    return { code: value, source: '' };
  }

  #classOctal(): ClassCharacter {
    const digits = /^\\([0-7]{1,3})/.exec(this.#rest)?.[1] ?? '0';
    this.#index += digits.length + 1;
    return { code: Number.parseInt(digits, 8) & 0xff, source: '' };
  }

  // Mistakes.

  /** What PCRE accepts and JavaScript cannot do. */
  #refuse(what: string, index: number, length: number): ConfigError {
    return this.#fault(`${what} not supported`, index, length);
  }

  /** nginx's sentence; `index` is where PCRE stopped. */
  #fault(reason: string, index: number, length = 1, told = true): ConfigError {
    const rest = this.#pattern.slice(index);
    const where = rest === '' || !told ? '' : ` at "${rest}"`;
    const message = `pcre2_compile() failed: ${reason} in "${this.#text}"${where}`;
    const at = this.#at;
    const place = at && rest !== '' && this.#text === this.#pattern ? placeWithin(at, this.#text, index, length) : at;
    return new ConfigError(message, place);
  }
}

/** What may follow `(?` in PCRE beside what is translated. */
const KNOWN_GROUPS: readonly (readonly [RegExp, string])[] = [
  [/^\(\?>/, 'atomic groups'],
  [/^\(\?\|/, 'branch reset groups'],
  [/^\(\?\(/, 'conditional groups'],
  [/^\(\?(?:R|[+-]?\d|&|P>)/, 'recursion'],
  [/^\(\?C/, 'callouts'],
  [/^\(\?[imsxnJU^-]+[:)]/, 'the modifiers J, U, n and ^'],
];

const anchorOrAtom = (character: string): Piece => (character === 'Z' ? anchor : atom)(SAME[character] as string);

const code = (value: number): string => `\\x${value.toString(16).padStart(2, '0')}`;

/** Groups that capture, also those that stand further on. */
function countGroups(pattern: string): number {
  return pattern.replace(/\\./gs, '').match(/\((?!\?)|\(\?(?:P?<(?![=!])|')/g)?.length ?? 0;
}

/** What `\a \e \b \t \n \r \f` are inside a class. */
const CONTROLS: readonly number[] = [7, 27, 8, 9, 10, 13, 12];

interface ClassCharacter {
  readonly code: number | undefined;
  readonly source: string;
}

/** The letters of a range in their other case. */
function otherCase(from: number, to: number): string {
  let other = '';
  for (let value = from; value <= to; value++) {
    const letter = String.fromCharCode(value);
    if (/[A-Za-z]/.test(letter)) other += swapCase(letter);
  }
  return other;
}

const swapCase = (letter: string): string => (letter < 'a' ? letter.toLowerCase() : letter.toUpperCase());
