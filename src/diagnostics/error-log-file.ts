// The error log as nginx writes it: levels, one line for each message, to one or several files, or to syslog.

import { type ErrorLog, LEVELS, type Level } from './error-log.ts';
import { THREAD_NUMBER } from './thread-number.ts';

/** Takes whole lines, byte strings without their newline: a file, or syslog. */
export interface LineTaker {
  write(line: string, level: Level): void;
  /** One that must not get lost with the thread. */
  writeNow(line: string, level: Level): void;
}

export interface ErrorLogTo {
  readonly file: LineTaker;
  /** This level and what is more severe is written. */
  readonly level: Level;
}

/** From this level on a line is written at once: it may be the last that this thread has to say. */
const SERIOUS = LEVELS.indexOf('warn');

/** nginx's: a line is cut here, its newline included. */
const MAX_LINE = 2048;

export class ErrorLogFile implements ErrorLog {
  readonly #targets: readonly ErrorLogTo[];
  /** The least severe level that any target takes, as an index into LEVELS. */
  readonly #most: number;

  /** @param targets none: nothing is written */
  constructor(targets: readonly ErrorLogTo[]) {
    this.#targets = targets;
    this.#most = Math.max(-1, ...targets.map(({ level }) => LEVELS.indexOf(level)));
  }

  enabled(level: Level): boolean {
    return LEVELS.indexOf(level) <= this.#most;
  }

  write(level: Level, message: string, connection = 0): void {
    const severity = LEVELS.indexOf(level);
    if (severity > this.#most) return;
    const line = errorLine(level, message, connection);
    for (const { file, level: most } of this.#targets) {
      if (severity > LEVELS.indexOf(most)) continue;
      if (severity <= SERIOUS) file.writeNow(line, level);
      else file.write(line, level);
    }
  }
}

/** `2026/11/23 15:34:58 [error] PID#TID: *CONNECTION MESSAGE`, as a byte string without its newline. */
function errorLine(level: Level, message: string, connection: number): string {
  const number = connection === 0 ? '' : `*${connection} `;
  const line = `${currentTime()} [${level}] ${process.pid}#${THREAD_NUMBER}: ${number}${printable(message)}`;
  return line.length < MAX_LINE ? line : line.slice(0, MAX_LINE - 1);
}

let second = 0;
let secondAsText = '';

/** Local time, made anew once a second. */
function currentTime(): string {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) {
    second = now;
    secondAsText = localTime(new Date(now * 1000));
  }
  return secondAsText;
}

const two = (number: number): string => `${number}`.padStart(2, '0');

function localTime(date: Date): string {
  const day = `${date.getFullYear()}/${two(date.getMonth() + 1)}/${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

const NOT_PRINTABLE = /[\0-\x1f\x7f]|[^\0-\xff]+/g;

/**
 * One line that no terminal obeys: control characters become `\x1B`; what is not one byte a character becomes UTF-8 bytes.
 * Bytes of a request from 0x80 on stay as they are.
 */
export function printable(message: string): string {
  return message.replace(NOT_PRINTABLE, (found) =>
    found.charCodeAt(0) < 0x80 ? `\\x${hex(found.charCodeAt(0))}` : Buffer.from(found, 'utf8').toString('latin1'),
  );
}

const hex = (code: number): string => code.toString(16).toUpperCase().padStart(2, '0');
