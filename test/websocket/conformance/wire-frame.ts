// Frames as bytes, right or wrong in every part: made by hand, so that nothing that is tested has made them.

/** A frame is right in what is not said. */
export interface Shape {
  readonly opcode: number;
  /** Before it is masked. */
  readonly payload?: Uint8Array;
  /** Default true. */
  readonly final?: boolean;
  /** 4 is RSV1, 2 is RSV2, 1 is RSV3. */
  readonly reserved?: number;
  /** True: not masked from a client, masked from a peer. */
  readonly isMaskWrong?: boolean;
  /** Default: some number that differs from byte to byte. */
  readonly mask?: number;
  /** Bits that the length takes, where it is not the fewest. */
  readonly lengthBits?: 16 | 64;
  /** The length that the head tells, where it is not that of the payload. */
  readonly told?: bigint;
}

const FINAL = 0x80;
const MASKED = 0x80;
const SOME_MASK = 0x5a_a5_3c_c3;

/** RFC 6455 section 5.2. */
export function wireFrame(shape: Shape, isFromClient: boolean): Buffer {
  const { opcode, final = true, reserved = 0, payload = new Uint8Array() } = shape;
  const isMasked = isFromClient !== (shape.isMaskWrong ?? false);
  const first = (final ? FINAL : 0) | (reserved << 4) | opcode;
  const length = lengthBytes(shape.told ?? BigInt(payload.length), shape.lengthBits);
  length[0] = (length[0] as number) | (isMasked ? MASKED : 0);
  if (!isMasked) return Buffer.concat([Buffer.from([first]), length, payload]);
  const mask = Buffer.alloc(4);
  mask.writeUInt32BE(shape.mask ?? SOME_MASK);
  return Buffer.concat([
    Buffer.from([first]),
    length,
    mask,
    payload.map((byte, at) => byte ^ (mask[at & 3] as number)),
  ]);
}

function lengthBytes(length: bigint, bits: 16 | 64 | undefined): Buffer {
  if (bits === undefined && length < 126) return Buffer.from([Number(length)]);
  if (bits === 16 || (bits === undefined && length < 65_536)) {
    const bytes = Buffer.from([126, 0, 0]);
    bytes.writeUInt16BE(Number(length), 1);
    return bytes;
  }
  const bytes = Buffer.alloc(9);
  bytes[0] = 127;
  bytes.writeBigUInt64BE(length, 1);
  return bytes;
}

/** A close frame that is whole, short, and all that there is. */
export interface SeenClose {
  readonly code: number;
  readonly reason: string;
}

/** @returns undefined where the bytes are anything but one close frame with a code. @throws where its mask is wrong */
export function readClose(bytes: Buffer, isFromClient: boolean): SeenClose | undefined {
  const head = isFromClient ? 6 : 2;
  if (bytes.length < head + 2 || bytes[0] !== 0x88) return undefined;
  const second = bytes[1] as number;
  if (second >= MASKED !== isFromClient) throw new Error('the close frame is masked wrongly');
  if (bytes.length !== head + (second & 0x7f)) return undefined;
  const mask = isFromClient ? bytes.subarray(2, 6) : Buffer.alloc(4);
  const payload = Buffer.from(bytes.subarray(head).map((byte, at) => byte ^ (mask[at & 3] as number)));
  return { code: payload.readUInt16BE(0), reason: payload.toString('utf8', 2) };
}
