// What a case of the conformance set is, and how its frames are written down.

import type { Shape } from './wire-frame.ts';

/** Frames that one side sends, and what a gateway that validates makes of them. One that does not passes them all, byte for byte. */
export interface ConformanceCase {
  /** What is sent; it completes the sentence "the client sends …". */
  readonly name: string;
  /** The section of RFC 6455 that rules it, or of RFC 7692. */
  readonly rule: string;
  readonly frames: readonly Shape[];
  /** Absent: they are as they should be. */
  readonly violation?: Violation;
  /** So many of the frames reach the other side of a gateway that validates; absent: all. */
  readonly passed?: number;
  /** Whether permessage-deflate has been agreed on. */
  readonly deflate?: boolean;
}

export interface Violation {
  /** The close code that the sender gets. */
  readonly code: 1002 | 1007;
  /** How many of the frames come before the one that is wrong: these reach the other side. */
  readonly after: number;
}

export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

type More = Omit<Shape, 'opcode' | 'payload'>;

/** `'…'` is text, in UTF-8. */
export type Payload = string | Uint8Array;

const bytes = (payload: Payload): Uint8Array => (typeof payload === 'string' ? Buffer.from(payload) : payload);

export const text = (payload: Payload, more: More = {}): Shape => ({ ...more, opcode: TEXT, payload: bytes(payload) });
export const binary = (payload: Payload, more: More = {}): Shape => ({
  ...more,
  opcode: BINARY,
  payload: bytes(payload),
});
export const ping = (payload: Payload = '', more: More = {}): Shape => ({
  ...more,
  opcode: PING,
  payload: bytes(payload),
});
export const pong = (payload: Payload = '', more: More = {}): Shape => ({
  ...more,
  opcode: PONG,
  payload: bytes(payload),
});
/** A fragment that is not the first of its message; the last one unless it says that it is not. */
export const next = (payload: Payload, more: More = {}): Shape => ({
  ...more,
  opcode: CONTINUATION,
  payload: bytes(payload),
});
/** Begins a message that has more fragments. */
export const MORE: More = { final: false };

/** @param reason behind the code */
export function close(code?: number, reason: Payload = '', more: More = {}): Shape {
  if (code === undefined) return { ...more, opcode: CLOSE };
  return { ...more, opcode: CLOSE, payload: Buffer.concat([Buffer.from([code >> 8, code & 0xff]), bytes(reason)]) };
}

/** The message that ends many cases: what came before it has left the connection in order. */
export const LAST = text('and a message');
