// The pings of ours on one leg of a tunnel: which are under way, and how long the last one took.

import { randomBytes } from 'node:crypto';
import { pingFrame } from './frame-writer.ts';

/** Every ping of this process begins so, and no other does but by a chance of one in 2^64. */
const TAG = randomBytes(8);
const PAYLOAD_LENGTH = TAG.length + 4;

export class Pulse {
  /** When the last ping was sent, on the clock of `now()`. */
  sentAt = 0;
  /** ms from the last ping that was answered to its pong; -1 as long as none was. */
  roundTrip = -1;
  #serial = 0;
  /** The serial of the last ping that was answered. */
  #answered = 0;

  /** A ping to be sent now. @param masked true towards a peer */
  beat(time: number, masked: boolean): Buffer {
    const payload = Buffer.allocUnsafe(PAYLOAD_LENGTH);
    TAG.copy(payload);
    this.#serial = (this.#serial + 1) >>> 0;
    payload.writeUInt32BE(this.#serial, TAG.length);
    this.sentAt = time;
    return pingFrame(payload, masked);
  }

  /** Pings of ours are unanswered, so that a pong may be for us. Who answers only the last of several answers all (RFC 6455 section 5.5.3). */
  get awaited(): boolean {
    return this.#answered !== this.#serial;
  }

  /** @returns whether the pong is for a ping of ours, so that it is nobody else's */
  hears(payload: Buffer, time: number): boolean {
    if (payload.length !== PAYLOAD_LENGTH || TAG.compare(payload, 0, TAG.length) !== 0) return false;
    this.#answered = payload.readUInt32BE(TAG.length);
    if (!this.awaited) this.roundTrip = time - this.sentAt;
    return true;
  }
}
