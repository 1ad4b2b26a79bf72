// Ports of 127.0.0.1 that nobody uses, for programs that cannot ask the system for one themselves.

import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';

/** Below are the ports that programs like to have for themselves. */
const FIRST = 12_000;
const END = endOfPorts();

/**
 * Where the ports begin that the system gives to whoever asks for any: another test's server or client could have one of these
 * before the program that it is meant for listens on it. A system that gives nearly all of them leaves no choice.
 */
function endOfPorts(): number {
  const begin = Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1'), 10);
  return begin > FIRST + 1000 ? begin : 32_768;
}

/** Holds the names of this process's ports. Other test files run at the same time, and would else choose the same. */
const claims: Server[] = [];

/** Different ones, if several are asked for; nobody else gets them as long as this process runs. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  let port = FIRST + Math.floor(Math.random() * (END - FIRST));
  for (let tries = FIRST; ports.length < count; tries++) {
    if (tries === END) throw new Error(`no port from ${FIRST} to ${END - 1} is free`);
    port = port + 1 < END ? port + 1 : FIRST;
    if ((await claim(port)) && (await isFree(port))) ports.push(port);
  }
  return ports;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

/** An abstract socket: one process can have the name, until it ends, however it ends. */
async function claim(port: number): Promise<boolean> {
  const server = createServer((socket) => socket.destroy());
  const mine = await listens(server, { path: `\0sockgate-test-port-${port}` });
  if (mine) claims.push(server.unref());
  return mine;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer((socket) => socket.destroy());
  if (!(await listens(server, { host: '127.0.0.1', port }))) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

function listens(server: Server, where: { path: string } | { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(where, () => resolve(true));
  });
}
