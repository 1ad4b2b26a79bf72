// One wave of the soak: so many tunnels are opened, stand at the same time, and end, each in its way.

import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises';
import { Client, type Doors } from './client.ts';
import type { Complaints } from './complaints.ts';
import type { Ending } from './endings.ts';
import type { PeerProcess } from './peer-process.ts';

export interface Wave {
  readonly doors: Doors;
  readonly endings: readonly Ending[];
  readonly tunnels: number;
  /** Which of the endings comes first. */
  readonly first: number;
  /** The peer of `/mortal`. */
  readonly mortal: PeerProcess;
  readonly complaints: Complaints;
}

const OPENING_AT_ONCE = 100;
const CLOSE_MOST_MS = 60_000;
/** Time for the clients of the mortal peer to get their half of a frame. */
const BEFORE_DEATH_MS = 500;

const nameOf = ({ ending, tls }: Client): string => `${ending.name} by ${tls ? 'wss' : 'ws'}`;

/** Every ending by ws, then every ending by wss, and so on. */
function clientNumber(index: number, { endings, doors }: Wave): Client {
  const ending = endings[index % endings.length] as Ending;
  return new Client(ending, doors, Math.floor(index / endings.length) % 2 === 1);
}

async function openAll(wave: Wave): Promise<Client[]> {
  const clients: Client[] = [];
  async function openSome(): Promise<void> {
    while (clients.length < wave.tunnels) {
      const client = clientNumber(wave.first + clients.length, wave);
      clients.push(client);
      await client.opened;
      if (client.ending.where === '/hasty') client.act();
    }
  }
  await Promise.all(Array.from({ length: OPENING_AT_ONCE }, openSome));
  return clients;
}

async function endAll(clients: readonly Client[], { mortal }: Wave): Promise<void> {
  for (const client of clients) {
    if (client.ending.where !== '/hasty') client.act();
    await immediate(); // so that what one client does is done before the next one's turn
  }
  if (!clients.some((client) => client.ending.where === '/mortal')) return;
  await sleep(BEFORE_DEATH_MS);
  await mortal.dieAndReturn();
}

async function untilClosed(clients: readonly Client[], { complaints }: Wave): Promise<void> {
  const open = new Set(clients);
  for (const client of clients) void client.closed.then(() => open.delete(client));
  const deadline = Date.now() + CLOSE_MOST_MS;
  while (open.size > 0 && Date.now() < deadline) await sleep(50);
  for (const client of open) {
    complaints.add(`${nameOf(client)}: still open after ${CLOSE_MOST_MS / 1000} s`);
    client.reset();
  }
}

/** Resolves when all its sockets are closed; what did not end as it should is among the complaints. */
export async function runWave(wave: Wave): Promise<void> {
  const clients = await openAll(wave);
  await endAll(clients, wave);
  await untilClosed(clients, wave);
  for (const client of clients) {
    const complaint = client.complaint();
    if (complaint !== undefined) wave.complaints.add(`${nameOf(client)}: ${complaint}`);
  }
}
