// open_file_cache and its companions: files that stay open between requests.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#open_file_cache

import { directives, type SetOf } from '../config/directive.ts';
import { ConfigError } from '../config/errors.ts';
import { alone, flag, integer, mapped, parameters, seconds } from '../config/values.ts';
import type { OpenFileRule } from '../exchange/exchange.ts';

const SETTINGS = ['http', 'server', 'location'] as const;
const INACTIVE = 60_000;

const openFiles = mapped(
  parameters(
    'parameters',
    { off: alone, max: integer('number', { min: 1 }), inactive: seconds('time') },
    {
      needed: true,
      invalid: (key, value, directive) => `invalid "${directive}" parameter "${key}=${value}"`,
      unknown: (text, directive) => `invalid "${directive}" parameter "${text}"`,
    },
  ),
  (given, directive) => {
    if (given.off || given.max !== undefined) return given;
    throw new ConfigError(`"${directive}" must have the "max" parameter`);
  },
);

export const openFileDirectives = directives({
  open_file_cache: {
    in: SETTINGS,
    args: [openFiles],
    default: 'off',
    doc: 'How many files stay open between requests, in each worker (`max`), and after what time without a request one is closed (`inactive`, default 60s).',
    differs: 'Folders are not remembered. Locations with the same `max` and `inactive` share one cache.',
  },
  open_file_cache_errors: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether it is remembered, too, that a file could not be opened.',
  },
  open_file_cache_events: {
    in: SETTINGS,
    args: [flag],
    effect: 'no effect',
    doc: 'Nor has it one in nginx on Linux.',
  },
  open_file_cache_min_uses: {
    in: SETTINGS,
    args: [integer('number')],
    default: '1',
    doc: 'How often a file must be asked for, within `inactive`, to stay open.',
  },
  open_file_cache_valid: {
    in: SETTINGS,
    args: [seconds('time')],
    default: '60s',
    doc: 'How long what is known of a file holds before it is looked at again.',
  },
});

/** undefined where no file stays open. */
export function openFileRule(set: SetOf<typeof openFileDirectives>): OpenFileRule | undefined {
  const { off, max, inactive = INACTIVE } = set.open_file_cache;
  if (off || max === undefined) return undefined;
  return {
    max,
    inactive,
    valid: set.open_file_cache_valid,
    minUses: set.open_file_cache_min_uses,
    errors: set.open_file_cache_errors,
  };
}
