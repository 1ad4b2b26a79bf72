// disable_symlinks against who changes the links while we look: what counts is the file that is open, not what its path leads to by now.

import assert from 'node:assert/strict';
import { lstatSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { mayFollow } from '../../src/serve/symbolic-links.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('a link that has led to the file of somebody else is none that may be followed, though it has made room for a plain file', async (t) => {
  const folder = temporaryFolder(t, { file: 'harmless' });
  const path = join(folder, 'file');
  const { uid } = lstatSync(path);
  // Nothing of the exchange is asked for without `from=`.
  const follow = (how: 'on' | 'if_not_owner', real: string, owner: number): Promise<boolean> =>
    mayFollow({} as Exchange, { how, from: undefined }, path, { real, owner });
  assert.equal(await follow('if_not_owner', '/elsewhere/secret', uid + 1), false);
  assert.equal(await follow('on', '/elsewhere/secret', uid + 1), false);
  assert.equal(await follow('if_not_owner', path, uid), true);
  assert.equal(await follow('on', path, uid), true);
});

test('a link may be followed to a file of its own owner, and no other', async (t) => {
  const folder = temporaryFolder(t, { target: 'own' });
  const path = join(folder, 'link');
  symlinkSync('target', path);
  const { uid } = lstatSync(path);
  const follow = (owner: number): Promise<boolean> =>
    mayFollow({} as Exchange, { how: 'if_not_owner', from: undefined }, path, { real: join(folder, 'target'), owner });
  assert.equal(await follow(uid), true);
  assert.equal(await follow(uid + 1), false);
});
