// One name being asked for: queries to one server after the other, by UDP, and by TCP where an answer was too long.

import { randomInt } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, isIPv6, type Socket } from 'node:net';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import { type DnsAnswer, type QueryType, readAnswer, writeQuery } from './dns-message.ts';
import { FORMAT_ERROR, REFUSED, reasonOf } from './resolve-error.ts';

/** An IP address. */
export interface NameServer {
  readonly host: string;
  readonly port: number;
}

/** ms after which the next server is asked; nginx's. */
const PATIENCE = 5_000;
/** What a TCP message can hold, and its length before it. */
const LONGEST_MESSAGE = 65_537;

export interface LookupWatcher {
  /** Called once, never from inside the constructor: an answer for each type that was asked for. */
  lookupAnswered(answers: readonly DnsAnswer[]): void;
  /** Something came that was no answer, or a server cannot be reached: for the error log. */
  lookupComplained(complaint: string): void;
}

interface Query {
  readonly type: QueryType;
  readonly id: number;
  readonly message: Buffer;
  overTcp: boolean;
  answer: DnsAnswer | undefined;
}

/** It goes on until it is answered or given up. How long that may take is the business of who waits. */
export class Lookup {
  readonly #name: string;
  readonly #servers: readonly NameServer[];
  readonly #watcher: LookupWatcher;
  readonly #queries: readonly Query[];
  readonly #links = new Map<NameServer, UdpLink>();
  #tcp: TcpLink | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;
  #server: number;
  #sent = 0;
  #over = false;

  private constructor(
    name: string,
    queries: readonly Query[],
    servers: readonly NameServer[],
    first: number,
    watcher: LookupWatcher,
  ) {
    this.#name = name;
    this.#queries = queries;
    this.#servers = servers;
    this.#server = first;
    this.#watcher = watcher;
    this.#send();
  }

  /**
   * @param name in lower case
   * @param first the place of the server to ask first
   * @returns undefined for a name that cannot be asked for
   */
  static begin(
    name: string,
    types: readonly QueryType[],
    servers: readonly NameServer[],
    first: number,
    watcher: LookupWatcher,
  ): Lookup | undefined {
    const queries: Query[] = [];
    for (const type of types) {
      const id = randomInt(65_536);
      const message = writeQuery(id, name, type);
      if (message === undefined) return undefined;
      queries.push({ type, id, message, overTcp: false, answer: undefined });
    }
    return new Lookup(name, queries, servers, first, watcher);
  }

  /** Gives up; nobody is told. */
  cancel(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    for (const link of this.#links.values()) link.close();
    this.#tcp?.close();
  }

  #send(): void {
    this.#sent++;
    const server = this.#servers[this.#server] as NameServer;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#next, PATIENCE).unref();
    const open = this.#queries.filter(({ answer }) => answer === undefined);
    const short = open.filter(({ overTcp }) => !overTcp);
    if (short.length > 0) this.#udp(server).send(short.map(({ message }) => message));
    if (short.length < open.length) this.#sendByTcp(server);
  }

  #udp(server: NameServer): UdpLink {
    const known = this.#links.get(server) ?? new UdpLink(server, this.#received, this.#failed);
    this.#links.set(server, known);
    return known;
  }

  #sendByTcp(server: NameServer): void {
    this.#tcp?.close();
    const long = this.#queries.filter(({ answer, overTcp }) => overTcp && answer === undefined);
    this.#tcp = new TcpLink(
      server,
      long.map(({ message }) => message),
      this.#received,
      this.#failed,
    );
  }

  readonly #next = (): void => {
    this.#server = (this.#server + 1) % this.#servers.length;
    this.#send();
  };

  /** Where there is a server that was not asked yet, it is asked at once. */
  readonly #failed = (server: NameServer, error: Error): void => {
    if (this.#over) return;
    this.#watcher.lookupComplained(`${failureOf(error)} while resolving, resolver: ${serverText(server)}`);
    if (server === this.#servers[this.#server] && this.#sent < this.#servers.length) this.#next();
  };

  readonly #received = (server: NameServer, message: Buffer, overTcp: boolean): void => {
    if (this.#over) return;
    const answer = readAnswer(message);
    if (typeof answer === 'string') this.#watcher.lookupComplained(answer);
    else this.#take(server, answer, overTcp);
  };

  #take(server: NameServer, answer: DnsAnswer, overTcp: boolean): void {
    const query = this.#queries.find(({ type }) => type === answer.type);
    const complaint = this.#complaintOf(answer, query, overTcp);
    if (complaint !== undefined) {
      this.#watcher.lookupComplained(complaint);
    } else if (answer.truncated && query !== undefined) {
      query.overTcp = true;
      this.#sendByTcp(server);
    } else if (query !== undefined) {
      query.answer = answer;
      this.#finish();
    }
  }

  /** What is wrong with an answer: it is passed over, as if it had never come. */
  #complaintOf(answer: DnsAnswer, query: Query | undefined, overTcp: boolean): string | undefined {
    const { id, code, name, truncated } = answer;
    if (query === undefined || name !== this.#name || query.answer !== undefined)
      return `unexpected DNS response for ${name}`;
    if (id !== query.id) return `wrong ident ${id} in DNS response for ${name}, expect ${query.id}`;
    if (code === FORMAT_ERROR || code > REFUSED) return `DNS error (${reasonOf(code)}), query id:${id}, name:"${name}"`;
    return truncated && (overTcp || query.overTcp) ? `truncated DNS response for ${name}` : undefined;
  }

  #finish(): void {
    const answers = this.#queries.flatMap(({ answer }) => answer ?? []);
    if (answers.length < this.#queries.length) return;
    this.cancel();
    this.#watcher.lookupAnswered(answers);
  }
}

function failureOf(error: Error): string {
  const call = 'syscall' in error && error.syscall === 'connect' ? 'connect' : 'recv';
  return `${call}() failed (${systemErrorText(systemErrorCode(error))})`;
}

function serverText({ host, port }: NameServer): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

type Received = (server: NameServer, message: Buffer, overTcp: boolean) => void;
type Failed = (server: NameServer, error: Error) => void;

/** A socket of its own for each lookup and server: its port, which the system chose, is what a forger would have to guess besides the id. */
class UdpLink {
  readonly #socket: UdpSocket;
  #connected = false;
  #closed = false;
  #waiting: readonly Buffer[] = [];

  constructor(server: NameServer, received: Received, failed: Failed) {
    this.#socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4');
    this.#socket.unref();
    this.#socket.on('error', (error) => failed(server, error));
    this.#socket.on('message', (message) => received(server, message, false));
    // Node gives this an error where there is no way to the server, whatever its types say.
    this.#socket.connect(server.port, server.host, (error?: Error) => {
      if (this.#closed) return;
      this.#connected = error === undefined;
      if (error === undefined) this.send(this.#waiting);
      else failed(server, error);
    });
  }

  send(messages: readonly Buffer[]): void {
    if (!this.#connected) this.#waiting = messages;
    // An error comes as an event as well.
    else for (const message of messages) this.#socket.send(message, () => {});
  }

  close(): void {
    this.#closed = true;
    this.#socket.removeAllListeners();
    // It may still be connecting, and fail at that.
    this.#socket.on('error', () => {});
    this.#socket.close();
  }
}

class TcpLink {
  readonly #server: NameServer;
  readonly #socket: Socket;
  readonly #received: Received;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(server: NameServer, messages: readonly Buffer[], received: Received, failed: Failed) {
    this.#server = server;
    this.#received = received;
    this.#socket = connect({ host: server.host, port: server.port, noDelay: true, autoSelectFamily: false });
    this.#socket.unref();
    this.#socket.on('error', (error) => failed(server, error));
    this.#socket.on('data', (bytes: Buffer) => this.#take(bytes));
    for (const message of messages) this.#socket.write(withLength(message));
  }

  close(): void {
    this.#socket.removeAllListeners();
    this.#socket.on('error', () => {});
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#bytes.length >= 2) {
      const end = 2 + this.#bytes.readUInt16BE(0);
      if (this.#bytes.length < end) break;
      const message = this.#bytes.subarray(2, end);
      this.#bytes = this.#bytes.subarray(end);
      this.#received(this.#server, message, true);
    }
    if (this.#bytes.length > LONGEST_MESSAGE) this.close();
  }
}

function withLength(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length, 0);
  return Buffer.concat([length, message]);
}
