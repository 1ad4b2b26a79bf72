// Reads a stream of requests, or of answers, as node:http does: its strict parser, llhttp, over a socket made of memory.

import type { IncomingMessage, Server } from 'node:http';
import { createServer, request } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

export interface NodeMessage {
  readonly method: string;
  readonly target: string;
  readonly status: number;
  readonly version: string;
  readonly fields: [string, string][];
  body: string;
  trailers: [string, string][];
  complete: boolean;
}

export interface NodeResult {
  readonly messages: NodeMessage[];
  /** The code of llhttp's error, or undefined. */
  error: string | undefined;
}

class MemorySocket extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
    done();
  }
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

const results = new WeakMap<object, NodeResult>();
let server: Server | undefined;

function theServer(): Server {
  if (server !== undefined) return server;
  const made = createServer({
    requireHostHeader: false,
    maxHeaderSize: 256 * 1024,
    insecureHTTPParser: false,
    joinDuplicateHeaders: true,
  });
  const take = (message: IncomingMessage, response: { end(): void }): void => {
    follow(results.get(message.socket) as NodeResult, message);
    response.end();
  };
  made.maxHeadersCount = 0;
  made.on('request', take);
  made.on('checkContinue', take);
  made.on('checkExpectation', take);
  // The socket is left alone here: the requests before the wrong one are still on their way to us.
  made.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const result = results.get(socket);
    if (result !== undefined) result.error ??= error.code ?? 'error';
  });
  server = made;
  return made;
}

function follow(result: NodeResult, message: IncomingMessage): void {
  const read: NodeMessage = {
    method: message.method ?? '',
    target: message.url ?? '',
    status: message.statusCode ?? 0,
    version: message.httpVersion,
    fields: pairs(message.rawHeaders),
    body: '',
    trailers: [],
    complete: false,
  };
  result.messages.push(read);
  message.on('error', () => {});
  message.on('data', (piece: Buffer) => {
    read.body += piece.toString('latin1');
  });
  message.on('end', () => {
    read.complete = true;
    read.trailers = pairs(message.rawTrailers);
  });
}

function pairs(raw: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i < raw.length; i += 2) list.push([raw[i] as string, raw[i + 1] as string]);
  return list;
}

/**
 * What node:http's server makes of these bytes.
 * @param cuts where to wait until what has come so far has been handed on: a wrong request takes those with it that came in the same piece
 */
export async function nodeReadsRequests(bytes: Buffer, cuts: readonly number[] = []): Promise<NodeResult> {
  const socket = new MemorySocket();
  const result: NodeResult = { messages: [], error: undefined };
  results.set(socket, result);
  socket.on('error', () => {});
  theServer().emit('connection', socket as unknown as Socket);
  let start = 0;
  for (const end of [...cuts, bytes.length]) {
    if (end > start) socket.push(bytes.subarray(start, end));
    start = end;
    await settle();
  }
  socket.destroy();
  await settle();
  return result;
}

/** What node:http's client makes of these bytes as the answer to a request with this method. */
export async function nodeReadsResponse(bytes: Buffer, method = 'GET'): Promise<NodeResult> {
  const socket = new MemorySocket();
  const result: NodeResult = { messages: [], error: undefined };
  const asked = request({
    method,
    host: 'localhost',
    maxHeaderSize: 256 * 1024,
    createConnection: () => socket as unknown as Socket,
  });
  asked.on('error', (error: NodeJS.ErrnoException) => {
    result.error ??= error.code ?? 'error';
  });
  asked.on('information', (info) => {
    result.messages.push({
      method,
      target: '',
      status: info.statusCode,
      version: info.httpVersion,
      fields: pairs(info.rawHeaders),
      body: '',
      trailers: [],
      complete: true,
    });
  });
  asked.on('upgrade', (message, upgraded, head) => {
    follow(result, message);
    (result.messages.at(-1) as NodeMessage).body = `after the head: ${head.toString('latin1')}`;
    upgraded.destroy();
  });
  asked.on('response', (message) => follow(result, message));
  asked.end();
  await settle();
  socket.push(bytes);
  await settle();
  socket.push(null);
  await settle();
  asked.destroy();
  socket.destroy();
  await settle();
  return result;
}

/** The streams between parser and listener hand on in ticks; two turns of the loop are more than they need. */
async function settle(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise<void>((done) => setImmediate(done));
}
