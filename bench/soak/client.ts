// One client of the soak: opens a tunnel by ws or wss, sees that it echoes, and plays its part in ending it.

import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { closing, type Ending, end, type SoakClient } from './endings.ts';
import { BINARY, CLOSE, type Frame, FrameReader, frame } from './frames.ts';

export interface Doors {
  readonly port: number;
  readonly tlsPort: number;
}

const HEAD_MOST = 16 * 1024;
const HELLO = Buffer.from('hello');

export class Client implements SoakClient {
  readonly ending: Ending;
  readonly tls: boolean;
  status = 0;
  ended = false;
  readonly frames: Frame[] = [];
  /** Resolves when the echo has come back; or, where no tunnel is to open, when the request has gone. */
  readonly opened: Promise<void>;
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>;
  /** What went wrong before the ending began. */
  failure: string | undefined;
  readonly #tcp: Socket;
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  #head: Buffer = Buffer.alloc(0);
  #closing = false;
  #isOpen: () => void = () => {};

  constructor(ending: Ending, doors: Doors, tls: boolean) {
    this.ending = ending;
    this.tls = tls;
    this.#tcp = connectTcp({ host: '127.0.0.1', port: tls ? doors.tlsPort : doors.port, allowHalfOpen: true });
    this.#tcp.on('error', () => {});
    this.#socket = tls ? connectTls({ socket: this.#tcp, rejectUnauthorized: false }) : this.#tcp;
    this.opened = new Promise((resolve) => {
      this.#isOpen = resolve;
    });
    this.closed = new Promise((resolve) => this.#tcp.once('close', () => resolve()));
    this.#listen();
  }

  #listen(): void {
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.on('error', (error) => this.#fail(error.message));
    socket.on('data', (chunk: Buffer) => this.#onBytes(chunk));
    socket.once(this.tls ? 'secureConnect' : 'connect', () => this.#ask());
    socket.once('end', () => {
      this.ended = true;
      this.#fail('the other side ended it');
      socket.end();
    });
    socket.once('close', () => {
      this.#fail('it was closed');
      this.#tcp.destroy();
    });
  }

  /** Counts only before the tunnel stands; afterwards it is the ending that says what is right. */
  #fail(reason: string): void {
    if (this.#isOpenYet) return;
    this.failure ??= reason;
    this.#isOpen();
  }

  get #isOpenYet(): boolean {
    return this.frames.length > 0 || this.ending.answer !== undefined;
  }

  #ask(): void {
    this.#socket.write(
      `GET ${this.ending.where ?? '/tunnel'}?end=${this.ending.name} HTTP/1.1\r\nHost: localhost\r\n` +
        'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    if (this.ending.answer) this.#isOpen();
  }

  #onBytes(chunk: Buffer): void {
    if (this.status === 101) {
      this.#onFrames(chunk);
    } else if (this.status === 0) {
      this.#onHead(chunk);
    }
  }

  #onHead(chunk: Buffer): void {
    this.#head = Buffer.concat([this.#head, chunk]);
    const blank = this.#head.indexOf('\r\n\r\n');
    if (blank < 0 && this.#head.length < HEAD_MOST) return;
    this.status = Number(this.#head.toString('latin1', 9, 12));
    if (this.status !== 101) {
      this.#fail(`answered ${this.status}`);
      this.#socket.end(); // it may be a keep-alive answer
      return;
    }
    this.send(frame(BINARY, HELLO, true));
    this.#onFrames(this.#head.subarray(blank + 4));
  }

  #onFrames(bytes: Buffer): void {
    for (const one of this.#reader.push(bytes)) this.#onFrame(one);
  }

  #onFrame(one: Frame): void {
    this.frames.push(one);
    if (this.frames.length === 1) {
      if (!one.payload.equals(HELLO)) this.failure = 'the echo differs from what was sent';
      this.#isOpen();
    } else if (one.opcode === CLOSE) {
      if (!this.#closing) this.close();
      this.end();
    }
  }

  /** Plays the client's part of the ending. */
  act(): void {
    if (this.ending.client) this.ending.client(this);
    else if (!this.ending.answer) this.send(end.fromClient);
  }

  /** What was wrong; undefined for nothing. */
  complaint(): string | undefined {
    return this.failure ?? this.ending.wrong?.(this);
  }

  send(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  close(): void {
    this.#closing = true;
    this.send(closing.fromClient);
  }

  end(): void {
    this.#socket.end();
  }

  vanish(): void {
    this.#tcp.destroy();
  }

  reset(): void {
    this.#tcp.resetAndDestroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}
