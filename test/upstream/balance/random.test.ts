// random and random two, by numbers that are known beforehand.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Peer, PeerSettings } from '../../../src/upstream/peer.ts';
import { fakeExchange, makeUpstream, peerSettings } from '../make-upstream.ts';

const servers = (...settings: Partial<PeerSettings>[]) =>
  settings.map((given, index) => peerSettings(`a:${index + 1}`, given));

const place = (peer: Peer | undefined) => peer?.name.slice(-1) ?? '-';

test('random spreads requests by weight', () => {
  const upstream = makeUpstream(servers({ weight: 3 }, {}, { down: true }), { balancer: { kind: 'random' } });
  const counts = { '1': 0, '2': 0, '3': 0, '-': 0 };
  for (let i = 0; i < 4000; i++) {
    const selection = upstream.select(fakeExchange());
    counts[place(selection.next()) as keyof typeof counts]++;
    selection.release();
  }
  assert.deepEqual([counts['3'], counts['-']], [0, 0]);
  assert.ok(Math.abs(counts['1'] - 3000) < 200, `${counts['1']}`);
});

test('random tries each peer once, then backups, whatever is drawn', () => {
  const upstream = makeUpstream(servers({ maxFails: 0 }, { maxFails: 0 }, { maxFails: 0 }, { backup: true }), {
    balancer: { kind: 'random' },
  });
  for (let i = 0; i < 50; i++) {
    const selection = upstream.select(fakeExchange());
    const tried = [1, 2, 3, 4, 5].map(() => place(selection.next())).join('');
    assert.match(tried, /^[123]{3}4-$/);
    assert.equal(new Set(tried.slice(0, 3)).size, 3);
  }
});

for (const kind of ['random-two', 'random-two-least-time'] as const) {
  test(`${kind} never chooses the peer with most to do`, () => {
    const balancer = kind === 'random-two' ? { kind } : ({ kind, measure: 'header', inflight: false } as const);
    const upstream = makeUpstream(servers({}, {}, {}), { balancer });
    const [busy] = upstream.peers as [Peer];
    for (let i = 0; i < 5; i++) busy.reserve();
    for (let i = 0; i < 300; i++) {
      const selection = upstream.select(fakeExchange());
      assert.notEqual(selection.next(), busy);
      selection.release();
    }
  });
}

test('where only one peer is fit, random two finds it', () => {
  const upstream = makeUpstream(servers({ down: true }, {}, { down: true }), { balancer: { kind: 'random-two' } });
  for (let i = 0; i < 50; i++) {
    const selection = upstream.select(fakeExchange());
    assert.equal(place(selection.next()), '2');
    selection.release();
  }
});
