// A plain HTTP peer of Node's own, whose handler each test sets, and which counts the connections that it gets.

import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export class HttpPeer {
  readonly port: number;
  /** What answers from now on. */
  handler: RequestListener = (_request, response) => response.end();
  /** How many connections it has accepted so far. */
  connections = 0;

  private constructor(server: Server) {
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', () => this.connections++);
    server.on('request', (request, response) => this.handler(request, response));
  }

  /** Is ended with the test. */
  static async start(t: TestContext): Promise<HttpPeer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    return new HttpPeer(server);
  }
}
