// Bytes that wait to be written, in slabs.

import { giveBackSlab, type Slab, takeSlab } from './slabs.ts';

/** A queue of filled slabs. */
export class SlabQueue {
  /** How many bytes wait. */
  bytes = 0;
  #first: Slab | undefined = undefined;
  #last: Slab | undefined = undefined;

  /** Copies `[start, end)` of `bytes` to the end. A new slab has room for at least `room` bytes. */
  push(bytes: Uint8Array, start: number, end: number, room: number): void {
    this.bytes += end - start;
    for (let at = start; at < end; ) {
      const slab = this.#slabWithRoom(Math.max(end - at, room));
      const upTo = Math.min(end, at + slab.room);
      slab.append(bytes, at, upTo);
      at = upTo;
    }
  }

  /** As `push`, for text of one byte a character. */
  pushLatin1(text: string, room: number): void {
    this.bytes += text.length;
    for (let at = 0; at < text.length; ) {
      const slab = this.#slabWithRoom(Math.max(text.length - at, room));
      const upTo = Math.min(text.length, at + slab.room);
      slab.appendLatin1(text.slice(at, upTo));
      at = upTo;
    }
  }

  #slabWithRoom(length: number): Slab {
    const last = this.#last;
    if (last !== undefined && last.room > 0) return last;
    const slab = takeSlab(length);
    if (last === undefined) this.#first = slab;
    else last.next = slab;
    this.#last = slab;
    return slab;
  }

  /** Takes the first slab out; it is the caller's, to give back. */
  shift(): Slab | undefined {
    const first = this.#first;
    if (first === undefined) return undefined;
    this.#first = first.next;
    if (first.next === undefined) this.#last = undefined;
    first.next = undefined;
    this.bytes -= first.used;
    return first;
  }

  clear(): void {
    for (let slab = this.shift(); slab !== undefined; slab = this.shift()) giveBackSlab(slab);
  }
}
