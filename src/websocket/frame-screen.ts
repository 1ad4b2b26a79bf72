// The careful way of passing one direction of a tunnel on: frame by frame, so that one can be put in, kept back or refused.

import type { FrameReader } from './frame-reader.ts';
import { CONTROL_BIT, LONGEST_CONTROL_PAYLOAD } from './opcode.ts';

/** What a screen asks of the leg whose bytes it passes on. Fulfilled by `TunnelLeg`. */
export interface ScreenOwner {
  /** Bytes `[start, end)` go to the other side. */
  passOn(bytes: Buffer, start: number, end: number): void;
  /** Whether `betweenFrames` has anything to say to the other side. */
  readonly hasWords: boolean;
  /** A frame of ours may be put in here. `reader.atMessageBoundary` tells whether a message is under way. */
  betweenFrames(): void;
  /**
   * The frame `[start, end)` has come, a control frame, whole; the reader has followed it.
   * @returns whether it goes on to the other side
   */
  controlFrame(bytes: Buffer, start: number, end: number): boolean;
}

/** First byte, second byte, longest length, mask. */
const LONGEST_HEAD = 14;

/**
 * Follows a stream as the `FrameReader` does on its own in the fast way, but passes on only whole heads, and control frames only
 * whole: what is kept back meanwhile is less than one control frame (139 bytes). Payloads of messages pass as they come.
 *
 * It may be set before a leg at any time; a frame that is under way then passes as it is.
 */
export class FrameScreen {
  readonly #owner: ScreenOwner;
  readonly #reader: FrameReader;
  /** The beginning of a frame, not yet passed on nor read. */
  #kept: Buffer | undefined = undefined;

  constructor(owner: ScreenOwner, reader: FrameReader) {
    this.#owner = owner;
    this.#reader = reader;
  }

  /** A part of a frame is kept back: the other side still stands before that frame. */
  get keeps(): boolean {
    return this.#kept !== undefined;
  }

  /** Passes `[start, end)` on, but for what is refused or kept back. */
  pass(bytes: Buffer, start: number, end: number): void {
    if (this.#kept === undefined) this.#pass(bytes, start, end);
    else {
      const joined = Buffer.concat([this.#kept, bytes.subarray(start, end)]);
      this.#kept = undefined;
      this.#pass(joined, 0, joined.length);
    }
  }

  /** The stream has ended: what is kept back will never be whole. */
  flush(): void {
    const kept = this.#kept;
    if (kept === undefined) return;
    this.#kept = undefined;
    this.#reader.read(kept, 0, kept.length);
    this.#owner.passOn(kept, 0, kept.length);
  }

  #pass(bytes: Buffer, start: number, end: number): void {
    const reader = this.#reader;
    /** What has been looked at and is to be passed on begins here. */
    let run = start;
    let position = start;
    while (position < end) {
      if (!reader.atFrameBoundary) {
        position = reader.advance(bytes, position, end);
        continue;
      }
      if (this.#owner.hasWords) {
        this.#passRun(bytes, run, position);
        run = position;
        this.#owner.betweenFrames();
      }
      const length = neededLength(bytes, position, end);
      if (position + length > end) {
        this.#passRun(bytes, run, position);
        this.#kept = Buffer.from(bytes.subarray(position, end));
        return;
      }
      const isControl = ((bytes[position] as number) & CONTROL_BIT) !== 0;
      reader.read(bytes, position, position + length);
      if (isControl && !reader.opaque) {
        // First what stands before it: it may be the last that is passed on.
        this.#passRun(bytes, run, position);
        run = this.#owner.controlFrame(bytes, position, position + length) ? position : position + length;
      }
      position += length;
    }
    this.#passRun(bytes, run, end);
    if (reader.atFrameBoundary && this.#owner.hasWords) this.#owner.betweenFrames();
  }

  #passRun(bytes: Buffer, start: number, end: number): void {
    if (start < end) this.#owner.passOn(bytes, start, end);
  }
}

/**
 * So many bytes of the frame at `position` must be there before it can be judged: its head, or all of it where it is a control
 * frame. As long as not even that is known, more than there are. What breaks the rules is as long as it takes to see that.
 */
function neededLength(bytes: Buffer, position: number, end: number): number {
  if (position + 2 > end) return 2;
  const first = bytes[position] as number;
  const second = bytes[position + 1] as number;
  const length = second & 0x7f;
  const maskLength = second >= 0x80 ? 4 : 0;
  if ((first & CONTROL_BIT) !== 0) return length > LONGEST_CONTROL_PAYLOAD ? 2 : 2 + maskLength + length;
  const lengthBytes = length === 126 ? 2 : length === 127 ? 8 : 0;
  return Math.min(LONGEST_HEAD, 2 + lengthBytes + maskLength);
}

/** The payload of the whole control frame `[start, end)`, unmasked. */
export function controlPayload(bytes: Buffer, start: number, end: number): Buffer {
  const masked = (bytes[start + 1] as number) >= 0x80;
  if (!masked) return bytes.subarray(start + 2, end);
  const payload = Buffer.from(bytes.subarray(start + 6, end));
  for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] as number) ^ (bytes[start + 2 + (i & 3)] as number);
  return payload;
}
