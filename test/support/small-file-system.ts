// A file system that is full soon, for whoever may mount one.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** As `skip` of a test: who is not root need not try. */
export const SKIP_UNLESS_ROOT = process.getuid?.() === 0 ? false : 'only root can mount';

/** 64 kB of its own, which anybody may use; undefined, and the test is left out, where that is not allowed. */
export function smallFileSystem(t: TestContext): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'sockgate-small-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=777', 'tmpfs', folder]);
  t.after(() => {
    // The gateway may still be writing: the folder goes when it has ended.
    if (mounted.status === 0) spawnSync('umount', ['-l', folder]);
    rmdirSync(folder);
  });
  if (mounted.status === 0) return folder;
  t.skip('only a root that may mount can have a small file system');
  return undefined;
}
