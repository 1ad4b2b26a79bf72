// One access log: which lines it takes, and how values are escaped in them. What a line says is compiled elsewhere.

/** `escape=` of `log_format`: turns a byte string into one that is safe in a line. */
export type Escape = (value: string) => string;

/** A file, or syslog. Takes a whole line, a byte string without its newline. */
interface LineTaker {
  write(line: string): void;
}

export interface AccessLogOptions<Entry> {
  readonly file: LineTaker;
  /** The whole line, without its newline, as a byte string. */
  readonly format: (entry: Entry) => string;
  /** `if=`: nothing is written where this is `0` or empty. */
  readonly condition?: ((entry: Entry) => string) | undefined;
}

/** Writes one line for each entry: an exchange, a tunnel that has ended. */
export class AccessLog<Entry> {
  readonly #file: LineTaker;
  readonly #format: (entry: Entry) => string;
  readonly #condition: ((entry: Entry) => string) | undefined;

  constructor({ file, format, condition }: AccessLogOptions<Entry>) {
    this.#file = file;
    this.#format = format;
    this.#condition = condition;
  }

  write(entry: Entry): void {
    if (this.#condition !== undefined && isOff(this.#condition(entry))) return;
    this.#file.write(this.#format(entry));
  }
}

const isOff = (condition: string): boolean => condition === '' || condition === '0';

const hex = (character: string): string => character.charCodeAt(0).toString(16).toUpperCase();

const UNSAFE = /[\0-\x1f"\\\x7f-\xff]/;
const EACH_UNSAFE = new RegExp(UNSAFE, 'g');

/** `escape=default`: quotes, backslashes, control characters and all bytes from 0x7F on become `\x22`. */
export function escapeDefault(value: string): string {
  return UNSAFE.test(value) ? value.replace(EACH_UNSAFE, (unsafe) => `\\x${hex(unsafe).padStart(2, '0')}`) : value;
}

const UNSAFE_IN_JSON = /[\0-\x1f"\\]/;
const EACH_UNSAFE_IN_JSON = new RegExp(UNSAFE_IN_JSON, 'g');
const JSON_NAMES: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
  '"': '\\"',
  '\\': '\\\\',
};

/** `escape=json`: what a JSON string may not hold is escaped; bytes from 0x7F on stay, they may be UTF-8. */
export function escapeJson(value: string): string {
  if (!UNSAFE_IN_JSON.test(value)) return value;
  return value.replace(EACH_UNSAFE_IN_JSON, (unsafe) => JSON_NAMES[unsafe] ?? `\\u${hex(unsafe).padStart(4, '0')}`);
}

/** `escape=none`: the value as it is, newlines and all. */
export const escapeNone: Escape = (value) => value;
