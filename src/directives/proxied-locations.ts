// Gathers where the locations of all servers lead, for a later configuration's tunnels to be held against.

import type { ServerSettings } from '../exchange/exchange.ts';
import { locationKey, type ProxiedLocations } from '../upstream/proxied-locations.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { LocationDraft, ServerDraft } from './draft.ts';

type Found = Map<string, (Upstream | undefined)[]>;

/** Servers without any `proxy_pass` are left out. */
export function proxiedLocations(servers: readonly ServerDraft[]): ProxiedLocations {
  const all = new Map<ServerSettings, Found>();
  for (const { settings, outside } of servers) {
    const found: Found = new Map();
    gather(outside, found);
    if (found.size > 0) all.set(settings, found);
  }
  return all;
}

function gather({ settings, proxied, overlays, children }: LocationDraft, found: Found): void {
  if (proxied !== undefined) {
    const { target } = proxied;
    const key = locationKey(settings);
    const targets = found.get(key) ?? [];
    found.set(key, targets);
    targets.push(typeof target === 'function' ? undefined : target.upstream);
  }
  for (const overlay of overlays.values()) gather(overlay, found);
  for (const child of children) gather(child, found);
}
