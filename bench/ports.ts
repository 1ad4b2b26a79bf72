// Free ports on loopback, and waiting until somebody listens on them.

import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from './children.ts';

const START_MOST_MS = 15_000;

/** As many different free ports. Another program may take one before it is used; then the start fails and says so. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => socket.end(() => resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

/** Resolves when the child accepts connections on all of them. Throws when it exits first, or takes too long. */
export async function untilAccepting(child: Child, ports: readonly number[]): Promise<void> {
  const deadline = Date.now() + START_MOST_MS;
  for (const port of ports) {
    while (!(await accepts(port))) {
      if (child.exitCode !== undefined) throw new Error(`exited with ${child.exitCode}: ${child.complaint.trim()}`);
      if (Date.now() > deadline) throw new Error(`does not listen after ${START_MOST_MS / 1000} s`);
      await sleep(20);
    }
  }
}
