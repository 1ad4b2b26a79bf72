// What a side may send: the limits of a location and the rules of RFC 6455, held against each frame before it is passed on.

import { isUtf8 } from 'node:buffer';
import { now } from '../transport/deadlines.ts';
import { CloseCode } from './close-code.ts';
import type { FrameReader, FrameViolation } from './frame-reader.ts';
import { mayBeSent } from './frame-writer.ts';
import { Opcode } from './opcode.ts';
import { Utf8Check } from './utf8-check.ts';

/** How many in how long: `perSecond` for ever, and `burst` more at once. */
export interface FrameRate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Sizes in bytes as they are on the wire, so under permessage-deflate of what is compressed. */
export interface FrameRuleSettings {
  /** `websocket_validate`: the protocol itself is held. Without it, what is no frame passes as it is. */
  readonly validate: boolean;
  /** The longest payload of a frame; Infinity for no limit. */
  readonly maxFrameSize: number;
  /** The longest message, all its frames together. */
  readonly maxMessageSize: number;
  readonly messageRate: FrameRate | undefined;
  /** Whether messages that come too fast wait, or end the tunnel. */
  readonly delaysMessages: boolean;
  readonly controlRate: FrameRate | undefined;
}

/** What is wrong with a frame. */
export interface FrameFault {
  /** What its sender is told. */
  readonly code: number;
  readonly kind: 'limit' | 'protocol error';
  /** For the error log, behind "client sent" or "upstream sent". */
  readonly text: string;
}

const BAD_TEXT: FrameFault = {
  code: CloseCode.invalidPayload,
  kind: 'protocol error',
  text: 'a text that is not UTF-8',
};
const BAD_REASON: FrameFault = {
  code: CloseCode.invalidPayload,
  kind: 'protocol error',
  text: 'a reason to close that is not UTF-8',
};
const CONTROL_FLOOD: FrameFault = {
  code: CloseCode.policyViolation,
  kind: 'limit',
  text: 'more control frames than "websocket_control_rate" allows',
};
const LONG_WINDED: FrameFault = {
  code: CloseCode.protocolError,
  kind: 'protocol error',
  text: 'what WebSocket does not allow: frame length in more bytes than it needs',
};
/** Messages faster than they may be, where they do not wait. */
export const MESSAGE_FLOOD: FrameFault = {
  code: CloseCode.policyViolation,
  kind: 'limit',
  text: 'more messages than "websocket_message_rate" allows',
};

/** The rules for one direction of one tunnel. */
export class FrameRules {
  readonly #settings: FrameRuleSettings;
  readonly #messages: Pace | undefined;
  readonly #controls: Pace | undefined;
  #messageSize = 0;
  /** Follows the text of the message that is under way; undefined where nobody asks for it. */
  readonly #text: Utf8Check | undefined;
  /** The message that is under way is a text that can be read. */
  #isText = false;
  /** The mask of the frame that is under way, its next byte first; 0 where there is none. */
  #mask = 0;

  constructor(settings: FrameRuleSettings) {
    this.#settings = settings;
    this.#messages = settings.messageRate === undefined ? undefined : new Pace(settings.messageRate);
    this.#controls = settings.controlRate === undefined ? undefined : new Pace(settings.controlRate);
    this.#text = settings.validate ? new Utf8Check() : undefined;
  }

  /** What is not WebSocket frames is refused. */
  get validate(): boolean {
    return this.#settings.validate;
  }

  /** Messages that come too fast wait rather than end the tunnel. */
  get delaysMessages(): boolean {
    return this.#settings.delaysMessages;
  }

  /** @returns ms that the message that begins with this byte has to wait; it counts if that is 0 */
  waitFor(firstByte: number, time: number): number {
    const opcode = firstByte & 0x0f;
    if (this.#messages === undefined || (opcode !== Opcode.text && opcode !== Opcode.binary)) return 0;
    return this.#messages.wait(time);
  }

  /** The head `[start, end)` of a frame of a message has come, and the reader has followed it. */
  faultInHead(bytes: Buffer, start: number, end: number, reader: FrameReader): FrameFault | undefined {
    const size = reader.payloadLeft;
    if (this.#settings.validate && isLongWinded(bytes[start + 1] as number, size)) return LONG_WINDED;
    if (size > this.#settings.maxFrameSize) return tooLong('frame', size, 'websocket_max_frame_size');
    if (reader.opcode !== Opcode.continuation) this.#beginMessage(bytes[start] as number);
    // A fragment without a byte is no use to anybody, and meets no size: it counts as a control frame does.
    else if (size === 0 && !reader.final && this.#controls !== undefined && this.#controls.wait(now()) > 0)
      return CONTROL_FLOOD;
    this.#messageSize += size;
    if (this.#messageSize > this.#settings.maxMessageSize)
      return tooLong('message', this.#messageSize, 'websocket_max_message_size');
    this.#mask = (bytes[start + 1] as number) >= 0x80 ? bytes.readInt32BE(end - 4) : 0;
    return size === 0 ? this.#faultAtEnd(reader) : undefined;
  }

  #beginMessage(firstByte: number): void {
    this.#messageSize = 0;
    this.#isText = (firstByte & 0x0f) === Opcode.text && (firstByte & 0x40) === 0; // no text can be read under permessage-deflate
    this.#text?.reset();
  }

  /** The payload `[start, end)` of that frame has come, up to its end perhaps. */
  faultInPayload(bytes: Buffer, start: number, end: number, reader: FrameReader): FrameFault | undefined {
    const text = this.#text;
    if (text === undefined || !this.#isText) return undefined;
    let mask = this.#mask;
    for (let i = start; i < end; i++) {
      if (!text.takes((bytes[i] as number) ^ (mask >>> 24))) return BAD_TEXT;
      mask = (mask << 8) | (mask >>> 24);
    }
    this.#mask = mask;
    return reader.atFrameBoundary ? this.#faultAtEnd(reader) : undefined;
  }

  #faultAtEnd(reader: FrameReader): FrameFault | undefined {
    return reader.final && this.#isText && this.#text?.whole === false ? BAD_TEXT : undefined;
  }

  /** A control frame has come, whole; `payload` is unmasked. */
  faultInControl(payload: Buffer, reader: FrameReader, time: number): FrameFault | undefined {
    if (this.#controls !== undefined && this.#controls.wait(time) > 0) return CONTROL_FLOOD;
    if (!this.#settings.validate || reader.opcode !== Opcode.close) return undefined;
    const { closeCode } = reader;
    if (payload.length > 0 && !mayBeSent(closeCode)) return breach(`a close frame that says ${closeCode}`);
    return payload.length > 2 && !isUtf8(payload.subarray(2)) ? BAD_REASON : undefined;
  }

  /** The reader has met what is no WebSocket frame. */
  faultOf(violation: FrameViolation): FrameFault {
    return breach(`what WebSocket does not allow: ${violation}`);
  }
}

function breach(text: string): FrameFault {
  return { code: CloseCode.protocolError, kind: 'protocol error', text };
}

/** Whether a length takes more bytes than it needs (RFC 6455 section 5.2). */
function isLongWinded(secondByte: number, size: number): boolean {
  const told = secondByte & 0x7f;
  return (told === 126 && size < 126) || (told === 127 && size <= 0xffff);
}

function tooLong(what: string, size: number, directive: string): FrameFault {
  return {
    code: CloseCode.messageTooBig,
    kind: 'limit',
    text: `a ${what} of ${size} bytes, more than "${directive}" allows`,
  };
}

/** A leaky bucket: how long until one more is in time. */
class Pace {
  /** ms that one takes. */
  readonly #each: number;
  readonly #ahead: number;
  /** When all that have come would be in time without any burst. */
  #inTimeAt = 0;

  constructor({ perSecond, burst }: FrameRate) {
    this.#each = 1000 / perSecond;
    this.#ahead = burst * this.#each;
  }

  /** @returns ms until one more may come; 0: it may, and has been counted */
  wait(time: number): number {
    const wait = this.#inTimeAt - this.#ahead - time;
    if (wait > 0) return wait;
    this.#inTimeAt = Math.max(this.#inTimeAt, time) + this.#each;
    return 0;
  }
}
