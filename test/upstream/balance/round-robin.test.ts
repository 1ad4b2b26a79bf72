// Smooth weighted round robin as nginx has it, with its failures, its backups and its single peer.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Selection } from '../../../src/upstream/balance/balancer.ts';
import type { Peer } from '../../../src/upstream/peer.ts';
import type { Upstream } from '../../../src/upstream/upstream.ts';
import { fakeExchange, makeUpstream, peerSettings } from '../make-upstream.ts';

/** The last figure of the port stands for the peer. */
const letter = (name: string) => name.slice(-1);

/** One request after the other; a peer in `broken` fails, and the next one is tried. Each request's peers, in order. */
function run(upstream: Upstream, count: number, broken = ''): string {
  const requests = Array.from({ length: count }, () => {
    const selection = upstream.select(fakeExchange());
    let tried = '';
    for (let tries = selection.tries; tries > 0; tries--) {
      const peer = selection.next();
      if (peer === undefined) break;
      tried += letter(peer.name);
      if (!broken.includes(letter(peer.name))) {
        selection.succeeded();
        break;
      }
      selection.failed();
    }
    selection.release();
    return tried === '' ? '-' : tried;
  });
  return requests.join(' ');
}

function withTime<T>(context: TestContext, use: (seconds: (count: number) => void) => T): T {
  context.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  return use((count) => context.mock.timers.tick(count * 1000));
}

test('peers of equal weight take turns', () => {
  const upstream = makeUpstream([peerSettings('a:1'), peerSettings('a:2'), peerSettings('a:3')]);
  assert.equal(run(upstream, 7), '1 2 3 1 2 3 1');
});

test('weights are spread as nginx spreads them', () => {
  const upstream = makeUpstream([
    peerSettings('a:1', { weight: 5 }),
    peerSettings('a:2'),
    peerSettings('a:3', { weight: 2 }),
  ]);
  // Recorded from nginx 1.22.
  assert.equal(run(upstream, 24), [...'131121311311213113112131'].join(' '));
});

test('a failed peer is left out, and its weight is lowered, as nginx does it', () => {
  const upstream = makeUpstream([
    peerSettings('a:1', { weight: 4, maxFails: 2, failTimeout: 60 }),
    peerSettings('a:9', { weight: 4, maxFails: 2, failTimeout: 60 }),
    peerSettings('a:3', { weight: 2 }),
  ]);
  // Recorded from nginx 1.22 with nobody listening on the second.
  assert.equal(run(upstream, 30, '9'), '1 93 1 3 91 1 1 3 1 1 3 1 1 3 1 1 3 1 1 3 1 1 3 1 1 3 1 1 3 1');
});

test('a peer that is down is never chosen, and a draining one neither', () => {
  const upstream = makeUpstream([
    peerSettings('a:1', { down: true }),
    peerSettings('a:2'),
    peerSettings('a:3', { drain: true }),
  ]);
  assert.equal(run(upstream, 3), '2 2 2');
  assert.equal(upstream.primary.tries, 2);
});

test('no peer is tried twice for one request', () => {
  const upstream = makeUpstream([peerSettings('a:1', { maxFails: 0 }), peerSettings('a:2', { maxFails: 0 })]);
  assert.equal(run(upstream, 2, '12'), '12 21');
});

test('more peers than there are bits in a number are each tried once', () => {
  const servers = Array.from({ length: 70 }, (_, index) => peerSettings(`a:${index + 1}`, { maxFails: 0 }));
  const selection = makeUpstream(servers).select(fakeExchange());
  const tried = new Set<string>();
  for (let peer = selection.next(); peer !== undefined; peer = selection.next()) tried.add(peer.name);
  assert.equal(tried.size, 70);
});

test('max_fails disables a peer for fail_timeout, then one request tries it', (context) => {
  withTime(context, (seconds) => {
    const upstream = makeUpstream([peerSettings('a:1'), peerSettings('a:2')]);
    assert.equal(run(upstream, 1, '1'), '12');
    assert.equal(run(upstream, 3, '1'), '2 2 2');
    seconds(10);
    assert.equal(run(upstream, 1), '2', 'not before fail_timeout has passed');
    seconds(1);
    // Recorded from nginx 1.22: its weight has to come back before its turn does.
    assert.equal(run(upstream, 2), '2 2');
    const probe = upstream.select(fakeExchange());
    assert.equal(probe.next()?.name, 'a:1');
    assert.equal(run(upstream, 2), '2 2', 'others wait for what becomes of it');
    probe.succeeded();
    probe.release();
    assert.match(run(upstream, 3), /1/);
  });
});

test('a failed check disables the peer once more', (context) => {
  withTime(context, (seconds) => {
    const upstream = makeUpstream([peerSettings('a:1'), peerSettings('a:2')]);
    run(upstream, 1, '1');
    seconds(11);
    // Recorded from nginx 1.22.
    assert.equal(run(upstream, 4, '1'), '2 2 12 2');
    seconds(11);
    assert.equal(run(upstream, 4, '1'), '2 2 12 2');
  });
});

test('max_fails counts failures, and one that succeeds within fail_timeout forgives none', (context) => {
  withTime(context, () => {
    const upstream = makeUpstream([peerSettings('a:1', { maxFails: 2 }), peerSettings('a:2')]);
    run(upstream, 1, '1');
    run(upstream, 1);
    assert.equal(upstream.peers[0]?.fails, 1);
    for (let i = 0; i < 4; i++) run(upstream, 1, '1');
    assert.equal(run(upstream, 2), '2 2');
  });
});

test('failures are forgiven when a check after fail_timeout succeeds', (context) => {
  withTime(context, (seconds) => {
    const upstream = makeUpstream([peerSettings('a:1', { maxFails: 2 }), peerSettings('a:2')]);
    run(upstream, 1, '1');
    seconds(11);
    run(upstream, 4);
    assert.equal(upstream.peers[0]?.fails, 0);
  });
});

test('max_fails=0 never disables', () => {
  const upstream = makeUpstream([peerSettings('a:1', { maxFails: 0 }), peerSettings('a:2')]);
  assert.equal(run(upstream, 4, '1'), '12 2 12 2');
});

test('the failure that disables a peer is told, for the warning', () => {
  const upstream = makeUpstream([peerSettings('a:1', { maxFails: 2 }), peerSettings('a:2', { maxFails: 0 })]);
  const fail = (selection: Selection) => {
    selection.next();
    return selection.failed();
  };
  assert.equal(fail(upstream.select(fakeExchange())), false);
  assert.equal(fail(upstream.select(fakeExchange())), false);
  assert.equal(fail(upstream.select(fakeExchange())), true);
});

test('a single peer is never disabled', () => {
  const upstream = makeUpstream([peerSettings('a:1')]);
  assert.equal(run(upstream, 3, '1'), '1 1 1');
});

test('a single peer that is down, or full, leaves nobody', () => {
  assert.equal(run(makeUpstream([peerSettings('a:1', { down: true })]), 1), '-');
  const upstream = makeUpstream([peerSettings('a:1', { maxConns: 1 })]);
  const selection = upstream.select(fakeExchange());
  selection.next();
  assert.equal(run(upstream, 1), '-');
  selection.release();
  assert.equal(run(upstream, 1), '1');
});

test('backups serve when no other peer can, and no longer', (context) => {
  withTime(context, (seconds) => {
    const upstream = makeUpstream([
      peerSettings('a:1'),
      peerSettings('a:2', { down: true }),
      peerSettings('a:8', { backup: true }),
      peerSettings('a:9', { backup: true }),
    ]);
    assert.equal(run(upstream, 2), '1 1');
    assert.equal(run(upstream, 3, '1'), '18 9 8');
    assert.equal(upstream.primary.tries, 3);
    seconds(11);
    assert.equal(run(upstream, 2), '1 1');
  });
});

test('with all peers disabled there is nobody, until fail_timeout has passed', (context) => {
  withTime(context, (seconds) => {
    const upstream = makeUpstream([peerSettings('a:1'), peerSettings('a:2')]);
    assert.equal(run(upstream, 2, '12'), '12 -');
    seconds(11);
    assert.equal([...run(upstream, 6)].filter((place) => place === '-').length, 0);
  });
});

test('max_conns counts what is taken and not yet released', () => {
  const upstream = makeUpstream([peerSettings('a:1', { maxConns: 1 }), peerSettings('a:2')]);
  const first = upstream.select(fakeExchange());
  assert.equal(first.next()?.name, 'a:1');
  assert.equal(upstream.peers[0]?.active, 1);
  assert.equal(run(upstream, 2), '2 2');
  first.release();
  first.release();
  assert.equal(upstream.peers[0]?.active, 0);
  assert.match(run(upstream, 2), /1/);
});

test('a clock that is set back does not keep a peer disabled', (context) => {
  withTime(context, () => {
    const upstream = makeUpstream([peerSettings('a:1'), peerSettings('a:2')]);
    run(upstream, 1, '1');
    context.mock.timers.setTime(1_600_000_000_000);
    assert.match(run(upstream, 4), /1/);
  });
});

test('whatever the weights, each peer has its share of any stretch as long as all weights together', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 40 }), (weights) => {
      const upstream = makeUpstream(weights.map((weight, index) => peerSettings(`a:${index}`, { weight })));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const chosen = Array.from({ length: 2 * total }, () => {
        const selection = upstream.select(fakeExchange());
        const peer = selection.next();
        selection.release();
        return upstream.peers.indexOf(peer as Peer);
      });
      for (const stretch of [chosen.slice(0, total), chosen.slice(total)]) {
        weights.forEach((weight, index) => {
          assert.equal(stretch.filter((place) => place === index).length, weight);
        });
      }
    }),
    { numRuns: 50 },
  );
});
