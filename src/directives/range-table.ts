// Values by range of IPv4 addresses. As in nginx, ranges are kept in pieces of at most 65536 addresses, and one may be cut out of another.

interface Piece {
  start: number;
  end: number;
  value: string;
}

/** A range reaches into another one without lying in it. */
export class RangeOverlap extends Error {
  override readonly name = 'RangeOverlap';
  /** As text: `10.0.0.0-10.0.0.255`. */
  readonly range: string;

  constructor(high: number, { start, end }: Piece) {
    const range = `${dotted(high, start)}-${dotted(high, end)}`;
    super(`overlaps "${range}"`);
    this.range = range;
  }
}

const dotted = (high: number, low: number): string => `${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`;

export class RangeTable {
  /** The pieces by the upper half of their addresses, in order. */
  readonly #blocks: (Piece[] | undefined)[] = [];

  /**
   * Adds a range of addresses as numbers, both ends included. What lies in it exactly is replaced, what lies around it is cut.
   * @returns the values that were replaced @throws RangeOverlap
   */
  add(start: number, end: number, value: string): string[] {
    const replaced: string[] = [];
    eachBlock(start, end, (high, low, last) => {
      const former = this.#addPiece(high, { start: low, end: last, value });
      if (former !== undefined) replaced.push(former);
    });
    return replaced;
  }

  /** Removes a range that was added as it is. @returns whether all of it was there */
  delete(start: number, end: number): boolean {
    let found = true;
    eachBlock(start, end, (high, low, last) => {
      const pieces = this.#blocks[high] ?? [];
      const index = pieces.findIndex((piece) => piece.start === low && piece.end === last);
      if (index < 0) found = false;
      else pieces.splice(index, 1);
    });
    return found;
  }

  find(address: number): string | undefined {
    const pieces = this.#blocks[address >>> 16];
    if (pieces === undefined) return undefined;
    const low = address & 0xffff;
    const piece = pieces[firstEndingAt(pieces, low)];
    return piece !== undefined && piece.start <= low ? piece.value : undefined;
  }

  #addPiece(high: number, piece: Piece): string | undefined {
    const pieces = this.#blocks[high] ?? [];
    this.#blocks[high] = pieces;
    const index = firstEndingAt(pieces, piece.start);
    const found = pieces[index];
    if (found === undefined || found.start > piece.end) {
      pieces.splice(index, 0, piece);
      return undefined;
    }
    if (found.start > piece.start || found.end < piece.end) throw new RangeOverlap(high, lastWithin(pieces, piece));
    if (found.start === piece.start && found.end === piece.end) {
      pieces[index] = piece;
      return found.value;
    }
    pieces.splice(index, 1, ...around(found, piece));
    return undefined;
  }
}

/** The last piece that has an address in common with this one: the one that nginx tells of. */
function lastWithin(pieces: readonly Piece[], { start, end }: Piece): Piece {
  return pieces.findLast((piece) => piece.start <= end && piece.end >= start) as Piece;
}

function around(outer: Piece, inner: Piece): Piece[] {
  const before = outer.start < inner.start ? [{ ...outer, end: inner.start - 1 }] : [];
  const after = outer.end > inner.end ? [{ ...outer, start: inner.end + 1 }] : [];
  return [...before, inner, ...after];
}

/** The index of the first piece that does not end before `low`. */
function firstEndingAt(pieces: readonly Piece[], low: number): number {
  let [from, upTo] = [0, pieces.length];
  while (from < upTo) {
    const middle = (from + upTo) >> 1;
    if ((pieces[middle] as Piece).end < low) from = middle + 1;
    else upTo = middle;
  }
  return from;
}

function eachBlock(start: number, end: number, act: (high: number, low: number, last: number) => void): void {
  for (let high = start >>> 16; high <= end >>> 16; high++) {
    act(high, high === start >>> 16 ? start & 0xffff : 0, high === end >>> 16 ? end & 0xffff : 0xffff);
  }
}
