// Takes the handle away from a socket, so that a channel can use it.

import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { TakenHandle } from './handle-channel.ts';
import { type CountingServer, handleOf, type NodeHandle, ownerSymbol, streamWrap } from './node-handles.ts';

/** The fields of a socket that leave it with its handle. */
interface SocketInside {
  _handle: NodeHandle | null;
  _server: (CountingServer & object) | null | undefined;
  _readableState: { ended: boolean };
}

/** True where this runtime has all that a handle channel needs. */
export const handlesAreKnown: boolean = streamWrap !== undefined && ownerSymbol !== undefined;

/**
 * Takes the handle of a connected socket. A plain socket is an empty shell afterwards, to be forgotten; a TLS socket stays, but
 * nobody may read from it, write to it or destroy it any more.
 * @returns undefined where the socket cannot be taken: connecting, ending, with something written and not sent, or of another kind.
 */
export function takeHandle(socket: unknown): TakenHandle | undefined {
  if (!handlesAreKnown || !(socket instanceof Socket) || !isIdle(socket)) return undefined;
  const handle = handleOf(socket);
  if (handle === undefined) return undefined;
  const unread = readWhatIsThere(socket);
  socket.setTimeout(0);
  return socket instanceof TLSSocket ? takeTls(socket, handle, unread) : takePlain(socket, handle, unread);
}

function isIdle(socket: Socket): boolean {
  const over = socket.destroyed || socket.connecting || (socket as unknown as SocketInside)._readableState.ended;
  return !over && socket.writable && socket.writableLength === 0;
}

function readWhatIsThere(socket: Socket): Buffer | undefined {
  const parts: Buffer[] = [];
  for (let part = socket.read(); part !== null; part = socket.read()) parts.push(Buffer.from(part));
  return parts.length === 0 ? undefined : Buffer.concat(parts);
}

function takeTls(socket: TLSSocket, handle: NodeHandle, unread: Buffer | undefined): TakenHandle {
  return { handle, tls: socket, server: undefined, unread };
}

function takePlain(socket: Socket, handle: NodeHandle, unread: Buffer | undefined): TakenHandle {
  const inside = socket as unknown as SocketInside;
  const server = inside._server ?? undefined;
  inside._server = null;
  inside._handle = null;
  return { handle, tls: undefined, server, unread };
}
