// The peers of an upstream are replaced while it runs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeExchange, makeUpstream, peerSettings } from './make-upstream.ts';

const place = (name: string | undefined) => name?.slice(-1) ?? '-';

test('requests that begin afterwards know only the new ones', () => {
  const upstream = makeUpstream([peerSettings('a:1'), peerSettings('a:2')]);
  assert.equal(upstream.version, 0);
  upstream.replaceServers([peerSettings('a:2'), peerSettings('a:3'), peerSettings('a:9', { backup: true })]);
  assert.equal(upstream.version, 1);
  assert.equal(upstream.primary.tries, 3);
  const places = Array.from({ length: 4 }, () => {
    const selection = upstream.select(fakeExchange());
    const found = place(selection.next()?.name);
    selection.release();
    return found;
  });
  assert.equal(places.join(''), '2323');
});

test('a request under way goes on among those that it began with', () => {
  const upstream = makeUpstream([peerSettings('a:1'), peerSettings('a:2')]);
  const selection = upstream.select(fakeExchange());
  const first = selection.next();
  assert.equal(place(first?.name), '1');
  upstream.replaceServers([peerSettings('a:3')]);
  assert.equal(first?.active, 1);
  assert.equal(place(selection.next()?.name), '2');
  selection.release();
  assert.equal(first?.active, 0);
});

test('a peer that stays is the same one; one whose settings change is another', () => {
  const upstream = makeUpstream([peerSettings('a:1'), peerSettings('a:2'), peerSettings('a:2')]);
  const [one, two, twin] = upstream.peers;
  upstream.replaceServers([peerSettings('a:2'), peerSettings('a:1', { weight: 2 }), peerSettings('a:2')]);
  assert.equal(upstream.peers[0], two);
  assert.equal(upstream.peers[2], twin);
  assert.notEqual(upstream.peers[1], one);
});

test('there may be none at all for a while, whatever the method', () => {
  const key = () => 'k';
  for (const balancer of [
    { kind: 'round-robin' },
    { kind: 'least-conn' },
    { kind: 'ip-hash' },
    { kind: 'hash', key },
    { kind: 'consistent-hash', key },
    { kind: 'random' },
    { kind: 'random-two' },
    { kind: 'least-time', measure: 'header', inflight: true },
  ] as const) {
    const upstream = makeUpstream([], { balancer });
    assert.equal(upstream.select(fakeExchange()).next(), undefined, balancer.kind);
    upstream.replaceServers([peerSettings('a:1'), peerSettings('a:2')]);
    const selection = upstream.select(fakeExchange());
    assert.notEqual(selection.next(), undefined, balancer.kind);
    assert.notEqual(selection.next(), undefined, balancer.kind);
    assert.equal(selection.next(), undefined, balancer.kind);
  }
});
