// A tunnel with traffic whose every byte is known on both sides: frame n of a tunnel is what its number and n say, and nothing else.

import type { Socket } from 'node:net';
import type { PeerConnection } from './scripted-peer.ts';

/** Some sizes for each form of a frame's length. */
const SIZES = [8, 125, 126, 1000, 20, 70_000, 300, 60] as const;
const BINARY = 0x82;
const MASKED = 0x80;

/** One side of one tunnel: sends its frames in turn and compares what comes with what the other side must have sent. */
export class LiveSide {
  readonly #socket: Socket;
  readonly #tunnel: number;
  readonly #isClient: boolean;
  /** Frames sent and frames that came whole. */
  sent = 0;
  received = 0;
  /** What was wrong with what came; '' while nothing is. */
  fault = '';
  #expected: Buffer;
  #at = 0;
  /** Called when a frame has come whole. */
  onFrame: () => void = () => {};

  constructor(socket: Socket, tunnel: number, isClient: boolean) {
    this.#socket = socket;
    this.#tunnel = tunnel;
    this.#isClient = isClient;
    this.#expected = knownFrame(tunnel, 0, !isClient);
  }

  send(): void {
    this.#socket.write(knownFrame(this.#tunnel, this.sent++, this.#isClient));
  }

  take(bytes: Buffer): void {
    let start = 0;
    while (start < bytes.length && this.fault === '') {
      const length = Math.min(bytes.length - start, this.#expected.length - this.#at);
      const isAsSent = bytes
        .subarray(start, start + length)
        .equals(this.#expected.subarray(this.#at, this.#at + length));
      if (!isAsSent) this.fault = `frame ${this.received} of tunnel ${this.#tunnel} is changed near byte ${this.#at}`;
      start += length;
      this.#at += length;
      if (this.#at === this.#expected.length) this.#next();
    }
  }

  #next(): void {
    this.received++;
    this.#at = 0;
    this.#expected = knownFrame(this.#tunnel, this.received, !this.#isClient);
    this.onFrame();
  }
}

/** The peer's side, once its handshake was answered: answers each frame that has come whole with one of its own. */
export function answerFrames(connection: PeerConnection): LiveSide {
  const tunnel = Number(/^GET \/\w+\/(\d+)/.exec(connection.text)?.[1]);
  const side = new LiveSide(connection.socket, tunnel, false);
  connection.keeps = false;
  side.onFrame = () => side.send();
  connection.onData = (bytes) => side.take(bytes);
  connection.socket.once('end', () => connection.socket.end());
  return side;
}

/** A binary frame whose payload begins with the number of the tunnel and its own; a client's is masked. */
function knownFrame(tunnel: number, index: number, masked: boolean): Buffer {
  const size = SIZES[(tunnel + index) % SIZES.length] as number;
  const payload = Buffer.alloc(size, (tunnel * 31 + index) & 0xff);
  payload.writeUInt32BE(tunnel, 0);
  payload.writeUInt32BE(index, 4);
  if (!masked) return Buffer.concat([frameHead(size, 0), payload]);
  const mask = Buffer.from([tunnel & 0xff, index & 0xff, 0x5a, 0xa5]);
  for (let i = 0; i < size; i++) payload[i] = (payload[i] as number) ^ (mask[i & 3] as number);
  return Buffer.concat([frameHead(size, MASKED), mask, payload]);
}

/** RFC 6455 section 5.2; of a payload of up to 2^53 bytes. */
export function frameHead(size: number, maskBit: number, first: number = BINARY): Buffer {
  if (size < 126) return Buffer.from([first, maskBit | size]);
  if (size < 65_536) return Buffer.from([first, maskBit | 126, size >> 8, size & 0xff]);
  const head = Buffer.alloc(10);
  head[0] = first;
  head[1] = maskBit | 127;
  head.writeBigUInt64BE(BigInt(size), 2);
  return head;
}
