// What every channel does: a two-way flow of bytes, with backpressure, that somebody owns.

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/**
 * Who owns a channel: the one object that is told what happens on it. A channel calls its owner directly; there is no
 * event emitter and no closure per message on the way. An owner must not throw: whatever it throws closes that channel
 * alone (and is reported, see `onOwnerFault`), for a fault of ours must not end the others' connections.
 */
export interface ChannelOwner {
  /**
   * Bytes `[start, end)` of `bytes` have arrived. The memory is the channel's and is overwritten by the next read of any channel:
   * use it or copy it before returning. `write` of another channel copies, so relaying it is safe.
   */
  channelData(bytes: Buffer, start: number, end: number): void;
  /** The other side has ended its half (FIN or close_notify): nothing more will come, but we may still write. */
  channelEnd(): void;
  /** All that was written has been handed to the kernel. Called only after a `write` returned false, once for each such pause. */
  channelDrain(): void;
  /**
   * After `end`: all that was written has been handed to the kernel, and the end of our half behind it. Once, and never where the
   * channel closes before; an owner for whom that makes no difference does without.
   */
  channelFinished?(): void;
  /** The channel is gone: the last call. `error` is what ended it (its `code` is Node's: ECONNRESET, EPIPE …), undefined where it was ended in order or by `destroy()`. */
  channelClose(error: Error | undefined): void;
}

export interface Channel {
  /** Whom to tell. May be exchanged at any time, also from inside a call to the old owner. */
  owner: ChannelOwner;

  /**
   * Writes `[start, end)` of `bytes`; the memory is the caller's again when it returns.
   * @returns true when all of it has left for the kernel (or, over TLS, when no more than `TLS_PENDING_LIMIT` waits); false means:
   *   stop reading the source until `channelDrain`. What is written in spite of false is queued, so the caller's restraint is the bound.
   *   While corked it is always true, and `uncork` tells. What is written after `end` or `destroy` is dropped, with true.
   */
  write(bytes: Uint8Array, start: number, end: number): boolean;
  /** Writes text whose characters are all below 256, one byte each: heads, chunk sizes. Otherwise as `write`. */
  writeLatin1(text: string): boolean;
  /** Gathers writes until `uncork`, so that a head and the beginning of its body leave as one segment. Does not nest. */
  cork(): void;
  uncork(): boolean;

  /** Stops reading: the kernel's buffer fills and the sender is slowed. No `channelData` comes after it returns. */
  pause(): void;
  /** Reads on. A new channel starts paused. */
  resume(): void;
  readonly paused: boolean;

  /** Ends our half when all that was written has left (corked or not). Reading goes on; when both halves have ended, it closes. */
  end(): void;
  /** Closes both halves now; what waits unsent is lost. `channelClose` follows, never from inside this call. */
  destroy(error?: Error): void;
  /** Closes with RST (TCP), otherwise as `destroy`. */
  reset(): void;

  /** Bytes written but not yet taken by the kernel. */
  readonly pendingBytes: number;
  /** Bytes read from and written to this channel since it exists (over TLS: of the plain text). */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly destroyed: boolean;

  /** '' for a unix socket. */
  readonly remoteAddress: string;
  /** 0 for a unix socket. */
  readonly remotePort: number;
  /** '' for a unix socket. */
  readonly localAddress: string;
  readonly localPort: number;
  /** The TLS socket where this is TLS: protocol, cipher, session, certificates. */
  readonly tls: TLSSocket | undefined;
  setNoDelay(on: boolean): void;
  /** TCP keepalive; `idleMs` before the first probe. */
  setKeepAlive(on: boolean, idleMs: number): void;

  /**
   * Gives the raw socket back, to be wrapped in TLS: the channel is done with it and will call nobody. `unread` is put back
   * before what the socket will read next. Only for a plain channel with nothing pending.
   */
  detach(unread: Buffer): Socket;
}

/** Over TLS a write completes later, always; so much may wait before `write` says false. */
export const TLS_PENDING_LIMIT = 64 * 1024;
