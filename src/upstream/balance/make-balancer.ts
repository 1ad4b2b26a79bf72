// The balancing methods of an upstream, as settings, and what they become for a group of peers.

import type { Text } from '../../exchange/settings.ts';
import type { PeerGroup } from '../peer-group.ts';
import type { Balancer, Timing } from './balancer.ts';
import { ConsistentHash } from './consistent-hash.ts';
import { AddressHash, KeyHash } from './hashed.ts';
import { connections, LeastLoaded, timeNeeded } from './least-loaded.ts';
import { RandomPeer } from './random.ts';
import { roundRobin } from './round-robin.ts';

/** https://nginx.org/en/docs/http/ngx_http_upstream_module.html, directives of the same names */
export type BalancerSettings =
  | { readonly kind: 'round-robin' | 'least-conn' | 'ip-hash' | 'random' | 'random-two' }
  | ({ readonly kind: 'least-time' | 'random-two-least-time' } & Timing)
  | { readonly kind: 'hash' | 'consistent-hash'; readonly key: Text };

export function makeBalancer(settings: BalancerSettings, group: PeerGroup): Balancer {
  switch (settings.kind) {
    case 'round-robin':
      return roundRobin;
    case 'least-conn':
      return new LeastLoaded(connections);
    case 'least-time':
      return new LeastLoaded(timeNeeded(settings));
    case 'hash':
      return new KeyHash(settings.key);
    case 'consistent-hash':
      return new ConsistentHash(group, settings.key);
    case 'ip-hash':
      return new AddressHash();
    case 'random':
      return new RandomPeer(undefined);
    case 'random-two':
      return new RandomPeer(connections);
    case 'random-two-least-time':
      return new RandomPeer(timeNeeded(settings));
  }
}
