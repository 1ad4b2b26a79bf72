// The files of Unix sockets that are listened on: whoever stops listening removes them.

import { unlinkSync } from 'node:fs';
import type { ListenSettings } from './listen-settings.ts';

/** The paths among the addresses. */
export function unixPaths(listeners: readonly ListenSettings[]): string[] {
  return listeners.flatMap(({ address }) => (address.kind === 'unix' ? [address.path] : []));
}

export function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody has removed it already.
  }
}
