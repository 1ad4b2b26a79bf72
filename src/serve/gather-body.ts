// Gathers a request's body before a peer is asked: in memory up to client_body_buffer_size, else in a temporary file.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#client_body_buffer_size

import type { BodySink } from '../exchange/client-link.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { KeptBody } from '../exchange/kept-body.ts';
import { answerSafely } from './answer.ts';
import { Pile } from './pile.ts';
import { givePiece, takePiece } from './read-pieces.ts';
import { TempFile, type TempFileError, type TempFileKind } from './temp-file.ts';

/** Who wants the body. One of the two is called, once. */
export interface BodyWaiter {
  /** `exchange.requestBody` has all of it. */
  bodyGathered(): void;
  /** It will not come whole. @param status what to answer; 0: nobody is there to be answered */
  bodyRefused(status: number): void;
}

const KINDS: Readonly<Record<'off' | 'clean' | 'on', TempFileKind>> = {
  off: 'nameless',
  clean: 'until-closed',
  on: 'kept',
};

/** Reads the body of `exchange` to its end. */
export function gatherBody(exchange: Exchange, waiter: BodyWaiter): void {
  exchange.link.readBody(new Gatherer(exchange, waiter));
}

class Gatherer implements BodySink, KeptBody {
  length = 0;
  file: TempFile | undefined = undefined;
  readonly #exchange: Exchange;
  readonly #waiter: BodyWaiter;
  /** What is not in the file. */
  #held: Pile;
  #writing = false;
  #ended = false;
  #over = false;

  constructor(exchange: Exchange, waiter: BodyWaiter) {
    this.#exchange = exchange;
    this.#waiter = waiter;
    this.#held = this.#newPile();
  }

  get pieces(): Buffer[] {
    return this.#held.pieces;
  }

  bodyBytes(bytes: Buffer, start: number, end: number): void {
    if (this.#over) return;
    this.length += end - start;
    this.#held.add(bytes, start, end);
    if (this.#isTooMuch) this.#spill();
  }

  bodyEnd(): void {
    if (this.#over) return;
    this.#ended = true;
    if (!this.#writing) this.#finish();
  }

  bodyFault(status: number): void {
    if (this.#over) return;
    this.#over = true;
    this.close();
    this.#waiter.bodyRefused(status);
  }

  close(): void {
    this.#over = true;
    this.file?.close();
    this.#held.clear();
  }

  get #isTooMuch(): boolean {
    return this.#held.length > this.#exchange.location.clientBodyBufferSize;
  }

  #newPile(): Pile {
    return new Pile(this.#exchange.location.clientBodyBufferSize);
  }

  /** A body is whole in memory, or whole in a file. */
  #finish(): void {
    const toFile = this.file !== undefined || this.#exchange.location.clientBodyInFile !== 'off';
    if (toFile && (this.#held.length > 0 || this.file === undefined)) {
      this.#spill();
      return;
    }
    this.#exchange.requestBody = this;
    this.#waiter.bodyGathered();
  }

  /** Writes what is held; the client waits meanwhile. */
  #spill(): void {
    if (this.#writing) return;
    this.#writing = true;
    this.#exchange.link.pauseBody();
    const written = this.#held;
    this.#held = this.#newPile();
    this.file ??= this.#newFile();
    this.file.append(written.pieces, (error) => {
      written.clear();
      answerSafely(this.#exchange, () => this.#written(error));
    });
  }

  /** A body that has come whole is told of nothing any more: where the client goes while it is written, only the exchange's end tells. */
  #newFile(): TempFile {
    const { clientBodyFolder, clientBodyInFile } = this.#exchange.location;
    this.#exchange.whenOver(() => this.close());
    return new TempFile(clientBodyFolder, KINDS[clientBodyInFile]);
  }

  #written(error: TempFileError | undefined): void {
    this.#writing = false;
    if (this.#over) return;
    if (error !== undefined) this.#fail(error);
    else this.#goOn();
  }

  #goOn(): void {
    this.#tellOnce();
    if (this.#ended) this.#finish();
    else if (this.#isTooMuch) this.#spill();
    else this.#exchange.link.resumeBody();
  }

  #told = false;

  /** nginx's line, that shows whoever sees it often that the buffer is too small. */
  #tellOnce(): void {
    if (this.#told || this.file === undefined) return;
    this.#told = true;
    const level = this.#exchange.location.clientBodyInFile === 'off' ? 'warn' : 'notice';
    this.#exchange.log(level, `a client request body is buffered to a temporary file ${this.file.path}`);
  }

  #fail(error: TempFileError): void {
    this.#exchange.log('crit', error.message);
    this.close();
    this.#waiter.bodyRefused(500);
  }
}

/** Who is given a body from its file. */
export interface BodyTaker {
  /** @returns false: no more until `resume` */
  takeBody(bytes: Buffer, start: number, end: number): boolean;
  bodyTaken(): void;
  bodyUnreadable(error: Error): void;
}

/** Gives a body that is in a file to a taker, as fast as that takes it. */
export class BodyReading {
  readonly #body: KeptBody;
  readonly #exchange: Exchange;
  readonly #taker: BodyTaker;
  #position = 0;
  #reading = false;
  #stopped = false;

  constructor(exchange: Exchange, body: KeptBody, taker: BodyTaker) {
    this.#exchange = exchange;
    this.#body = body;
    this.#taker = taker;
  }

  /** Reads on. Does nothing while it reads. */
  resume(): void {
    const { file } = this.#body;
    if (this.#reading || this.#stopped || file === undefined) return;
    if (this.#position >= this.#body.length) {
      this.stop();
      this.#taker.bodyTaken();
      return;
    }
    this.#reading = true;
    const piece = takePiece();
    file.read(piece, this.#position, (error, length) => {
      answerSafely(this.#exchange, () => this.#read(piece, error, length));
      givePiece(piece);
    });
  }

  /** Whoever took it wants no more. */
  stop(): void {
    this.#stopped = true;
  }

  #read(piece: Buffer, error: Error | undefined, length: number): void {
    this.#reading = false;
    if (this.#stopped) return;
    if (error !== undefined || length === 0) {
      this.stop();
      this.#taker.bodyUnreadable(error ?? new Error('a temporary file has become shorter'));
      return;
    }
    this.#position += length;
    if (this.#taker.takeBody(piece, 0, length)) this.resume();
  }
}
