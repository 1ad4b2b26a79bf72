// The channel over any Duplex, by Node's public API alone: for HTTP/2 streams, and where handles cannot be used.

import { constants, type Http2Stream } from 'node:http2';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { type Channel, type ChannelOwner, TLS_PENDING_LIMIT } from './channel.ts';
import { disconnectedError } from './connection-error.ts';
import { nobody } from './nobody.ts';
import { reportOwnerFault } from './owner-fault.ts';

/** A channel over a stream. The stream belongs to it: nobody else may read, write, pause or destroy it any more. */
export class StreamChannel implements Channel {
  owner: ChannelOwner = nobody;
  bytesRead = 0;
  bytesWritten = 0;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly tls: TLSSocket | undefined;
  readonly #stream: Duplex;
  readonly #halfOpenBefore: boolean;
  /** So many bytes may wait before `write` says false: none where a kernel's buffer takes them at once. */
  readonly #allowedBytes: number;
  #paused = true;
  #corked = false;
  #drainOwed = false;
  #ending = false;
  #endSeen = false;
  #destroyed = false;
  #closed = false;
  #error: Error | undefined;

  constructor(stream: Duplex) {
    const socket = socketUnder(stream);
    this.#stream = stream;
    this.tls = socket instanceof TLSSocket ? socket : undefined;
    this.remoteAddress = socket?.remoteAddress ?? '';
    this.remotePort = socket?.remotePort ?? 0;
    this.localAddress = socket?.localAddress ?? '';
    this.localPort = socket?.localPort ?? 0;
    this.#allowedBytes = stream === socket && this.tls === undefined ? 0 : TLS_PENDING_LIMIT;
    this.#halfOpenBefore = stream.allowHalfOpen;
    this.#error = stream.errored ?? undefined;
    this.#listen();
  }

  #listen(): void {
    const stream = this.#stream;
    stream.allowHalfOpen = true;
    stream.pause();
    stream.on('data', this.#onData);
    stream.on('end', this.#onEnd);
    stream.on('error', this.#onError);
    stream.on('close', this.#onClose);
    if (stream instanceof Socket) stream.setTimeout(0);
    if (stream.closed) process.nextTick(this.#onClose);
  }

  // Reading.

  readonly #onData = (bytes: Buffer): void => {
    this.bytesRead += bytes.length;
    try {
      this.owner.channelData(bytes, 0, bytes.length);
    } catch (fault) {
      this.destroy(reportOwnerFault(fault));
    }
  };

  readonly #onEnd = (): void => {
    if (this.#destroyed || this.#endSeen || this.#paused) return;
    this.#endSeen = true;
    try {
      this.owner.channelEnd();
    } catch (fault) {
      this.destroy(reportOwnerFault(fault));
    }
  };

  pause(): void {
    this.#paused = true;
    this.#stream.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#destroyed) return;
    this.#stream.resume();
    if (this.#stream.readableEnded) process.nextTick(this.#onEnd);
  }

  get paused(): boolean {
    return this.#paused;
  }

  // Writing.

  write(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#write(Buffer.from(bytes.subarray(start, end)));
  }

  writeLatin1(text: string): boolean {
    return this.#write(Buffer.from(text, 'latin1'));
  }

  #write(copy: Buffer): boolean {
    if (this.#ending || this.#destroyed || copy.length === 0) return true;
    this.bytesWritten += copy.length;
    this.#stream.write(copy, this.#onWritten);
    return this.#mayWriteOn();
  }

  #mayWriteOn(): boolean {
    if (this.#corked || this.#stream.writableLength <= this.#allowedBytes) return true;
    this.#drainOwed = true;
    return false;
  }

  readonly #onWritten = (): void => {
    if (!this.#drainOwed || this.#destroyed || this.#stream.writableLength > 0) return;
    this.#drainOwed = false;
    try {
      this.owner.channelDrain();
    } catch (fault) {
      this.destroy(reportOwnerFault(fault));
    }
  };

  cork(): void {
    if (this.#corked || this.#ending || this.#destroyed) return;
    this.#corked = true;
    this.#stream.cork();
  }

  uncork(): boolean {
    if (this.#corked) {
      this.#corked = false;
      this.#stream.uncork();
    }
    return this.#destroyed || this.#mayWriteOn();
  }

  get pendingBytes(): number {
    return this.#destroyed ? 0 : this.#stream.writableLength;
  }

  // Ending.

  end(): void {
    if (this.#ending || this.#destroyed) return;
    if (this.#corked) this.uncork();
    this.#ending = true;
    this.#stream.end(this.#onFinished);
  }

  readonly #onFinished = (error?: Error | null): void => {
    if (this.#destroyed || (error !== undefined && error !== null)) return;
    try {
      this.owner.channelFinished?.();
    } catch (fault) {
      this.destroy(reportOwnerFault(fault));
    }
  };

  destroy(error?: Error): void {
    if (!this.#beginClose(error)) return;
    this.#stream.destroy();
  }

  reset(): void {
    if (!this.#beginClose(undefined)) return;
    // While a socket sends its FIN, Node loses it when it is reset.
    const ending = this.#ending && !this.#stream.writableFinished;
    if (ending || !resetStream(this.#stream)) this.#stream.destroy();
  }

  #beginClose(error: Error | undefined): boolean {
    if (this.#destroyed) return false;
    this.#destroyed = true;
    this.#error ??= error;
    return true;
  }

  get destroyed(): boolean {
    return this.#destroyed;
  }

  /** TLS sockets may live on after an error; the channel does not. */
  readonly #onError = (error: Error): void => {
    this.#error ??= error;
    this.destroy();
  };

  readonly #onClose = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    const unasked = this.#beginClose(undefined);
    // HTTP/2 streams that were reset close without an error of their own.
    if (unasked && !(this.#endSeen && this.#ending))
      this.#error ??= disconnectedError('The other side left without ending');
    try {
      this.owner.channelClose(this.#error);
    } catch (fault) {
      reportOwnerFault(fault);
    }
  };

  // The socket.

  setNoDelay(on: boolean): void {
    if (this.#stream instanceof Socket) this.#stream.setNoDelay(on);
  }

  setKeepAlive(on: boolean, idleMs: number): void {
    if (this.#stream instanceof Socket) this.#stream.setKeepAlive(on, idleMs);
  }

  detach(unread: Buffer): Socket {
    const stream = this.#stream;
    const busy = this.#ending || this.#destroyed || stream.writableLength > 0;
    if (!(stream instanceof Socket) || this.tls !== undefined || busy) {
      throw new Error('only a plain, open channel with nothing pending can be detached');
    }
    this.#destroyed = true;
    this.#closed = true;
    this.#stopListening();
    if (unread.length > 0) stream.unshift(unread);
    return stream;
  }

  #stopListening(): void {
    const stream = this.#stream;
    stream.pause();
    stream.off('data', this.#onData);
    stream.off('end', this.#onEnd);
    stream.off('error', this.#onError);
    stream.off('close', this.#onClose);
    stream.allowHalfOpen = this.#halfOpenBefore;
  }
}

/** The socket that carries a stream: itself, or that of its HTTP/2 session. */
function socketUnder(stream: Duplex): Socket | TLSSocket | undefined {
  if (stream instanceof Socket) return stream;
  const session = (stream as Partial<Http2Stream>).session;
  return session === undefined || session.destroyed ? undefined : session.socket;
}

/** Resets what can be reset; false where the stream knows no such thing. */
function resetStream(stream: Duplex): boolean {
  if (stream instanceof Socket) {
    if (stream instanceof TLSSocket) return false;
    try {
      stream.resetAndDestroy();
      return true;
    } catch {
      return false;
    }
  }
  const http2 = stream as Partial<Http2Stream>;
  if (http2.rstCode === undefined || http2.close === undefined) return false;
  http2.close(constants.NGHTTP2_CANCEL);
  return true;
}
