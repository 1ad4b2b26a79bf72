// An owner of a channel that keeps what it is told, for tests to wait for and look at.

import type { Channel, ChannelOwner } from '../../src/transport/channel.ts';

export class Recorder implements ChannelOwner {
  readonly channel: Channel;
  readonly chunks: Buffer[] = [];
  bytes = 0;
  /** The calls in order, data in a row as one. */
  readonly calls: string[] = [];
  ended = false;
  closed = false;
  drains = 0;
  /** How often it was told that all of its half has left. */
  finishes = 0;
  error: Error | undefined;
  /** Called after each call was kept. */
  onData: (recorder: Recorder, bytes: Buffer, start: number, end: number) => void = () => {};
  onEnd: (recorder: Recorder) => void = () => {};
  onDrain: (recorder: Recorder) => void = () => {};
  onClose: (recorder: Recorder) => void = () => {};
  #waiting: { met: () => boolean; resolve: () => void }[] = [];

  /** Becomes the channel's owner; does not resume it. */
  constructor(channel: Channel) {
    this.channel = channel;
    channel.owner = this;
  }

  /** Resolves as soon as what is asked for has come. */
  until(met: () => boolean): Promise<void> {
    if (met()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ met, resolve }));
  }

  untilBytes(count: number): Promise<void> {
    return this.until(() => this.bytes >= count);
  }

  untilClosed(): Promise<void> {
    return this.until(() => this.closed);
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks);
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  write(text: string): boolean {
    return this.channel.writeLatin1(text);
  }

  channelData(bytes: Buffer, start: number, end: number): void {
    this.#note('data');
    this.chunks.push(Buffer.from(bytes.subarray(start, end)));
    this.bytes += end - start;
    this.onData(this, bytes, start, end);
    this.#wake();
  }

  channelEnd(): void {
    this.#note('end');
    this.ended = true;
    this.onEnd(this);
    this.#wake();
  }

  channelDrain(): void {
    this.#note('drain');
    this.drains++;
    this.onDrain(this);
    this.#wake();
  }

  channelFinished(): void {
    if (this.closed) this.#note('finished');
    this.finishes++;
    this.#wake();
  }

  channelClose(error: Error | undefined): void {
    this.#note('close');
    this.closed = true;
    this.error = error;
    this.onClose(this);
    this.#wake();
  }

  #note(call: string): void {
    if (call !== 'data' || this.calls.at(-1) !== 'data') this.calls.push(call);
  }

  #wake(): void {
    const met = this.#waiting.filter((waiting) => waiting.met());
    this.#waiting = this.#waiting.filter((waiting) => !met.includes(waiting));
    for (const { resolve } of met) resolve();
  }
}
