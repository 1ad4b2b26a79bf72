// A Socket.IO server that says who it is, knows its own sessions, and can die.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket as NetSocket } from 'node:net';
import type { TestContext } from 'node:test';
import { Server, type ServerOptions } from 'socket.io';

/** Engine.IO's error of a request for a session that the server does not have. */
const UNKNOWN_SESSION = 1;

export class SocketIoServer {
  readonly name: string;
  /** The transports of the sessions, as they were when they said something. */
  readonly transports: string[] = [];
  /** How often it was asked for a session that it never had: the sign of a client that was led astray. */
  strays = 0;
  /** It keeps its connections for longer than a test: a POST on one that is just being closed is lost, and may not be sent again. */
  readonly #http = createServer({ keepAliveTimeout: 300_000 });
  readonly #server: Server;
  readonly #connections = new Set<NetSocket>();
  readonly #own = new Set<string | undefined>();

  private constructor(name: string, options: Partial<ServerOptions>) {
    this.name = name;
    this.#server = new Server(this.#http, options);
    this.#http.on('connection', (socket) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
    });
    this.#watchSessions();
    this.#answer();
  }

  static async start(t: TestContext, name: string, options: Partial<ServerOptions> = {}): Promise<SocketIoServer> {
    const server = new SocketIoServer(name, options);
    server.#http.listen(0, '127.0.0.1');
    await once(server.#http, 'listening');
    t.after(() => server.die());
    return server;
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  /** How many sessions it has had. */
  get sessions(): number {
    return this.#own.size;
  }

  /** As a process that is killed: its connections are cut, nobody listens any more. */
  die(): void {
    this.#http.close();
    for (const socket of this.#connections) socket.resetAndDestroy();
    this.#server.engine.close();
  }

  /** Who closes a session may have a request under way for it: that was led right. */
  #watchSessions(): void {
    const { engine } = this.#server;
    engine.on('connection', ({ id }: { id: string }) => this.#own.add(id));
    engine.on('connection_error', ({ code, context }: { code: number; context?: { sid?: string } }) => {
      if (code === UNKNOWN_SESSION && !this.#own.has(context?.sid)) this.strays++;
    });
  }

  #answer(): void {
    this.#server.on('connection', (socket) => {
      socket.on('say', (words: string, bytes: Uint8Array, heard: (...answer: unknown[]) => void) => {
        this.transports.push(socket.conn.transport.name);
        heard(this.name, words.toUpperCase(), bytes);
      });
    });
  }
}
