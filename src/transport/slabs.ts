// Slabs: the memory that bytes are copied into before they are written, taken from bounded pools and given back.

/** Views of so many lengths are kept with each slab: making one costs more than copying a small message. */
const CACHED_VIEWS = 512;

/** The sizes a slab can have, in bytes, and how many free ones of each a thread keeps (about 5 MB in all). */
const SIZES = [4096, 16 * 1024, 64 * 1024] as const;
const KEPT = [256, 64, 48] as const;

/** The most that fits in one slab, in bytes. */
export const SLAB_LIMIT = SIZES[2];

export class Slab {
  readonly bytes: Buffer;
  readonly sizeClass: number;
  /** How many bytes from the beginning are filled. */
  used = 0;
  /** The next one in a channel's queue. */
  next: Slab | undefined = undefined;
  #views: Buffer[] = [];
  #lastView: Buffer;

  constructor(sizeClass: number) {
    this.sizeClass = sizeClass;
    this.bytes = Buffer.allocUnsafeSlow(SIZES[sizeClass] as number);
    this.#lastView = this.bytes;
  }

  /** What is filled. */
  filled(): Buffer {
    const length = this.used;
    if (length < CACHED_VIEWS) return this.#views[length] ?? this.#keepView(length);
    if (this.#lastView.length !== length) this.#lastView = this.bytes.subarray(0, length);
    return this.#lastView;
  }

  /** Drops what was kept to make it faster: it will be away for a while. */
  rest(): void {
    this.#views = [];
  }

  #keepView(length: number): Buffer {
    const view = this.bytes.subarray(0, length);
    this.#views[length] = view;
    return view;
  }

  /** Appends `[start, end)` of `from`; there must be room. */
  append(from: Uint8Array, start: number, end: number): void {
    copyBytes.call(from as Buffer, this.bytes, this.used, start, end);
    this.used += end - start;
  }

  /** Appends `text`, one byte for each character; there must be room. */
  appendLatin1(text: string): void {
    this.used += this.bytes.write(text, this.used, 'latin1');
  }

  /** How many bytes still fit. */
  get room(): number {
    return this.bytes.length - this.used;
  }
}

const copyBytes = Buffer.prototype.copy;
const small: Slab[] = [];
const middle: Slab[] = [];
const large: Slab[] = [];
const pools = [small, middle, large] as const;

/** An empty slab with room for `length` bytes, or for `SLAB_LIMIT` where that is less. */
export function takeSlab(length: number): Slab {
  if (length <= SIZES[0]) return small.pop() ?? new Slab(0);
  if (length <= SIZES[1]) return middle.pop() ?? new Slab(1);
  return large.pop() ?? new Slab(2);
}

/** Gives a slab back that nobody reads any more. */
export function giveBackSlab(slab: Slab): void {
  slab.used = 0;
  slab.next = undefined;
  const pool = pools[slab.sizeClass] as Slab[];
  if (pool.length < (KEPT[slab.sizeClass] as number)) pool.push(slab);
}
