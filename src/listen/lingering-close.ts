// The end of a client's connection: the last answer leaves, and what the client still sends is thrown away, so that no reset destroys it.

import type { Channel, ChannelOwner } from '../transport/channel.ts';
import { Deadline, type DeadlineOwner, now } from '../transport/deadlines.ts';

/** nginx's directives of these names; times in ms. */
export interface LingerSettings {
  readonly sendTimeout: number;
  readonly lingeringClose: 'on' | 'off' | 'always';
  /** So long in all. */
  readonly lingeringTime: number;
  /** So long from one read to the next. */
  readonly lingeringTimeout: number;
}

/** What is known of the client when the end begins. */
export interface LingerStart {
  /** It may be sending still: a socket that is closed with bytes unread is reset, and the answer may be lost with it. */
  readonly isSending: boolean;
  /** It has ended its half. */
  readonly hasEnded: boolean;
}

/** Owns the channel from `start` on; who owned it before is told when it has closed, and nothing else. */
export class LingeringClose implements ChannelOwner, DeadlineOwner {
  readonly #channel: Channel;
  readonly #settings: LingerSettings;
  readonly #owner: ChannelOwner;
  readonly #deadline = new Deadline(this);
  #hasEnded: boolean;
  /** By `now()`. */
  #lingersUntil: number;
  /** What had left of all that was written when it was last looked at; and when the client is given up if that is still all. */
  #sentBefore = 0;
  #givesUpAt = 0;

  constructor(channel: Channel, settings: LingerSettings, { isSending, hasEnded }: LingerStart) {
    const { lingeringClose, lingeringTime } = settings;
    const lingers = lingeringClose === 'always' || (lingeringClose === 'on' && isSending);
    this.#channel = channel;
    this.#settings = settings;
    this.#owner = channel.owner;
    this.#hasEnded = hasEnded;
    this.#lingersUntil = lingers ? now() + lingeringTime : 0;
  }

  start(): void {
    const channel = this.#channel;
    channel.owner = this;
    channel.end();
    if (channel.pendingBytes > 0) this.#awaitSending();
    else this.#linger();
    channel.resume();
  }

  channelData(): void {
    if (this.#channel.pendingBytes === 0) this.#linger();
  }

  /** When ours has left too, the channel closes by itself. */
  channelEnd(): void {
    this.#hasEnded = true;
  }

  channelDrain(): void {
    this.#linger();
  }

  channelFinished(): void {
    this.#linger();
  }

  channelClose(error: Error | undefined): void {
    this.#deadline.clear();
    this.#owner.channelClose(error);
  }

  deadlineReached(): void {
    if (this.#channel.pendingBytes === 0) this.#close();
    else if (this.#sent > this.#sentBefore) this.#awaitSending();
    else if (now() < this.#givesUpAt) this.#look();
    else this.#close();
  }

  get #sent(): number {
    return this.#channel.bytesWritten - this.#channel.pendingBytes;
  }

  /** As long as something leaves, the client gets its answer, however slowly. */
  #awaitSending(): void {
    this.#sentBefore = this.#sent;
    this.#givesUpAt = now() + this.#settings.sendTimeout;
    this.#look();
  }

  #look(): void {
    this.#deadline.set(Math.min(this.#settings.sendTimeout, this.#settings.lingeringTimeout));
  }

  /** All of ours has left. */
  #linger(): void {
    const left = this.#lingersUntil - now();
    if (left <= 0 || this.#hasEnded) this.#close();
    else this.#deadline.set(Math.min(left, this.#settings.lingeringTimeout));
  }

  #close(): void {
    this.#deadline.clear();
    this.#channel.destroy();
  }
}
