// Names of shared memory zones: nginx shares one name among all that need one, and says so where two cannot have it.

import { ConfigError } from '../config/errors.ts';
import type { Position } from '../config/tree.ts';
import type { HttpDraft } from './draft.ts';
import { noteOf } from './note-of.ts';

export interface WrittenZone {
  readonly name: string;
  /** Bytes; 0: another line says how many. */
  readonly size: number;
  readonly use: 'upstream' | 'TLS sessions' | 'cache' | 'sticky sessions' | 'limit_conn' | 'limit_req';
  readonly at: Position;
}

const ZONES = Symbol('zones by name');

function zonesOf(http: HttpDraft): Map<string, WrittenZone> {
  return noteOf(http, ZONES, () => new Map<string, WrittenZone>());
}

/** @throws ConfigError where the name is another zone's */
export function declareZone(http: HttpDraft, zone: WrittenZone): void {
  const zones = zonesOf(http);
  const { name, size, use, at } = zone;
  const former = zones.get(name);
  if (former === undefined || former.size === 0) zones.set(name, zone);
  if (former === undefined) return;
  if (former.use !== use)
    throw new ConfigError(`the shared memory zone "${name}" is already declared for a different use`, at);
  if (size === 0 || former.size === 0 || size === former.size) return;
  const conflict = `conflicts with already declared size ${former.size}`;
  throw new ConfigError(`the size ${size} of shared memory zone "${name}" ${conflict}`, at);
}

/** Some line must say how large each zone is. */
export function checkZoneSizes(http: HttpDraft): void {
  for (const { name, size, at } of zonesOf(http).values()) {
    if (size === 0) http.workshop.error(`zero size shared memory zone "${name}"`, at);
  }
}

/** nginx's smallest zone: eight pages of memory. */
export const SMALLEST_ZONE = 8 * 4096;
