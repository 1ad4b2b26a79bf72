// A backend that keeps every byte it gets, and answers what the test says, however wrong.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { type HttpMessage, HttpReader } from './http-reader.ts';

/** ms after which what has not come will not: longer than a busy machine hesitates, shorter than the minute of nginx's own timeouts. */
const PATIENCE = 30_000;

/** One connection as the backend sees it. */
export class BackendConnection {
  readonly socket: Socket;
  /** Requests that came whole. */
  readonly #reader = new HttpReader();
  readonly #chunks: Buffer[] = [];
  ended = false;
  closed = false;
  error: (Error & { code?: string }) | undefined = undefined;
  #answered = 0;

  constructor(socket: Socket, behaviour: Behaviour, changed: () => void) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#chunks.push(bytes);
      this.#reader.push(bytes);
      for (; this.#answered < this.requests.length; this.#answered++) this.#answer(behaviour);
      changed();
    });
    socket.on('end', () => {
      this.ended = true;
      changed();
    });
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on('close', () => {
      this.closed = true;
      changed();
    });
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  get requests(): readonly HttpMessage[] {
    return this.#reader.messages;
  }

  /** What came behind the last whole request. */
  get rest(): Buffer {
    return this.#reader.rest;
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  #answer(behaviour: Behaviour): void {
    const answer = behaviour(this.requests[this.#answered] as HttpMessage, this);
    if (answer !== undefined) this.send(answer);
  }
}

/** What to send when a request is whole; undefined: nothing, or it has been done. */
export type Behaviour = (request: HttpMessage, connection: BackendConnection) => string | Buffer | undefined;

export class Backend {
  readonly connections: BackendConnection[] = [];
  /** Called with each connection as soon as it is there. */
  onConnection: (connection: BackendConnection) => void = () => {};
  readonly #server: Server;
  #heard: (() => void)[] = [];

  constructor(server: Server, event: string, behaviour: Behaviour) {
    this.#server = server;
    server.on(event, (socket: Socket) => {
      const connection = new BackendConnection(socket, behaviour, () => this.#wake());
      this.connections.push(connection);
      this.onConnection(connection);
      this.#wake();
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** `127.0.0.1:12345` */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Of all connections, in the order in which those began. */
  get requests(): readonly HttpMessage[] {
    return this.connections.flatMap(({ requests }) => requests);
  }

  /** All that ever came. */
  get bytes(): number {
    return this.connections.reduce((sum, { received }) => sum + received.length, 0);
  }

  /** Until so many requests are whole. @returns the last of them */
  async request(count = 1): Promise<HttpMessage> {
    await this.until(`${count} requests`, () => this.requests.length >= count);
    return this.requests[count - 1] as HttpMessage;
  }

  /** Until there are so many connections. @returns the last of them */
  async connection(count = 1): Promise<BackendConnection> {
    await this.until(`${count} connections`, () => this.connections.length >= count);
    return this.connections[count - 1] as BackendConnection;
  }

  /** @throws where it is in vain */
  async until(what: string, met: () => boolean): Promise<void> {
    const end = performance.now() + PATIENCE;
    while (!met()) {
      const left = end - performance.now();
      if (left <= 0) throw new Error(`the backend waited in vain for ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#heard.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  close(): void {
    this.#server.close();
    for (const { socket } of this.connections) socket.destroy();
  }

  #wake(): void {
    const heard = this.#heard;
    this.#heard = [];
    for (const wake of heard) wake();
  }
}

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** Listens until the test is over. Both halves of its connections end on their own. */
export async function startBackend(
  t: TestContext,
  behaviour: Behaviour = () => OK,
  tls?: TlsOptions,
): Promise<Backend> {
  const options = { allowHalfOpen: true, noDelay: true };
  const server = tls === undefined ? createServer(options) : createTlsServer({ ...options, ...tls });
  server.on('tlsClientError', () => {});
  const backend = new Backend(server, tls === undefined ? 'connection' : 'secureConnection', behaviour);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => backend.close());
  return backend;
}
