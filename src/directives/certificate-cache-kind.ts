// The arguments of ssl_certificate_cache and proxy_ssl_certificate_cache.
// https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_certificate_cache

import type { Warn } from '../config/errors.ts';
import type { Argument } from '../config/tree.ts';
import { integer, parameters, seconds } from '../config/values.ts';
import type { CertificateCacheSettings } from './certificate-cache.ts';

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

/** undefined: nothing is to be remembered, or `max` is missing. */
export function cacheSettings(given: GivenCache): CertificateCacheSettings | undefined {
  if (given === 'off' || given.max === undefined) return undefined;
  const { max, inactive = 10_000, valid = 60_000 } = given;
  return { max, inactive: inactive / 1000, valid: valid / 1000 };
}
