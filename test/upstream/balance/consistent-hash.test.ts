// nginx's consistent hash: the same points, so the same key goes where nginx sends it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerSettings } from '../../../src/upstream/peer.ts';
import type { Upstream } from '../../../src/upstream/upstream.ts';
import { fakeExchange, makeUpstream, peerSettings } from '../make-upstream.ts';

function hashed(servers: PeerSettings[]): Upstream {
  const key = (exchange: { link: { clientAddress: string } }) => exchange.link.clientAddress;
  return makeUpstream(servers, { balancer: { kind: 'consistent-hash', key } });
}

function placeOf(upstream: Upstream, key: string, broken = ''): string {
  const selection = upstream.select(fakeExchange(key));
  for (let peer = selection.next(); peer !== undefined; peer = selection.next()) {
    const place = peer.name.slice(-1);
    if (!broken.includes(place)) {
      selection.release();
      return place;
    }
  }
  return '-';
}

const placesOf = (upstream: Upstream, count: number) =>
  Array.from({ length: count }, (_, index) => placeOf(upstream, `10.0.0.${index}`)).join('');

// Both recorded from nginx 1.22: `hash $arg_k consistent` with k=10.0.0.0 to 10.0.0.59.
const THREE = '222321221212312211332323221222221133331122123111122121221323';
const WITHOUT_THE_SECOND = '131311331311313111331333311313111133331133113111113131131313';

const servers = (second: Partial<PeerSettings>) => [
  peerSettings('127.0.0.1:18081'),
  peerSettings('127.0.0.1:18082', { weight: 2, ...second }),
  peerSettings('127.0.0.1:18083'),
];

test('keys go where nginx sends them', () => {
  assert.equal(placesOf(hashed(servers({})), 60), THREE);
});

test('where a peer is down, only its keys move, and to where nginx moves them', () => {
  assert.equal(placesOf(hashed(servers({ down: true })), 60), WITHOUT_THE_SECOND);
  for (const [index, place] of [...THREE].entries()) {
    if (place !== '2') assert.equal(WITHOUT_THE_SECOND[index], place);
  }
});

test('a peer that fails is followed by others until none is left', () => {
  const upstream = hashed(servers({ maxFails: 0 }));
  assert.equal(placeOf(upstream, '10.0.0.0', '2'), '1');
  assert.equal(placeOf(upstream, '10.0.0.0', '21'), '3');
  assert.equal(placeOf(upstream, '10.0.0.0', '213'), '-');
});

test('the addresses of one server share its points', () => {
  const upstream = hashed([
    peerSettings('127.0.0.1:1', { server: 'peers.example:80' }),
    peerSettings('127.0.0.1:2', { server: 'peers.example:80' }),
    peerSettings('127.0.0.1:3', { server: 'other.example:80' }),
  ]);
  const places = new Set(Array.from({ length: 20 }, () => placeOf(upstream, '10.0.0.1')));
  assert.ok(places.has('3') ? places.size === 1 : places.size === 2, [...places].join());
});

test('an empty key is balanced by turns', () => {
  const upstream = hashed(servers({ weight: 1 }));
  assert.equal([0, 1, 2].map(() => placeOf(upstream, '')).join(''), '123');
});

test('backups serve keys whose peers are all gone', () => {
  const upstream = hashed([
    peerSettings('a:1', { maxFails: 0 }),
    peerSettings('a:2', { maxFails: 0 }),
    peerSettings('a:9', { backup: true }),
  ]);
  assert.equal(placeOf(upstream, '10.0.0.0', '12'), '9');
});

test('enormous weights cost no enormous memory', () => {
  const upstream = hashed([peerSettings('a:1', { weight: 1_000_000 }), peerSettings('a:2', { weight: 1 })]);
  const places = Array.from({ length: 200 }, (_, index) => placeOf(upstream, `key ${index}`));
  assert.ok(places.filter((place) => place === '1').length > 180);
});

test('a unix socket has its place on the ring by its path', () => {
  const upstream = hashed([peerSettings('unix:/tmp/1'), peerSettings('unix:/tmp/2')]);
  const places = Array.from({ length: 40 }, (_, index) => placeOf(upstream, `key ${index}`)).join('');
  assert.match(places, /1/);
  assert.match(places, /2/);
});
