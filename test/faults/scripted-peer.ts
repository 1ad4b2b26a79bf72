// A peer that does what a test says, however wrong, with each of its connections; over TCP, or over TLS.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { until } from '../support/until.ts';
import { acceptOf } from './raw-client.ts';

/** One connection as the peer sees it; `received` has heads and bodies as they came. */
export class PeerConnection {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  /** Whether `received` grows. */
  keeps = true;
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | undefined = undefined;
  /** Called with each piece that comes. */
  onData: (bytes: Buffer) => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      if (this.keeps && this.received.length < 1_000_000) this.received = Buffer.concat([this.received, bytes]);
      this.onData(bytes);
    });
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on('close', () => {
      this.closed = true;
    });
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  /** Heads that have come whole. */
  get heads(): number {
    return this.text.split('\r\n\r\n').length - 1;
  }

  /** Calls `answer` when the first head has come. */
  onRequest(answer: () => void): void {
    let asked = false;
    this.onData = () => {
      if (asked || this.heads === 0) return;
      asked = true;
      answer();
    };
  }

  /** Answers every head with this text; requests must not have bodies. */
  answerEach(text: string): void {
    let answered = 0;
    this.onData = () => {
      for (; answered < this.heads; answered++) this.socket.write(text, 'latin1');
    };
  }

  /** The answer to the handshake that has come. */
  acceptance(): string {
    const key = /^sec-websocket-key: *(\S+)/im.exec(this.text)?.[1] ?? '';
    return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`;
  }

  /** Answers the handshake, then calls `tunnelled`; from then on `onData` gets what comes through the tunnel. */
  onUpgrade(tunnelled: (connection: PeerConnection) => void): void {
    this.onRequest(() => {
      this.socket.write(this.acceptance());
      const rest = this.received.subarray(this.received.indexOf('\r\n\r\n') + 4);
      this.onData = () => {};
      tunnelled(this);
      if (rest.length > 0) this.onData(rest);
    });
  }
}

export class ScriptedPeer {
  readonly connections: PeerConnection[] = [];
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get last(): PeerConnection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('nobody has connected to this peer');
    return connection;
  }

  /** Connections that the gateway has neither ended nor reset. */
  get open(): number {
    return this.connections.filter(({ ended, closed }) => !ended && !closed).length;
  }

  /** Requests over all connections. */
  get requests(): number {
    return this.connections.reduce((sum, { heads }) => sum + heads, 0);
  }

  async allClosed(patience = 5000): Promise<void> {
    await until('all connections to the peer to be closed', () => this.open === 0, patience);
  }

  stop(): void {
    this.#server.close();
    for (const { socket } of this.connections) socket.destroy();
  }
}

/** Listens until the test is over. `behave` is called with each connection, before anything has come. */
export async function scriptedPeer(
  t: TestContext,
  behave: (connection: PeerConnection, index: number) => void,
  options: { readonly tls?: TlsOptions; readonly port?: number } = {},
): Promise<ScriptedPeer> {
  const { tls } = options;
  const server = tls === undefined ? createServer({ allowHalfOpen: true }) : createTlsServer(tls);
  const peer = new ScriptedPeer(server);
  server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    const connection = new PeerConnection(socket);
    peer.connections.push(connection);
    behave(connection, peer.connections.length - 1);
  });
  if (tls !== undefined) server.on('connection', (socket: Socket) => socket.on('error', () => {}));
  server.on('tlsClientError', () => {});
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => peer.stop());
  return peer;
}
