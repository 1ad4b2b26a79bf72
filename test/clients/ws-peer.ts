// A peer made of the `ws` package, plain or over TLS, for tests to look into.

import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';

export interface WsPeerWish {
  /** Said before each echo of a text; default: nothing. */
  readonly name?: string;
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Told of each TLS connection, when its handshake is over. */
  readonly onTls?: (socket: TLSSocket) => void;
  /** Told of each text. True: it has been answered; otherwise it is echoed. */
  readonly onText?: (socket: WebSocket, text: string) => boolean;
  /** What the `ws` server is made with. */
  readonly options?: ServerOptions;
}

export class WsPeer {
  readonly port: number;
  /** The heads of all handshakes so far, oldest first. */
  readonly requests: IncomingMessage[] = [];
  readonly #server: ReturnType<typeof createServer>;
  readonly #sockets: WebSocketServer;
  readonly #waiting: ((socket: WebSocket) => void)[] = [];

  private constructor(wish: WsPeerWish, server: ReturnType<typeof createServer>) {
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
    if (wish.onTls !== undefined) server.on('secureConnection', wish.onTls);
    this.#sockets = new WebSocketServer({ ...wish.options, server });
    this.#sockets.on('connection', (socket, request) => {
      this.requests.push(request);
      socket.on('error', () => {});
      socket.on('message', (data, isBinary) => {
        if (!isBinary && wish.onText?.(socket, String(data)) === true) return;
        socket.send(isBinary ? data : `${wish.name ?? ''}${data}`, { binary: isBinary });
      });
      this.#waiting.shift()?.(socket);
    });
  }

  static async start(t: TestContext, wish: WsPeerWish = {}): Promise<WsPeer> {
    const server = wish.tls === undefined ? createServer() : createTlsServer(wish.tls);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const peer = new WsPeer(wish, server);
    t.after(() => peer.kill());
    return peer;
  }

  /** The next connection, from the peer's side. To be asked for before the client connects. */
  accepted(): Promise<WebSocket> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** How many connections are open. */
  get open(): number {
    return this.#sockets.clients.size;
  }

  /** The head of the latest handshake. */
  get request(): IncomingMessage {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error('nobody has connected yet');
    return request;
  }

  /** Ends as a process does that is killed: nothing listens any more, connections are gone without a word. */
  kill(): void {
    this.#server.close();
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
  }
}

/** For `onText`: a text asks for it. */
export function closesIfAsked(socket: WebSocket, text: string): boolean {
  if (text !== 'close with 4001') return false;
  socket.close(4001, 'as you asked');
  return true;
}
