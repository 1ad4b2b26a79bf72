// An echo peer: a small WebSocket server that says who it is, for the examples to balance between.

import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';

export interface EchoPeerOptions {
  /** Said before each echo: `peer 1`. */
  readonly name: string;
  /** Of 127.0.0.1; 0 lets the system choose. */
  readonly port: number;
  /** PEM texts: with them it speaks https and wss. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** How long it stays away after `/leave`, in ms. Default: 15 s. */
  readonly absence?: number;
  /** Told what happens to it. */
  readonly say?: (sentence: string) => void;
}

/** A text that sends the peer away for a while, as if its machine had failed. */
const LEAVE = '/leave';
const DEFAULT_ABSENCE = 15_000;
/** The gateway closes a tunnel in which nothing passes for a minute (`proxy_read_timeout`). */
const PING_INTERVAL = 20_000;
const LARGEST_MESSAGE = 16 * 1024 * 1024;
/** RFC 6455 section 7.4.2 leaves its registration to IANA: "Service Restart". */
const SERVICE_RESTART = 1012;

/**
 * Answers a text with its name and the text, bytes with the same bytes, and a plain GET with its name. `/leave` closes
 * everything for a while.
 */
export class EchoPeer {
  readonly #options: EchoPeerOptions;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #pings: NodeJS.Timeout;
  #port: number;
  #back: NodeJS.Timeout | undefined = undefined;

  private constructor(options: EchoPeerOptions) {
    this.#options = options;
    this.#port = options.port;
    const answer: RequestListener = (_request, response) => response.end(`${options.name}: hello over HTTP\n`);
    this.#server = options.tls === undefined ? createServer(answer) : createTlsServer(options.tls, answer);
    this.#sockets = new WebSocketServer({ server: this.#server, maxPayload: LARGEST_MESSAGE });
    this.#sockets.on('connection', (socket) => this.#welcome(socket));
    // Told by the server itself as well, where somebody listens to it; unheard here, it would end the process.
    this.#sockets.on('error', () => {});
    this.#pings = setInterval(() => this.#ping(), PING_INTERVAL);
  }

  /** Rejected where the port cannot be had: EADDRINUSE, EACCES. */
  static async start(options: EchoPeerOptions): Promise<EchoPeer> {
    const peer = new EchoPeer(options);
    try {
      await peer.#listen();
    } catch (error) {
      clearInterval(peer.#pings);
      throw error;
    }
    return peer;
  }

  get name(): string {
    return this.#options.name;
  }

  get port(): number {
    return this.#port;
  }

  /** How many WebSockets are open. */
  get connections(): number {
    return this.#sockets.clients.size;
  }

  /** Closes everything, and comes back after `absence`. */
  leave(): void {
    const absence = this.#options.absence ?? DEFAULT_ABSENCE;
    this.#options.say?.(`${this.name} leaves for ${absence / 1000} s`);
    this.#server.close();
    for (const socket of this.#sockets.clients) socket.close(SERVICE_RESTART, `${this.name} leaves`);
    this.#server.closeIdleConnections();
    this.#back = setTimeout(() => void this.#return(), absence);
  }

  /** Closes everything for good. */
  async close(): Promise<void> {
    clearInterval(this.#pings);
    clearTimeout(this.#back);
    const closed = this.#server.listening ? once(this.#server, 'close') : undefined;
    this.#server.close();
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    await closed;
  }

  async #listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async #return(): Promise<void> {
    try {
      await this.#listen();
      this.#options.say?.(`${this.name} is back`);
    } catch (error) {
      this.#options.say?.(`${this.name} cannot come back: ${(error as Error).message}`);
    }
  }

  #welcome(socket: WebSocket): void {
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => this.#answer(socket, data, isBinary));
  }

  #answer(socket: WebSocket, data: RawData, isBinary: boolean): void {
    if (isBinary) socket.send(data);
    else socket.send(`${this.name}: ${data}`);
    if (!isBinary && String(data) === LEAVE) this.leave();
  }

  #ping(): void {
    for (const socket of this.#sockets.clients) socket.ping();
  }
}
