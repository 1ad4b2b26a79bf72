// What we know of Node's own socket handles: their shape, where they come from, and whether this runtime still has it.

import { Socket, type SocketConstructorOpts } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Slab } from './slabs.ts';

/** Who is told that what it asked of a handle is done; `status` is a negative libuv error where it failed. */
export interface HandleUser {
  handleWritten(status: number): void;
  handleShut(status: number): void;
}

/** The object that Node gives to `writeBuffer`; while a write is pending it belongs to the handle. */
export interface WriteRequest {
  oncomplete: ((this: WriteRequest, status: number) => void) | undefined;
  channel: HandleUser | undefined;
  /** The memory it writes from, where that has to stay until it is complete. */
  slab: Slab | undefined;
}

/** As `WriteRequest`, for `shutdown`. */
export interface ShutdownRequest {
  oncomplete: ((this: ShutdownRequest, status: number) => void) | undefined;
  channel: HandleUser | undefined;
}

/** Where `getsockname` and `getpeername` put what they found. */
export interface HandleAddress {
  address?: string;
  port?: number;
}

/** The part of Node's TCP, Pipe and TLSWrap objects that a channel uses. All functions return 0 or a negative libuv error. */
export interface NodeHandle {
  onread: (this: NodeHandle, unused?: ArrayBuffer) => void;
  /** libuv's queue of bytes that the kernel did not take yet; missing on TLS handles. */
  readonly writeQueueSize?: number;
  useUserBuffer(buffer: Uint8Array): number;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  shutdown(request: ShutdownRequest): number;
  close(done: (this: NodeHandle) => void): void;
  /** TCP only. */
  reset?(done: (this: NodeHandle) => void): number;
  /** TCP only. */
  getpeername?(into: HandleAddress): number;
  /** TCP only. */
  getsockname?(into: HandleAddress): number;
  /** TCP only. */
  setNoDelay?(on: boolean): number;
  /** TCP only; the delay is in whole seconds. */
  setKeepAlive?(on: boolean, seconds: number): number;
  /** TLS only: the handle below it, and the socket that owns that one. */
  readonly _parent?: NodeHandle;
  readonly _parentWrap?: Socket | null;
  /** Who gets what happens on a plain handle: Node's `owner_symbol`, see `ownerSymbol`. */
  [owner: symbol]: unknown;
}

/** The part of `net.Server` that counts its connections, so that `close` can wait for them. */
export interface CountingServer {
  _connections: number;
  _emitCloseIfDrained(): void;
}

interface StreamWrapBinding {
  WriteWrap: new () => WriteRequest;
  ShutdownWrap: new () => ShutdownRequest;
  streamBaseState: Int32Array;
  kReadBytesOrError: number;
  kArrayBufferOffset: number;
  kLastWriteWasAsync: number;
}

/** What Node is given when it dials with a handle. `oncomplete` gets 0 or a negative libuv error. */
export interface ConnectRequest<User> {
  oncomplete: (this: ConnectRequest<User>, status: number) => void;
  user: User | undefined;
}

/** A TCP handle that is not connected yet. */
export interface DiallingHandle extends NodeHandle {
  connect(request: ConnectRequest<never>, address: string, port: number): number;
  connect6(request: ConnectRequest<never>, address: string, port: number): number;
}

interface TcpWrapBinding {
  TCP: new (type: number) => DiallingHandle;
  TCPConnectWrap: new () => ConnectRequest<never>;
  constants: { SOCKET: number };
}

interface PipeWrapBinding {
  Pipe: new (type: number) => NodeHandle;
}

function binding<Binding>(name: string): Binding {
  return (process as unknown as { binding(name: string): Binding }).binding(name);
}

const HANDLE_FUNCTIONS = ['useUserBuffer', 'readStart', 'readStop', 'writeBuffer', 'shutdown', 'close'] as const;

class Unknown {}

/** The classes of Node's handles. */
const TCP = loadClass(() => binding<TcpWrapBinding>('tcp_wrap').TCP);
const Pipe = loadClass(() => binding<PipeWrapBinding>('pipe_wrap').Pipe);

function loadClass(load: () => new (type: number) => NodeHandle): new (type: number) => NodeHandle {
  try {
    return load();
  } catch {
    return Unknown as unknown as new (
      type: number,
    ) => NodeHandle;
  }
}

/** Node's stream_wrap, or undefined where this runtime does not have it in the shape we know. */
export const streamWrap: StreamWrapBinding | undefined = loadStreamWrap();

function loadStreamWrap(): StreamWrapBinding | undefined {
  try {
    const found = binding<StreamWrapBinding>('stream_wrap');
    return hasKnownShape(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

function hasKnownShape(found: StreamWrapBinding): boolean {
  const indexes = [found.kReadBytesOrError, found.kArrayBufferOffset, found.kLastWriteWasAsync];
  return (
    typeof found.WriteWrap === 'function' &&
    typeof found.ShutdownWrap === 'function' &&
    found.streamBaseState instanceof Int32Array &&
    indexes.every((index) => Number.isInteger(index) && index >= 0 && index < found.streamBaseState.length)
  );
}

/** The handle under a socket: TCP, unix, or TLS over one of these, in the shape we know; else undefined. */
export function handleOf(socket: Socket): NodeHandle | undefined {
  const handle = (socket as unknown as { _handle?: NodeHandle | null })._handle;
  if (handle === null || handle === undefined) return undefined;
  const lowest: unknown = socket instanceof TLSSocket ? handle._parent : handle;
  if (!(lowest instanceof TCP || lowest instanceof Pipe)) return undefined;
  return HANDLE_FUNCTIONS.every((name) => typeof handle[name] === 'function') ? handle : undefined;
}

/** The property under which Node's plain handles keep their socket; undefined where this runtime has none. */
export const ownerSymbol: symbol | undefined = findOwnerSymbol();

function findOwnerSymbol(): symbol | undefined {
  const handle = newTcpHandle();
  if (handle === undefined) return undefined;
  const socket = new Socket({ handle, manualStart: true } as SocketConstructorOpts);
  const found = Object.getOwnPropertySymbols(handle).find((symbol) => handle[symbol] === socket);
  socket.destroy();
  return found;
}

/** A handle to dial with, and the request for it; undefined where this runtime has them in another shape. */
export function newDial<User>(): { handle: DiallingHandle; request: ConnectRequest<User> } | undefined {
  const handle = newTcpHandle();
  if (typeof handle?.connect !== 'function' || typeof handle.connect6 !== 'function') return undefined;
  const request = new (binding<TcpWrapBinding>('tcp_wrap').TCPConnectWrap)();
  return { handle, request: request as unknown as ConnectRequest<User> };
}

function newTcpHandle(): DiallingHandle | undefined {
  try {
    const { TCP: Tcp, constants } = binding<TcpWrapBinding>('tcp_wrap');
    return new Tcp(constants.SOCKET);
  } catch {
    return undefined;
  }
}
