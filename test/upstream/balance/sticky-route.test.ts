// The same client to the same peer: nginx's `sticky route $variable`, and our bare `sticky route`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exchange } from '../../../src/exchange/exchange.ts';
import type { StickySettings } from '../../../src/upstream/balance/stickiness.ts';
import type { PeerSettings } from '../../../src/upstream/peer.ts';
import type { Upstream } from '../../../src/upstream/upstream.ts';
import { fakeExchange, makeUpstream, peerSettings } from '../make-upstream.ts';

const field = (name: string) => (exchange: Exchange) => exchange.head.headers.get(name) ?? '';
const byRoute: StickySettings = { kind: 'route', lookups: [field('x-first'), field('x-second')] };
const byCookie: StickySettings = {
  kind: 'own cookie',
  cookie: field('x-cookie'),
  argument: field('x-argument'),
  key: Buffer.alloc(32, 7),
};

interface Outcome {
  readonly place: string;
  readonly cookie: string | undefined;
}

function ask(
  upstream: Upstream,
  fields: Record<string, string>,
  options: { client?: string; tls?: boolean } = {},
): Outcome {
  const selection = upstream.select(fakeExchange(options.client, fields, options.tls));
  const place = selection.next()?.name.slice(-1) ?? '-';
  selection.release();
  return { place, cookie: selection.cookie() };
}

const placeOf = (upstream: Upstream, fields: Record<string, string>) => ask(upstream, fields).place;

function routed(second: Partial<PeerSettings> = {}): Upstream {
  const servers = [
    peerSettings('a:1', { route: 'a' }),
    peerSettings('a:2', { route: 'b', ...second }),
    peerSettings('a:3', { route: 'c' }),
  ];
  return makeUpstream(servers, { sticky: byRoute });
}

test('a route names its peer, exactly, and the first variable that says anything counts', () => {
  const upstream = routed();
  for (let i = 0; i < 4; i++) assert.equal(placeOf(upstream, { 'x-first': 'b' }), '2');
  assert.equal(placeOf(upstream, { 'x-second': 'c' }), '3');
  assert.equal(placeOf(upstream, { 'x-first': 'a', 'x-second': 'c' }), '1');
  const places = [1, 2, 3].map(() => placeOf(routed(), { 'x-first': 'B', 'x-second': 'c' }));
  assert.deepEqual(places, ['1', '1', '1'], 'a route that no peer has binds nobody');
});

test('a peer without a route is known by the hash of its address, as in nginx', () => {
  const upstream = makeUpstream([peerSettings('127.0.0.1:8081'), peerSettings('127.0.0.1:8082')], { sticky: byRoute });
  const sid = '91d8c8e93642cca5c0f2be69d199ee22'; // printf 127.0.0.1:8082 | md5sum
  for (let i = 0; i < 3; i++) assert.equal(placeOf(upstream, { 'x-first': sid }), '2');
});

test('requests without a route take turns, and bound ones use up their turns', () => {
  const upstream = routed();
  assert.equal([1, 2, 3].map(() => placeOf(upstream, {})).join(''), '123');
  assert.equal(placeOf(upstream, { 'x-first': 'a' }), '1');
  assert.equal(placeOf(upstream, { 'x-first': 'a' }), '1');
  const next = [1, 2, 3, 4].map(() => placeOf(upstream, {})).join('');
  assert.ok(!next.startsWith('1'), next);
});

test('a long burst of bound requests does not starve their peer of others afterwards', () => {
  const upstream = routed();
  for (let i = 0; i < 1000; i++) placeOf(upstream, { 'x-first': 'a' });
  const next = Array.from({ length: 9 }, () => placeOf(upstream, {})).join('');
  assert.ok([...next].filter((place) => place === '1').length >= 2, next);
});

test('a bound peer that is down is replaced; one that drains is not', () => {
  assert.notEqual(placeOf(routed({ down: true }), { 'x-first': 'b' }), '2');
  const draining = routed({ drain: true });
  assert.equal(placeOf(draining, { 'x-first': 'b' }), '2');
  assert.equal([1, 2, 3, 4].map(() => placeOf(draining, {})).includes('2'), false);
});

test('a single peer that drains serves those that are bound to it', () => {
  const upstream = makeUpstream([peerSettings('a:1', { route: 'a', drain: true })], { sticky: byRoute });
  assert.equal(placeOf(upstream, { 'x-first': 'a' }), '1');
  assert.equal(placeOf(upstream, { 'x-first': 'b' }), '-');
});

test('a bound peer that fails is not tried twice', () => {
  const selection = routed().select(fakeExchange('127.0.0.1', { 'x-first': 'b' }));
  const places = [selection.next(), selection.next(), selection.next(), selection.next()].map((peer) =>
    peer?.name.slice(-1),
  );
  assert.equal(places[0], '2');
  assert.deepEqual([...places.slice(0, 3)].sort(), ['1', '2', '3']);
  assert.equal(places[3], undefined);
});

test('a client bound to a backup goes home as soon as another peer works', () => {
  const servers = [peerSettings('a:1', { route: 'a' }), peerSettings('a:9', { route: 'z', backup: true })];
  const upstream = makeUpstream(servers, { sticky: byRoute });
  assert.equal(placeOf(upstream, { 'x-first': 'z' }), '1');
});

test('nginx’s sticky route sets no cookie', () => {
  assert.equal(ask(routed(), {}).cookie, undefined);
});

function cookied(second: Partial<PeerSettings> = {}): Upstream {
  const servers = [peerSettings('10.1.2.3:1'), peerSettings('10.1.2.3:2', second), peerSettings('10.1.2.3:3')];
  return makeUpstream(servers, { sticky: byCookie });
}

test('without cookie or argument the client’s address decides, and the cookie is set', () => {
  const upstream = cookied();
  const first = ask(upstream, {}, { client: '203.0.113.9' });
  assert.match(first.cookie ?? '', /^route=[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax$/);
  for (let i = 0; i < 3; i++) assert.deepEqual(ask(upstream, {}, { client: '203.0.113.9' }), first);
  const places = Array.from({ length: 60 }, (_, index) => ask(upstream, {}, { client: `203.0.113.${index}` }).place);
  assert.deepEqual([...new Set(places)].sort(), ['1', '2', '3']);
});

test('over TLS the cookie is Secure', () => {
  assert.match(ask(cookied(), {}, { tls: true }).cookie ?? '', /; Secure$/);
});

test('the cookie leads back to its peer from any address, and is not set again', () => {
  const upstream = cookied();
  for (const peer of upstream.peers) {
    for (let i = 0; i < 3; i++) {
      const outcome = ask(upstream, { 'x-cookie': peer.routeId }, { client: `203.0.113.${i}` });
      assert.deepEqual(outcome, { place: peer.name.slice(-1), cookie: undefined });
    }
  }
});

test('the argument leads there too, and then the cookie is set; the cookie goes first', () => {
  const upstream = cookied();
  const [one, two] = upstream.peers.map((peer) => peer.routeId) as [string, string];
  const byArgument = ask(upstream, { 'x-argument': two });
  assert.equal(byArgument.place, '2');
  assert.ok(byArgument.cookie?.startsWith(`route=${two};`));
  assert.deepEqual(ask(upstream, { 'x-cookie': one, 'x-argument': two }), { place: '1', cookie: undefined });
});

test('the value tells nothing of the address and hangs on the secret', () => {
  const [mine] = cookied().peers;
  const other = makeUpstream([peerSettings('10.1.2.3:1'), peerSettings('10.1.2.3:2')], {
    sticky: { ...byCookie, key: Buffer.alloc(32, 8) },
  }).peers[0];
  assert.notEqual(mine?.routeId, other?.routeId);
  assert.ok(!mine?.routeId.includes('10.1.2.3'));
});

test('a route of the server is the value, unless no cookie could hold it', () => {
  const servers = [peerSettings('a:1', { route: 'blue' }), peerSettings('a:2', { route: 'a;b' })];
  const upstream = makeUpstream(servers, { sticky: byCookie });
  assert.deepEqual(ask(upstream, { 'x-cookie': 'blue' }), { place: '1', cookie: undefined });
  assert.match(upstream.peers[1]?.routeId ?? '', /^[\w-]{22}$/);
});

test('when the peer of the cookie is down another one answers, always the same, and the cookie follows', () => {
  const gone = cookied({ down: true });
  const id = cookied().peers[1]?.routeId ?? '';
  const moved = ask(gone, { 'x-cookie': id }, { client: '203.0.113.9' });
  assert.notEqual(moved.place, '2');
  assert.ok(moved.cookie?.startsWith('route='));
  assert.deepEqual(ask(gone, { 'x-cookie': id }, { client: '203.0.113.9' }), moved);
});

test('the cookie is that of the peer that answers in the end', () => {
  const upstream = cookied();
  const selection = upstream.select(fakeExchange('203.0.113.9', { 'x-cookie': upstream.peers[0]?.routeId ?? '' }));
  assert.equal(selection.next()?.name, '10.1.2.3:1');
  selection.failed();
  const second = selection.next();
  assert.ok(selection.cookie()?.startsWith(`route=${second?.routeId};`));
});
