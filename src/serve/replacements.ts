// Strings replaced in a body that comes in pieces: leftmost first, and of those that begin at the same place the first in the list.
// https://nginx.org/en/docs/http/ngx_http_sub_module.html

/** What is looked for; the same for all bodies. Upper and lower case of ASCII are the same, all other bytes are themselves. */
export class SearchStrings {
  readonly texts: readonly string[];
  /** In bytes. */
  readonly longest: number;
  /** Finds the first place where any of them stands. */
  readonly #any: RegExp;
  /** Says whether one of them stands at a place. */
  readonly #each: readonly RegExp[];

  /** @param texts byte strings, none of them empty */
  constructor(texts: readonly string[]) {
    this.texts = texts.map(lowerAscii);
    this.longest = Math.max(0, ...texts.map(({ length }) => length));
    const sources = this.texts.map(sourceOf);
    this.#any = new RegExp(sources.join('|'), 'g');
    this.#each = sources.map((source) => new RegExp(source, 'y'));
  }

  /** @returns where in `text`, from `from` on, one of them begins; -1: nowhere */
  placeOfAny(text: string, from: number): number {
    this.#any.lastIndex = from;
    return this.#any.exec(text)?.index ?? -1;
  }

  standsAt(index: number, text: string, at: number): boolean {
    const one = this.#each[index] as RegExp;
    one.lastIndex = at;
    return one.test(text);
  }

  /** Whether all that there is of `text` from `at` on is the beginning of that one, and not the whole. */
  beginsAt(index: number, text: string, at: number): boolean {
    const searched = this.texts[index] as string;
    const length = text.length - at;
    if (length >= searched.length) return false;
    for (let i = 0; i < length; i++) if (lowerCode(text.charCodeAt(at + i)) !== searched.charCodeAt(i)) return false;
    return true;
  }
}

const A = 0x41;
const Z = 0x5a;
const TO_LOWER = 0x20;

function lowerCode(code: number): number {
  return code >= A && code <= Z ? code + TO_LOWER : code;
}

function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Without the flag `i`, which would make one of bytes that are parts of other characters. */
function sourceOf(text: string): string {
  return Array.from(text, (character) => {
    if (/[a-z]/.test(character)) return `[${character}${character.toUpperCase()}]`;
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  }).join('');
}

const NOWHERE = Number.POSITIVE_INFINITY;

/** What is done to one body. */
export class Replacing {
  readonly #searched: SearchStrings;
  readonly #replacement: (index: number) => string;
  readonly #once: boolean;
  /** Those of which no more are replaced. */
  readonly #used = new Set<number>();
  /** Bytes that may be the beginning of what is looked for. */
  #rest = '';

  /**
   * @param replacement of the string with this index, a byte string
   * @param once each of them is replaced only where it stands first
   */
  constructor(searched: SearchStrings, replacement: (index: number) => string, once: boolean) {
    this.#searched = searched;
    this.#replacement = replacement;
    this.#once = once;
  }

  /** Nothing will be replaced any more, and nothing is held back. */
  get isOver(): boolean {
    return this.#used.size === this.#searched.texts.length && this.#rest === '';
  }

  /** What is held back, in bytes. */
  get heldBack(): number {
    return this.#rest.length;
  }

  /** @returns what the next piece of the body becomes, as far as that is known */
  take(piece: string): string {
    const text = this.#rest + piece;
    let written = '';
    let at = 0;
    for (;;) {
      const found = this.#nextIn(text, at);
      const open = this.#openIn(text, at, found);
      if (open < NOWHERE) return this.#holdBack(text, open, written + text.slice(at, open));
      if (found === undefined) return this.#holdBack(text, text.length, written + text.slice(at));
      written += text.slice(at, found.at) + this.#replace(found.index);
      at = found.at + (this.#searched.texts[found.index] as string).length;
    }
  }

  /** The body is over. @returns what was held back, and is no beginning of anything any more */
  end(): string {
    const text = this.#rest;
    this.#rest = '';
    let written = '';
    let at = 0;
    for (let found = this.#nextIn(text, at); found !== undefined; found = this.#nextIn(text, at)) {
      written += text.slice(at, found.at) + this.#replace(found.index);
      at = found.at + (this.#searched.texts[found.index] as string).length;
    }
    return written + text.slice(at);
  }

  #holdBack(text: string, from: number, written: string): string {
    this.#rest = text.slice(from);
    return written;
  }

  #replace(index: number): string {
    if (this.#once) this.#used.add(index);
    return this.#replacement(index);
  }

  /** The next of those that are still replaced. */
  #nextIn(text: string, from: number): { readonly at: number; readonly index: number } | undefined {
    const { length } = this.#searched.texts;
    if (this.#used.size === length) return undefined;
    for (let at = this.#searched.placeOfAny(text, from); at >= 0; at = this.#searched.placeOfAny(text, at + 1)) {
      for (let index = 0; index < length; index++)
        if (!this.#used.has(index) && this.#searched.standsAt(index, text, at)) return { at, index };
    }
    return undefined;
  }

  /** Where the end of `text` may be the beginning of one that goes before what was found. */
  #openIn(text: string, from: number, found: { readonly at: number; readonly index: number } | undefined): number {
    const { texts, longest } = this.#searched;
    const first = Math.max(from, text.length - longest + 1);
    const last = Math.min(found?.at ?? NOWHERE, text.length - 1);
    for (let at = first; at <= last; at++) {
      const before = at === found?.at ? found.index : texts.length;
      for (let index = 0; index < before; index++)
        if (!this.#used.has(index) && this.#searched.beginsAt(index, text, at)) return at;
    }
    return NOWHERE;
  }
}
