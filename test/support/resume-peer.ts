// A WebSocket peer that can be lost: it echoes with its name before, and remembers who came and what they said.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type ServerOptions, WebSocket, WebSocketServer } from 'ws';

export interface ResumePeerOptions {
  /** What it puts before its echoes. */
  readonly name: string;
  /** 0: whichever is free. */
  readonly port?: number;
  readonly server?: ServerOptions;
  /** It is reached over TLS. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** The status that a handshake is refused with; undefined: it is not. */
  readonly refuses?: (request: IncomingMessage) => number | undefined;
}

export class ResumePeer {
  readonly name: string;
  readonly port: number;
  /** Heads of the handshakes, in their order. */
  readonly handshakes: IncomingMessage[] = [];
  readonly messages: string[] = [];
  /** Codes of the close frames that clients sent; 1006 where there was none. */
  readonly closes: number[] = [];
  readonly sockets = new Set<WebSocket>();
  /** The bare connections. */
  readonly connections = new Set<Socket>();
  /** It answers what it is sent. */
  echoes = true;
  readonly #http: Server;

  private constructor(options: ResumePeerOptions, http: Server) {
    this.name = options.name;
    this.#http = http;
    this.port = (http.address() as AddressInfo).port;
    const server = new WebSocketServer({ perMessageDeflate: false, ...options.server, noServer: true });
    http.on('connection', (socket) => {
      this.connections.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.connections.delete(socket));
    });
    http.on('upgrade', (request: IncomingMessage, socket: Socket, head) => {
      this.handshakes.push(request);
      const status = options.refuses?.(request);
      if (status === undefined) server.handleUpgrade(request, socket, head, (client) => this.#welcome(client));
      else socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    });
  }

  /** Is ended with the test. */
  static async start(t: TestContext, options: ResumePeerOptions): Promise<ResumePeer> {
    const http = options.tls === undefined ? createServer() : createTlsServer(options.tls);
    http.listen(options.port ?? 0, '127.0.0.1');
    await once(http, 'listening');
    const peer = new ResumePeer(options, http);
    t.after(() => peer.die());
    return peer;
  }

  #welcome(client: WebSocket): void {
    this.sockets.add(client);
    client.on('error', () => {});
    client.on('message', (data) => {
      this.messages.push(String(data));
      if (this.echoes) client.send(`${this.name}: ${data}`);
    });
    client.on('close', (code) => {
      this.closes.push(code);
      this.sockets.delete(client);
    });
  }

  /** What the N-th handshake said of being one more; undefined where it said nothing. */
  resumeOf(index: number): string | undefined {
    return this.handshakes[index]?.headers['sockgate-resume'] as string | undefined;
  }

  /** Says goodbye to all with a close frame. */
  close(code: number): void {
    for (const socket of this.sockets) if (socket.readyState === WebSocket.OPEN) socket.close(code);
  }

  /** Nobody can connect any more; those who have stay. */
  stopListening(): void {
    this.#http.close();
  }

  /** Is gone without a word: its connections are reset. */
  die(): void {
    this.stopListening();
    for (const socket of this.connections) socket.resetAndDestroy();
  }
}
