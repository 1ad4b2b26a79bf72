// The fast channel: bytes move over the socket's handle, past Node's streams.

import { Socket, type SocketConstructorOpts } from 'node:net';
import { constants } from 'node:os';
import type { TLSSocket } from 'node:tls';
import { type Channel, type ChannelOwner, TLS_PENDING_LIMIT } from './channel.ts';
import { connectionError } from './connection-error.ts';
import { addressOf, peerOf } from './handle-address.ts';
import { nobody } from './nobody.ts';
import {
  type CountingServer,
  type NodeHandle,
  ownerSymbol,
  type ShutdownRequest,
  streamWrap,
  type WriteRequest,
} from './node-handles.ts';
import { reportOwnerFault } from './owner-fault.ts';
import { SlabQueue } from './slab-queue.ts';
import { giveBackSlab, SLAB_LIMIT, type Slab, takeSlab } from './slabs.ts';

/** What a handle channel is made from. */
export interface TakenHandle {
  readonly handle: NodeHandle;
  /** The TLS socket around the handle; of a plain socket nothing is kept. */
  readonly tls: TLSSocket | undefined;
  /** The server that counts this connection; of a TLS socket, Node itself keeps count. */
  readonly server: CountingServer | undefined;
  /** What Node had already read. */
  readonly unread: Buffer | undefined;
  /** Where it leads, where that is known; else the kernel is asked. */
  readonly peer?: { readonly address: string; readonly port: number };
}

/** What only a channel over TLS needs. */
interface TlsSide {
  readonly socket: TLSSocket;
  /**
   * Two requests, used in turn. A request is not free before the call that says it is complete has returned, and the next write
   * may be made from inside that call; the one before it is free by then.
   */
  readonly requests: readonly [WriteRequest, WriteRequest];
  turn: 0 | 1;
}

// What a channel is doing: one set of bits, for tens of thousands of idle channels pay for every field.
const PAUSED = 1;
/** Between `cork` and `uncork`. */
const CORKED = 1 << 1;
/** The handle has a write that is not complete. */
const WRITING = 1 << 2;
/** A write returned false, and its drain is still owed. */
const DRAIN_OWED = 1 << 3;
/** `end` was called. */
const ENDING = 1 << 4;
/** Our FIN was asked for; and: it has left. */
const SHUTTING = 1 << 5;
const SHUT = 1 << 6;
/** The owner was told that the other side has ended. */
const END_SEEN = 1 << 7;
/** The end of the other side waits behind `#unread`. */
const END_UNREAD = 1 << 8;
/** `#unread` goes to the owner in the next tick. */
const DELIVERING = 1 << 9;
const DESTROYED = 1 << 10;
const OVER_TLS = 1 << 11;
/** `reset` was called while our FIN was on its way. */
const RESETTING = 1 << 12;

/** With none of these a write goes straight to the handle. */
const NOT_STRAIGHT = CORKED | WRITING | ENDING | DESTROYED | OVER_TLS;
/** With any of these nothing more is read. */
const NOT_READING = PAUSED | DESTROYED | END_SEEN | END_UNREAD;
/** With any of these what is read is not for the owner, or not yet: something older comes first. */
const NOT_DELIVERING = NOT_READING | DELIVERING;

const UV_EOF = -4095;
const UV_ENOTCONN = -constants.errno.ENOTCONN;

/** Where a TLS handle and a TLS socket keep their channel. A plain handle keeps it where it kept its socket. */
const TLS_CHANNEL = Symbol('channel');
const PLAIN_CHANNEL = ownerSymbol ?? TLS_CHANNEL;

/** What is gathered between `cork` and `uncork` fits in one slab up to this, in bytes. */
const CORKED_ROOM = 16 * 1024;

/** All channels of a thread read into this one buffer, in turn. Handles point to it, so it is never let go. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

// Where `streamWrap` is missing no handle channel is ever made.
const state = streamWrap?.streamBaseState ?? new Int32Array(8);
const BYTES_OR_ERROR = streamWrap?.kReadBytesOrError ?? 0;
const WAS_ASYNC = streamWrap?.kLastWriteWasAsync ?? 0;

/** A channel over the handle of a TCP, unix or TLS socket, as `takeHandle` takes it. */
export class HandleChannel implements Channel {
  owner: ChannelOwner = nobody;
  bytesRead = 0;
  bytesWritten = 0;
  readonly remoteAddress: string;
  readonly remotePort: number;
  #flags = PAUSED;
  readonly #handle: NodeHandle;
  readonly #tls: TlsSide | undefined;
  readonly #server: CountingServer | undefined;
  /** What waits behind the pending write, or for `uncork`. */
  #waiting: SlabQueue | undefined = undefined;
  /** The length of the pending write. */
  #writingBytes = 0;
  /** What arrived while nobody wanted it: what Node had read before, and what a TLS record held beyond a pause. */
  #unread: Buffer[] | undefined;
  #error: Error | undefined = undefined;

  constructor(taken: TakenHandle) {
    const { handle, tls } = taken;
    this.#handle = handle;
    this.#server = taken.server;
    this.#unread = taken.unread === undefined ? undefined : [taken.unread];
    const peer = taken.peer ?? peerOf(handle, tls);
    this.remoteAddress = peer.address ?? '';
    this.remotePort = peer.port ?? 0;
    this.#tls = tls === undefined ? undefined : this.#overTls(tls);
    this.#takeReading(handle);
  }

  #overTls(socket: TLSSocket): TlsSide {
    this.#flags |= OVER_TLS;
    (socket as unknown as Record<symbol, unknown>)[TLS_CHANNEL] = this;
    socket.on('error', onTlsError);
    socket.on('close', onTlsClose);
    return { socket, requests: [newWriteRequest(), newWriteRequest()], turn: 0 };
  }

  #takeReading(handle: NodeHandle): void {
    const overTls = this.#tls !== undefined;
    handle.readStop();
    handle[overTls ? TLS_CHANNEL : PLAIN_CHANNEL] = this;
    handle.useUserBuffer(readBuffer);
    handle.onread = overTls ? onTlsRead : onPlainRead;
  }

  // Reading.

  /** The handle has read so many bytes, or says with a libuv error why not. */
  handleRead(bytesOrError: number): void {
    if (bytesOrError > 0) {
      if (this.#flags & NOT_DELIVERING) this.#keepUnread(bytesOrError);
      else this.#deliver(readBuffer, bytesOrError);
    } else if (bytesOrError === UV_EOF) this.#readEnd();
    else if (bytesOrError < 0) this.#fail(bytesOrError, 'read');
  }

  #deliver(bytes: Buffer, length: number): void {
    this.bytesRead += length;
    try {
      this.owner.channelData(bytes, 0, length);
    } catch (fault) {
      this.destroy(reportOwnerFault(fault));
    }
  }

  /** A TLS handle goes on giving what it has decrypted after it was told to stop. */
  #keepUnread(length: number): void {
    if (this.#flags & (DESTROYED | END_SEEN)) return;
    this.#unread ??= [];
    this.#unread.push(Buffer.from(readBuffer.subarray(0, length)));
    this.#handle.readStop();
  }

  #readEnd(): void {
    if (this.#flags & (DESTROYED | END_SEEN)) return;
    if (this.#flags & PAUSED || this.#unread !== undefined) this.#flags |= END_UNREAD;
    else this.#seeEnd();
  }

  #seeEnd(): void {
    this.#flags = (this.#flags | END_SEEN) & ~END_UNREAD;
    try {
      this.owner.channelEnd();
    } catch (fault) {
      this.destroy(reportOwnerFault(fault));
    }
    this.#closeIfOver();
  }

  pause(): void {
    if (this.#flags & PAUSED) return;
    this.#flags |= PAUSED;
    if (!(this.#flags & NOT_READING & ~PAUSED)) this.#handle.readStop();
  }

  resume(): void {
    if (!(this.#flags & PAUSED)) return;
    this.#flags &= ~PAUSED;
    if (this.#unread !== undefined || this.#flags & END_UNREAD) this.#deliverSoon();
    else if (!(this.#flags & NOT_READING)) this.#readOn();
  }

  #readOn(): void {
    const error = this.#handle.readStart();
    if (error !== 0) this.#fail(error, 'read');
  }

  get paused(): boolean {
    return (this.#flags & PAUSED) !== 0;
  }

  #deliverSoon(): void {
    if (this.#flags & DELIVERING) return;
    this.#flags |= DELIVERING;
    process.nextTick(deliverUnread, this);
  }

  /** Gives the owner what arrived while it did not read, then reads on. */
  deliverUnread(): void {
    this.#flags &= ~DELIVERING;
    for (let bytes = this.#nextUnread(); bytes !== undefined; bytes = this.#nextUnread()) {
      this.#deliver(bytes, bytes.length);
    }
    if (this.#flags & (PAUSED | DESTROYED)) return;
    this.#unread = undefined;
    if (this.#flags & END_UNREAD) this.#seeEnd();
    else this.#readOn();
  }

  #nextUnread(): Buffer | undefined {
    return this.#flags & (PAUSED | DESTROYED) ? undefined : this.#unread?.shift();
  }

  // Writing.

  write(bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    if (this.#flags & NOT_STRAIGHT || length > SLAB_LIMIT) return this.#writeInTurn(bytes, start, end);
    if (length === 0) return true;
    this.bytesWritten += length;
    const slab = takeSlab(length);
    slab.append(bytes, start, end);
    return this.#send(slab);
  }

  writeLatin1(text: string): boolean {
    const length = text.length;
    if (this.#flags & NOT_STRAIGHT || length > SLAB_LIMIT) return this.#writeTextInTurn(text);
    if (length === 0) return true;
    this.bytesWritten += length;
    const slab = takeSlab(length);
    slab.appendLatin1(text);
    return this.#send(slab);
  }

  #writeInTurn(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#flags & (ENDING | DESTROYED)) return true;
    this.bytesWritten += end - start;
    this.#waiting ??= new SlabQueue();
    this.#waiting.push(bytes, start, end, this.#flags & CORKED ? CORKED_ROOM : 0);
    return this.#flushUnlessCorked();
  }

  #writeTextInTurn(text: string): boolean {
    if (this.#flags & (ENDING | DESTROYED)) return true;
    this.bytesWritten += text.length;
    this.#waiting ??= new SlabQueue();
    this.#waiting.pushLatin1(text, this.#flags & CORKED ? CORKED_ROOM : 0);
    return this.#flushUnlessCorked();
  }

  #flushUnlessCorked(): boolean {
    if (!(this.#flags & CORKED)) this.#flush();
    return this.#mayWriteOn();
  }

  /** Where it says no, a write is pending, so a drain will come. */
  #mayWriteOn(): boolean {
    if (this.#flags & CORKED) return true;
    const allowed = this.#flags & OVER_TLS ? TLS_PENDING_LIMIT : 0;
    if (this.#writingBytes + this.#waitingBytes <= allowed) return true;
    this.#flags |= DRAIN_OWED;
    return false;
  }

  cork(): void {
    if (!(this.#flags & (ENDING | DESTROYED))) this.#flags |= CORKED;
  }

  uncork(): boolean {
    this.#flags &= ~CORKED;
    if (this.#flags & DESTROYED) return true;
    this.#flush();
    return this.#mayWriteOn();
  }

  /** Writes what waits, as long as the handle completes each write at once. */
  #flush(): void {
    while (this.#waiting !== undefined && !(this.#flags & (WRITING | DESTROYED))) {
      const slab = this.#waiting.shift();
      if (slab === undefined) return;
      if (this.#tls === undefined) this.#send(slab);
      else this.#encrypt(slab, this.#tls);
    }
  }

  get #waitingBytes(): number {
    return this.#waiting === undefined ? 0 : this.#waiting.bytes;
  }

  #send(slab: Slab): boolean {
    const request = spareRequest ?? newWriteRequest();
    const error = this.#handle.writeBuffer(request, slab.filled());
    if (error === 0 && state[WAS_ASYNC] === 0) {
      spareRequest = request;
      giveBackSlab(slab);
      return true;
    }
    spareRequest = undefined;
    return error === 0 ? this.#leavePending(request, slab) : this.#failWrite(slab, error);
  }

  /** The kernel did not take it all: request and slab stay with the handle until `oncomplete`. */
  #leavePending(request: WriteRequest, slab: Slab): false {
    slab.rest();
    request.channel = this;
    request.slab = slab;
    this.#writingBytes = slab.used;
    this.#flags |= WRITING | DRAIN_OWED;
    return false;
  }

  #failWrite(slab: Slab, error: number): false {
    giveBackSlab(slab);
    this.#fail(error, 'write');
    return false;
  }

  /** A TLS handle completes later, always, and aborts the process at a second write before that. It encrypts at once. */
  #encrypt(slab: Slab, tls: TlsSide): void {
    const request = tls.requests[tls.turn];
    tls.turn = tls.turn === 0 ? 1 : 0;
    request.channel = this;
    this.#writingBytes = slab.used;
    this.#flags |= WRITING;
    const error = this.#handle.writeBuffer(request, slab.filled());
    giveBackSlab(slab);
    if (error !== 0) this.#fail(error, 'write');
  }

  /** The pending write is complete, or failed with a libuv error. */
  handleWritten(status: number): void {
    this.#flags &= ~WRITING;
    this.#writingBytes = 0;
    if (this.#flags & DESTROYED) return;
    if (status < 0) this.#fail(status, 'write');
    else if (!(this.#flags & CORKED)) this.#flush();
    if (this.#flags & (WRITING | DESTROYED)) return;
    if (this.#flags & DRAIN_OWED) this.#drain();
    if (this.#flags & ENDING) this.#shutdownWhenWritten();
  }

  #drain(): void {
    this.#flags &= ~DRAIN_OWED;
    try {
      this.owner.channelDrain();
    } catch (fault) {
      this.destroy(reportOwnerFault(fault));
    }
  }

  get pendingBytes(): number {
    if (this.#flags & DESTROYED) return 0;
    const writing = this.#flags & WRITING ? (this.#tls === undefined ? this.#handle.writeQueueSize : undefined) : 0;
    return (writing ?? this.#writingBytes) + this.#waitingBytes;
  }

  // Ending.

  end(): void {
    if (this.#flags & (ENDING | DESTROYED)) return;
    if (this.#flags & CORKED) this.uncork();
    this.#flags |= ENDING;
    this.#shutdownWhenWritten();
  }

  #shutdownWhenWritten(): void {
    if (this.#flags & (WRITING | SHUTTING | DESTROYED)) return;
    this.#flags |= SHUTTING;
    const request = newShutdownRequest();
    request.channel = this;
    const error = this.#handle.shutdown(request);
    if (error !== 0) this.handleShut(error);
  }

  /** Our FIN has left, or why not. */
  handleShut(status: number): void {
    this.#flags |= SHUT;
    if (this.#flags & RESETTING) this.#resetNow();
    if (this.#flags & DESTROYED) return;
    // ENOTCONN: the other side has reset the connection, which reading tells better. When it has ended, nothing was lost.
    if (status < 0 && status !== UV_ENOTCONN && !(this.#flags & END_SEEN)) this.#fail(status, 'shutdown');
    else {
      if (status >= 0) this.#finish();
      this.#closeIfOver();
    }
  }

  #finish(): void {
    try {
      this.owner.channelFinished?.();
    } catch (fault) {
      this.destroy(reportOwnerFault(fault));
    }
  }

  #closeIfOver(): void {
    if ((this.#flags & (SHUT | END_SEEN)) === (SHUT | END_SEEN)) this.destroy();
  }

  destroy(error?: Error): void {
    if (!this.#beginClose(error)) return;
    if (this.#tls === undefined) this.#handle.close(onHandleClosed);
    else this.#tls.socket.destroy();
  }

  reset(): void {
    if (!this.#beginClose(undefined)) return;
    // libuv refuses to reset while it shuts down, and Node then loses the handle; `handleShut` goes on.
    if ((this.#flags & (SHUTTING | SHUT)) === SHUTTING) this.#flags |= RESETTING;
    else this.#resetNow();
  }

  #resetNow(): void {
    if (this.#tls !== undefined) this.#resetTls(this.#tls.socket);
    else if (this.#handle.reset === undefined) this.#handle.close(onHandleClosed);
    else if (this.#handle.reset(onHandleClosed) !== 0) setImmediate(handleClosed, this);
  }

  /** The connection under the TLS socket is reset; that it closes then closes the TLS socket. */
  #resetTls(socket: TLSSocket): void {
    const parent = this.#handle._parentWrap;
    if (parent instanceof Socket && !parent.destroyed) {
      try {
        parent.resetAndDestroy();
        return;
      } catch {
        // Not TCP: a unix socket, or another TLS socket.
      }
    }
    socket.destroy();
  }

  #fail(errno: number, syscall: string): void {
    this.destroy(connectionError(errno, syscall));
  }

  #beginClose(error: Error | undefined): boolean {
    if (this.#flags & DESTROYED) return false;
    this.#flags |= DESTROYED;
    this.#error ??= error;
    this.#unread = undefined;
    this.#waiting?.clear();
    return true;
  }

  get destroyed(): boolean {
    return (this.#flags & DESTROYED) !== 0;
  }

  /** A TLS socket tells its error first; some errors close it, some leave that to us. */
  tlsFailed(error: Error): void {
    this.#error ??= error;
    this.destroy(error);
  }

  /** The socket is gone. */
  handleClosed(): void {
    this.#beginClose(undefined);
    if (this.#server !== undefined) countOut(this.#server);
    try {
      this.owner.channelClose(this.#error);
    } catch (fault) {
      reportOwnerFault(fault);
    }
  }

  // The socket.

  get localAddress(): string {
    return (
      (this.#tls === undefined ? addressOf(this.#handle, 'getsockname').address : this.#tls.socket.localAddress) ?? ''
    );
  }

  get localPort(): number {
    return (this.#tls === undefined ? addressOf(this.#handle, 'getsockname').port : this.#tls.socket.localPort) ?? 0;
  }

  get tls(): TLSSocket | undefined {
    return this.#tls?.socket;
  }

  setNoDelay(on: boolean): void {
    if (this.#flags & DESTROYED) return;
    if (this.#tls === undefined) this.#handle.setNoDelay?.(on);
    else this.#tls.socket.setNoDelay(on);
  }

  setKeepAlive(on: boolean, idleMs: number): void {
    if (this.#flags & DESTROYED) return;
    if (this.#tls === undefined) this.#handle.setKeepAlive?.(on, Math.max(1, Math.floor(idleMs / 1000)));
    else this.#tls.socket.setKeepAlive(on, idleMs);
  }

  detach(unread: Buffer): Socket {
    if (this.#flags & (OVER_TLS | WRITING | ENDING | DESTROYED) || this.#waitingBytes > 0) {
      throw new Error('only a plain, open channel with nothing pending can be detached');
    }
    this.#handle.readStop();
    this.#flags |= DESTROYED;
    const socket = new Socket({ handle: this.#handle, pauseOnCreate: true } as SocketConstructorOpts);
    if (this.#server !== undefined) Object.assign(socket, { server: this.#server, _server: this.#server });
    for (const bytes of (this.#unread ?? []).toReversed()) socket.unshift(bytes);
    if (unread.length > 0) socket.unshift(unread);
    this.#unread = undefined;
    return socket;
  }
}

// What Node's objects call: one function for all channels.

function onPlainRead(this: NodeHandle): void {
  (this[PLAIN_CHANNEL] as HandleChannel).handleRead(state[BYTES_OR_ERROR] as number);
}

function onTlsRead(this: NodeHandle): void {
  (this[TLS_CHANNEL] as HandleChannel).handleRead(state[BYTES_OR_ERROR] as number);
}

function onHandleClosed(this: NodeHandle): void {
  (this[PLAIN_CHANNEL] as HandleChannel).handleClosed();
}

function onWritten(this: WriteRequest, status: number): void {
  const { channel, slab } = this;
  this.channel = undefined;
  this.slab = undefined;
  if (slab !== undefined) giveBackSlab(slab);
  channel?.handleWritten(status);
}

function onShut(this: ShutdownRequest, status: number): void {
  this.channel?.handleShut(status);
}

function onTlsError(this: TLSSocket, error: Error): void {
  channelOf(this).tlsFailed(error);
}

function onTlsClose(this: TLSSocket): void {
  channelOf(this).handleClosed();
}

function handleClosed(channel: HandleChannel): void {
  channel.handleClosed();
}

function deliverUnread(channel: HandleChannel): void {
  channel.deliverUnread();
}

/** A write that the kernel takes at once leaves its request free for the next one, so one is enough for all of them. */
let spareRequest: WriteRequest | undefined;

function newWriteRequest(): WriteRequest {
  if (streamWrap === undefined) throw new Error('this runtime has no stream_wrap');
  const request = new streamWrap.WriteWrap();
  request.oncomplete = onWritten;
  request.channel = undefined;
  request.slab = undefined;
  return request;
}

function newShutdownRequest(): ShutdownRequest {
  if (streamWrap === undefined) throw new Error('this runtime has no stream_wrap');
  const request = new streamWrap.ShutdownWrap();
  request.oncomplete = onShut;
  request.channel = undefined;
  return request;
}

function channelOf(socket: TLSSocket): HandleChannel {
  return (socket as unknown as Record<symbol, HandleChannel>)[TLS_CHANNEL] as HandleChannel;
}

/** As Node's sockets do when they are destroyed, so that `server.close` knows when the last one is gone. */
function countOut(server: CountingServer): void {
  server._connections--;
  server._emitCloseIfDrained();
}
