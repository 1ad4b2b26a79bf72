// Asks once over TLS, as a test wants it: name, certificate, session; and tells what came of it.

import { once } from 'node:events';
import { type ConnectionOptions, connect } from 'node:tls';
import { answerOf, type RawAnswer } from './raw-http.ts';

export interface TlsAnswer extends RawAnswer {
  readonly reused: boolean;
  /** The last session that the server has handed out, if any. */
  readonly session: Buffer | undefined;
  /** What ended the connection out of order: `alert` and its number, or Node's code. */
  readonly error: string | undefined;
  /** The subject of the server's certificate. */
  readonly subject: string | undefined;
}

export interface TlsQuestion extends ConnectionOptions {
  /** Sent as SNI; '' sends none. Default: none. */
  readonly servername?: string;
  /** Sent as Host. Default: what is sent as SNI, or `localhost`. */
  readonly host?: string;
  readonly path?: string;
}

/** Asks `GET path` and reads until the connection closes. Certificates of the server are not looked at. */
export async function askOverTls(port: number, question: TlsQuestion = {}): Promise<TlsAnswer> {
  const { servername = '', host = servername, path = '/', ...options } = question;
  const socket = connect({ ...options, port, host: '127.0.0.1', servername, rejectUnauthorized: false });
  const chunks: Buffer[] = [];
  const seen: { session?: Buffer; error?: string; reused: boolean; subject?: string | undefined } = { reused: false };
  socket.on('secureConnect', () => {
    seen.reused = socket.isSessionReused();
    seen.subject = socket.getPeerX509Certificate()?.subject;
  });
  socket.on('session', (session) => {
    seen.session = session;
  });
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', (error: NodeJS.ErrnoException) => {
    seen.error = /alert number \d+/.exec(error.message)?.[0].replace(' number', '') ?? error.code ?? error.message;
  });
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host === '' ? 'localhost' : host}\r\nConnection: close\r\n\r\n`);
  await once(socket, 'close').catch(() => once(socket, 'close'));
  const { reused, session, error, subject } = seen;
  return { ...answerOf(Buffer.concat(chunks)), reused, session, error, subject };
}
