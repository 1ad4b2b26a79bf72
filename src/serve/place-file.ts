// A temporary file that is whole gets its rights, its time and its place.

import { chmod, copyFile, mkdir, rename, unlink, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import { pathBytes } from './file-path.ts';

/** What the system said, as nginx has it in its log: `rename() "/a" to "/b" failed (20: Not a directory)`. */
export class PlaceFileError extends Error {
  override readonly name = 'PlaceFileError';

  constructor(what: string, cause: unknown) {
    super(`${what} failed (${systemErrorText(systemErrorCode(cause))})`, { cause });
  }
}

/**
 * Renames the file, over whatever file is there; copies it where that is another file system. Folders that are missing are made.
 * @param to a byte string
 * @param access the rights of the file; folders that are made have them too, and are entered by whoever may read
 * @param modified when it was modified, in ms since 1970; undefined: its time stays
 * @returns what became of `from`: after a copy it is still there, as it is after an error
 * @throws PlaceFileError
 */
export async function placeFile(
  from: string,
  to: string,
  access: number,
  modified: number | undefined,
): Promise<'renamed' | 'copied'> {
  await attempt(`chmod() "${from}"`, chmod(from, access));
  if (modified !== undefined) await attempt(`futimes() "${from}"`, utimes(from, new Date(), new Date(modified)));
  const error = await renameInto(from, to, access);
  if (error === undefined) return 'renamed';
  if (systemErrorCode(error) !== 'EXDEV') throw new PlaceFileError(`rename() "${from}" to "${to}"`, error);
  await copyInto(from, to, modified);
  return 'copied';
}

async function attempt(what: string, call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    throw new PlaceFileError(what, error);
  }
}

/** @returns why it has not been renamed */
async function renameInto(from: string, to: string, access: number): Promise<unknown> {
  const first = await errorOf(rename(from, pathBytes(to)));
  if (first === undefined || systemErrorCode(first) !== 'ENOENT') return first;
  const folder = pathBytes(dirname(to));
  await attempt(`mkdir() "${to}"`, mkdir(folder, { recursive: true, mode: access | ((access & 0o444) >> 2) }));
  return await errorOf(rename(from, pathBytes(to)));
}

async function errorOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
    return undefined;
  } catch (error) {
    return error;
  }
}

/** By way of a name beside the place, so that nobody ever finds a part of it there. */
async function copyInto(from: string, to: string, modified: number | undefined): Promise<void> {
  const beside = `${to}.${`${Math.floor(Math.random() * 10 ** 10)}`.padStart(10, '0')}`;
  try {
    await attempt(`copy of "${from}" to "${beside}"`, copyFile(from, pathBytes(beside)));
    if (modified !== undefined)
      await attempt(`futimes() "${beside}"`, utimes(pathBytes(beside), new Date(), new Date(modified)));
    await attempt(`rename() "${beside}" to "${to}"`, rename(pathBytes(beside), pathBytes(to)));
  } catch (error) {
    await errorOf(unlink(pathBytes(beside)));
    throw error;
  }
}
