// proxy_buffering beyond memory: what a slow client has not taken of an answer waits in a temporary file, and the peer is done with it.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_max_temp_file_size

import type { Exchange } from '../exchange/exchange.ts';
import type { TempFolder } from '../exchange/kept-body.ts';
import { answerSafely } from './answer.ts';
import { Pile } from './pile.ts';
import { givePiece, PIECE_SIZE, takePiece } from './read-pieces.ts';
import { TempFile, type TempFileError } from './temp-file.ts';

/** Sizes in bytes. */
export interface SpoolSettings {
  readonly folder: TempFolder;
  /** proxy_max_temp_file_size: no more waits in the file. */
  readonly most: number;
  /** proxy_temp_file_write_size: so much is written at once. */
  readonly writeSize: number;
}

export interface SpoolOwner {
  /** No more can be taken: the peer has to wait. */
  spoolFull(): void;
  spoolHasRoom(): void;
  /** After `end`: all of it has been given to the client. */
  spoolDone(): void;
  /** What was in the file cannot be read: the answer will not be whole. */
  spoolLost(): void;
}

/**
 * Bytes go through in order: first what is in the file, then what is being written to it, then what waits to be. While the client
 * takes everything, nothing is written.
 */
export class AnswerSpool {
  readonly #exchange: Exchange;
  readonly #settings: SpoolSettings;
  readonly #owner: SpoolOwner;
  readonly #file: TempFile;
  /** What waits in memory, behind all that is in the file. */
  #held: Pile;
  /** What is being written. */
  #writing: Pile | undefined = undefined;
  /** So much of the file has been read. */
  #position = 0;
  #reading = false;
  /** The client takes nothing at the moment. */
  #blocked = true;
  #full = false;
  #ended = false;
  #closed = false;
  /** Nothing can be written: what does not fit into memory waits at the peer. */
  #broken = false;
  #told = false;

  /** The client has just stopped taking. */
  constructor(exchange: Exchange, settings: SpoolSettings, owner: SpoolOwner) {
    this.#exchange = exchange;
    this.#settings = settings;
    this.#owner = owner;
    this.#file = new TempFile(settings.folder, 'nameless');
    this.#held = new Pile(settings.writeSize);
  }

  take(bytes: Buffer, start: number, end: number): void {
    if (this.#closed) return;
    if (this.#isEmpty && !this.#blocked) {
      if (!this.#exchange.send(bytes, start, end)) this.#blocked = true;
      return;
    }
    this.#held.add(bytes, start, end);
    this.#write();
    this.#checkRoom();
  }

  /** Nothing more comes. */
  end(): void {
    this.#ended = true;
    this.#goOn();
  }

  /** The client takes nothing for now. */
  block(): void {
    this.#blocked = true;
  }

  /** The client takes on. */
  drained(): void {
    this.#blocked = false;
    this.#goOn();
  }

  /** Nobody wants it any more. Safe to call twice. */
  close(): void {
    this.#closed = true;
    this.#held.clear();
    this.#file.close();
  }

  get #isEmpty(): boolean {
    return (
      this.#held.length === 0 && this.#writing === undefined && this.#position === this.#file.length && !this.#reading
    );
  }

  #checkRoom(): void {
    const { most, writeSize } = this.#settings;
    const inFile = this.#file.length + (this.#writing === undefined ? 0 : writeSize);
    if (this.#full || (this.#held.length < 2 * writeSize && inFile + this.#held.length < most && !this.#broken)) return;
    this.#full = true;
    this.#owner.spoolFull();
  }

  #makeRoom(): void {
    if (!this.#full) return;
    this.#full = false;
    if (!this.#ended) this.#owner.spoolHasRoom();
  }

  /** Writes what is held, once it is enough. */
  #write(): void {
    const { most, writeSize } = this.#settings;
    if (this.#writing !== undefined || this.#broken || this.#held.length < writeSize) return;
    if (this.#file.length + this.#held.length > most) return;
    this.#writing = this.#held;
    const before = this.#file.length;
    this.#held = new Pile(writeSize);
    this.#file.append(this.#writing.pieces, (error) =>
      answerSafely(this.#exchange, () => this.#written(before, error)),
    );
  }

  #written(before: number, error: TempFileError | undefined): void {
    if (this.#closed) return;
    const written = this.#writing as Pile;
    this.#writing = undefined;
    if (error === undefined) {
      written.clear();
      this.#tellOnce();
    } else this.#goWithoutFile(before, written, error);
    this.#write();
    if (this.#held.length < this.#settings.writeSize && this.#file.length < this.#settings.most && !this.#broken)
      this.#makeRoom();
    this.#goOn();
  }

  /** What could not be written is still in memory: nothing is lost, but the peer has to wait from now on. */
  #goWithoutFile(before: number, unwritten: Pile, error: TempFileError): void {
    this.#exchange.log('crit', error.message);
    this.#broken = true;
    this.#file.cutTo(before);
    for (const piece of this.#held.pieces) unwritten.add(piece, 0, piece.length);
    this.#held.clear();
    this.#held = unwritten;
    this.#checkRoom();
  }

  #tellOnce(): void {
    if (this.#told) return;
    this.#told = true;
    const message = `an upstream response is buffered to a temporary file ${this.#file.path} while reading upstream`;
    this.#exchange.log('warn', message);
  }

  /** Gives the client what it takes. */
  #goOn(): void {
    if (this.#closed || this.#blocked || this.#reading) return;
    if (this.#position < this.#file.length) this.#read();
    else if (this.#writing === undefined) this.#sendHeld();
  }

  #read(): void {
    const length = Math.min(PIECE_SIZE, this.#file.length - this.#position);
    const piece = takePiece();
    this.#reading = true;
    this.#file.read(piece.subarray(0, length), this.#position, (error, read) => {
      answerSafely(this.#exchange, () => this.#wasRead(piece, error, read));
      givePiece(piece);
    });
  }

  #wasRead(piece: Buffer, error: TempFileError | undefined, length: number): void {
    this.#reading = false;
    if (this.#closed) return;
    if (error !== undefined || length === 0) {
      this.#exchange.log('crit', error?.message ?? 'a temporary file has become shorter');
      this.#owner.spoolLost();
      return;
    }
    this.#position += length;
    if (!this.#exchange.send(piece, 0, length)) this.#blocked = true;
    this.#goOn();
  }

  #sendHeld(): void {
    const held = this.#held;
    this.#held = new Pile(this.#settings.writeSize);
    for (const piece of held.pieces) if (!this.#exchange.send(piece, 0, piece.length)) this.#blocked = true;
    held.clear();
    this.#file.cutTo(0);
    this.#position = 0;
    this.#makeRoom();
    if (!this.#ended) return;
    this.close();
    this.#owner.spoolDone();
  }
}
