// The two ends of a connection on this machine: TCP, a unix socket, or TLS of a given version.

import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { selfSignedCertificate } from './certificates.ts';

export type Transport = 'TCP' | 'unix' | 'TLSv1.2' | 'TLSv1.3';

export interface SocketPair {
  readonly client: Socket;
  readonly accepted: Socket;
  readonly server: Server;
}

/** Makes a connection; the server is closed with the test. The accepted end of a plain connection reads nothing yet. */
export async function socketPair(t: TestContext, transport: Transport): Promise<SocketPair> {
  const server = await makeServer(transport);
  const path = transport === 'unix' ? unixPath(t) : undefined;
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(path, resolve);
  });
  t.after(() => server.close());
  const accepted = new Promise<Socket>((resolve) => server.once(connectionEvent(transport), resolve));
  const client = await dial(transport, path ?? (server.address() as AddressInfo).port);
  return { client, accepted: await accepted, server };
}

async function makeServer(transport: Transport): Promise<Server> {
  if (transport === 'TCP' || transport === 'unix') return createServer({ pauseOnConnect: true, noDelay: true });
  const certificate = await selfSignedCertificate();
  return createTlsServer({ ...certificate, minVersion: transport, maxVersion: transport, noDelay: true });
}

function connectionEvent(transport: Transport): string {
  return transport === 'TCP' || transport === 'unix' ? 'connection' : 'secureConnection';
}

function unixPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sockgate-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, 'socket');
}

function dial(transport: Transport, to: string | number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      transport === 'TCP' || transport === 'unix'
        ? connect(typeof to === 'string' ? { path: to } : { host: '127.0.0.1', port: to, noDelay: true })
        : connectTls({ host: '127.0.0.1', port: Number(to), rejectUnauthorized: false });
    socket.once('error', reject);
    socket.once(transport === 'TCP' || transport === 'unix' ? 'connect' : 'secureConnect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
