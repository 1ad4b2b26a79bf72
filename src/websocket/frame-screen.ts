// The careful way of passing one direction of a tunnel on: frame by frame, so that one can be put in, kept back or refused.

import { now } from '../transport/deadlines.ts';
import type { FrameReader } from './frame-reader.ts';
import { type FrameFault, type FrameRules, MESSAGE_FLOOD } from './frame-rules.ts';
import { CONTROL_BIT, LONGEST_CONTROL_PAYLOAD } from './opcode.ts';

/** What a screen asks of the leg whose bytes it passes on. Fulfilled by `TunnelLeg`. */
export interface ScreenOwner {
  /** Bytes `[start, end)` go to the other side. */
  passRun(bytes: Buffer, start: number, end: number): void;
  /** Whether `betweenFrames` has anything to say to the other side. */
  readonly hasWords: boolean;
  /** A frame of ours may be put in here. `reader.atMessageBoundary` tells whether a message is under way. */
  betweenFrames(): void;
  /**
   * The frame `[start, end)` has come, a control frame, whole; the reader has followed it.
   * @returns whether it goes on to the other side
   */
  controlFrame(bytes: Buffer, start: number, end: number): boolean;
  /** Nothing more is passed on until `screen.goOn()`: to be called in so many ms, and no more is to be read until then. */
  holdBack(ms: number): void;
  /** A rule is broken: what breaks it is not passed on, nor what comes behind it. */
  refuse(fault: FrameFault): void;
}

/** First byte, second byte, longest length, mask. */
const LONGEST_HEAD = 14;

/**
 * Follows a stream as the `FrameReader` does on its own in the fast way, but passes on only whole heads, and control frames only
 * whole: what is kept back meanwhile is less than one control frame (139 bytes), or, where messages come faster than they may, the
 * rest of one read. Payloads of messages pass as they come.
 *
 * It may be set before a leg at any time; a frame that is under way then passes as it is.
 */
export class FrameScreen {
  readonly #owner: ScreenOwner;
  readonly #reader: FrameReader;
  /** Held against each frame; undefined where nothing is. */
  readonly rules: FrameRules | undefined;
  /** What has come and is neither passed on nor read: it begins with a frame. */
  #kept: Buffer | undefined = undefined;
  #stopped: 'between frames' | 'within a frame' | undefined = undefined;
  /** Messages that had passed whole when something was refused: what the reader follows after that goes nowhere. */
  #passedMessages = 0;

  constructor(owner: ScreenOwner, reader: FrameReader, rules: FrameRules | undefined) {
    this.#owner = owner;
    this.#reader = reader;
    this.rules = rules;
  }

  /** Something is kept back. */
  get keeps(): boolean {
    return this.#kept !== undefined;
  }

  /** Where something was refused: before anything of its frame had passed, or behind its beginning; undefined where nothing was. */
  get stopped(): 'between frames' | 'within a frame' | undefined {
    return this.#stopped;
  }

  /** Messages that have come whole, without what was refused and what came behind that. */
  get messages(): number {
    return this.#stopped === undefined ? this.#reader.messages : this.#passedMessages;
  }

  /** Passes `[start, end)` on, but for what is refused or kept back. */
  pass(bytes: Buffer, start: number, end: number): void {
    if (this.#stopped !== undefined)
      this.#reader.read(bytes, start, end); // for the close frame that answers ours
    else if (this.#kept === undefined) this.#pass(bytes, start, end);
    else {
      const joined = Buffer.concat([this.#kept, bytes.subarray(start, end)]);
      this.#kept = undefined;
      this.#pass(joined, 0, joined.length);
    }
  }

  /** What was held back may pass. */
  goOn(): void {
    const kept = this.#kept;
    if (kept === undefined) return;
    this.#kept = undefined;
    this.pass(kept, 0, kept.length);
  }

  #pass(bytes: Buffer, start: number, end: number): void {
    const reader = this.#reader;
    /** What has been looked at and is to be passed on begins here. */
    let run = start;
    /** Where the frame that is looked at began; -1: in what came before. */
    let frameStart = -1;
    let position = start;
    while (position < end) {
      let fault: FrameFault | undefined;
      if (!reader.atFrameBoundary) {
        if (reader.closed && this.rules?.validate === true) break; // nothing may follow a close frame (RFC 6455 section 5.5.1)
        const next = reader.advance(bytes, position, end);
        fault =
          this.rules !== undefined && !reader.closed
            ? this.#faultInPayload(this.rules, bytes, position, next)
            : undefined;
        position = next;
      } else {
        if (this.#owner.hasWords) {
          this.#passRun(bytes, run, position);
          run = position;
          this.#owner.betweenFrames();
        }
        frameStart = position;
        const length = neededLength(bytes, position, end);
        if (position + length > end || this.#waits(bytes, position)) {
          this.#passRun(bytes, run, position);
          this.#kept = Buffer.from(bytes.subarray(position, end));
          return;
        }
        reader.read(bytes, position, position + length);
        fault =
          this.rules === undefined ? undefined : this.#faultInHead(this.rules, bytes, position, position + length);
        if (fault === undefined && this.#isControl(bytes, position)) {
          // First what stands before it: it may be the last that is passed on.
          this.#passRun(bytes, run, position);
          run = this.#owner.controlFrame(bytes, position, position + length) ? position : position + length;
        }
        position += length;
      }
      if (fault !== undefined) {
        if (frameStart >= 0) this.#passRun(bytes, run, frameStart);
        this.#stopped = frameStart >= 0 ? 'between frames' : 'within a frame';
        this.#passedMessages = reader.messages - (hasJustEndedMessage(reader) ? 1 : 0);
        reader.read(bytes, position, end);
        this.#owner.refuse(fault);
        return;
      }
    }
    this.#passRun(bytes, run, position);
    if (reader.atFrameBoundary && this.#owner.hasWords) this.#owner.betweenFrames();
  }

  #isControl(bytes: Buffer, position: number): boolean {
    return ((bytes[position] as number) & CONTROL_BIT) !== 0 && !this.#reader.opaque;
  }

  /** Whether the message that begins at `position` comes too fast; then it is held back. */
  #waits(bytes: Buffer, position: number): boolean {
    const { rules } = this;
    if (rules === undefined || !rules.delaysMessages) return false;
    const wait = rules.waitFor(bytes[position] as number, now());
    if (wait > 0) this.#owner.holdBack(wait);
    return wait > 0;
  }

  #faultInHead(rules: FrameRules, bytes: Buffer, start: number, end: number): FrameFault | undefined {
    const reader = this.#reader;
    if (reader.violation !== undefined) return rules.validate ? rules.faultOf(reader.violation) : undefined;
    if (this.#isControl(bytes, start)) return rules.faultInControl(controlPayload(bytes, start, end), reader, now());
    if (!rules.delaysMessages && rules.waitFor(bytes[start] as number, now()) > 0) return MESSAGE_FLOOD;
    return rules.faultInHead(bytes, start, end, reader);
  }

  #faultInPayload(rules: FrameRules, bytes: Buffer, start: number, end: number): FrameFault | undefined {
    const reader = this.#reader;
    return reader.opaque || reader.opcode >= CONTROL_BIT ? undefined : rules.faultInPayload(bytes, start, end, reader);
  }

  #passRun(bytes: Buffer, start: number, end: number): void {
    if (start < end) this.#owner.passRun(bytes, start, end);
  }
}

const hasJustEndedMessage = (reader: FrameReader): boolean => reader.atMessageBoundary && reader.opcode < CONTROL_BIT;

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
