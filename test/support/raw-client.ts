// A client that sends exactly the bytes that a test gives it, when it says so, and keeps all that comes back.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { type HttpMessage, HttpReader } from './http-reader.ts';

/** ms after which what has not come will not: longer than a busy machine hesitates, shorter than the minute of nginx's own timeouts. */
const PATIENCE = 30_000;

export interface RawClientOptions {
  readonly tls?: ConnectionOptions;
  /** Which answers have no body for they are to HEAD: their number from 0. */
  readonly isBodiless?: (index: number) => boolean;
}

export class RawClient {
  readonly socket: Socket;
  /** The other side has ended its half. */
  ended = false;
  closed = false;
  error: (Error & { code?: string }) | undefined = undefined;
  /** When it began to connect, and when it closed, by `performance.now()`. */
  readonly begunAt = performance.now();
  closedAt = 0;
  readonly #chunks: Buffer[] = [];
  readonly #reader: HttpReader;
  #heard: (() => void)[] = [];

  constructor(socket: Socket, options: RawClientOptions = {}) {
    this.socket = socket;
    this.#reader = new HttpReader(options.isBodiless);
    socket.on('data', (bytes: Buffer) => this.#hear(bytes));
    socket.on('end', () => this.#end());
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on('close', () => this.#close());
  }

  /** Connects to 127.0.0.1; the connection is gone with the test. */
  static async to(t: TestContext, port: number, options: RawClientOptions = {}): Promise<RawClient> {
    const where = { port, host: '127.0.0.1', allowHalfOpen: true };
    const { tls } = options;
    const socket = tls === undefined ? connect(where) : connectTls({ ...where, rejectUnauthorized: false, ...tls });
    t.after(() => socket.destroy());
    const client = new RawClient(socket, options);
    await once(socket, tls === undefined ? 'connect' : 'secureConnect');
    socket.setNoDelay(true);
    return client;
  }

  /** Text is sent as one byte for each character. */
  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  /** Answers that are whole, interim ones included. */
  get answers(): readonly HttpMessage[] {
    return this.#reader.messages;
  }

  /** What came behind the last whole answer. */
  get rest(): Buffer {
    return this.#reader.rest;
  }

  /** Until so many answers are whole. @returns the last of them */
  async answer(count = 1): Promise<HttpMessage> {
    await this.until(`${count} answers`, () => this.answers.length >= count);
    return this.answers[count - 1] as HttpMessage;
  }

  async untilEnded(): Promise<void> {
    await this.until('the end', () => this.ended || this.closed);
  }

  async untilClosed(): Promise<void> {
    await this.until('the close', () => this.closed);
  }

  /** @throws where it is in vain, with what has come so far */
  async until(what: string, met: () => boolean): Promise<void> {
    const end = performance.now() + PATIENCE;
    while (!met()) {
      const left = end - performance.now();
      if (left <= 0) throw new Error(`waited in vain for ${what}; came: ${JSON.stringify(this.text.slice(0, 500))}`);
      await this.#next(left);
    }
  }

  #next(patience: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, patience);
      this.#heard.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #hear(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#reader.push(bytes);
    this.#wake();
  }

  #end(): void {
    this.ended = true;
    this.#reader.end();
    this.#wake();
  }

  #close(): void {
    this.closed = true;
    this.closedAt = performance.now();
    this.#wake();
  }

  #wake(): void {
    const heard = this.#heard;
    this.#heard = [];
    for (const wake of heard) wake();
  }
}

/** Sends bytes, and reads to the end that the other side makes. @returns the client, closed on both sides */
export async function sendAlone(t: TestContext, port: number, bytes: string | Buffer): Promise<RawClient> {
  const client = await RawClient.to(t, port);
  client.send(bytes);
  await client.untilEnded();
  client.socket.end();
  await client.untilClosed();
  return client;
}
