// Compresses or expands a body on its way to the client, on the thread pool, however large it is.

import { constants, createGunzip, createGzip, type Gunzip, type Gzip } from 'node:zlib';
import { BodyFilter } from '../exchange/body-filter.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { answerSafely } from './answer.ts';

/** What is compressed or expanded at once, in bytes. */
const CHUNK = 16 * 1024;
/** zlib's own: a window of 32 KB. */
const MOST_WINDOW_BITS = 15;
const MOST_MEMORY = 8;
/** What zlib needs of a window beyond the text that it shall hold, in bytes. */
const WINDOW_RESERVE = 262;

export interface GzipOptions {
  /** 1 to 9. */
  readonly level: number;
  /** How much of the result may wait for a slow client, in bytes. */
  readonly bufferSize: number;
  /** Of the body, -1 where it is not known. */
  readonly length: number;
}

export function gzipFilter(exchange: Exchange, { level, bufferSize, length }: GzipOptions): ZlibFilter {
  let windowBits = MOST_WINDOW_BITS;
  let memLevel = MOST_MEMORY;
  // A short text needs no large window: nginx's way to save memory.
  while (length > 0 && length < 2 ** (windowBits - 1) - WINDOW_RESERVE) {
    windowBits--;
    memLevel--;
  }
  const options = { level, windowBits, memLevel: Math.max(1, memLevel) };
  return new ZlibFilter(exchange, createGzip({ ...options, chunkSize: CHUNK, ...holding(bufferSize) }), 'deflate()');
}

/** @param bufferSize how much of the result may wait for a slow client, in bytes */
export function gunzipFilter(exchange: Exchange, bufferSize: number): ZlibFilter {
  return new ZlibFilter(exchange, createGunzip({ chunkSize: CHUNK, ...holding(bufferSize) }), 'inflate()');
}

/** Node's streams hand these on, its types do not know. */
function holding(bufferSize: number): object {
  return { readableHighWaterMark: bufferSize, writableHighWaterMark: 4 * CHUNK };
}

/**
 * Node's stream does the work: it calls zlib on the thread pool for one piece at a time, and holds back who writes while its result is
 * not read. A client that does not take the result pauses it, so both of its queues are bounded.
 *
 * What comes in small pieces is gathered until the turn of the event loop ends, and flushed once then where it has to be: a peer that
 * sends byte by byte must not cost a call and a block of the result for each.
 */
export class ZlibFilter extends BodyFilter {
  readonly #exchange: Exchange;
  readonly #stream: Gzip | Gunzip;
  readonly #call: string;
  #closed = false;
  /** Less than a chunk, until the turn ends. */
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #flushWanted = false;
  /** The end of this turn is awaited. */
  #turnEnds: NodeJS.Immediate | undefined = undefined;
  bytesIn = 0;
  bytesOut = 0;

  /** @param call zlib's function, for the log */
  constructor(exchange: Exchange, stream: Gzip | Gunzip, call: string) {
    super();
    this.#exchange = exchange;
    this.#stream = stream;
    this.#call = call;
    stream.on('data', (chunk: Buffer) => this.#step(() => this.#pass(chunk)));
    stream.on('end', () => this.#step(() => this.outlet.end()));
    stream.on('drain', () => this.#step(() => this.source.drain()));
    stream.on('error', (error) => this.#step(() => this.#fail(error)));
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    this.bytesIn += end - start;
    this.#gathered.push(Buffer.from(bytes.subarray(start, end)));
    this.#gatheredBytes += end - start;
    if (this.#gatheredBytes >= CHUNK) this.#handOn();
    else this.#awaitTurnEnd();
    return !this.#stream.writableNeedDrain;
  }

  override flush(): void {
    this.#flushWanted = true;
    this.#awaitTurnEnd();
  }

  end(): void {
    this.#forgetTurnEnd();
    this.#handOn();
    this.#stream.end();
  }

  #awaitTurnEnd(): void {
    this.#turnEnds ??= setImmediate(() => this.#step(() => this.#turnEnded()));
  }

  #forgetTurnEnd(): void {
    clearImmediate(this.#turnEnds);
    this.#turnEnds = undefined;
    this.#flushWanted = false;
  }

  #turnEnded(): void {
    const flushes = this.#flushWanted;
    this.#forgetTurnEnd();
    this.#handOn();
    if (flushes) this.#stream.flush(constants.Z_SYNC_FLUSH);
  }

  #handOn(): void {
    const [first, ...more] = this.#gathered;
    if (first === undefined) return;
    const piece = more.length === 0 ? first : Buffer.concat(this.#gathered, this.#gatheredBytes);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#stream.write(piece);
  }

  override drain(): void {
    this.#stream.resume();
  }

  get pendingBytes(): number {
    return this.#gatheredBytes + this.#stream.writableLength + this.#stream.readableLength;
  }

  override close(): void {
    this.#closed = true;
    this.#forgetTurnEnd();
    this.#stream.destroy();
  }

  #step(step: () => void): void {
    if (!this.#closed) answerSafely(this.#exchange, step);
  }

  #pass(chunk: Buffer): void {
    this.bytesOut += chunk.length;
    if (!this.outlet.write(chunk, 0, chunk.length)) this.#stream.pause();
  }

  /** The text was not compressed as it says. What has been sent of it cannot be taken back. */
  #fail(error: Error): void {
    const exchange = this.#exchange;
    exchange.log('error', `${this.#call} failed: ${error.message}`);
    const { watcher } = exchange;
    exchange.cutShort();
    watcher?.clientGone();
  }
}
