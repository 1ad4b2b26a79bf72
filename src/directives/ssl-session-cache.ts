// The argument of ssl_session_cache: checked as nginx does, though sessions are resumed by tickets, which need no cache.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_session_cache

import { ConfigError } from '../config/errors.ts';
import { parseNumber, parseSize } from '../config/quantities.ts';
import type { Position } from '../config/tree.ts';
import { argument, optional } from '../config/values.ts';
import { SMALLEST_ZONE, type WrittenZone } from './zone-names.ts';

/** The zone that the cache would be kept in, where it has one. */
type SharedCache = WrittenZone | undefined;

const WORDS: ReadonlySet<string> = new Set(['off', 'none', 'builtin']);

function readCache(text: string, at: Position): SharedCache {
  if (WORDS.has(text)) return undefined;
  const [kind, name = '', size, ...more] = text.split(':');
  if (kind === 'builtin' && size === undefined && parseNumber(name) !== undefined) return undefined;
  const bytes = kind === 'shared' && size !== undefined && more.length === 0 ? parseSize(size, 'km') : undefined;
  if (bytes === undefined || name === '') throw new ConfigError(`invalid session cache "${text}"`);
  if (bytes < SMALLEST_ZONE) throw new ConfigError(`session cache "${text}" is too small`);
  return { name, size: bytes, use: 'TLS sessions', at };
}

const cache = <const Name extends string>(name: Name) =>
  argument(name, 'off | none | builtin[:size] | shared:name:size', (text, { at }) => readCache(text, at));

/** At most two: `builtin:1000 shared:SSL:10m`. */
export const sessionCacheKinds = [cache('first'), optional(cache('second'))] as const;
