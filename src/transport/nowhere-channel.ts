// A channel that leads nowhere: for an answer that nobody is sent.

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Channel, ChannelOwner } from './channel.ts';
import { nobody } from './nobody.ts';

/** Takes what is written and forgets it; nothing is ever read. To those who ask, its ends are those of another channel. */
export class NowhereChannel implements Channel {
  owner: ChannelOwner = nobody;
  readonly paused = true;
  readonly pendingBytes = 0;
  readonly bytesRead = 0;
  readonly bytesWritten = 0;
  readonly destroyed = false;
  readonly #model: Channel | undefined;

  /** @param model whose addresses and TLS it tells; undefined: it has none */
  constructor(model?: Channel) {
    this.#model = model;
  }

  get remoteAddress(): string {
    return this.#model?.remoteAddress ?? '';
  }
  get remotePort(): number {
    return this.#model?.remotePort ?? 0;
  }
  get localAddress(): string {
    return this.#model?.localAddress ?? '';
  }
  get localPort(): number {
    return this.#model?.localPort ?? 0;
  }
  get tls(): TLSSocket | undefined {
    return this.#model?.tls;
  }

  write(): boolean {
    return true;
  }
  writeLatin1(): boolean {
    return true;
  }
  uncork(): boolean {
    return true;
  }
  cork(): void {}
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
  reset(): void {}
  setNoDelay(): void {}
  setKeepAlive(): void {}

  detach(): Socket {
    throw new TypeError('a channel that leads nowhere has no socket');
  }
}
