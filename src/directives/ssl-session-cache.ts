// ssl_session_cache: where TLS sessions are kept that are not in tickets.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_session_cache

import { ConfigError } from '../config/errors.ts';
import { parseNumber, parseSize } from '../config/quantities.ts';
import type { Position } from '../config/tree.ts';
import { argument, optional } from '../config/values.ts';
import type { SessionCache } from '../listen/tls-settings.ts';
import { SessionMemory } from '../zones/session-memory.ts';
import type { HttpDraft } from './draft.ts';
import { noteOf } from './note-of.ts';
import { declareZone, SMALLEST_ZONE, type WrittenZone } from './zone-names.ts';

/** One argument. `off` tells clients that sessions are not resumed, `none` does not; Node knows no difference. */
export type WrittenCache =
  | { readonly kind: 'none' }
  | { readonly kind: 'builtin'; readonly sessions: number }
  | { readonly kind: 'shared'; readonly zone: WrittenZone };

/** OpenSSL's own number. */
const BUILTIN_SESSIONS = 20_480;
/** Zero means as many as come; here that has a bound. */
const MOST_SESSIONS = 1_000_000;

function readCache(text: string, at: Position): WrittenCache {
  if (text === 'off' || text === 'none') return { kind: 'none' };
  if (text === 'builtin') return { kind: 'builtin', sessions: BUILTIN_SESSIONS };
  const [kind, name = '', size, ...more] = text.split(':');
  const number = kind === 'builtin' && size === undefined ? parseNumber(name) : undefined;
  if (number !== undefined) return { kind: 'builtin', sessions: number === 0 ? MOST_SESSIONS : number };
  const bytes = kind === 'shared' && size !== undefined && more.length === 0 ? parseSize(size, 'km') : undefined;
  if (bytes === undefined || name === '') throw new ConfigError(`invalid session cache "${text}"`);
  if (bytes < SMALLEST_ZONE) throw new ConfigError(`session cache "${text}" is too small`);
  return { kind: 'shared', zone: { name, size: bytes, use: 'TLS sessions', at } };
}

const cache = <const Name extends string>(name: Name) =>
  argument(name, 'off | none | builtin[:size] | shared:name:size', (text, { at }) => readCache(text, at));

/** At most two: `builtin:1000 shared:SSL:10m`. */
export const sessionCacheKinds = [cache('first'), optional(cache('second'))] as const;

/** What stands in one line. The shared one goes before one of the worker's own. */
export interface WrittenCaches {
  readonly first: WrittenCache;
  readonly second: WrittenCache | undefined;
}

/** @throws ConfigError where a zone of that name is for something else */
export function declareCaches(caches: WrittenCaches, http: HttpDraft): void {
  for (const written of [caches.first, caches.second])
    if (written?.kind === 'shared') http.workshop.problems.attempt(() => declareZone(http, written.zone));
}

/** The memory of the shared cache that is in force, if one is. */
export function sharedMemory(caches: WrittenCaches | undefined, http: HttpDraft): SessionMemory | undefined {
  const written = [caches?.first, caches?.second];
  if (written.some((one) => one?.kind === 'none')) return undefined;
  const shared = written.find((one) => one?.kind === 'shared');
  return shared?.kind === 'shared' ? memoryOf(http, `zone ${shared.zone.name}`, shared.zone.size) : undefined;
}

/** The cache of the worker's own that is in force, if one is. */
export function builtinSessions(caches: WrittenCaches | undefined): number | undefined {
  const written = [caches?.first, caches?.second];
  if (written.some((one) => one?.kind === 'none')) return undefined;
  const builtin = written.find((one) => one?.kind === 'builtin');
  return builtin?.kind === 'builtin' ? builtin.sessions : undefined;
}

const MEMORIES = Symbol('memories of TLS sessions');

/** One for each name, in all workers the same. */
export function memoryOf(http: HttpDraft, name: string, bytes: number): SessionMemory {
  const known = noteOf(http, MEMORIES, () => new Map<string, SessionMemory>());
  const { zones, secrets } = http.workshop;
  const memory = known.get(name) ?? new SessionMemory(zones.memory(`TLS ${name} ${bytes}`, bytes), secrets.ticketKeys);
  known.set(name, memory);
  return memory;
}

/** Sessions that all workers share. */
export class SharedSessions implements SessionCache {
  readonly #memory: SessionMemory;
  readonly #timeout: number;

  /** @param timeout ms a session may be resumed for */
  constructor(memory: SessionMemory, timeout: number) {
    this.#memory = memory;
    this.#timeout = timeout;
  }

  find(id: Buffer): Buffer | undefined {
    return this.#memory.find(id, Date.now());
  }

  keep(id: Buffer, session: Buffer): void {
    this.#memory.keep(id, session, Date.now() + this.#timeout);
  }
}

/** The longest session that is kept, in bytes. */
const LONGEST_SESSION = 8 * 1024;

/** Sessions of one server in one worker, the one kept longest ago going first. OpenSSL itself looks when they end. */
export class OwnSessions implements SessionCache {
  readonly #most: number;
  readonly #sessions = new Map<string, Buffer>();

  constructor(most: number) {
    this.#most = most;
  }

  find(id: Buffer): Buffer | undefined {
    return this.#sessions.get(id.toString('latin1'));
  }

  keep(id: Buffer, session: Buffer): void {
    if (session.length > LONGEST_SESSION) return;
    this.#sessions.set(id.toString('latin1'), session);
    if (this.#sessions.size > this.#most) this.#sessions.delete(this.#sessions.keys().next().value as string);
  }
}
