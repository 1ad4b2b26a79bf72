// A client of bytes: sends exactly what a test gives, keeps what comes, and ends, half-closes or resets when it is told to.

import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** The status line of an answer that is none of 100, 102, 103. */
const FINAL_STATUS = /^HTTP\/1\.1 (101|[2-5]\d\d) [^\r]*\r\n/m;

const FINAL_HEAD = /^HTTP\/1\.1 (?:101|[2-5]\d\d) (?:.*\r\n)+?\r\n/m;

/** ms after which what has not come will not: longer than a busy machine hesitates, shorter than the minute of nginx's own timeouts. */
const PATIENCE = 30_000;

const NOTHING = Buffer.alloc(0);

export class RawClient {
  readonly socket: Socket;
  /** How much has come. */
  bytes = 0;
  keeps = true;
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | undefined = undefined;
  #kept: Buffer[] = [];
  #looking: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.bytes += bytes.length;
      if (this.keeps) this.#kept.push(bytes);
      this.#look();
    });
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on('end', () => {
      this.ended = true;
      this.#look();
    });
    socket.on('close', () => {
      this.closed = true;
      this.#look();
    });
  }

  /** Connects; is closed with the test. */
  static async to(t: TestContext, port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    t.after(() => socket.destroy());
    const client = new RawClient(socket);
    await once(socket, 'connect');
    return client;
  }

  /** All that has come, unless `keeps` is false. */
  get received(): Buffer {
    if (this.#kept.length > 1) this.#kept = [Buffer.concat(this.#kept)];
    return this.#kept[0] ?? NOTHING;
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  /** The status of the first answer, interim ones (1xx but 101) apart; 0 where none has come. */
  get status(): number {
    return Number(FINAL_STATUS.exec(this.text)?.[1] ?? 0);
  }

  /** What has come behind the first head. */
  get body(): Buffer {
    const end = this.received.indexOf('\r\n\r\n');
    return this.received.subarray(end < 0 ? this.received.length : end + 4);
  }

  send(bytes: string | Uint8Array): void {
    if (typeof bytes === 'string') this.socket.write(bytes, 'latin1');
    else this.socket.write(bytes);
  }

  /** Sends, and resolves when the kernel has it all. */
  sent(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
  }

  /** Until something that has come, or the end, makes `look` true. */
  async until(what: string, look: () => boolean, patience = PATIENCE): Promise<void> {
    const late = AbortSignal.timeout(patience);
    while (!look()) {
      const changed = new Promise<void>((resolve) => this.#looking.push(resolve));
      const expired = once(late, 'abort').then(() => {
        throw new Error(`waited ${patience} ms in vain: ${what}; so far: ${this.text.slice(0, 500)}`);
      });
      await Promise.race([changed, expired]);
    }
  }

  /** Until the head of an answer has come whole, or the end. */
  async head(): Promise<string> {
    await this.until('the head of an answer', () => FINAL_HEAD.test(this.text) || this.ended || this.closed);
    return FINAL_HEAD.exec(this.text)?.[0] ?? '';
  }

  /** Until the other side has ended or reset the connection. */
  async over(patience = PATIENCE): Promise<void> {
    await this.until('the end of the connection', () => this.ended || this.closed, patience);
  }

  /** Opens a WebSocket: sends the handshake and waits for a 101 that fits. */
  async upgrade(path: string, early: Uint8Array = NOTHING): Promise<this> {
    const key = randomBytes(16).toString('base64');
    this.socket.write(Buffer.concat([Buffer.from(handshake(path, key)), early]));
    const head = await this.head();
    if (!head.includes(acceptOf(key))) throw new Error(`no 101 with the right answer, but: ${head}`);
    return this;
  }

  #look(): void {
    for (const look of this.#looking.splice(0)) look();
  }
}

/** An opening handshake as browsers send it. */
export function handshake(path: string, key = 'dGhlIHNhbXBsZSBub25jZQ=='): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`
  );
}

/** RFC 6455 section 4.2.2. */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}
