// A peer for tests that does exactly what the test says, however wrong, and tells what it was sent.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

/** One connection as the peer sees it. */
export class PeerSide {
  readonly socket: Socket;
  received = '';
  closed = false;
  #heard: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.received += bytes.toString('latin1');
      this.#hear();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.#hear();
    });
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#heard.push(resolve));
  }

  /** Answers each whole request head (of requests without a body) with this text. */
  answerEach(answer: string): void {
    let answered = 0;
    const look = () => {
      const heads = this.received.split('\r\n\r\n').length - 1;
      for (; answered < heads; answered++) this.socket.write(answer, 'latin1');
    };
    this.socket.on('data', look);
  }

  #hear(): void {
    const heard = this.#heard;
    this.#heard = [];
    for (const resolve of heard) resolve();
  }
}

export class RawPeer {
  readonly sides: PeerSide[] = [];
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  /** `127.0.0.1:12345` */
  get name(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get last(): PeerSide {
    return this.sides.at(-1) as PeerSide;
  }

  close(): void {
    this.#server.close();
    for (const { socket } of this.sides) socket.destroy();
  }
}

/** A peer that listens until the test is over; `behave` is called with each of its connections. */
export async function rawPeer(
  context: TestContext,
  behave: (side: PeerSide) => void,
  tls?: TlsOptions,
): Promise<RawPeer> {
  const server = tls === undefined ? createServer() : createTlsServer(tls);
  const peer = new RawPeer(server);
  server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    const side = new PeerSide(socket);
    peer.sides.push(side);
    behave(side);
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => peer.close());
  return peer;
}

/** A port on which nobody listens. */
export async function deadPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
