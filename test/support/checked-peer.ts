// A peer that is checked: what it answers to checks and to clients is the test's, and it remembers both.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { until } from './until.ts';

/** What is asked for by checks; anything else is a client's. */
export const CHECK_URI = '/health';

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

export const OK: Answer = (response) => response.end('fine');
export const BROKEN: Answer = (response) => {
  response.statusCode = 500;
  response.end('broken');
};

export class CheckedPeer {
  /** What checks are answered. */
  answer: Answer = OK;
  readonly checks: IncomingMessage[] = [];
  /** Requests of clients. */
  served = 0;
  connections = 0;
  readonly name: string;
  readonly #tls: ServerOptions | undefined;
  #port = 0;
  #server: Server | undefined = undefined;

  constructor(name: string, tls: ServerOptions | undefined) {
    this.name = name;
    this.#tls = tls;
  }

  get port(): number {
    return this.#port;
  }

  /** Listens where it did before, if it did. */
  async listen(): Promise<void> {
    const listener = (request: IncomingMessage, response: ServerResponse): void => this.#serve(request, response);
    this.#server = this.#tls === undefined ? createServer(listener) : createTlsServer(this.#tls, listener);
    this.#server.on('connection', () => this.connections++);
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** As if its process had ended. */
  async die(): Promise<void> {
    const closed = once(this.#server as Server, 'close');
    this.close();
    await closed;
  }

  close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  /** Until it has been checked so many times more. */
  async checked(times = 1): Promise<void> {
    const goal = this.checks.length + times;
    await until(`${times} checks of ${this.name}`, () => this.checks.length >= goal);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    if (request.url?.startsWith(CHECK_URI) === true) {
      this.checks.push(request);
      this.answer(response, request);
    } else {
      this.served++;
      response.end(this.name);
    }
  }
}

/** One that listens until the test is over. */
export async function startCheckedPeer(t: TestContext, name: string, tls?: ServerOptions): Promise<CheckedPeer> {
  const peer = new CheckedPeer(name, tls);
  await peer.listen();
  t.after(() => peer.close());
  return peer;
}
