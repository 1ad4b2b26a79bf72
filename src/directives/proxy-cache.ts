// proxy_cache: understood, and told that it has no effect. Every request is passed on, so it must not keep anyone out.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_cache

import { directives, type Kind, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { parseNumber, parseSize, parseTime } from '../config/quantities.ts';
import type { Position } from '../config/tree.ts';
import {
  argument,
  flag,
  integer,
  mapped,
  offset,
  oneOf,
  parameters,
  path,
  rest,
  seconds,
  someOf,
  telling,
  template,
  time,
} from '../config/values.ts';
import type { HttpDraft, Level, Workshop } from './draft.ts';
import { nginxModule } from './module.ts';
import { noteOf } from './note-of.ts';
import { declareZone } from './zone-names.ts';

/** nginx's: two pages of memory. */
const SMALLEST_KEYS = 2 * 4096;

interface KeysZone {
  readonly name: string;
  readonly bytes: number;
}

const keysZone = argument('zone', 'name:size', (text): KeysZone => {
  const wrong = wrongKeysZone(text);
  if (wrong !== undefined) throw new ConfigError(wrong);
  const colon = text.indexOf(':');
  return { name: text.slice(0, colon), bytes: parseSize(text.slice(colon + 1), 'km') as number };
});

function wrongKeysZone(text: string): string | undefined {
  const colon = text.indexOf(':');
  const bytes = colon < 0 ? undefined : parseSize(text.slice(colon + 1), 'km');
  if (bytes === undefined) return `invalid keys zone size "keys_zone=${text}"`;
  return bytes < SMALLEST_KEYS ? `keys zone "keys_zone=${text}" is too small` : undefined;
}

const levels = argument('levels', 'levels', (text) => {
  if (/^[12](?::[12]){0,2}$/.test(text)) return text;
  throw new ConfigError('invalid levels');
});

/** nginx's sentence for a parameter of `proxy_cache_path` that is wrong. */
function wrongParameter(key: string, value: string): string {
  if (key === 'levels') return `invalid "levels" "levels=${value}"`;
  if (key === 'keys_zone') return wrongKeysZone(value) as string;
  const mend = key === 'use_temp_path' ? ', it must be "on" or "off"' : '';
  return `invalid ${key} value "${key}=${value}"${mend}`;
}

const cacheParameters = mapped(
  parameters(
    'parameters',
    {
      levels,
      use_temp_path: oneOf('how', 'on', 'off'),
      keys_zone: keysZone,
      inactive: seconds('time'),
      max_size: offset('size'),
      min_free: offset('size'),
      manager_files: integer('number'),
      manager_sleep: time('time'),
      manager_threshold: time('time'),
      loader_files: integer('number'),
      loader_sleep: time('time'),
      loader_threshold: time('time'),
    },
    { needed: true, invalid: wrongParameter },
  ),
  ({ keys_zone }, directive): KeysZone => {
    if (keys_zone !== undefined && keys_zone.name !== '') return keys_zone;
    throw new ConfigError(`"${directive}" must have "keys_zone" parameter`);
  },
);

const validTimes: Kind<'times', true> = {
  name: 'times',
  syntax: '[code | any ...] time',
  takes: 'rest',
  parse: (args) => {
    for (const [index, { text, at }] of args.entries()) {
      const isLast = index === args.length - 1;
      if (isLast && parseTime(text, 's') === undefined) throw new ConfigError(`invalid time value "${text}"`, at);
      if (!isLast && !isStatus(text)) throw new ConfigError(`invalid status "${text}"`, at);
    }
    return true;
  },
};

function isStatus(text: string): boolean {
  const status = parseNumber(text) ?? 0;
  return text === 'any' || (status >= 100 && status <= 599);
}

const NOTHING = 'has no effect: there is no cache, every request is passed on';

const SETTINGS = ['http', 'server', 'location'] as const;
const tuned = { in: SETTINGS, effect: 'no effect', doc: 'See `proxy_cache`.' } as const;

const table = directives({
  proxy_cache: {
    in: SETTINGS,
    args: [telling(template('zone'), (zone) => (zone.text === 'off' ? undefined : `"proxy_cache" ${NOTHING}`))],
    effect: 'notice',
    doc: 'Is understood, with a warning: nothing is cached, every request is passed on.',
  },
  proxy_cache_path: {
    in: ['http'],
    args: [telling(path('path'), () => `"proxy_cache_path" ${NOTHING}`), cacheParameters],
    many: true,
    effect: 'notice',
    doc: 'Where nginx would keep a cache, and under which name. Nothing is written there.',
  },
  proxy_cache_key: { ...tuned, args: [template('string')] },
  proxy_cache_bypass: { ...tuned, args: [rest(template('condition'))], many: true },
  proxy_no_cache: { ...tuned, args: [rest(template('condition'))], many: true },
  proxy_cache_valid: { ...tuned, args: [validTimes], many: true },
  proxy_cache_min_uses: { ...tuned, args: [integer('number')] },
  proxy_cache_max_range_offset: { ...tuned, args: [offset('number')] },
  proxy_cache_use_stale: {
    ...tuned,
    args: [
      someOf(
        'condition',
        'error',
        'timeout',
        'invalid_header',
        'updating',
        'http_500',
        'http_502',
        'http_503',
        'http_504',
        'http_403',
        'http_404',
        'http_429',
        'non_idempotent',
        'off',
      ),
    ],
  },
  proxy_cache_methods: { ...tuned, args: [someOf('method', 'GET', 'HEAD', 'POST')] },
  proxy_cache_lock: { ...tuned, args: [flag] },
  proxy_cache_lock_timeout: { ...tuned, args: [time('time')] },
  proxy_cache_lock_age: { ...tuned, args: [time('time')] },
  proxy_cache_revalidate: { ...tuned, args: [flag] },
  proxy_cache_convert_head: { ...tuned, args: [flag] },
  proxy_cache_background_update: { ...tuned, args: [flag] },
});

type CacheSet = SetOf<typeof table>;

export const proxyCache = nginxModule('http_proxy_cache', {
  doc: 'https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_cache',
  directives: table,
  http(set, http, level) {
    for (const { parameters: zone, at } of set.proxy_cache_path)
      http.workshop.problems.attempt(() => defineCache(http, zone, at));
    checkVariables(set, http.workshop, level);
  },
  location(set, { server, workshop }, level) {
    checkVariables(set, workshop, level);
    const zone = set.proxy_cache;
    const name = zone?.constant;
    if (name === undefined || name === 'off' || cachesOf(server.http).has(name)) return;
    if (level.has('proxy_cache')) workshop.error(`"proxy_cache" zone "${name}" is unknown`, level.at('proxy_cache'));
  },
});

const CACHES = Symbol('zones of proxy_cache_path');

function cachesOf(http: HttpDraft): Set<string> {
  return noteOf(http, CACHES, () => new Set<string>());
}

function defineCache(http: HttpDraft, { name, bytes }: KeysZone, at: Position): void {
  const caches = cachesOf(http);
  if (caches.has(name)) throw new ConfigError(`duplicate zone "${name}"`, at);
  declareZone(http, { name, size: bytes, use: 'cache', at });
  caches.add(name);
}

/** Variables that nobody knows are a mistake even where nobody asks for them. */
function checkVariables(set: CacheSet, workshop: Workshop, level: Level): void {
  if (set.proxy_cache !== undefined && level.has('proxy_cache')) workshop.text(set.proxy_cache);
  if (set.proxy_cache_key !== undefined && level.has('proxy_cache_key')) workshop.text(set.proxy_cache_key);
  if (level.has('proxy_cache_bypass')) for (const one of set.proxy_cache_bypass.flat()) workshop.text(one);
  if (level.has('proxy_no_cache')) for (const one of set.proxy_no_cache.flat()) workshop.text(one);
}
