// The listening sockets of one worker: opened, shared with the other workers, kept over reloads, closed.

import { randomInt } from 'node:crypto';
import { chmodSync, closeSync, openSync, renameSync } from 'node:fs';
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import type { ErrorLog } from '../diagnostics/error-log.ts';
import { RateLimit } from '../diagnostics/rate-limit.ts';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import type { ListenAddress, ListenSettings, SocketOptions } from './listen-settings.ts';

/** nginx's words: `bind() to 127.0.0.1:80 failed (98: Address already in use)`. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly address: ListenAddress;
  /** The system's name for it: `EADDRINUSE`. */
  readonly code: string;

  constructor(address: ListenAddress, code: string) {
    super(`bind() to ${address.key} failed (${systemErrorText(code)})`);
    this.address = address;
    this.code = code;
  }
}

export interface ListeningSocketsOptions {
  /** Takes a connection, which is paused and may be half-closed. Must give it an error handler at once. */
  readonly accept: (addressKey: string, socket: Socket) => void;
  /** How many connections this worker has; compared with `workerConnections`. */
  readonly inUse: () => number;
  readonly log: () => ErrorLog;
  /** Waits for the rights to listen on any address; what it gives is called when they are no longer needed. Default: we have them. */
  readonly permit?: () => Promise<() => void>;
  /** Whether this worker is the one that listens on `unix:` addresses, which cannot be shared. Default: true. */
  readonly takesUnix?: boolean;
}

/** Connections that are accepted while `worker_connections` are in use wait here, as they would in the kernel's queue. */
const MOST_WAITING = 512;
/** ms between two looks whether one that waits can go on. */
const WAITING_INTERVAL = 50;
/** ms until a socket that could not accept (no descriptor left) listens again; nginx's `accept_mutex_delay`. */
const RETRY_DELAY = 500;
/** ms between two looks whether there are descriptors left. */
const DESCRIPTOR_INTERVAL = 500;
/** The share of its time that an event loop is at work when it does nothing but fail to accept. */
const SPINNING = 0.9;
const REPORT_INTERVAL = 10_000;

interface Waiting {
  readonly key: string;
  readonly socket: Socket;
}

export class ListeningSockets {
  /** `worker_connections`: what comes beyond it waits, and is closed where too many wait. */
  workerConnections = Number.POSITIVE_INFINITY;

  readonly #options: ListeningSocketsOptions;
  readonly #open = new Map<string, ListeningSocket>();
  readonly #waiting: Waiting[] = [];
  readonly #limitReports = new RateLimit(REPORT_INTERVAL);
  readonly #descriptorReports = new RateLimit(REPORT_INTERVAL);
  #descriptorTimer: NodeJS.Timeout | undefined = undefined;
  #usedTime = performance.eventLoopUtilization();
  #waitingTimer: NodeJS.Timeout | undefined = undefined;

  constructor(options: ListeningSocketsOptions) {
    this.#options = options;
  }

  /** The keys of the addresses on which this worker listens. */
  get keys(): readonly string[] {
    return [...this.#open.keys()];
  }

  /**
   * Opens the addresses that are new. Those that were there before keep their socket, and what waits in its queue; of their
   * options only those of accepted connections change. @throws ListenError; what could be opened stays open
   */
  async open(listeners: readonly ListenSettings[]): Promise<void> {
    const mine = listeners.filter(({ address }) => address.kind === 'tcp' || this.#options.takesUnix !== false);
    for (const { address, options } of mine) this.#open.get(address.key)?.change(options);
    const fresh = mine.filter(({ address }) => !this.#open.has(address.key));
    if (fresh.length === 0) return;
    this.#descriptorTimer ??= setInterval(() => this.#lookAtDescriptors(), DESCRIPTOR_INTERVAL).unref();
    const done = await this.#permit();
    try {
      for (const listener of fresh) await this.#listen(listener);
    } finally {
      done();
    }
  }

  /** Closes the addresses that are none of these. What waits in their queues is reset by the system. */
  closeOthers(listeners: readonly ListenSettings[]): void {
    const wanted = new Set(listeners.map(({ address }) => address.key));
    for (const [key, socket] of this.#open) {
      if (wanted.has(key)) continue;
      socket.close();
      this.#open.delete(key);
    }
  }

  /** Closes everything: no new connections. */
  close(): void {
    this.closeOthers([]);
    clearInterval(this.#descriptorTimer);
    clearTimeout(this.#waitingTimer);
    for (const { socket } of this.#waiting.splice(0)) socket.destroy();
  }

  /**
   * With no descriptor left, libuv closes new connections by means of one that it keeps for that; where it has lost even this one to
   * another thread, it tries for ever to accept. Neither is told to us, so we look.
   */
  #lookAtDescriptors(): void {
    const usedTime = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(usedTime, this.#usedTime);
    this.#usedTime = usedTime;
    const shortage = findShortage();
    if (shortage === undefined) return;
    this.#reportShortage(acceptFailed(shortage));
    if (utilization >= SPINNING) for (const socket of this.#open.values()) socket.rest();
  }

  /** One shortage is met at many places: at each address, and here. This worker tells of it once in a while, wherever it was met. */
  #reportShortage(message: string): void {
    if (this.#descriptorReports.pass() > 0) this.#options.log().write('crit', message);
  }

  #permit(): Promise<() => void> {
    return this.#options.permit?.() ?? Promise.resolve(() => {});
  }

  async #listen({ address, options }: ListenSettings): Promise<void> {
    const socket = new ListeningSocket(address, options, {
      accepted: (key, connection) => this.#accepted(key, connection),
      log: this.#options.log,
      reportShortage: (message) => this.#reportShortage(message),
      permit: () => this.#permit(),
    });
    await socket.listen();
    this.#open.set(address.key, socket);
  }

  #accepted(key: string, socket: Socket): void {
    if (this.#waiting.length === 0 && this.#options.inUse() < this.workerConnections) this.#options.accept(key, socket);
    else this.#wait(key, socket);
  }

  #wait(key: string, socket: Socket): void {
    if (this.#limitReports.pass() > 0) {
      this.#options.log().write('alert', `${this.workerConnections} worker_connections are not enough`);
    }
    if (this.#waiting.length >= MOST_WAITING) {
      socket.destroy();
      return;
    }
    socket.on('error', ignore);
    this.#waiting.push({ key, socket });
    this.#waitingTimer ??= setTimeout(this.#admit, WAITING_INTERVAL);
  }

  readonly #admit = (): void => {
    this.#waitingTimer = undefined;
    while (this.#waiting.length > 0 && this.#options.inUse() < this.workerConnections) {
      const { key, socket } = this.#waiting.shift() as Waiting;
      socket.off('error', ignore);
      if (!socket.destroyed) this.#options.accept(key, socket);
    }
    if (this.#waiting.length > 0) this.#waitingTimer = setTimeout(this.#admit, WAITING_INTERVAL);
  };
}

/** A waiting connection is not read: its errors come when it is. */
const ignore = (): void => {};

interface ListeningSocketHost {
  readonly accepted: (key: string, socket: Socket) => void;
  readonly log: () => ErrorLog;
  readonly reportShortage: (message: string) => void;
  readonly permit: () => Promise<() => void>;
}

/** One address. Where the system cannot accept (no descriptor left) it closes, and listens again a little later. */
class ListeningSocket {
  readonly #address: ListenAddress;
  readonly #host: ListeningSocketHost;
  readonly #faults = new RateLimit(REPORT_INTERVAL);
  #options: SocketOptions;
  #server: Server | undefined = undefined;
  #retry: NodeJS.Timeout | undefined = undefined;
  #closed = false;

  constructor(address: ListenAddress, options: SocketOptions, host: ListeningSocketHost) {
    this.#address = address;
    this.#options = options;
    this.#host = host;
  }

  /** The length of the queue is what it was when the address was opened: Node has no way to change it. */
  change(options: SocketOptions): void {
    this.#options = options;
  }

  async listen(): Promise<void> {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => this.#accepted(socket));
    await listenAt(server, this.#address, { backlog: this.#options.backlog, reusePort: true });
    server.on('error', (error) => this.#failed(systemErrorCode(error)));
    if (this.#closed) server.close();
    else this.#server = server;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#server?.close();
    this.#server = undefined;
  }

  #accepted(socket: Socket): void {
    const { soKeepalive } = this.#options;
    if (soKeepalive !== undefined && this.#address.kind === 'tcp') setKeepAlive(socket, soKeepalive);
    this.#host.accepted(this.#address.key, socket);
  }

  #failed(code: string): void {
    this.#report(code, acceptFailed(code));
    if (code !== 'ECONNABORTED') this.rest();
  }

  #report(code: string, message: string): void {
    if (isShortage(code)) this.#host.reportShortage(message);
    else if (this.#faults.pass() > 0) this.#host.log().write(code === 'ECONNABORTED' ? 'error' : 'crit', message);
  }

  /** Listens again a little later. To go on would be to spin: the connection that cannot be accepted stays first in the queue. */
  rest(): void {
    if (this.#server === undefined) return;
    this.#server.close();
    this.#server = undefined;
    this.#listenLater();
  }

  #listenLater(): void {
    this.#retry = setTimeout(() => void this.#listenAgain(), RETRY_DELAY);
  }

  async #listenAgain(): Promise<void> {
    if (findShortage() !== undefined) {
      this.#listenLater();
      return;
    }
    const done = await this.#host.permit();
    try {
      if (!this.#closed) await this.listen();
    } catch (error) {
      this.#report(systemErrorCode(error), (error as Error).message);
      if (!this.#closed) this.#listenLater();
    } finally {
      done();
    }
  }
}

const acceptFailed = (code: string): string => `accept4() failed (${systemErrorText(code)})`;

/** @returns `EMFILE` or `ENFILE` where nothing can be opened */
function findShortage(): string | undefined {
  try {
    closeSync(openSync('/dev/null', 'r'));
    return undefined;
  } catch (error) {
    const code = systemErrorCode(error);
    return isShortage(code) ? code : undefined;
  }
}

const isShortage = (code: string): boolean => code === 'EMFILE' || code === 'ENFILE';

type KeepAlive = NonNullable<SocketOptions['soKeepalive']>;
/** `interval` and `count` are known from Node 24 on; before, they are ignored. */
type SetKeepAlive = (on: boolean, idle: number, interval?: number, count?: number) => void;

function setKeepAlive(socket: Socket, { on, idle, interval, count }: KeepAlive): void {
  const set: SetKeepAlive = socket.setKeepAlive;
  if (interval === 0 && count === 0) set.call(socket, on, idle);
  else set.call(socket, on, idle, interval === 0 ? SYSTEM_INTERVAL : interval, count === 0 ? SYSTEM_COUNT : count);
}

/** Linux's own: /proc/sys/net/ipv4/tcp_keepalive_intvl and _probes. */
const SYSTEM_INTERVAL = 75_000;
const SYSTEM_COUNT = 9;

export interface BindOptions {
  readonly backlog: number;
  /** Whether other sockets that have it may share the address (TCP only). */
  readonly reusePort: boolean;
}

/** Binds and listens. @throws ListenError */
export async function listenAt(server: Server, address: ListenAddress, options: BindOptions): Promise<void> {
  if (address.kind === 'unix') return listenAtPath(server, address, options);
  const { host, port, ipv6Only } = address;
  const code = await listening(server, { host, port, ipv6Only, exclusive: true, ...options });
  if (code !== undefined) throw new ListenError(address, code);
}

/**
 * Listens under another name in the same folder, and then takes the place of what stands at the path, all at once. So a successor
 * takes over without a moment in which nobody answers; and a predecessor that ends removes, as Node does, only its own old name.
 */
async function listenAtPath(
  server: Server,
  address: ListenAddress & { kind: 'unix' },
  options: BindOptions,
): Promise<void> {
  const path = passingName(address.path);
  const code = await listening(server, { path, backlog: options.backlog });
  if (code !== undefined) throw new ListenError(address, code);
  try {
    chmodSync(path, 0o666);
    renameSync(path, address.path);
  } catch (error) {
    server.close();
    throw new ListenError(address, systemErrorCode(error));
  }
}

/** @returns the code of what went wrong */
function listening(server: Server, options: ListenOptions & { reusePort?: boolean }): Promise<string | undefined> {
  return new Promise((resolve) => {
    const failed = (error: Error): void => resolve(systemErrorCode(error));
    server.once('error', failed);
    server.listen(options, () => {
      server.off('error', failed);
      resolve(undefined);
    });
  });
}

/** The longest path that a unix socket can have (`sun_path`, without its NUL). */
const MAX_PATH = 107;
const DIGITS = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** A name in the same folder that fits wherever `path` itself fits. */
export function passingName(path: string): string {
  const folder = dirname(path);
  const room = MAX_PATH - Buffer.byteLength(join(folder, '/'));
  const length = Math.max(1, Math.min(12, Math.max(room, basename(path).length)));
  const name = Array.from({ length }, () => DIGITS[randomInt(DIGITS.length)]).join('');
  return join(folder, name);
}
