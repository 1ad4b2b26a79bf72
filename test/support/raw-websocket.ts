// WebSocket frames written and read by hand: to send what no client would, and to judge frames by the `ws` package.

import { createRequire } from 'node:module';

export interface FrameShape {
  readonly opcode: number;
  readonly payload?: Uint8Array | string;
  /** Default true. */
  readonly final?: boolean;
  readonly rsv1?: boolean;
  /** Default false. */
  readonly masked?: boolean;
}

interface WsFrameOptions {
  opcode: number;
  fin: boolean;
  rsv1: boolean;
  mask: boolean;
  readOnly: boolean;
}

interface WsReceiver {
  readonly destroyed: boolean;
  write(chunk: Uint8Array, done: (error?: Error | null) => void): boolean;
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): this;
  on(event: 'ping' | 'pong', listener: (data: Buffer) => void): this;
  on(event: 'conclude', listener: (code: number, reason: Buffer) => void): this;
  on(event: 'error', listener: (error: Error & { code?: string }) => void): this;
}

/** The two halves of `ws`, which its type declarations leave out. */
interface WsParts {
  Sender: { frame(data: Uint8Array, options: WsFrameOptions): Uint8Array[] };
  Receiver: new (options: { isServer: boolean; skipUTF8Validation: boolean }) => WsReceiver;
}

const ws = createRequire(import.meta.url)('ws') as WsParts;

/** The bytes of one frame, as `ws` writes it. */
export function rawFrame({ opcode, payload = '', final = true, rsv1 = false, masked = false }: FrameShape): Buffer {
  const data = typeof payload === 'string' ? Buffer.from(payload) : payload;
  return Buffer.concat(ws.Sender.frame(data, { opcode, fin: final, rsv1, mask: masked, readOnly: true }));
}

/** What `ws` understood of a stream of frames. */
export class RawWebSocketReader {
  readonly messages: Buffer[] = [];
  readonly pings: Buffer[] = [];
  readonly pongs: Buffer[] = [];
  /** Set once a close frame has come; 1005 where it has no code. */
  closeCode: number | undefined = undefined;
  closeReason = '';
  /** The code of the `ws` error that ended the reading. */
  error: string | undefined = undefined;
  readonly #receiver: WsReceiver;

  /** @param masked whether the frames come from a client */
  constructor(masked: boolean) {
    this.#receiver = new ws.Receiver({ isServer: masked, skipUTF8Validation: true });
    this.#receiver.on('message', (data) => this.messages.push(data));
    this.#receiver.on('ping', (data) => this.pings.push(data));
    this.#receiver.on('pong', (data) => this.pongs.push(data));
    this.#receiver.on('conclude', (code, reason) => {
      this.closeCode = code;
      this.closeReason = reason.toString();
    });
    this.#receiver.on('error', (error) => {
      this.error = error.code ?? error.message;
    });
  }

  /** Reads a chunk, and resolves when all of it is understood or refused. */
  async read(chunk: Uint8Array): Promise<void> {
    if (this.#receiver.destroyed || this.closeCode !== undefined) return;
    await new Promise((done) => this.#receiver.write(Buffer.from(chunk), done)); // a copy: `ws` unmasks in place
    await new Promise(setImmediate); // its error event comes a tick after
  }
}
