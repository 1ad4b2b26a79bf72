// One leg of a tunnel: what comes from one side goes to the other, followed and counted on its way.

import type { Channel, ChannelOwner } from '../transport/channel.ts';
import { Deadline, type DeadlineOwner } from '../transport/deadlines.ts';
import type { FrameReader } from './frame-reader.ts';
import { closeFrame } from './frame-writer.ts';
import { CAUSES_OF, type SideCauses, type TunnelCause, type TunnelSide } from './tunnel-cause.ts';

/** What a leg tells of what happens on it. Fulfilled by `Tunnel`. */
export interface LegOwner {
  /** Bytes have passed, or a write that was held up has left: there is life. */
  bytesPassed(): void;
  /** Something has begun the end of the tunnel; only the first is remembered. */
  blame(cause: TunnelCause): void;
  /** The side has ended its half; the other one has been told. */
  legEnded(leg: TunnelLeg): void;
  /** `error` as `ChannelOwner.channelClose` has it. */
  legClosed(leg: TunnelLeg, error: Error | undefined): void;
  /** A write to this side is held up for longer than it may be. */
  legStuck(leg: TunnelLeg): void;
}

export class TunnelLeg implements ChannelOwner, DeadlineOwner {
  readonly side: TunnelSide;
  readonly channel: Channel;
  /** Follows what comes from this side; undefined where the protocol is not WebSocket. */
  readonly reader: FrameReader | undefined;
  /** Bytes that came from this side and were passed on, heads of frames included; handshakes are not. */
  bytes = 0;
  /** When the first of them came, in ms since 1970; 0 as long as none has. */
  firstByteAt = 0;
  /** This side has ended its half: nothing more will come. */
  ended = false;
  /** The channel is gone. */
  closed = false;

  readonly #tunnel: LegOwner;
  readonly #causes: SideCauses;
  /** How long a write may be held up without any progress, in ms. */
  readonly #sendTimeout: number;
  #other: TunnelLeg;
  /** We may still write to this side. */
  #writable = true;
  /** A write was held up, and the other leg is paused until it has left. */
  #blocked = false;
  /** Nothing goes to this side any more; what was written leaves, then the channel closes. */
  #finishing = false;
  /** So long may what waits to be written stay as it is, in ms, and so much it was when that time began. */
  #patience = 0;
  #pendingBefore = 0;
  /** Made when a write is held up for the first time: most tunnels never need it. */
  #sendDeadline: Deadline | undefined = undefined;

  /** @param other the leg that was made first, when this is the second */
  constructor(
    tunnel: LegOwner,
    side: TunnelSide,
    channel: Channel,
    reader: FrameReader | undefined,
    sendTimeout: number,
    other?: TunnelLeg,
  ) {
    this.#tunnel = tunnel;
    this.side = side;
    this.channel = channel;
    this.reader = reader;
    this.#sendTimeout = sendTimeout;
    this.#causes = CAUSES_OF[side];
    this.#other = other ?? this;
    if (other !== undefined) other.#other = this;
  }

  /** The code of the close frame that came from this side, 0 where none came; see `FrameReader.closeCode`. */
  get closeCode(): number {
    return this.reader === undefined ? 0 : this.reader.closeCode;
  }

  /** Messages that came whole from this side; 0 where frames are not followed. */
  get messages(): number {
    return this.reader === undefined ? 0 : this.reader.messages;
  }

  /** A write to this side is held up. */
  get isBlocked(): boolean {
    return this.#blocked;
  }

  // What the channel tells.

  channelData(bytes: Buffer, start: number, end: number): void {
    const { reader } = this;
    if (reader !== undefined) {
      reader.read(bytes, start, end);
      if (reader.closed) this.#tunnel.blame(this.#causes.close);
    }
    if (this.#other.#writable) this.#passOn(bytes, start, end);
  }

  #passOn(bytes: Buffer, start: number, end: number): void {
    if (this.bytes === 0) this.firstByteAt = Date.now();
    this.bytes += end - start;
    this.#tunnel.bytesPassed();
    if (!this.#other.channel.write(bytes, start, end)) this.#other.#block();
  }

  channelEnd(): void {
    this.ended = true;
    this.#tunnel.blame(this.#causes.end);
    this.#other.endWriting();
    this.#tunnel.legEnded(this);
  }

  channelDrain(): void {
    if (!this.#blocked) return; // it is finishing
    this.#unblock();
    this.#tunnel.bytesPassed();
    this.#other.channel.resume();
  }

  channelClose(error: Error | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.#writable = false;
    this.#unblock();
    this.#tunnel.blame(error === undefined ? this.#causes.end : this.#causes.reset);
    this.#tunnel.legClosed(this, error);
  }

  // A write that is held up: its source waits, but not for ever.

  #block(): void {
    this.#other.channel.pause();
    if (this.#blocked) return;
    this.#blocked = true;
    this.#expectProgress(this.#sendTimeout);
  }

  #unblock(): void {
    this.#blocked = false;
    this.#sendDeadline?.clear();
  }

  #expectProgress(within: number): void {
    this.#patience = within;
    this.#pendingBefore = this.channel.pendingBytes;
    this.#sendDeadline ??= new Deadline(this);
    this.#sendDeadline.set(within);
  }

  deadlineReached(): void {
    if (this.channel.pendingBytes < this.#pendingBefore) this.#expectProgress(this.#patience);
    else if (this.#finishing) this.channel.destroy();
    else this.#tunnel.legStuck(this);
  }

  // What the tunnel asks.

  /** Begins to read, behind what this side has sent before. */
  start(first: Buffer | undefined): void {
    if (first !== undefined && first.length > 0) this.channelData(first, 0, first.length);
    if (this.channel.destroyed) this.channelClose(undefined);
    else if (!this.#other.#blocked) this.channel.resume();
  }

  /** Ends our half of this side when all that was written has left. Reading goes on. */
  endWriting(): void {
    if (!this.#writable) return;
    this.#writable = false;
    this.channel.end();
  }

  /**
   * Nothing more is passed on to this side: a close frame if one may still be put in, the end of our half behind it. What still
   * comes is read and dropped, for a socket that is closed with bytes unread is reset, and what we sent last may be lost with it.
   * May be called again, with less patience.
   * @param closeCode 0 for no close frame
   * @param patience how long what was written may wait without progress before the channel is closed, in ms
   */
  finish(closeCode: number, patience: number): void {
    if (this.closed || this.channel.destroyed) return;
    if (closeCode !== 0 && this.#takesFrame()) this.#writeCloseFrame(closeCode);
    this.endWriting();
    this.#blocked = false;
    this.#finishing = true;
    this.#expectProgress(patience);
    this.channel.resume();
  }

  /** What goes to this side is what the other leg's reader has followed. */
  #takesFrame(): boolean {
    const { reader } = this.#other;
    return this.#writable && reader?.atFrameBoundary === true;
  }

  #writeCloseFrame(code: number): void {
    const frame = closeFrame(code, '', this.side === 'peer');
    this.channel.write(frame, 0, frame.length);
  }
}
