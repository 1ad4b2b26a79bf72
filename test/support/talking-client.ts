// A client of the `ws` package to talk with: asks and waits for the answer, keeps the handshake's answer and the close frame.

import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { TestContext } from 'node:test';
import { type ClientOptions, WebSocket } from 'ws';

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** ms after which an answer that has not come is missing. */
const PATIENCE = 10_000;

export class TalkingClient {
  readonly socket: WebSocket;
  /** The head of the 101. */
  readonly answer: IncomingMessage;
  /** Fulfilled with what `ws` says of the end: 1006 where there was no close frame. */
  readonly closed: Promise<Closed>;
  readonly #received: (Buffer | string)[] = [];
  readonly #waiting: ((message: Buffer | string) => void)[] = [];

  private constructor(socket: WebSocket, answer: IncomingMessage) {
    this.socket = socket;
    this.answer = answer;
    this.closed = once(socket, 'close').then(([code, reason]) => ({ code, reason: String(reason) }));
    socket.on('message', (data, isBinary) => this.#hear(isBinary ? (data as Buffer) : String(data)));
    socket.on('error', () => {});
  }

  /** Connects, or rejects with what `ws` says, such as `Unexpected server response: 502`. Is ended with the test. */
  static async to(
    t: TestContext,
    url: string,
    options: ClientOptions & { readonly protocols?: readonly string[] } = {},
  ): Promise<TalkingClient> {
    const { protocols = [], ...rest } = options;
    const socket = new WebSocket(url, [...protocols], rest);
    t.after(() => socket.terminate());
    // Made before 'open', for a message may come in the same chunk as the 101.
    const upgraded = new Promise<TalkingClient>((resolve, reject) => {
      socket.once('upgrade', (answer) => resolve(new TalkingClient(socket, answer)));
      socket.once('error', reject);
    });
    const client = await upgraded;
    if (socket.readyState === WebSocket.CONNECTING) await once(socket, 'open');
    return client;
  }

  /** The next message; texts as strings, bytes as a Buffer. */
  next(): Promise<Buffer | string> {
    const message = this.#received.shift();
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no message for ${PATIENCE} ms`)), PATIENCE);
      this.#waiting.push((heard) => {
        clearTimeout(late);
        resolve(heard);
      });
    });
  }

  /** Sends a text. @returns the next message as text */
  async ask(text: string): Promise<string> {
    this.socket.send(text);
    return String(await this.next());
  }

  /** Sends bytes. @returns the next message, which must be bytes as well */
  async askBytes(bytes: Buffer): Promise<Buffer> {
    this.socket.send(bytes);
    const answer = await this.next();
    if (typeof answer === 'string') throw new Error(`bytes were answered by the text "${answer.slice(0, 80)}"`);
    return answer;
  }

  /** The whole Set-Cookie of the 101, where it has exactly one. */
  get setCookie(): string | undefined {
    const all = this.answer.headers['set-cookie'] ?? [];
    if (all.length > 1) throw new Error(`several Set-Cookie: ${all.join(' | ')}`);
    return all[0];
  }

  /** `name=value` as the 101 set it, to be sent back. @throws where it did not */
  cookie(name: string): string {
    const pair = this.setCookie?.split(';')[0] ?? '';
    if (!pair.startsWith(`${name}=`)) throw new Error(`the 101 sets no cookie "${name}", but: ${this.setCookie}`);
    return pair;
  }

  #hear(message: Buffer | string): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#received.push(message);
    else waiting(message);
  }
}
