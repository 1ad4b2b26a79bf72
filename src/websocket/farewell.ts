// The last moments of a peer that its tunnel has left: it may answer, nobody listens, and it is closed in time.

import type { Channel, ChannelOwner } from '../transport/channel.ts';
import { Deadline, type DeadlineOwner } from '../transport/deadlines.ts';

export class Farewell implements ChannelOwner, DeadlineOwner {
  readonly #channel: Channel;
  readonly #deadline = new Deadline(this);

  /**
   * Ends our half. From now on the channel is nobody else's.
   * @param lastWord what is sent before that; undefined: nothing
   * @param patience ms until it is closed, however the other side takes it
   */
  constructor(channel: Channel, lastWord: Buffer | undefined, patience: number) {
    this.#channel = channel;
    channel.owner = this;
    if (lastWord !== undefined) channel.write(lastWord, 0, lastWord.length);
    channel.end();
    this.#deadline.set(patience);
    // What still comes is read and dropped: a socket that is closed with bytes unread is reset, and our last word may be lost with it.
    channel.resume();
  }

  channelData(): void {}

  channelEnd(): void {}

  channelDrain(): void {}

  channelClose(): void {
    this.#deadline.clear();
  }

  deadlineReached(): void {
    this.#channel.destroy();
  }
}
