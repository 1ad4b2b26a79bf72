// The arguments of nginx's directives that name a folder for temporary files, and the folder that they make.

import { integer, optional, path, saying } from '../config/values.ts';
import type { TempFolder } from '../exchange/kept-body.ts';
import type { Workshop } from './draft.ts';

/** How many characters of a file's name are a folder of its own. */
const level = <const Name extends string>(name: Name) =>
  optional(saying(integer(name, { min: 1, max: 3 }), (_, directive) => `"${directive}" directive invalid value`));

export const temporaryFolder = [path('path'), level('level1'), level('level2'), level('level3')] as const;

export interface WrittenFolder {
  readonly path: string;
  readonly level1: number | undefined;
  readonly level2: number | undefined;
  readonly level3: number | undefined;
}

/**
 * The folder as it is written, else one of the prefix. One that is written is made when the configuration is taken into use.
 * @param name of the folder in the prefix, where none is written
 */
export function tempFolder(written: WrittenFolder | undefined, name: string, workshop: Workshop): TempFolder {
  if (written === undefined) return { path: workshop.fromPrefix(name), levels: [] };
  const path = workshop.fromPrefix(written.path).replace(/(?<=.)\/+$/, '');
  workshop.tempFolders.set(path, true);
  return { path, levels: [written.level1, written.level2, written.level3].filter((one) => one !== undefined) };
}

/** Something may be written there: the folder is made beforehand where that needs more rights than a worker has. */
export function needsFolder({ path }: TempFolder, { tempFolders }: Workshop): void {
  if (!tempFolders.has(path)) tempFolders.set(path, false);
}
