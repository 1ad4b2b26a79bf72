// Asks over HTTP/1.1 with exactly the bytes that a test gives, and takes the answer apart without judging it.

import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** By lower-case name; of several the last. */
  readonly headers: ReadonlyMap<string, string>;
  /** What follows the head, until the connection closed. */
  readonly body: Buffer;
  readonly text: string;
  /** The whole, head included, as it came. */
  readonly whole: string;
}

/**
 * Sends `GET /x` and header lines, asks for the connection to be closed, and reads until it is.
 * @param line method and target; `HTTP/1.1`, `Host` and `Connection` are added
 */
export async function ask(port: number, line: string, ...headerLines: string[]): Promise<RawAnswer> {
  const lines = [`${line} HTTP/1.1`, ...withHost(headerLines), 'Connection: close', '', ''];
  return answerOf(await exchangeBytes(port, Buffer.from(lines.join('\r\n'), 'latin1')));
}

/** Sends bytes and reads until the other side closes, in order or not. */
export function exchangeBytes(port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(chunks)));
  });
}

export function answerOf(bytes: Buffer): RawAnswer {
  const end = bytes.indexOf('\r\n\r\n');
  const [statusLine = '', ...fields] = bytes.toString('latin1', 0, Math.max(end, 0)).split('\r\n');
  const body = bytes.subarray(end < 0 ? bytes.length : end + 4);
  return {
    status: Number(statusLine.split(' ')[1]),
    headers: new Map(fields.map((field) => [nameOf(field), field.slice(field.indexOf(':') + 2)])),
    body,
    text: body.toString('latin1'),
    whole: bytes.toString('latin1'),
  };
}

function withHost(lines: readonly string[]): readonly string[] {
  return lines.some((line) => line.startsWith('Host:')) ? lines : ['Host: localhost', ...lines];
}

function nameOf(field: string): string {
  return field.slice(0, field.indexOf(':')).toLowerCase();
}
