// Makes the folders for temporary files while the rights to do so are there, and gives them to the user who will fill them.

import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import { systemErrorCode, systemErrorText } from '../diagnostics/system-error.ts';
import type { Privileges, UserSetting } from './privileges.ts';

/** A folder cannot be had: `mkdir() "/path" failed (13: Permission denied)`. */
export class TempFolderError extends Error {
  override readonly name = 'TempFolderError';
}

/** The owner may do everything with a folder of theirs. */
const ALL_OF_OWNER = 0o700;

/**
 * As nginx's ngx_create_paths, at each start, reload and test.
 * @param folders absolute paths, and whether the configuration names them: one that is only there by default is made on demand, unless
 *   a worker could not do that
 * @throws TempFolderError for one that the configuration names
 */
export function makeTempFolders(
  folders: ReadonlyMap<string, boolean>,
  user: UserSetting | undefined,
  privileges: Privileges,
): void {
  for (const [path, isWritten] of folders) {
    if (!isWritten && !privileges.isRoot) continue;
    try {
      privileges.asOwner(() => makeFolder(path, privileges.isRoot ? privileges.idOf(user) : undefined));
    } catch (error) {
      if (isWritten) throw error;
    }
  }
}

function makeFolder(path: string, owner: number | undefined): void {
  attempt('mkdir()', path, () => {
    try {
      mkdirSync(path, ALL_OF_OWNER);
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    }
  });
  if (owner === undefined) return;
  const { uid, gid, mode } = attempt('stat()', path, () => statSync(path));
  if (uid !== owner) attempt('chown()', path, () => chownSync(path, owner, gid));
  if ((mode & ALL_OF_OWNER) !== ALL_OF_OWNER) attempt('chmod()', path, () => chmodSync(path, mode | ALL_OF_OWNER));
}

function attempt<T>(call: string, path: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw new TempFolderError(`${call} "${path}" failed (${systemErrorText(systemErrorCode(error))})`);
  }
}
