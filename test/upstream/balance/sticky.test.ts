// nginx's sticky cookie and sticky learn: what is set, what is learned, and when.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exchange } from '../../../src/exchange/exchange.ts';
import type { BalancerSettings } from '../../../src/upstream/balance/make-balancer.ts';
import type { StickyCookieSettings } from '../../../src/upstream/balance/sticky-cookie.ts';
import type { StickyLearnSettings } from '../../../src/upstream/balance/sticky-learn.ts';
import type { Peer } from '../../../src/upstream/peer.ts';
import type { Upstream } from '../../../src/upstream/upstream.ts';
import { SharedCache } from '../../../src/zones/shared-cache.ts';
import { fakeExchange, makeUpstream, peerSettings } from '../make-upstream.ts';

const field = (name: string) => (exchange: Exchange) => exchange.head.headers.get(name) ?? '';
const place = (peer: Peer | undefined) => peer?.name.slice(-1) ?? '-';

const servers = [peerSettings('a:1', { route: 'one' }), peerSettings('a:2', { route: 'two' }), peerSettings('a:3')];

function cookied(settings: Partial<StickyCookieSettings> = {}, balancer?: BalancerSettings): Upstream {
  const plain: StickyCookieSettings = {
    kind: 'cookie',
    name: 'srv',
    lookup: field('x-cookie'),
    httpOnly: false,
    secure: false,
  };
  return makeUpstream(servers, { sticky: { ...plain, ...settings }, balancer });
}

function cookieOf(upstream: Upstream, fields: Record<string, string> = {}): string | undefined {
  const selection = upstream.select(fakeExchange('127.0.0.1', fields));
  selection.next();
  selection.release();
  return selection.cookie();
}

test('each answer sets the cookie, whether the client has it or not', () => {
  const upstream = cookied();
  assert.equal(cookieOf(upstream), 'srv=one');
  assert.equal(cookieOf(upstream, { 'x-cookie': 'one' }), 'srv=one');
  assert.equal(cookieOf(upstream, { 'x-cookie': 'none of ours' }), 'srv=two');
  // printf a:3 | md5sum
  assert.equal(cookieOf(upstream), 'srv=bccd6a15bae62e9a1f19e8c503067e08');
});

test('attributes are written as nginx writes them, in its order', (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 2, 9, 8, 7, 6) });
  const all = {
    expires: 3600,
    domain: field('x-domain'),
    path: '/p',
    httpOnly: true,
    secure: true,
    sameSite: field('x-same-site'),
  };
  const fields = { 'x-cookie': 'one', 'x-domain': '.example.com', 'x-same-site': 'Lax' };
  const start = 'srv=one; expires=Mon, 09-Mar-26 09:07:06 GMT; max-age=3600';
  assert.equal(
    cookieOf(cookied(all), fields),
    `${start}; domain=.example.com; httponly; secure; samesite=Lax; path=/p`,
  );
  assert.equal(cookieOf(cookied(all), { 'x-cookie': 'one' }), `${start}; httponly; secure; path=/p`);
  const strange = cookieOf(cookied(all), { ...fields, 'x-same-site': 'any' });
  assert.match(strange ?? '', /; samesite=strict; path/);
});

test('expires=max is the end of 2037, and years after it have four figures', (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2037, 11, 31) });
  const max = 'srv=one; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000';
  assert.equal(cookieOf(cookied({ expires: 'max' })), max);
  const later = 'srv=one; expires=Fri, 01-Jan-2038 00:00:00 GMT; max-age=86400';
  assert.equal(cookieOf(cookied({ expires: 86_400 })), later);
});

const METHODS: readonly BalancerSettings[] = [
  { kind: 'round-robin' },
  { kind: 'least-conn' },
  { kind: 'least-time', measure: 'header', inflight: true },
  { kind: 'ip-hash' },
  { kind: 'hash', key: () => 'k' },
  { kind: 'consistent-hash', key: () => 'k' },
  { kind: 'random' },
  { kind: 'random-two' },
];

for (const balancer of METHODS) {
  test(`around ${balancer.kind}, a bound client goes to its peer, and to another one when that fails`, () => {
    const upstream = cookied({}, balancer);
    for (let i = 0; i < 10; i++) {
      const selection = upstream.select(fakeExchange('127.0.0.1', { 'x-cookie': 'two' }));
      assert.equal(place(selection.next()), '2');
      assert.notEqual(place(selection.next()), '2');
      assert.notEqual(selection.cookie(), 'srv=two');
      selection.release();
    }
  });
}

function learning(settings: Partial<StickyLearnSettings> = {}): Upstream {
  const plain: StickyLearnSettings = {
    kind: 'learn',
    zone: 'z',
    sessions: new SharedCache(new SharedArrayBuffer(32_768), 0),
    creates: [field('x-created'), field('x-created-too')],
    lookups: [field('x-session'), field('x-session-too')],
    timeout: 600_000,
    header: false,
  };
  return makeUpstream(servers, { sticky: { ...plain, ...settings } });
}

/** A request from its choice to its end. */
function ask(upstream: Upstream, fields: Record<string, string>): string {
  const selection = upstream.select(fakeExchange('127.0.0.1', fields));
  const found = place(selection.next());
  selection.succeeded();
  selection.release();
  return found;
}

const asked = (upstream: Upstream, count: number, fields: Record<string, string>) =>
  Array.from({ length: count }, () => ask(upstream, fields)).join('');

test('learn: a session that an answer makes leads back to its peer', () => {
  const upstream = learning();
  assert.equal(ask(upstream, {}), '1');
  assert.equal(ask(upstream, { 'x-created-too': 's' }), '2');
  assert.equal(asked(upstream, 3, { 'x-session': 's' }), '222');
  assert.equal(asked(upstream, 2, { 'x-session-too': 's' }), '22');
});

test('learn: a session that nobody made binds nobody, and asking for it makes none', () => {
  const upstream = learning();
  assert.equal(asked(upstream, 4, { 'x-session': 's' }), '1231');
});

test('learn: nothing is learned before the end of an answer, unless header says so', () => {
  for (const header of [false, true]) {
    const upstream = learning({ header });
    const selection = upstream.select(fakeExchange('127.0.0.1', { 'x-created': 's' }));
    assert.equal(place(selection.next()), '1');
    selection.succeeded();
    assert.equal(asked(upstream, 2, { 'x-session': 's' }), header ? '11' : '23');
    selection.release();
    assert.equal(asked(upstream, 2, { 'x-session': 's' }), '11');
  }
});

test('learn: from a tunnel at its 101, not at its end', () => {
  const upstream = learning();
  const tunnel = upstream.select(fakeExchange('127.0.0.1', { 'x-created': 's' }));
  tunnel.next();
  tunnel.succeeded();
  tunnel.becameTunnel();
  assert.equal(asked(upstream, 3, { 'x-session': 's' }), '111');
  upstream.peers[0]?.leave();
  assert.equal(asked(upstream, 3, { 'x-session': 's' }), '111');
});

test('learn: a session moves to the peer that answers in the place of its own', () => {
  const upstream = learning();
  ask(upstream, { 'x-created': 's' });
  const selection = upstream.select(fakeExchange('127.0.0.1', { 'x-session': 's' }));
  assert.equal(place(selection.next()), '1');
  selection.failed();
  const second = place(selection.next());
  selection.succeeded();
  selection.release();
  assert.notEqual(second, '1');
  assert.equal(asked(upstream, 2, { 'x-session': 's' }), second + second);
});

test('learn: a failed attempt teaches nothing', () => {
  const upstream = learning();
  const selection = upstream.select(fakeExchange('127.0.0.1', { 'x-created': 's' }));
  selection.next();
  selection.failed();
  selection.release();
  assert.equal(asked(upstream, 2, { 'x-session': 's' }), '23');
});
