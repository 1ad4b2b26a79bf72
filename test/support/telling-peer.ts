// A peer that tells back what it was asked, and answers as its path wishes: what a proxy makes of a request can be seen in its answer.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as the peer has seen it. */
export interface ToldRequest {
  /** `GET /path HTTP/1.1` */
  readonly line: string;
  /** In the order in which they came: name, value, name, value … */
  readonly fields: readonly string[];
  readonly body: string;
  /** Which connection of the peer it came on, counted from 1. */
  readonly connection: number;
}

export class TellingPeer {
  readonly port: number;
  readonly #server: Server;
  #connections = 0;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    const numbers = new WeakMap<object, number>();
    server.on('connection', (socket) => numbers.set(socket, ++this.#connections));
    server.on('request', (request, response) => {
      void tell(request, response, numbers.get(request.socket) ?? 0);
    });
  }

  /** To be stopped by whoever started it. */
  static async start(): Promise<TellingPeer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TellingPeer(server);
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** `?status=503` answers with that status, `?X-Name=value` with that field; all else is told back. */
async function tell(request: IncomingMessage, response: ServerResponse, connection: number): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { searchParams } = new URL(request.url ?? '/', 'http://peer');
  for (const [name, value] of searchParams) if (/^[A-Z]/.test(name)) response.appendHeader(name, value);
  response.statusCode = Number(searchParams.get('status') ?? 200);
  const told: ToldRequest = {
    line: `${request.method} ${request.url} HTTP/${request.httpVersion}`,
    fields: request.rawHeaders,
    body: Buffer.concat(chunks).toString('latin1'),
    connection,
  };
  const text = JSON.stringify(told);
  response.setHeader('Content-Length', Buffer.byteLength(text));
  response.end(text);
}

/** The value of a field that the peer has seen; undefined where it has not. */
export function fieldSeen({ fields }: ToldRequest, name: string): string | undefined {
  const index = fields.findIndex((field, at) => at % 2 === 0 && field.toLowerCase() === name.toLowerCase());
  return index < 0 ? undefined : fields[index + 1];
}
