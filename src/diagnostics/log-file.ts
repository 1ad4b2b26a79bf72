// One log file as one thread writes to it: a line at a time, a turn at a time, or buffered; it never throws and never waits.

import { writeSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { systemErrorCode } from './system-error.ts';

/** `buffer=` and `flush=` of `access_log`. */
export interface LogBuffering {
  /** Bytes that are gathered before they are written. */
  readonly size: number;
  /** ms after which they are written even so; 0: only when the buffer is full. */
  readonly flush: number;
  /** Level of compression; 0: none. Each write is a gzip member of its own, so a file is whole up to its last one. */
  readonly gzip: number;
}

/** What went wrong with a log file, told once a minute at most. */
export interface LogFault {
  readonly path: string;
  /** The system's name for it: `ENOSPC`; `EAGAIN` where a pipe was full. */
  readonly code: string;
  /** Lines lost since the last time this was told. */
  readonly lost: number;
}

export interface LogFileOptions {
  readonly onFault: (fault: LogFault) => void;
  /** Called when unbuffered lines wait for `flush`, once until then. Without it, each line is written at once. */
  readonly onPending?: ((file: LogFile) => void) | undefined;
}

/** What waits in memory is written when it grows beyond this, whatever the mode; and kept until then while the file is not open. */
const MOST_PENDING = 65_536;
/** After an error other than a full pipe, nothing is tried for so long (nginx does the same on a full disk). */
const QUIET_TIME = 1_000;
const REPORT_INTERVAL = 60_000;

export const NOT_OPEN = -1;

export class LogFile {
  readonly path: string;
  readonly #options: LogFileOptions;
  #descriptor = NOT_OPEN;
  #buffering: LogBuffering | undefined = undefined;
  #pending = '';
  /** The end of a line of which the system took only the beginning: it goes first, so that lines stay whole. */
  #rest = '';
  #timer: NodeJS.Timeout | undefined = undefined;
  #quietUntil = 0;
  #nextReport = 0;
  #unreported = 0;
  #lost = 0;

  constructor(path: string, options: LogFileOptions) {
    this.path = path;
    this.#options = options;
  }

  get descriptor(): number {
    return this.#descriptor;
  }

  /** Lines lost since this thread began. */
  get lost(): number {
    return this.#lost;
  }

  /** What was written before goes to the old descriptor, the rest to the new one. Opening and closing is LogFiles' business. */
  switchTo(descriptor: number): void {
    if (this.#descriptor !== NOT_OPEN) this.flush();
    this.#descriptor = descriptor;
    this.#quietUntil = 0;
    if (descriptor !== NOT_OPEN && this.#buffering === undefined) this.flush();
  }

  /** Sets `buffer=` and `flush=`, or takes them back. */
  buffer(buffering: LogBuffering | undefined): void {
    const former = this.#buffering;
    if (buffering?.size === former?.size && buffering?.flush === former?.flush && buffering?.gzip === former?.gzip)
      return;
    this.flush();
    this.#buffering = buffering;
  }

  /** Writes one line. @param line a byte string, each character one byte, without the newline */
  write(line: string): void {
    if (this.#buffering !== undefined) this.#writeBuffered(line, this.#buffering);
    else this.#writeSoon(line);
  }

  /** Writes one line that must not get lost with the thread: at once, unless the file is buffered. */
  writeNow(line: string): void {
    this.write(line);
    if (this.#buffering === undefined) this.flush();
  }

  #writeSoon(line: string): void {
    const first = this.#pending === '';
    this.#pending += `${line}\n`;
    const { onPending } = this.#options;
    if (onPending === undefined || this.#pending.length > MOST_PENDING) this.flush();
    else if (first) onPending(this);
  }

  #writeBuffered(line: string, { size, flush }: LogBuffering): void {
    if (this.#pending.length + line.length >= size) this.flush();
    this.#pending += `${line}\n`;
    if (this.#pending.length > size) this.flush();
    else if (flush > 0) this.#timer ??= setTimeout(() => this.flush(), flush).unref();
  }

  /** Writes all that waits. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#descriptor === NOT_OPEN) {
      if (this.#pending.length > MOST_PENDING) this.#lose(this.#takePending(), 'EBADF');
    } else if (this.#pending !== '' || this.#rest !== '') {
      this.#send(this.#takePending());
    }
  }

  #takePending(): string {
    const pending = this.#pending;
    this.#pending = '';
    return pending;
  }

  #send(lines: string): void {
    if (this.#quietUntil > 0 && Date.now() < this.#quietUntil) {
      this.#lose(lines, undefined);
      return;
    }
    try {
      this.#sendOrThrow(lines);
    } catch (error) {
      const code = systemErrorCode(error);
      if (code !== 'EAGAIN') this.#quietUntil = Date.now() + QUIET_TIME;
      this.#lose(lines, code);
    }
  }

  #sendOrThrow(lines: string): void {
    if (this.#rest !== '') this.#rest = this.#rest.slice(this.#put(this.#rest));
    if (this.#rest !== '') this.#lose(lines, 'EAGAIN');
    else if (lines === '') return;
    else if ((this.#buffering?.gzip ?? 0) > 0) this.#putCompressed(lines, this.#buffering?.gzip as number);
    else this.#keepRest(lines, this.#put(lines));
  }

  /** @returns how many bytes the system took */
  #put(bytes: string): number {
    return writeSync(this.#descriptor, bytes, null, 'latin1');
  }

  /** Half of a member would spoil what follows: the rest of it goes first. */
  #putCompressed(lines: string, level: number): void {
    const member = gzipSync(Buffer.from(lines, 'latin1'), { level }).toString('latin1');
    this.#rest = member.slice(this.#put(member));
  }

  /** The line that was cut is kept to be finished later; the lines behind it are lost. */
  #keepRest(lines: string, taken: number): void {
    if (taken === lines.length) return;
    const isCut = taken > 0 && lines.charCodeAt(taken - 1) !== 0x0a;
    const end = isCut ? lines.indexOf('\n', taken) + 1 : taken;
    this.#rest = lines.slice(taken, end);
    this.#lose(lines.slice(end), 'EAGAIN');
  }

  #lose(lines: string, code: string | undefined): void {
    const count = countLines(lines);
    this.#lost += count;
    this.#unreported += count;
    const now = Date.now();
    if (code === undefined || now < this.#nextReport || this.#unreported === 0) return;
    // Set first: the report itself may be a line for this very file.
    this.#nextReport = now + REPORT_INTERVAL;
    const lost = this.#unreported;
    this.#unreported = 0;
    this.#options.onFault({ path: this.path, code, lost });
  }
}

function countLines(lines: string): number {
  let count = 0;
  for (let at = lines.indexOf('\n'); at !== -1; at = lines.indexOf('\n', at + 1)) count++;
  return count;
}
