// A plain HTTP peer of Node's own, whose handler each test writes, and which counts the connections that it gets.

import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export interface HttpPeer {
  readonly port: number;
  /** How many connections it has accepted so far. */
  readonly connections: number;
}

export async function startHttpPeer(t: TestContext, handler: RequestListener): Promise<HttpPeer> {
  const server: Server = createServer(handler);
  let connections = 0;
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    get connections() {
      return connections;
    },
  };
}
