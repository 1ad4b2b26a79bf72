// Shows what a peer says first to whoever wants to learn from it, before it is passed on: from the body of an answer, or from a tunnel.

import { BodyFilter } from '../exchange/body-filter.ts';
import type { Channel, ChannelOwner } from '../transport/channel.ts';
import type { OpeningReader } from '../upstream/balance/balancer.ts';

/** The first of an answer's filters: it changes nothing and holds nothing back. */
export class OpeningFilter extends BodyFilter {
  #reader: OpeningReader | undefined;

  constructor(reader: OpeningReader) {
    super();
    this.#reader = reader;
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#reader?.read(bytes, start, end) === false) this.#reader = undefined;
    return this.outlet.write(bytes, start, end);
  }

  end(): void {
    this.outlet.end();
  }

  get pendingBytes(): number {
    return 0;
  }
}

/** Stands before the owner of a peer's channel until its reader has seen enough. */
export class OpeningWatch implements ChannelOwner {
  readonly #reader: OpeningReader;
  readonly #channel: Channel;
  readonly #owner: ChannelOwner;

  /** @param channel it has its owner already */
  constructor(reader: OpeningReader, channel: Channel) {
    this.#reader = reader;
    this.#channel = channel;
    this.#owner = channel.owner;
  }

  channelData(bytes: Buffer, start: number, end: number): void {
    if (!this.#reader.read(bytes, start, end)) this.#channel.owner = this.#owner;
    this.#owner.channelData(bytes, start, end);
  }

  channelEnd(): void {
    this.#owner.channelEnd();
  }

  channelDrain(): void {
    this.#owner.channelDrain();
  }

  channelFinished(): void {
    this.#owner.channelFinished?.();
  }

  channelClose(error: Error | undefined): void {
    this.#owner.channelClose(error);
  }
}
