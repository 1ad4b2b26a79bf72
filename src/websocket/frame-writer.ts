// Frames of our own: close, ping and pong, ready to be put between the frames of others.

import { randomFillSync } from 'node:crypto';
import { LONGEST_CONTROL_PAYLOAD, Opcode } from './opcode.ts';

/** The longest reason of a close frame in bytes of UTF-8: its code takes two. */
export const LONGEST_CLOSE_REASON = LONGEST_CONTROL_PAYLOAD - 2;

const FINAL = 0x80;
const MASKED = 0x80;
/** Masks are drawn a thousand at a time: a call for each would cost more than its frame. */
const MASKS = Buffer.allocUnsafeSlow(4096);
let nextMask = MASKS.length;

/** Length of the head of a frame in bytes, 2 to 14. */
export function frameHeadLength(payloadLength: number, masked: boolean): number {
  const length = payloadLength <= 125 ? 2 : payloadLength <= 0xffff ? 4 : 10;
  return masked ? length + 4 : length;
}

/**
 * Writes the head of an unfragmented frame without reserved bits into `target` at `offset`; with a mask where there is one.
 * @param payloadLength 0 to `Number.MAX_SAFE_INTEGER`
 * @param mask four bytes; the payload has to be masked with them by the caller
 * @returns the offset of the payload
 */
export function writeFrameHead(
  target: Buffer,
  offset: number,
  opcode: number,
  payloadLength: number,
  mask: Uint8Array | undefined,
): number {
  target[offset] = FINAL | opcode;
  const afterLength = writeLength(target, offset + 1, payloadLength, mask === undefined ? 0 : MASKED);
  if (mask === undefined) return afterLength;
  target.set(mask, afterLength);
  return afterLength + 4;
}

function writeLength(target: Buffer, offset: number, length: number, maskBit: number): number {
  if (length <= 125) return target.writeUInt8(maskBit | length, offset);
  if (length <= 0xffff) return target.writeUInt16BE(length, target.writeUInt8(maskBit | 126, offset));
  const high = target.writeUInt8(maskBit | 127, offset);
  return target.writeUInt32BE(length % 2 ** 32, target.writeUInt32BE(Math.floor(length / 2 ** 32), high));
}

/**
 * A close frame.
 * @param code one that may stand in a frame: 1000 to 1003, 1007 to 1014, 3000 to 4999 (RFC 6455 section 7.4)
 * @param reason up to `LONGEST_CLOSE_REASON` bytes of UTF-8
 * @param masked true towards a peer, false towards a client
 * @throws RangeError for another code or a longer reason
 */
export function closeFrame(code: number, reason: string, masked: boolean): Buffer {
  if (!mayBeSent(code)) throw new RangeError(`a close frame cannot say ${code}`);
  const text = Buffer.from(reason, 'utf8');
  if (text.length > LONGEST_CLOSE_REASON) {
    throw new RangeError(`the reason of a close frame is ${text.length} bytes long, above ${LONGEST_CLOSE_REASON}`);
  }
  const payload = Buffer.allocUnsafe(2 + text.length);
  payload.writeUInt16BE(code, 0);
  payload.set(text, 2);
  return controlFrame(Opcode.close, payload, masked);
}

/**
 * A ping with a payload of up to `LONGEST_CONTROL_PAYLOAD` bytes.
 * @throws RangeError for a longer one
 */
export function pingFrame(payload: Uint8Array, masked: boolean): Buffer {
  return controlFrame(Opcode.ping, payload, masked);
}

/**
 * A pong; it has to repeat the payload of the ping that it answers (RFC 6455 section 5.5.3).
 * @throws RangeError for a payload above `LONGEST_CONTROL_PAYLOAD` bytes
 */
export function pongFrame(payload: Uint8Array, masked: boolean): Buffer {
  return controlFrame(Opcode.pong, payload, masked);
}

/** Whether a code may stand in a close frame: 1004 means nothing yet, 1005, 1006 and 1015 are for APIs only; 1012 to 1014 are in IANA's registry. */
export function mayBeSent(code: number): boolean {
  if (!Number.isInteger(code)) return false;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

function controlFrame(opcode: number, payload: Uint8Array, masked: boolean): Buffer {
  if (payload.length > LONGEST_CONTROL_PAYLOAD) {
    throw new RangeError(
      `the payload of a control frame is ${payload.length} bytes long, above ${LONGEST_CONTROL_PAYLOAD}`,
    );
  }
  const frame = Buffer.allocUnsafe(frameHeadLength(payload.length, masked) + payload.length);
  const mask = masked ? drawMask() : undefined;
  const begin = writeFrameHead(frame, 0, opcode, payload.length, mask);
  frame.set(payload, begin);
  if (mask !== undefined) maskInPlace(frame, begin, mask);
  return frame;
}

/** Unpredictable, as RFC 6455 section 5.3 wants it. The bytes are valid until the next draw. */
function drawMask(): Uint8Array {
  if (nextMask === MASKS.length) {
    randomFillSync(MASKS);
    nextMask = 0;
  }
  nextMask += 4;
  return MASKS.subarray(nextMask - 4, nextMask);
}

function maskInPlace(frame: Buffer, begin: number, mask: Uint8Array): void {
  for (let i = begin; i < frame.length; i++) frame[i] = (frame[i] as number) ^ (mask[(i - begin) & 3] as number);
}
