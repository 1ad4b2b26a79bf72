// The arguments of ssl_certificate_cache and proxy_ssl_certificate_cache.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_certificate_cache

import type { Warn } from '../config/errors.ts';
import type { Argument } from '../config/tree.ts';
import { integer, parameters, seconds } from '../config/values.ts';
import { CertificateCache, type CertificateCacheSettings } from './certificate-cache.ts';
import type { HttpDraft } from './draft.ts';
import { noteOf } from './note-of.ts';

const cacheParameters = parameters(
  'parameters',
  { max: integer('number', { min: 1 }), inactive: seconds('time'), valid: seconds('time') },
  { needed: true },
);

export const certificateCacheKind = {
  ...cacheParameters,
  syntax: `off | ${cacheParameters.syntax}`,
  parse(args: readonly Argument[], directive: string, warn?: Warn) {
    return args.length === 1 && args[0]?.text === 'off' ? 'off' : cacheParameters.parse(args, directive, warn);
  },
} as const;

export type GivenCache = ReturnType<typeof certificateCacheKind.parse>;

const CACHES = Symbol('caches of certificates');

/** The levels below a directive share the cache that it makes. */
export function certificateCacheOf(given: GivenCache, http: HttpDraft): CertificateCache {
  const settings = cacheSettings(given);
  if (given === 'off' || settings === undefined) return new CertificateCache(undefined);
  const caches = noteOf(http, CACHES, () => new WeakMap<object, CertificateCache>());
  const cache = caches.get(given) ?? new CertificateCache(settings);
  caches.set(given, cache);
  return cache;
}

/** undefined: nothing is to be remembered, or `max` is missing. */
function cacheSettings(given: GivenCache): CertificateCacheSettings | undefined {
  if (given === 'off' || given.max === undefined) return undefined;
  const { max, inactive = 10_000, valid = 60_000 } = given;
  return { max, inactive: inactive / 1000, valid: valid / 1000 };
}
