// disable_symlinks: whether a file may be reached over symbolic links.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#disable_symlinks

import { lstatSync, statSync } from 'node:fs';
import { lstat, realpath, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Exchange, SymlinkRule } from '../exchange/exchange.ts';
import { pathBytes } from './file-path.ts';

/** A file that has been opened by a path: whatever links are put on the way after that, it is this one. */
export interface OpenedFile {
  /** Where it is; undefined where the system does not tell. */
  readonly real: string | undefined;
  /** The number of its user. */
  readonly owner: number;
}

/**
 * Whether a path may be used, by the rule of the location.
 * @param path a byte string
 * @param opened what has been opened by it. Default: nothing, and all is looked up
 */
export async function mayFollow(
  exchange: Exchange,
  rule: SymlinkRule,
  path: string,
  opened?: OpenedFile,
): Promise<boolean> {
  const trusted = trustedPart(rule.from?.(exchange) ?? '', path);
  if (trusted === path) return true;
  const rest = posix.normalize(path.slice(trusted.length));
  const expected = (trusted === '' ? '' : await realPath(trusted)) + rest;
  if ((opened?.real ?? (await realPath(path))) === expected) return true;
  return rule.how === 'if_not_owner' && (await linksBelongToTargets(trusted, rest, opened));
}

/** The same at once, for a test that must not wait: each name on the way is looked at. @throws the system's error */
export function mayFollowNow(exchange: Exchange, rule: SymlinkRule, path: string): boolean {
  const trusted = trustedPart(rule.from?.(exchange) ?? '', path);
  let at = trusted;
  for (const name of posix.normalize(path.slice(trusted.length)).split('/')) {
    if (name === '' || name === '.') continue;
    at += `/${name}`;
    const link = lstatSync(pathBytes(at));
    if (link.isSymbolicLink() && (rule.how === 'on' || link.uid !== statSync(pathBytes(at)).uid)) return false;
  }
  return true;
}

/** The begin of a path in which links are not asked for: `from`, where it ends with a name. */
function trustedPart(from: string, path: string): string {
  if (from === '' || !path.startsWith(from)) return '';
  if (from.length === path.length || path[from.length] === '/') return from;
  return from.endsWith('/') ? from.slice(0, -1) : '';
}

async function realPath(path: string): Promise<string> {
  const real = await realpath(pathBytes(path), { encoding: 'latin1' });
  return real === '/' ? '' : real;
}

/**
 * Each link on the way has the owner of what it leads to. What is open must have the owner of what stands under the last name by now,
 * link or not: the link that has led there may have made room for something harmless since.
 */
async function linksBelongToTargets(trusted: string, rest: string, opened: OpenedFile | undefined): Promise<boolean> {
  let path = trusted;
  let owner = opened?.owner;
  for (const name of rest.split('/').filter((part) => part !== '')) {
    path += `/${name}`;
    const link = await lstat(pathBytes(path));
    if (link.isSymbolicLink() && link.uid !== (await stat(pathBytes(path))).uid) return false;
    owner = link.uid;
  }
  return opened === undefined || owner === opened.owner;
}
