// An error log that also tells the terminal, while the gateway starts: nginx's `nginx: [emerg] …` with our name.

import { type ErrorLog, LEVELS, type Level } from './error-log.ts';

/** From this level on the terminal is told as well. */
const TOLD = LEVELS.indexOf('warn');

export class MirroredLog implements ErrorLog {
  readonly #log: ErrorLog;
  readonly #print: (text: string) => void;

  /** @param print takes whole lines, with their newline */
  constructor(log: ErrorLog, print: (text: string) => void) {
    this.#log = log;
    this.#print = print;
  }

  enabled(level: Level): boolean {
    return LEVELS.indexOf(level) <= TOLD || this.#log.enabled(level);
  }

  write(level: Level, message: string, connection?: number): void {
    this.#log.write(level, message, connection);
    if (LEVELS.indexOf(level) <= TOLD) this.#print(`sockgate: [${level}] ${message}\n`);
  }
}
