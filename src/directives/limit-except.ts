// limit_except: settings of their own for the methods that it does not name.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#limit_except

import { ConfigError } from '../config/errors.ts';
import type { Block } from '../config/tree.ts';
import { argument } from '../config/values.ts';
import type { LimitExcept } from '../exchange/exchange.ts';
import type { LocationDraft } from './draft.ts';

const METHODS: ReadonlySet<string> = new Set(
  'GET HEAD POST PUT DELETE MKCOL COPY MOVE OPTIONS PROPFIND PROPPATCH LOCK UNLOCK PATCH'.split(' '),
);

/** One of the methods that nginx knows, in either case. */
export const methodKind = argument('method', 'method', (text) => {
  const method = text.toUpperCase();
  if (METHODS.has(method)) return method;
  throw new ConfigError(`invalid method "${text}"`);
});

interface LimitExceptSet {
  readonly limit_except: { readonly method: readonly string[]; readonly block: Block } | undefined;
}

/** What a location's own `limit_except` makes of it; undefined where there is none. */
export function limitExcept(
  { limit_except: written }: LimitExceptSet,
  overlays: LocationDraft['overlays'],
): LimitExcept | undefined {
  const overlay = written === undefined ? undefined : overlays.get(written.block);
  if (written === undefined || overlay === undefined) return undefined;
  const methods = new Set(written.method);
  if (methods.has('GET')) methods.add('HEAD');
  return { methods, otherwise: overlay.settings };
}
