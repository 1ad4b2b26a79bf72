// Follows WebSocket frames as their bytes pass: counts them, knows where a frame ends, holds no payload.

import { CONTROL_BIT, LONGEST_CONTROL_PAYLOAD, Opcode } from './opcode.ts';

/**
 * What made a stream something else than WebSocket frames (RFC 6455 section 5.2 to 5.5), by name.
 * The names go to logs and counters.
 */
export type FrameViolation =
  | 'reserved opcode'
  | 'reserved bits'
  | 'fragmented control frame'
  | 'control frame too long'
  | 'close frame of one byte'
  | 'frame length above 2^63'
  | 'frame not masked'
  | 'frame masked'
  | 'continuation without a beginning'
  | 'message within a message';

export interface FrameReaderSettings {
  /** Whether the sender has to mask its frames: a client must, a server must not (RFC 6455 section 5.1). */
  readonly masked: boolean;
  /** Whether the first frame of a message may bear RSV1: only where permessage-deflate was negotiated (RFC 7692 section 6). */
  readonly rsv1: boolean;
}

/** What `closeCode` says of a close frame without a code (RFC 6455 section 7.1.5). */
export const NO_CLOSE_CODE = 1005;

// The states. A head is first byte, second byte, then a longer length (0, 2 or 8 bytes) and a mask (0 or 4).
const FIRST_BYTE = 0;
const SECOND_BYTE = 1;
const LENGTH = 2;
const MASK = 3;
const PAYLOAD = 4;
const CLOSE_PAYLOAD = 5;
const CLOSED = 6;
const OPAQUE = 7;

/**
 * One direction of one connection. It sees every byte and keeps none, except those of a close frame (125 at most).
 * Nothing here looks at payload bytes, and nothing is allocated for a chunk or a frame.
 *
 * A stream that is not WebSocket frames makes it opaque: it remembers the first violation and follows no more.
 * It never stops the bytes; whoever wants to (`websocket_validate`) looks at `violation`.
 */
export class FrameReader {
  /** Frames of messages, continuations included, whose head has passed whole. */
  dataFrames = 0;
  /** Pings, pongs and closes whose head has passed whole. */
  controlFrames = 0;
  /** Messages that have passed whole. */
  messages = 0;
  /** Bytes of messages that have passed, without heads and without control frames; as sent, so still compressed. */
  payloadBytes = 0;
  /** The code of the close frame once that has passed whole: `NO_CLOSE_CODE` where it had none, 0 while none has come. */
  closeCode = 0;
  /** The reason of the close frame. It is the sender's text: escape it before it goes to a log. */
  closeReason = '';
  /** What ended the following, undefined as long as frames are followed. */
  violation: FrameViolation | undefined = undefined;

  /** The mask bit as the second byte of each frame has to bear it: 0x80 or 0. */
  readonly #maskBit: number;
  /** The reserved bits that the first frame of a message may bear: 0x40 or 0. */
  readonly #allowedBits: number;
  #state = FIRST_BYTE;
  #opcode = 0;
  #final = false;
  /** A message has begun and its final frame has not. */
  #fragmented = false;
  /** Bytes of the part of the head that is being read, still to come. */
  #headLeft = 0;
  /** Bytes of the payload still to come; while `LENGTH` is read, the length so far. */
  #payloadLeft = 0;
  /** The mask of a close frame; those of others are not kept. */
  #mask = 0;
  #closePayload: Buffer | undefined = undefined;

  constructor(settings: FrameReaderSettings) {
    this.#maskBit = settings.masked ? 0x80 : 0;
    this.#allowedBits = settings.rsv1 ? 0x40 : 0;
  }

  /** Between two frames, so that a frame of ours may be put in. Never true after a close frame: nothing may follow that. */
  get atFrameBoundary(): boolean {
    return this.#state === FIRST_BYTE;
  }

  /** Between two messages: a frame boundary without an unfinished message. */
  get atMessageBoundary(): boolean {
    return this.#state === FIRST_BYTE && !this.#fragmented;
  }

  /** Every message that has begun has passed whole: at a message boundary, and behind a close frame between two messages. */
  get isWhole(): boolean {
    return (this.#state === FIRST_BYTE || this.#state === CLOSED) && !this.#fragmented;
  }

  /** The head of a frame has begun and not yet ended: nobody knows yet what it will be. */
  get inHead(): boolean {
    return this.#state >= SECOND_BYTE && this.#state <= MASK;
  }

  get inPayload(): boolean {
    return this.#state === PAYLOAD || this.#state === CLOSE_PAYLOAD;
  }

  /** A close frame has passed. What comes after it is not followed: it means nothing (RFC 6455 section 5.5.1). */
  get closed(): boolean {
    return this.#state === CLOSED;
  }

  /** Not WebSocket frames: followed no more. */
  get opaque(): boolean {
    return this.#state === OPAQUE;
  }

  /** The opcode of the frame that is passing or passed last. */
  get opcode(): number {
    return this.#opcode;
  }

  /** Whether the frame that is passing or passed last ends its message. */
  get final(): boolean {
    return this.#final;
  }

  /** Bytes of the passing frame's payload that are still to come; Infinity from 2^53 on. Meaningful while `inPayload`. */
  get payloadLeft(): number {
    return this.#payloadLeft;
  }

  /** Follows the bytes `[start, end)`. */
  read(bytes: Uint8Array, start: number, end: number): void {
    let position = start;
    while (position < end) position = this.advance(bytes, position, end);
  }

  /**
   * One step: at most to the end of the part of a frame that is being read, so that whoever has to act between two
   * frames, or on a head before its payload, can stop there. `start` must be below `end`.
   * @returns the position of the first byte not yet read.
   */
  advance(bytes: Uint8Array, start: number, end: number): number {
    switch (this.#state) {
      case FIRST_BYTE:
        return this.#readFirstByte(bytes, start, end);
      case SECOND_BYTE:
        return this.#readSecondByte(bytes, start, end);
      case LENGTH:
        return this.#readLength(bytes, start, end);
      case MASK:
        return this.#readMask(bytes, start, end);
      case PAYLOAD:
        return this.#passPayload(start, end);
      case CLOSE_PAYLOAD:
        return this.#readClosePayload(bytes, start, end);
      default: // CLOSED and OPAQUE
        return end;
    }
  }

  #readFirstByte(bytes: Uint8Array, start: number, end: number): number {
    const byte = bytes[start] as number;
    this.#opcode = byte & 0x0f;
    this.#final = byte >= 0x80;
    const violation = (byte & CONTROL_BIT) !== 0 ? this.#checkControl(byte) : this.#checkData(byte);
    if (violation !== undefined) return this.#becomeOpaque(violation, end);
    if ((byte & CONTROL_BIT) === 0) this.#fragmented = !this.#final;
    this.#state = SECOND_BYTE;
    return start + 1;
  }

  #checkControl(byte: number): FrameViolation | undefined {
    if ((byte & 0x70) !== 0) return 'reserved bits';
    if (this.#opcode > Opcode.pong) return 'reserved opcode';
    if (!this.#final) return 'fragmented control frame';
    return undefined;
  }

  #checkData(byte: number): FrameViolation | undefined {
    if ((byte & 0x30) !== 0) return 'reserved bits';
    if (this.#opcode > Opcode.binary) return 'reserved opcode';
    if ((byte & 0x40) !== 0 && (this.#allowedBits === 0 || this.#opcode === Opcode.continuation))
      return 'reserved bits';
    if (this.#opcode === Opcode.continuation) return this.#fragmented ? undefined : 'continuation without a beginning';
    return this.#fragmented ? 'message within a message' : undefined;
  }

  #readSecondByte(bytes: Uint8Array, start: number, end: number): number {
    const byte = bytes[start] as number;
    const length = byte & 0x7f;
    const violation = this.#checkLength(length) ?? this.#checkMaskBit(byte);
    if (violation !== undefined) return this.#becomeOpaque(violation, end);
    if (length === 126) this.#expectLength(2);
    else if (length === 127) this.#expectLength(8);
    else this.#expectMask(length);
    return start + 1;
  }

  #checkLength(length: number): FrameViolation | undefined {
    if (this.#opcode < CONTROL_BIT) return undefined;
    if (length > LONGEST_CONTROL_PAYLOAD) return 'control frame too long';
    return this.#opcode === Opcode.close && length === 1 ? 'close frame of one byte' : undefined;
  }

  #checkMaskBit(byte: number): FrameViolation | undefined {
    if ((byte & 0x80) === this.#maskBit) return undefined;
    return this.#maskBit === 0 ? 'frame masked' : 'frame not masked';
  }

  #expectLength(size: number): void {
    this.#headLeft = size;
    this.#payloadLeft = 0;
    this.#state = LENGTH;
  }

  #readLength(bytes: Uint8Array, start: number, end: number): number {
    let position = start;
    while (position < end && this.#headLeft > 0) {
      const byte = bytes[position++] as number;
      if (this.#headLeft === 8 && byte >= 0x80) return this.#becomeOpaque('frame length above 2^63', end);
      this.#payloadLeft = this.#payloadLeft * 256 + byte;
      this.#headLeft--;
    }
    if (this.#headLeft === 0) this.#expectMask(countable(this.#payloadLeft));
    return position;
  }

  #expectMask(payloadLength: number): void {
    this.#payloadLeft = payloadLength;
    if (this.#maskBit !== 0) {
      this.#headLeft = 4;
      this.#state = MASK;
    } else this.#endHead();
  }

  #readMask(bytes: Uint8Array, start: number, end: number): number {
    const stop = Math.min(end, start + this.#headLeft);
    if (this.#opcode === Opcode.close) {
      for (let i = start; i < stop; i++) this.#mask = (this.#mask << 8) | (bytes[i] as number);
    }
    this.#headLeft -= stop - start;
    if (this.#headLeft === 0) this.#endHead();
    return stop;
  }

  #endHead(): void {
    if (this.#opcode >= CONTROL_BIT) this.controlFrames++;
    else this.dataFrames++;
    if (this.#opcode === Opcode.close) this.#expectClosePayload();
    else if (this.#payloadLeft === 0) this.#endFrame();
    else this.#state = PAYLOAD;
  }

  #passPayload(start: number, end: number): number {
    const passed = Math.min(end - start, this.#payloadLeft);
    this.#payloadLeft -= passed;
    if (this.#opcode < CONTROL_BIT) this.payloadBytes += passed;
    if (this.#payloadLeft === 0) this.#endFrame();
    return start + passed;
  }

  #endFrame(): void {
    if (this.#final && this.#opcode < CONTROL_BIT) this.messages++;
    this.#state = FIRST_BYTE;
  }

  #expectClosePayload(): void {
    if (this.#payloadLeft === 0) {
      this.#close(NO_CLOSE_CODE, '');
      return;
    }
    this.#closePayload = Buffer.allocUnsafe(this.#payloadLeft);
    this.#state = CLOSE_PAYLOAD;
  }

  #readClosePayload(bytes: Uint8Array, start: number, end: number): number {
    const payload = this.#closePayload as Buffer;
    const stop = Math.min(end, start + this.#payloadLeft);
    let index = payload.length - this.#payloadLeft;
    for (let i = start; i < stop; i++, index++) payload[index] = (bytes[i] as number) ^ this.#maskByte(index);
    this.#payloadLeft -= stop - start;
    if (this.#payloadLeft === 0) this.#close(payload.readUInt16BE(0), payload.toString('utf8', 2));
    return stop;
  }

  #maskByte(index: number): number {
    return (this.#mask >>> (24 - 8 * (index & 3))) & 0xff;
  }

  #close(code: number, reason: string): void {
    this.closeCode = code;
    this.closeReason = reason;
    this.#closePayload = undefined;
    this.#state = CLOSED;
  }

  #becomeOpaque(violation: FrameViolation, end: number): number {
    this.violation = violation;
    this.#state = OPAQUE;
    return end;
  }
}

/** Above 2^53 subtraction would lose bytes. So much never passes: such a frame simply has no end. */
function countable(length: number): number {
  return length <= Number.MAX_SAFE_INTEGER ? length : Number.POSITIVE_INFINITY;
}
