// The memory that temporary files are read into: a piece is needed only from a read until its bytes have been passed on.

/** So much of a file is read at once. */
export const PIECE_SIZE = 64 * 1024;
/** No more reads than that run at the same time in Node's thread pool. */
const MOST_KEPT = 8;

const kept: Buffer[] = [];

/** A piece of `PIECE_SIZE`, to be given back with `givePiece`. */
export function takePiece(): Buffer {
  return kept.pop() ?? Buffer.allocUnsafeSlow(PIECE_SIZE);
}

export function givePiece(piece: Buffer): void {
  if (kept.length < MOST_KEPT) kept.push(piece);
}
