// Sequences of choices, held against those that nginx 1.22 made with the same servers and the same requests.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BalancerSettings } from '../../../src/upstream/balance/make-balancer.ts';
import type { PeerSettings } from '../../../src/upstream/peer.ts';
import type { Upstream } from '../../../src/upstream/upstream.ts';
import { fakeExchange, makeUpstream, peerSettings } from '../make-upstream.ts';

/** All on 127.0.0.1; nobody listens on the one that ends in 9. Each with `fail_timeout=600`. */
const GROUPS: Readonly<Record<string, readonly (readonly [place: number, settings?: Partial<PeerSettings>])[]>> = {
  even: [[1], [2], [3], [4]],
  weights: [[1, { weight: 5 }], [2], [3, { weight: 3 }], [4, { weight: 2 }]],
  down: [[1, { weight: 2 }], [2, { weight: 3, down: true }], [3], [4]],
  failing: [[1, { weight: 4 }], [9, { weight: 4, maxFails: 2 }], [3, { weight: 2 }], [4]],
  backups: [[9, { weight: 2 }], [2], [3, { weight: 2, backup: true }], [4, { backup: true }]],
};

/** Request number i has the key `keyI`, and comes from 10.0.I.1, or where i is odd from 2001:db8::I (I in decimal figures). */
const RECORDED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'round-robin': {
    even: '1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4',
    weights: '1 3 4 1 2 1 3 1 4 3 1 1 3 4 1 2 1 3 1 4 3 1 1 3 4 1 2 1 3 1 4 3 1 1 3 4 1 2 1 3',
    down: '1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1',
    failing: '1 93 1 4 91 3 1 1 3 1 3 1 1 4 1 3 1 3 1 1 4 1 3 1 3 1 1 4 1 3 1 3 1 1 4 1 3 1 3 1',
    backups: '92 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2',
  },
  hash: {
    even: '4 1 2 3 3 2 1 4 1 4 1 4 3 2 2 3 4 1 4 1 2 3 4 1 1 4 3 2 3 2 3 2 1 4 4 1 2 3 2 3',
    weights: '1 1 1 2 1 1 3 3 4 3 3 2 1 1 2 3 1 4 1 3 1 4 4 1 4 2 2 4 2 4 3 1 1 1 3 4 4 3 4 3',
    down: '1 1 4 3 1 1 3 3 4 3 1 4 1 3 1 1 4 1 4 1 1 3 3 1 1 1 1 1 1 4 1 1 3 1 4 1 4 1 1 4',
    failing: '1 91 1 91 1 1 3 1 3 3 1 3 1 1 1 3 3 3 1 1 1 3 4 1 4 4 3 3 3 4 3 1 1 1 3 3 3 1 3 1',
  },
  'consistent-hash': {
    even: '2 4 2 4 1 1 2 3 1 3 1 3 1 4 1 2 1 4 1 1 4 1 1 3 4 3 4 1 2 1 1 3 2 1 2 4 4 3 3 2',
    weights: '2 3 3 3 1 1 3 1 1 1 1 1 1 1 3 4 4 3 1 1 4 3 1 3 1 1 1 1 1 4 1 1 1 1 1 4 3 1 1 2',
    down: '1 4 1 4 1 1 4 3 1 1 1 3 1 1 1 1 1 4 1 1 4 1 1 3 4 3 1 1 1 1 1 1 1 1 3 4 4 3 3 3',
    failing: '3 94 91 1 1 1 3 1 1 1 1 1 1 1 3 1 1 4 1 1 4 3 1 3 4 3 1 1 3 1 1 1 1 1 3 4 3 1 1 3',
  },
  'ip-hash': {
    even: '2 1 4 3 2 1 4 3 2 1 4 1 2 3 4 1 2 3 4 1 2 1 4 3 2 1 4 3 2 1 4 1 2 3 4 1 2 3 4 1',
    weights: '1 1 1 3 3 3 3 4 4 1 1 4 1 1 2 1 3 1 4 3 1 1 1 2 1 3 3 4 3 1 4 3 1 4 1 1 2 1 3 2',
    down: '4 1 3 3 1 1 4 3 3 4 4 3 1 1 1 4 3 4 1 4 1 1 4 1 4 1 1 4 3 1 3 3 1 4 3 4 1 1 4 1',
    failing: '1 91 93 3 4 3 3 4 4 1 1 3 1 1 1 1 1 3 3 1 1 1 1 3 4 1 3 3 3 1 4 3 1 4 1 1 1 1 1 1',
  },
  'least-conn': {
    even: '1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4',
    weights: '1 3 4 1 2 1 3 1 4 3 1 1 3 4 1 2 1 3 1 4 3 1 1 3 4 1 2 1 3 1 4 3 1 1 3 4 1 2 1 3',
    down: '1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1 1 3 4 1',
    failing: '1 93 1 4 91 3 1 1 3 1 3 1 1 4 1 3 1 3 1 1 4 1 3 1 3 1 1 4 1 3 1 3 1 1 4 1 3 1 3 1',
    backups: '92 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2',
  },
};

/** The hashes look at the key, or the address, which a made-up exchange has in the same place. */
const METHODS: Readonly<Record<string, BalancerSettings>> = {
  'round-robin': { kind: 'round-robin' },
  hash: { kind: 'hash', key: ({ head }) => head.headers.get('key') ?? '' },
  'consistent-hash': { kind: 'consistent-hash', key: ({ head }) => head.headers.get('key') ?? '' },
  'ip-hash': { kind: 'ip-hash' },
  'least-conn': { kind: 'least-conn' },
};

/** The peers that one request tries: the last figures of their ports. */
function tried(upstream: Upstream, request: number): string {
  const client = request % 2 === 1 ? `2001:db8::${request}` : `10.0.${request}.1`;
  const selection = upstream.select(fakeExchange(client, { key: `key${request}` }));
  let places = '';
  for (let peer = selection.next(); peer !== undefined; peer = selection.next()) {
    const place = peer.name.slice(-1);
    places += place;
    if (place !== '9') break;
    selection.failed();
  }
  selection.release();
  return places;
}

for (const [method, groups] of Object.entries(RECORDED)) {
  for (const [group, expected] of Object.entries(groups)) {
    test(`${method} chooses as nginx does: ${group}`, () => {
      const servers = (GROUPS[group] ?? []).map(([place, settings]) =>
        peerSettings(`127.0.0.1:2130${place}`, { failTimeout: 600, ...settings }),
      );
      const upstream = makeUpstream(servers, { balancer: METHODS[method] });
      const chosen = expected.split(' ').map((_, request) => tried(upstream, request));
      assert.equal(chosen.join(' '), expected);
    });
  }
}
