// One gateway between a client and a peer whose every byte is the test's: sends what a case says from one side, and judges by the other.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { gatewayFromConfig } from '../../support/gateway-from-config.ts';
import type { ConformanceCase } from './conformance-case.ts';
import { text } from './conformance-case.ts';
import { readClose, type SeenClose, wireFrame } from './wire-frame.ts';

/** Who sends the frames of a case. */
export type Sender = 'client' | 'peer';

/** How its bytes are written: at once, or one after the other, each read before the next is written. */
export type Cut = 'at once' | 'in pieces';

/** RFC 6455 section 1.3. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const DEFLATE = 'Sec-WebSocket-Extensions: permessage-deflate\r\n';
/** What the other side is closed with: a peer, and a client. */
const [GOING_AWAY, BAD_GATEWAY] = [1001, 1014];
/** ms after which what has not come will not. */
const PATIENCE = 20_000;
/** Most pieces that a case is cut into: long ones get longer pieces. */
const MOST_PIECES = 150;

export class ConformanceBench {
  readonly #port: number;
  readonly #peers: Server;

  private constructor(port: number, peers: Server) {
    this.#port = port;
    this.#peers = peers;
  }

  /** @param directives of the location */
  static async start(t: TestContext, directives: string): Promise<ConformanceBench> {
    const peers = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, '127.0.0.1');
    await once(peers, 'listening');
    const { port } = peers.address() as AddressInfo;
    const gateway = await gatewayFromConfig({
      http: `server {
        listen 127.0.0.1:8080;
        location / {
          proxy_pass http://127.0.0.1:${port};
          proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
          ${directives}
        }
      }`,
    });
    t.after(() => {
      gateway.stop();
      peers.close();
    });
    return new ConformanceBench(gateway.port(), peers);
  }

  /**
   * What is sent reaches the other side byte for byte, and the other side's answer comes back.
   * @param passed only so many of the frames reach it, and nothing behind them
   */
  async passes(sent: ConformanceCase, from: Sender, cut: Cut, passed?: number): Promise<void> {
    const { sender, other, close } = await this.#open(sent, from);
    const frames = sent.frames.map((shape) => wireFrame(shape, from === 'client'));
    const bytes = Buffer.concat(frames.slice(0, passed));
    const answer = wireFrame(text('an answer'), from === 'peer');
    await sender.send(Buffer.concat(frames), cut);
    await other.until('all bytes', () => other.length >= bytes.length);
    other.socket.write(answer);
    await sender.until('the answer', () => sender.length >= answer.length);
    if (passed !== undefined) {
      sender.socket.end();
      await other.until('the end', () => other.isOver);
    }
    assertSame(other.received, bytes);
    assertSame(sender.received, answer);
    close();
  }

  /** The sender is closed with the code of the violation; the other side gets what came before it, and is closed in order. */
  async refuses(sent: ConformanceCase, from: Sender, cut: Cut): Promise<void> {
    const { violation } = sent;
    if (violation === undefined) throw new Error('nothing is wrong with it');
    const { sender, other, close } = await this.#open(sent, from);
    const frames = sent.frames.map((shape) => wireFrame(shape, from === 'client'));
    const before = Buffer.concat(frames.slice(0, violation.after));
    await sender.send(Buffer.concat(frames), cut);
    const closed = await sender.closed(0, from === 'peer');
    assert.equal(closed?.code, violation.code);
    const wrong = frames[violation.after] as Buffer;
    await assertClosedInOrder(other, before, {
      wrong,
      mayBegin: violation.code === 1007,
      isFromClient: from === 'client',
    });
    close();
  }

  async #open({ deflate = false }: ConformanceCase, from: Sender) {
    const accepted = once(this.#peers, 'connection') as Promise<[Socket]>;
    const client = new End(connect({ port: this.#port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }));
    client.socket.write(
      `GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: ${KEY}\r\n${deflate ? DEFLATE : ''}\r\n`,
    );
    const peer = new End((await accepted)[0]);
    await peer.head();
    peer.socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Accept: ${ACCEPT}\r\n${deflate ? DEFLATE : ''}\r\n`,
    );
    await client.head();
    const close = (): void => {
      client.socket.destroy();
      peer.socket.destroy();
    };
    return from === 'client' ? { sender: client, other: peer, close } : { sender: peer, other: client, close };
  }
}

interface WrongFrame {
  readonly wrong: Buffer;
  /** Whether bytes of it may have passed before it was known to be wrong. */
  readonly mayBegin: boolean;
  readonly isFromClient: boolean;
}

/** Behind what was right there is a close frame of the gateway, or, where the wrong frame has begun to pass, the end. */
async function assertClosedInOrder(
  other: End,
  before: Buffer,
  { wrong, mayBegin, isFromClient }: WrongFrame,
): Promise<void> {
  const closed = await other.closed(before.length, isFromClient);
  assertSame(other.received.subarray(0, before.length), before);
  if (closed !== undefined) {
    assert.equal(closed.code, isFromClient ? GOING_AWAY : BAD_GATEWAY);
    return;
  }
  const rest = other.received.subarray(before.length);
  assert.ok(mayBegin && rest.length < wrong.length, `instead of a close frame: ${rest.toString('hex').slice(0, 200)}`);
  assertSame(rest, wrong.subarray(0, rest.length));
}

function assertSame(actual: Buffer, expected: Buffer): void {
  if (actual.equals(expected)) return;
  // A comparison of megabytes would take a minute to print.
  assert.equal(actual.length, expected.length);
  const at = expected.findIndex((byte, index) => byte !== actual[index]);
  assert.fail(`byte ${at} is ${actual[at]}, not ${expected[at]}`);
}

/** One end of the two connections: all that has come, head apart. */
class End {
  readonly socket: Socket;
  #chunks: Buffer[] = [];
  length = 0;
  isOver = false;
  #heard: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {}); // a sender that is closed in the middle of its writing
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.length += chunk.length;
      this.#heard();
    });
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.isOver = true;
        this.#heard();
      });
    }
  }

  get received(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  async send(bytes: Buffer, cut: Cut): Promise<void> {
    if (cut === 'at once') {
      this.socket.write(bytes);
      return;
    }
    const size = Math.ceil(bytes.length / MOST_PIECES);
    for (let at = 0; at < bytes.length; at += size) {
      this.socket.write(bytes.subarray(at, at + size));
      await turn();
    }
  }

  /** Until a head has come whole; it is taken away. */
  async head(): Promise<void> {
    await this.until('a head', () => this.received.includes('\r\n\r\n'));
    assert.match(this.received.toString('latin1'), /^GET |^HTTP\/1\.1 101 /);
    const rest = this.received.subarray(this.received.indexOf('\r\n\r\n') + 4);
    this.#chunks = [rest];
    this.length = rest.length;
  }

  /** Until a close frame has come behind so many bytes, and is the last that comes; undefined where the end came without one. */
  async closed(behind: number, isMasked: boolean): Promise<SeenClose | undefined> {
    const look = () => readClose(this.received.subarray(behind), isMasked);
    await this.until('a close frame, or the end', () => look() !== undefined || this.isOver);
    // In order: the answer, and the end.
    this.socket.end(wireFrame({ opcode: 8 }, !isMasked));
    await this.until('the end', () => this.isOver);
    return look();
  }

  async until(what: string, met: () => boolean): Promise<void> {
    const late = setTimeout(() => this.#heard(), PATIENCE);
    const end = performance.now() + PATIENCE;
    try {
      while (!met()) {
        if (performance.now() >= end) throw new Error(`waited in vain for ${what}; ${this.length} bytes came`);
        if (this.isOver) throw new Error(`the end came instead of ${what}; ${this.length} bytes came`);
        await new Promise<void>((resolve) => {
          this.#heard = resolve;
        });
      }
    } finally {
      clearTimeout(late);
    }
  }
}
