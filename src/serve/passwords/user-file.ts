// The text of a file of users: read once, and again as soon as anything about the file has changed.

import { type BigIntStats, readFile, stat } from 'node:fs';
import { pathBytes } from '../file-path.ts';

type Read = (error: NodeJS.ErrnoException | null, text: string) => void;

interface KeptText {
  /** Whatever changes when the file does. */
  readonly identity: string;
  readonly text: string;
}

/** What was asked for last comes last. */
const kept = new Map<string, KeptText>();
const MOST_KEPT = 32;
/** In bytes: longer files are read for each request. */
const LONGEST_KEPT = 256 * 1024;
/** In ms: two changes within one tick of a file system's clock look like one, so what has just been changed is not kept. */
const SETTLED_AFTER = 2000;

/**
 * As if the file were read for each request, which nginx does: the file is looked at each time, and its text is kept only as long
 * as inode, size and both times stay what they were.
 * @param path a byte string
 * @param read gets the text as a byte string, or the error of the system; not from inside this call
 */
export function readUserFile(path: string, read: Read): void {
  const bytes = pathBytes(path);
  stat(bytes, { bigint: true }, (error, stats) => {
    if (error !== null) {
      kept.delete(path);
      read(error, '');
      return;
    }
    const identity = identityOf(stats);
    const known = kept.get(path);
    kept.delete(path);
    if (known?.identity === identity) {
      kept.set(path, known);
      read(null, known.text);
      return;
    }
    readFile(bytes, 'latin1', (fault, text) => {
      if (fault === null && isKept(stats)) keep(path, { identity, text });
      read(fault, text);
    });
  });
}

function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}

/** A file whose time is not yet over, by our clock, may be changed again without showing it. */
function isKept(stats: BigIntStats): boolean {
  const changed = Math.max(Number(stats.mtimeMs), Number(stats.ctimeMs));
  return stats.isFile() && stats.size <= LONGEST_KEPT && Date.now() - changed > SETTLED_AFTER;
}

function keep(path: string, text: KeptText): void {
  if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value as string);
  kept.set(path, text);
}
