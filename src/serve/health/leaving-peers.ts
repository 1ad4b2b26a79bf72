// Connections of health checks that are over but for the peer's end of them.

import type { Channel, ChannelOwner } from '../../transport/channel.ts';
import { Deadline, type DeadlineOwner } from '../../transport/deadlines.ts';
import { nobody } from '../../transport/nobody.ts';

/** ms until they are closed in any case. */
const PATIENCE = 1000;

export class LeavingPeers {
  readonly #all = new Set<LeavingPeer>();

  /** What was written still leaves, and the peer may end the connection itself. */
  add(channel: Channel): void {
    this.#all.add(new LeavingPeer(channel, (left) => this.#all.delete(left)));
  }

  close(): void {
    for (const left of [...this.#all]) left.close();
  }
}

class LeavingPeer implements ChannelOwner, DeadlineOwner {
  readonly #channel: Channel;
  readonly #closed: (left: LeavingPeer) => void;
  readonly #patience = new Deadline(this);

  constructor(channel: Channel, closed: (left: LeavingPeer) => void) {
    this.#channel = channel;
    this.#closed = closed;
    channel.owner = this;
    channel.resume();
    this.#patience.set(PATIENCE);
  }

  close(): void {
    this.#patience.clear();
    this.#channel.owner = nobody;
    this.#channel.destroy();
    this.#closed(this);
  }

  deadlineReached(): void {
    this.close();
  }

  channelEnd(): void {
    this.close();
  }

  channelClose(): void {
    this.close();
  }

  channelData(): void {}
  channelDrain(): void {}
}
