// Which upstreams the locations of a configuration lead to: what a tunnel of before is held against.

import type { LocationSettings, ServerSettings } from '../exchange/exchange.ts';
import type { Upstream } from './upstream.ts';

/** By `locationKey`, all that `proxy_pass` names in the location; undefined: variables name it. */
export type UpstreamsByLocation = ReadonlyMap<string, readonly (Upstream | undefined)[]>;

export type ProxiedLocations = ReadonlyMap<ServerSettings, UpstreamsByLocation>;

/** What a location is known by in its server, over reloads; an `if` in it has the same. */
export function locationKey({ kind, name }: Pick<LocationSettings, 'kind' | 'name'>): string {
  return `${kind} ${name}`;
}
