// One tunnel that stands for long: it answers pings, counts its echoes, and tells when it is asked to go.

import { connect, type Socket } from 'node:net';
import { endings } from './endings.ts';
import { BINARY, CLOSE, FrameReader, frame, PING, PONG } from './frames.ts';

const HEAD_MOST = 16 * 1024;
const MESSAGE = frame(BINARY, Buffer.from('are you there?'), true);
/** The peer of the soak does nothing of its own with this one. */
const ENDING = endings.find(({ name }) => name === 'client-close-frame')?.name;

/** Milliseconds of a clock that all processes of a machine share. */
export const sharedNow = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;

/** The close frame that asked it to go. */
export interface Farewell {
  readonly code: number;
  readonly at: number;
}

export class StandingTunnel {
  pings = 0;
  echoes = 0;
  /** The slowest echo since `forget`, in milliseconds. */
  slowest = 0;
  farewell: Farewell | undefined;
  /** Why it does not stand; undefined while it does. */
  end: string | undefined;
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  #head: Buffer | undefined = Buffer.alloc(0);
  #askedAt = 0;
  #answered: (() => void) | undefined;

  constructor(port: number) {
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.#socket.on('error', (error) => this.#over(error.message));
    this.#socket.on('close', () => this.#over('it was closed'));
    this.#socket.on('data', (chunk: Buffer) => (this.#head ? this.#onHead(this.#head, chunk) : this.#onFrames(chunk)));
    this.#socket.write(
      `GET /tunnel?end=${ENDING} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
  }

  /** Whether an echo is still to come. */
  get isWaiting(): boolean {
    return this.#askedAt > 0;
  }

  /** How long the echo that is still to come has taken so far, in milliseconds. */
  get waited(): number {
    return this.isWaiting ? sharedNow() - this.#askedAt : 0;
  }

  /** Sends a message, unless the last one has not come back yet. */
  talk(): void {
    if (this.isWaiting || this.end !== undefined || this.farewell) return;
    this.#askedAt = sharedNow();
    if (!this.#head) this.#socket.write(MESSAGE);
  }

  /** Resolves when a message has come back, or the tunnel does not stand any more. */
  echo(): Promise<void> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      if (this.end === undefined) this.talk();
      else resolve();
    });
  }

  forget(): void {
    this.slowest = 0;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #over(reason: string): void {
    this.end ??= reason;
    this.#askedAt = 0;
    this.#answered?.();
  }

  #onHead(before: Buffer, chunk: Buffer): void {
    const head = Buffer.concat([before, chunk]);
    this.#head = head;
    const blank = head.indexOf('\r\n\r\n');
    if (blank < 0 && head.length < HEAD_MOST) return;
    const status = head.toString('latin1', 9, 12);
    if (status !== '101') {
      this.#over(`answered ${status}`);
      this.#socket.destroy();
      return;
    }
    this.#head = undefined;
    if (this.isWaiting) this.#socket.write(MESSAGE);
    this.#onFrames(head.subarray(blank + 4));
  }

  #onFrames(bytes: Buffer): void {
    for (const { opcode, payload } of this.#reader.push(bytes)) {
      if (opcode === PING) this.#onPing(payload);
      else if (opcode === CLOSE) this.#onClose(payload);
      else if (opcode === BINARY) this.#onEcho();
    }
  }

  #onPing(payload: Buffer): void {
    this.pings++;
    this.#socket.write(frame(PONG, payload, true));
  }

  #onEcho(): void {
    this.echoes++;
    this.slowest = Math.max(this.slowest, sharedNow() - this.#askedAt);
    this.#askedAt = 0;
    this.#answered?.();
  }

  #onClose(payload: Buffer): void {
    this.farewell = { code: payload.length < 2 ? 1005 : payload.readUInt16BE(0), at: sharedNow() };
    this.#socket.end(frame(CLOSE, payload, true));
  }
}
