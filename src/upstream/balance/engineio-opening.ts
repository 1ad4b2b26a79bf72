// The open packet of Engine.IO, which names a session: found in the body of a polling answer, or in the first message of a WebSocket.
// https://github.com/socketio/engine.io-protocol

import { brotliDecompressSync, constants, inflateRawSync, unzipSync } from 'node:zlib';
import type { OpeningReader } from './balancer.ts';

/** So many bytes are looked at, and so many of what they are inflated to: an open packet has about 120. */
const MOST = 4096;
/** In so many pieces it may come: each time all of them are looked at. */
const MOST_PIECES = 256;

/**
 * `0{"sid":"…",…}`, as a WebSocket has it and as polling has it in version 4. In version 3 polling puts its length before it, in figures or
 * in bytes; and JSONP puts all of it into a string of JavaScript.
 */
const OPEN_PACKET =
  /^(?:(?:\/\*\*\/)?___eio\[\d+\]\(")?(?:\d{1,9}:|\W{2,10}\xff)?0\{[^{}]*?"sid\\?" ?: ?\\?"([^"\\]{1,256})\\?"/;

/** What can be read so far. */
interface Beginning {
  /** A byte string. */
  readonly text: string;
  /** Nothing more of it will come. */
  readonly whole: boolean;
}

const NOTHING_YET: Beginning = { text: '', whole: false };
const NEVER: Beginning = { text: '', whole: true };

/** @param text a byte string @returns undefined where this is no open packet, or not yet one */
export function sessionIn(text: string): string | undefined {
  return OPEN_PACKET.exec(text)?.[1];
}

/** Looks for an open packet in what a peer says first. */
export class EngineioOpening implements OpeningReader {
  readonly #beginningOf: (bytes: Buffer) => Beginning;
  readonly #found: (session: string) => void;
  #bytes: Buffer = Buffer.alloc(0);
  #pieces = 0;

  /** @param found told once at most, from inside `read` */
  constructor(beginningOf: (bytes: Buffer) => Beginning, found: (session: string) => void) {
    this.#beginningOf = beginningOf;
    this.#found = found;
  }

  read(bytes: Uint8Array, start: number, end: number): boolean {
    const taken = Math.min(end, start + MOST - this.#bytes.length);
    this.#bytes = Buffer.concat([this.#bytes, bytes.subarray(start, taken)]);
    this.#pieces++;
    const { text, whole } = this.#beginningOf(this.#bytes);
    const session = sessionIn(text);
    if (session !== undefined) this.#found(session);
    return session === undefined && !whole && this.#bytes.length < MOST && this.#pieces < MOST_PIECES;
  }
}

/**
 * How the body of an answer is read.
 * @param coding what its Content-Encoding says
 * @returns undefined where that is none that we can
 */
export function bodyBeginning(coding: string | undefined): ((bytes: Buffer) => Beginning) | undefined {
  switch (coding?.toLowerCase()) {
    case undefined:
    case 'identity':
      return (bytes) => ({ text: bytes.toString('latin1'), whole: false });
    case 'gzip':
    case 'x-gzip':
    case 'deflate':
      return (bytes) => ({ text: inflated(bytes, unzipSync, constants.Z_SYNC_FLUSH), whole: false });
    case 'br':
      return (bytes) => ({
        text: inflated(bytes, brotliDecompressSync, constants.BROTLI_OPERATION_FLUSH),
        whole: false,
      });
    default:
      return undefined;
  }
}

type Inflate = typeof unzipSync;

/** What the first bytes of something compressed come to; '' where they come to nothing. Where that is too much, fewer of them are taken. */
function inflated(bytes: Buffer, inflate: Inflate, finishFlush: number): string {
  for (let length = bytes.length; length > 0; length >>= 1) {
    try {
      const options = { finishFlush, chunkSize: MOST, maxOutputLength: MOST };
      return inflate(bytes.subarray(0, length), options).toString('latin1');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') return '';
    }
  }
  return '';
}

/** Opcodes and bits of RFC 6455 section 5.2. */
const TEXT = 1;
const CONTROL = 8;
const CLOSE = 8;
const COMPRESSED = 0x40;
const MASKED = 0x80;

/** The text of the first message of a server, inflated where it is compressed; pings before it are passed over. */
export function messageBeginning(bytes: Buffer): Beginning {
  let at = 0;
  while (bytes.length >= at + 2) {
    const opcode = (bytes[at] as number) & 0x0f;
    const length = bytes[at + 1] as number;
    if (length >= MASKED || opcode === CLOSE) return NEVER;
    if (opcode < CONTROL) return opcode === TEXT ? textFrame(bytes.subarray(at)) : NEVER;
    at += 2 + length;
  }
  return NOTHING_YET;
}

function textFrame(frame: Buffer): Beginning {
  const short = frame[1] as number;
  const head = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (frame.length < head) return NOTHING_YET;
  const length = short < 126 ? short : short === 126 ? frame.readUInt16BE(2) : Number.POSITIVE_INFINITY;
  const payload = frame.subarray(head, head + length);
  const compressed = ((frame[0] as number) & COMPRESSED) !== 0;
  const text = compressed ? inflated(payload, inflateRawSync, constants.Z_SYNC_FLUSH) : payload.toString('latin1');
  return { text, whole: payload.length === length };
}
