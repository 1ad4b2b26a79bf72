// What a side of a tunnel keeps where the client may outlive its peer: what waits for the next one, and what that gets again.

import type { FirstMessages } from './first-messages.ts';
import type { HeldMessages } from './held-messages.ts';

/** Of either side; the tunnels in which client and peer go together have none. */
export class Staying {
  /** What this side sent first, for whoever takes the other one's place; undefined: nothing is kept. */
  readonly first: FirstMessages | undefined;
  /** What cannot be passed on now, and will be; undefined where nothing is kept. */
  held: HeldMessages | undefined = undefined;
  /** What the next one gets again; undefined where there is nothing, or nobody is awaited. */
  replay: Buffer | undefined = undefined;
  /** The rest of the message that is under way goes nowhere: who has its beginning is gone. */
  cutting = false;
  /** Messages that came from those who were this side before. */
  messagesBefore = 0;
  /** How many messages the other side had sent when this one was heard last. */
  otherMessages = 0;

  constructor(first: FirstMessages | undefined) {
    this.first = first;
  }

  /** It has to be told of each frame that ends. */
  get isCounting(): boolean {
    return this.cutting || this.first?.isOpen === true;
  }

  /** @param messages how many have come from this side */
  messageEnded(messages: number): void {
    this.cutting = false;
    this.first?.messageEnded(messages);
  }

  /** A close frame may stand within a message: it goes to whoever is there. */
  closeCame(): void {
    this.cutting = false;
  }

  /** What cannot be passed on is kept, if anything is. @returns whether no more is to be read */
  hold(bytes: Buffer, start: number, end: number): boolean {
    if (this.held === undefined) return false;
    // What is kept now is no part of it.
    this.replay ??= this.first?.bytes;
    this.held.take(bytes, start, end);
    return this.held.isFull;
  }

  /** The other side has gone. @param isCut a message was under way to it */
  beginWaiting(isCut: boolean): void {
    if (isCut) this.first?.cut();
    this.replay ??= this.first?.bytes;
    this.cutting = isCut;
  }
}
