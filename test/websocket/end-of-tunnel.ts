// One end of a tunnel in the hands of a test: it reads frames as `ws` does, and answers only what it is told to.

import type { Socket } from 'node:net';
import { Opcode } from '../../src/websocket/opcode.ts';
import type { TunnelSide } from '../../src/websocket/tunnel-cause.ts';
import { type FrameShape, RawWebSocketReader, rawFrame } from '../support/raw-websocket.ts';
import { until } from '../support/until.ts';

export class EndOfTunnel {
  readonly socket: Socket;
  /** Everything has come: the other side has ended its half, or the connection is gone. */
  over = false;
  readonly #masked: boolean;
  readonly #reader: RawWebSocketReader;
  #reading: Promise<void> = Promise.resolve();
  #answersPings = false;
  #answeredPings = 0;

  constructor(socket: Socket, side: TunnelSide) {
    this.socket = socket;
    this.#masked = side === 'client';
    this.#reader = new RawWebSocketReader(!this.#masked);
    socket.on('data', (chunk: Buffer) => {
      this.#reading = this.#reading.then(() => this.#reader.read(chunk)).then(() => this.#answer());
    });
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.over = true;
      });
    }
  }

  answersPings(): void {
    this.#answersPings = true;
    this.#answer();
  }

  answersClose(): void {
    this.send({ opcode: Opcode.close, payload: Buffer.of(3, 232) });
    this.socket.end();
  }

  send(shape: FrameShape): void {
    this.write(rawFrame({ ...shape, masked: this.#masked }));
  }

  write(bytes: Buffer): void {
    if (this.socket.writable) this.socket.write(bytes);
  }

  get pings(): number {
    return this.#reader.pings.length;
  }

  get lastPing(): Buffer {
    return this.#reader.pings.at(-1) ?? Buffer.alloc(0);
  }

  get pongs(): number {
    return this.#reader.pongs.length;
  }

  get pongPayloads(): string[] {
    return this.#reader.pongs.map(String);
  }

  get messages(): string[] {
    return this.#reader.messages.map(String);
  }

  get error(): string | undefined {
    return this.#reader.error;
  }

  /** Resolves with the code of the close frame; undefined where the stream has ended without one. */
  async closeCode(): Promise<number | undefined> {
    await until('a close frame or the end', () => this.#reader.closeCode !== undefined || this.over);
    await this.#reading;
    return this.#reader.closeCode;
  }

  #answer(): void {
    if (!this.#answersPings) return;
    for (; this.#answeredPings < this.#reader.pings.length; this.#answeredPings++)
      this.send({ opcode: Opcode.pong, payload: this.#reader.pings[this.#answeredPings] ?? '' });
  }
}
