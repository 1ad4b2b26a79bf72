// Every open tunnel of this worker: to count, to list, to close.

import type { Tunnel } from './tunnel.ts';
import type { GatewayCause } from './tunnel-cause.ts';

export class LiveTunnels {
  /** Called each time the last one is removed. */
  whenEmpty: (() => void) | undefined = undefined;
  readonly #tunnels = new Set<Tunnel>();

  /** How many are open. */
  get count(): number {
    return this.#tunnels.size;
  }

  add(tunnel: Tunnel): void {
    this.#tunnels.add(tunnel);
  }

  /** To be called when the tunnel has ended; one that is not there is no fault. */
  remove(tunnel: Tunnel): void {
    if (this.#tunnels.delete(tunnel) && this.#tunnels.size === 0) this.whenEmpty?.();
  }

  /** Oldest first. Tunnels may be added and removed meanwhile. */
  [Symbol.iterator](): IterableIterator<Tunnel> {
    return this.#tunnels.values();
  }

  /** Asks all of them to end in order; see `Tunnel.close`. */
  closeAll(cause: GatewayCause): void {
    for (const tunnel of [...this.#tunnels]) tunnel.close(cause);
  }

  /** Gives those that carry another protocol than WebSocket so many ms more; see `Tunnel.closeWithin`. */
  closeForeignWithin(ms: number, cause: GatewayCause): void {
    for (const tunnel of this.#tunnels) if (!tunnel.followsFrames) tunnel.closeWithin(ms, cause);
  }

  /** Ends all of them at once; see `Tunnel.destroy`. */
  destroyAll(cause: GatewayCause): void {
    for (const tunnel of [...this.#tunnels]) tunnel.destroy(cause);
  }
}
