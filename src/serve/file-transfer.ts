// Sends parts of an open file as the body of an answer, no faster than the client takes them.

import type { ClientWatcher } from '../exchange/client-link.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { answerSafely } from './answer.ts';
import { refuseFile } from './file-path.ts';
import type { FileError, OpenFile } from './open-file.ts';
import type { BodyPart } from './ranges.ts';

/** The head of the answer is final when the transfer starts; it goes out with the first bytes, so that what cannot be read is still a 500. */
export class FileTransfer implements ClientWatcher {
  readonly #exchange: Exchange;
  readonly #file: OpenFile;
  readonly #path: string;
  readonly #parts: readonly BodyPart[];
  /** The part that is being sent; none is left when the body is complete. */
  #index = 0;
  #position: number;
  /** A write has not left yet. */
  #blocked = false;

  /** @param path for the log */
  constructor(exchange: Exchange, file: OpenFile, path: string, parts: readonly BodyPart[]) {
    this.#exchange = exchange;
    this.#file = file;
    this.#path = path;
    this.#parts = parts;
    this.#position = this.#part.start;
  }

  start(): void {
    this.#exchange.watcher = this;
    this.#read();
  }

  clientDrain(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#goOn();
  }

  clientBlocked(): void {
    this.#blocked = true;
  }

  /** It may still listen. */
  clientEnded(): void {}

  clientGone(): void {
    this.#file.close();
  }

  get #part(): BodyPart {
    return this.#parts[this.#index] as BodyPart;
  }

  get #complete(): boolean {
    return this.#index === this.#parts.length;
  }

  #read(): void {
    const length = this.#part.end - this.#position;
    this.#file.read(this.#position, length, (error, bytes) => {
      answerSafely(this.#exchange, () => this.#gotBytes(error, bytes));
      if (this.#exchange.finished) this.#file.close();
    });
  }

  #gotBytes(error: FileError, bytes: Buffer): void {
    if (error !== null || bytes.length === 0) {
      this.#breakOff(error);
      return;
    }
    this.#deliver(bytes);
    if (!this.#blocked) this.#goOn();
    // A slow client's file needs no buffer while it waits.
    else this.#file.rest();
  }

  /** The file cannot be read on, or has become shorter than what the head promises: nothing may look like its end. */
  #breakOff(error: FileError): void {
    if (error !== null) refuseFile(this.#exchange, 'read()', this.#path, error);
    else this.#exchange.log('alert', `file "${this.#path}" was truncated at ${this.#position} while it was being sent`);
    this.#file.close();
    if (!this.#exchange.headSent) this.#exchange.forgetAnswer();
    this.#exchange.fail(500);
  }

  #deliver(bytes: Buffer): void {
    const exchange = this.#exchange;
    const first = !exchange.headSent;
    this.#position += bytes.length;
    const last = this.#position === this.#part.end;
    if (first || last) exchange.gather();
    if (first) this.#sendHead();
    if (!exchange.send(bytes, 0, bytes.length)) this.clientBlocked();
    if (last) this.#beginPart(this.#index + 1);
    exchange.release();
  }

  #sendHead(): void {
    this.#exchange.sendHead();
    this.#exchange.sendLatin1(this.#part.head);
  }

  #beginPart(index: number): void {
    this.#index = index;
    if (this.#complete) return;
    this.#position = this.#part.start;
    this.#exchange.sendLatin1(this.#part.head);
    if (this.#part.start === this.#part.end) this.#index++;
  }

  #goOn(): void {
    if (!this.#complete) {
      this.#read();
      return;
    }
    this.#file.close();
    this.#exchange.finish();
  }
}
