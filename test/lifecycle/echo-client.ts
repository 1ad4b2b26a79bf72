// Talks to the echo engine: one line out, one line back.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

export class EchoClient {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.socket = socket;
    // A reset is an end, too.
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  /** @param where a port of 127.0.0.1, or a path. Rejected where nobody listens */
  static async to(t: TestContext, where: number | string): Promise<EchoClient> {
    const socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where);
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    socket.on('error', () => {});
    return new EchoClient(socket);
  }

  /** @returns the answer; '' where the connection ended instead */
  async ask(line: string): Promise<string> {
    this.socket.write(`${line}\n`);
    const { value, done } = await this.#lines.next();
    return done === true ? '' : value;
  }
}
