// Just enough of WebSocket framing (RFC 6455, section 5.2) for the clients and the peer of the soak.

export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

const MASK = Buffer.from([0x9c, 0x5e, 0x01, 0x77]);
const PAYLOAD_MOST = 16 * 1024 * 1024;

function unmasked(payload: Buffer, mask: Buffer): Buffer {
  return Buffer.from(payload.map((byte, i) => byte ^ (mask[i % 4] as number)));
}

/** One whole frame, masked where a client sends it. */
export function frame(opcode: number, payload: Buffer, masked: boolean): Buffer {
  const length = payload.length;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = (masked ? 0x80 : 0) | (length < 126 ? length : length < 65536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return masked ? Buffer.concat([head, MASK, unmasked(payload, MASK)]) : Buffer.concat([head, payload]);
}

/** Takes bytes as they come, gives frames when they are whole. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #size = 0;
  #wanted = 2;

  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size < this.#wanted) return [];
    let rest = Buffer.concat(this.#chunks);
    const frames: Frame[] = [];
    for (let taken = this.#takeOne(rest, frames); taken > 0; taken = this.#takeOne(rest, frames)) {
      rest = rest.subarray(taken);
    }
    this.#chunks = [rest];
    this.#size = rest.length;
    return frames;
  }

  /** How many bytes were a frame; 0 when `#wanted` says how many it takes to go on. */
  #takeOne(bytes: Buffer, frames: Frame[]): number {
    this.#wanted = 2;
    if (bytes.length < 2) return 0;
    const shown = (bytes[1] as number) & 0x7f;
    const masked = ((bytes[1] as number) & 0x80) !== 0;
    const begin = 2 + (shown === 127 ? 8 : shown === 126 ? 2 : 0) + (masked ? 4 : 0);
    this.#wanted = begin;
    if (bytes.length < begin) return 0;
    const length = shown === 127 ? Number(bytes.readBigUInt64BE(2)) : shown === 126 ? bytes.readUInt16BE(2) : shown;
    if (length > PAYLOAD_MOST) throw new Error(`a frame of ${length} bytes, which nobody sent`);
    this.#wanted = begin + length;
    if (bytes.length < begin + length) return 0;
    const payload = bytes.subarray(begin, begin + length);
    frames.push({
      opcode: (bytes[0] as number) & 0x0f,
      payload: masked ? unmasked(payload, bytes.subarray(begin - 4, begin)) : payload,
    });
    return begin + length;
  }
}
