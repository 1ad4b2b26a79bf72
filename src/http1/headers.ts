// Header fields as they came: their order, their spelling, their repeats.

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const UNSAFE_VALUE = /[\0\r\n\u0100-\uffff]/;

/** Slots of one field in the flat array: name, lower-case name, value, and whether a parser has checked it. */
const STRIDE = 4;
const LOWER = 1;
const VALUE = 2;
const PARSED = 3;

/** Whether `text` is a token (RFC 9110, 5.6.2): what a field name and a method must be. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/**
 * Whether `text` can be written as a field value without ending the field: no CR, LF or NUL, and no character above 255,
 * whose low byte alone would be sent. Other control characters pass, as in nginx.
 */
export function isFieldValue(text: string): boolean {
  return !UNSAFE_VALUE.test(text);
}

/**
 * The header fields of one message. Names are compared in lower case. Nothing is checked when a field is added: the
 * writer checks every field that did not come out of a parser, so a value from a configuration cannot split a message.
 */
export class Headers {
  /** Flat, so that a head of ten fields is one array and not thirty objects; and no field name is ever a property name. */
  #slots: (string | boolean)[] = [];

  get length(): number {
    return this.#slots.length / STRIDE;
  }

  /** The name as it was spelled. */
  nameAt(index: number): string {
    return this.#slots[index * STRIDE] as string;
  }

  lowerNameAt(index: number): string {
    return this.#slots[index * STRIDE + LOWER] as string;
  }

  valueAt(index: number): string {
    return this.#slots[index * STRIDE + VALUE] as string;
  }

  /** Whether a parser has seen every byte of this field, so that the writer need not. */
  isParsedAt(index: number): boolean {
    return this.#slots[index * STRIDE + PARSED] as boolean;
  }

  /** The first value of the field, or undefined. */
  get(lowerName: string): string | undefined {
    const at = this.#find(lowerName, 0);
    return at < 0 ? undefined : (this.#slots[at + VALUE] as string);
  }

  /** All values of the field joined with ", " (RFC 9110, 5.3), or undefined. Not for Set-Cookie, whose values hold commas. */
  getJoined(lowerName: string): string | undefined {
    let at = this.#find(lowerName, 0);
    if (at < 0) return undefined;
    let joined = this.#slots[at + VALUE] as string;
    for (at = this.#find(lowerName, at + STRIDE); at >= 0; at = this.#find(lowerName, at + STRIDE)) {
      joined += `, ${this.#slots[at + VALUE] as string}`;
    }
    return joined;
  }

  has(lowerName: string): boolean {
    return this.#find(lowerName, 0) >= 0;
  }

  add(name: string, value: string): void {
    this.#slots.push(name, name.toLowerCase(), value, false);
  }

  /** For parsers only: every byte of name and value has been checked, and the writer will not look again. */
  addParsed(name: string, lowerName: string, value: string): void {
    this.#slots.push(name, lowerName, value, true);
  }

  /** Adds the field that stands at `index` of `source`, unchanged. */
  addFrom(source: Headers, index: number): void {
    const from = source.#slots;
    const at = index * STRIDE;
    this.#slots.push(
      from[at] as string,
      from[at + LOWER] as string,
      from[at + VALUE] as string,
      from[at + PARSED] as boolean,
    );
  }

  /** Gives the field this one value, where the first of its fields stood, or at the end. */
  set(name: string, value: string): void {
    const lowerName = name.toLowerCase();
    const at = this.#find(lowerName, 0);
    if (at < 0) {
      this.#slots.push(name, lowerName, value, false);
      return;
    }
    this.#removeFrom(lowerName, at + STRIDE);
    this.#slots[at] = name;
    this.#slots[at + VALUE] = value;
    this.#slots[at + PARSED] = false;
  }

  /** Gives the field at `index` another value; the writer will check it. */
  replaceAt(index: number, value: string): void {
    this.#slots[index * STRIDE + VALUE] = value;
    this.#slots[index * STRIDE + PARSED] = false;
  }

  /** Removes every field of that name. */
  remove(lowerName: string): void {
    this.#removeFrom(lowerName, 0);
  }

  /** Gives back the room that the array has for more fields: for heads that are kept for as long as a tunnel lasts. */
  trim(): void {
    this.#slots = this.#slots.slice();
  }

  clear(): void {
    this.#slots = [];
  }

  #find(lowerName: string, from: number): number {
    const slots = this.#slots;
    for (let at = from; at < slots.length; at += STRIDE) {
      if (slots[at + LOWER] === lowerName) return at;
    }
    return -1;
  }

  /** In one pass: a thousand repeats of a field must not cost a thousand moves of the rest. */
  #removeFrom(lowerName: string, from: number): void {
    let kept = this.#find(lowerName, from);
    if (kept < 0) return;
    const slots = this.#slots;
    for (let at = kept + STRIDE; at < slots.length; at += STRIDE) {
      if (slots[at + LOWER] === lowerName) continue;
      slots.copyWithin(kept, at, at + STRIDE);
      kept += STRIDE;
    }
    slots.length = kept;
  }
}
