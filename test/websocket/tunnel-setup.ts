// A tunnel between two real loopback connections, with the far ends in the hands of the test.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { Channel } from '../../src/transport/channel.ts';
import { openChannel } from '../../src/transport/choose.ts';
import { StreamChannel } from '../../src/transport/stream-channel.ts';
import { Tunnel, type TunnelOptions, type TunnelOwner, type TunnelSettings } from '../../src/websocket/tunnel.ts';

/** Both implementations: the one that this runtime chooses, and the one that works everywhere. */
export const CHANNEL_KINDS = [
  { kind: 'the channel of choice', open: (socket: Socket): Channel => openChannel(socket) },
  { kind: 'a stream channel', open: (socket: Socket): Channel => new StreamChannel(socket) },
] as const;

export type OpenChannel = (typeof CHANNEL_KINDS)[number]['open'];

export interface SetupOptions extends Partial<Pick<TunnelOptions, 'followFrames' | 'deflate'>> {
  readonly open: OpenChannel;
  readonly settings?: Partial<TunnelSettings>;
}

/** Long timeouts, but no long farewell. */
export const DEFAULT_SETTINGS: TunnelSettings = {
  readTimeout: 30_000,
  clientSendTimeout: 30_000,
  peerSendTimeout: 30_000,
  resetTimedOutClient: false,
  closeTimeout: 100,
  drainCode: 1012,
  maxAge: 0,
  pingInterval: 0,
};

export class TunnelSetup implements TunnelOwner {
  readonly tunnel: Tunnel;
  /** The client's own end of its connection. Nothing reads it until the test does. */
  readonly client: Socket;
  /** The peer's own end of its connection, as the client's. */
  readonly peer: Socket;
  /** How often the owner was told of the end. */
  endReports = 0;
  /** Resolves with the first report. */
  readonly ended: Promise<void>;
  #tellEnded: () => void = () => {};

  private constructor(options: SetupOptions, toClient: Connection, toPeer: Connection) {
    this.client = toClient.dialled;
    this.peer = toPeer.accepted;
    this.ended = new Promise((resolve) => {
      this.#tellEnded = resolve;
    });
    this.tunnel = new Tunnel({
      client: options.open(toClient.accepted),
      peer: options.open(toPeer.dialled),
      settings: { ...DEFAULT_SETTINGS, ...options.settings },
      followFrames: options.followFrames ?? true,
      deflate: options.deflate ?? false,
      owner: this,
    });
  }

  /** Makes the connections and the tunnel between them, which is not started; all of it is gone when the test is over. */
  static async open(context: TestContext, options: SetupOptions): Promise<TunnelSetup> {
    const setup = new TunnelSetup(options, await connect(), await connect());
    context.after(() => setup.close());
    return setup;
  }

  tunnelEnded(tunnel: Tunnel): void {
    assert.equal(tunnel, this.tunnel);
    this.endReports++;
    this.#tellEnded();
  }

  close(): void {
    this.client.destroy();
    this.peer.destroy();
    this.tunnel.destroy('worker stop');
  }
}

interface Connection {
  readonly dialled: Socket;
  readonly accepted: Socket;
}

/** Both ends of a new connection; they may be half open. */
async function connect(): Promise<Connection> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const dialled = dial({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [[accepted]] = (await Promise.all([once(server, 'connection'), once(dialled, 'connect')])) as [
    [Socket],
    unknown,
  ];
  for (const socket of [dialled, accepted]) socket.on('error', () => {}); // resets are part of the tests
  server.close();
  return { dialled, accepted };
}

/** Collects what a socket reads. */
export class Inbox {
  readonly chunks: Buffer[] = [];
  length = 0;
  ended = false;
  closed = false;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk);
      this.length += chunk.length;
    });
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('close', () => {
      this.closed = true;
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  /** Resolves when so many bytes have come. */
  async has(length: number): Promise<Buffer> {
    while (this.length < length) await once(this.#socket, 'data');
    return this.bytes;
  }

  /** Resolves when the other side has ended its half, or the connection is gone. */
  async hasEnded(): Promise<Buffer> {
    if (!this.ended && !this.closed) await Promise.race([once(this.#socket, 'end'), once(this.#socket, 'close')]);
    return this.bytes;
  }
}
