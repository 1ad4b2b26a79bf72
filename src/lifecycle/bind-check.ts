// Binds every new address once before the workers share it: an address that another program has must be an error, not shared silently.

import { lstatSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { ErrorLog } from '../diagnostics/error-log.ts';
import { systemErrorCode } from '../diagnostics/system-error.ts';
import type { ListenAddress } from '../listen/listen-settings.ts';
import { ListenError, listenAt, passingName } from '../listen/sockets.ts';

/** nginx's: so often, and so far apart in ms. */
const TRIES = 5;
const DELAY = 500;

export interface BindCheckOptions {
  readonly log: ErrorLog;
  /** Addresses on which this process listens already. */
  readonly own?: readonly ListenAddress[];
  /** `-t`: an address that is in use is no mistake, for it may be ourselves who use it. */
  readonly testOnly?: boolean;
}

/** @returns whether all addresses can be had; where not, the log says why in nginx's words */
export async function checkAddresses(addresses: readonly ListenAddress[], options: BindCheckOptions): Promise<boolean> {
  let left = addresses;
  for (let tries = 0; tries < TRIES; tries++) {
    if (tries > 0) await wait(DELAY);
    const failures = await findFailures(left, options);
    for (const failure of failures) options.log.write('emerg', failure.message);
    if (failures.length === 0) return true;
    if (failures.some(({ code }) => code !== 'EADDRINUSE')) return false;
    options.log.write('notice', 'try again to bind() after 500ms');
    left = failures.map(({ address }) => address);
  }
  options.log.write('emerg', 'still could not bind()');
  return false;
}

async function findFailures(addresses: readonly ListenAddress[], options: BindCheckOptions): Promise<ListenError[]> {
  const failures: ListenError[] = [];
  for (const address of addresses) {
    try {
      await tryAddress(address, options.own ?? []);
    } catch (error) {
      if (!(error instanceof ListenError)) throw error;
      if (options.testOnly !== true || error.code !== 'EADDRINUSE') failures.push(error);
    }
  }
  return failures;
}

/** @throws ListenError */
async function tryAddress(address: ListenAddress, own: readonly ListenAddress[]): Promise<void> {
  if (address.kind === 'unix') return tryPath(address);
  // From 127.0.0.1:80 to *:80 and back: the socket in the way is our own, and shares.
  const reusePort = own.some((other) => other.kind === 'tcp' && other.port === address.port);
  await bindAndClose(address, reusePort);
}

/** A socket at the path that nobody answers was left by a program that was killed: it may be replaced. */
async function tryPath(address: ListenAddress & { kind: 'unix' }): Promise<void> {
  const found = lstatSync(address.path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isSocket()) throw new ListenError(address, 'EADDRINUSE');
  if (found !== undefined) await expectNobody(address);
  // Only whether the folder lets us: the name itself is taken when a worker listens.
  const path = passingName(address.path);
  try {
    await bindAndClose({ ...address, key: `unix:${path}`, path }, false);
  } catch (error) {
    throw new ListenError(address, (error as ListenError).code);
  } finally {
    // Node removes the name that it bound, which is not the one that `listenAt` leaves behind.
    rmSync(path, { force: true });
  }
}

function expectNobody(address: ListenAddress & { kind: 'unix' }): Promise<void> {
  return new Promise((resolve, reject) => {
    const client = connect(address.path);
    client.once('connect', () => {
      client.destroy();
      reject(new ListenError(address, 'EADDRINUSE'));
    });
    client.once('error', (error) => {
      const code = systemErrorCode(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve();
      else reject(new ListenError(address, code === 'EAGAIN' ? 'EADDRINUSE' : code));
    });
  });
}

/** A backlog of 1, for nobody is meant to come. */
async function bindAndClose(address: ListenAddress, reusePort: boolean): Promise<void> {
  const server = createServer((socket) => socket.destroy());
  await listenAt(server, address, { backlog: 1, reusePort });
  await new Promise((resolve) => server.close(resolve));
}
