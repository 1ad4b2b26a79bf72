// proxy_next_upstream: when a request goes to another peer, and when it must not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attempts, type NextUpstreamSettings, type RequestProgress } from '../../src/upstream/attempts.ts';
import { Peer } from '../../src/upstream/peer.ts';
import type { Upstream } from '../../src/upstream/upstream.ts';
import { type NextCondition, timedOut, UpstreamFault } from '../../src/upstream/upstream-fault.ts';
import { fakeExchange, makeUpstream, peerSettings } from './make-upstream.ts';

const GET: RequestProgress = { method: 'GET', sent: true, replayable: true, handshake: false, answered: false };
const refused = () =>
  new UpstreamFault('error', 'connect() failed (111: Connection refused) while connecting to upstream');
const invalid = () => new UpstreamFault('invalid_header', 'upstream sent invalid header');
const stale = () => new UpstreamFault('error', 'upstream prematurely closed connection', true);

function next(conditions: NextCondition[] = ['error', 'timeout'], rest: Partial<NextUpstreamSettings> = {}) {
  return { conditions: new Set(conditions), tries: 0, timeout: 0, ...rest };
}

const three = () => makeUpstream([peerSettings('a:1'), peerSettings('a:2'), peerSettings('a:3')]);

function begin(upstream: Upstream = three(), settings: NextUpstreamSettings = next()): Attempts {
  const attempts = new Attempts(upstream.select(fakeExchange()), settings);
  assert.ok(attempts.next() instanceof Peer);
  return attempts;
}

test('a fault that is named goes to the next peer until each was tried', () => {
  const upstream = three();
  const attempts = begin(upstream);
  assert.equal(attempts.retriesAfterFault(refused(), GET), true);
  attempts.next();
  assert.equal(attempts.retriesAfterFault(timedOut('connecting to upstream'), GET), true);
  attempts.next();
  assert.equal(attempts.retriesAfterFault(refused(), GET), false);
  assert.deepEqual(
    upstream.peers.map((peer) => [peer.fails, peer.active]),
    [
      [1, 0],
      [1, 0],
      [1, 0],
    ],
  );
});

test('a fault that is not named ends there, but counts', () => {
  const upstream = three();
  assert.equal(begin(upstream).retriesAfterFault(invalid(), GET), false);
  assert.equal(upstream.peers[0]?.fails, 1);
  assert.equal(begin(three(), next(['invalid_header'])).retriesAfterFault(invalid(), GET), true);
  assert.equal(begin(three(), next([])).retriesAfterFault(refused(), GET), false, 'off');
});

test('a request that is not idempotent is not sent twice, unless it never left or it is allowed', () => {
  for (const method of ['POST', 'LOCK', 'PATCH']) {
    assert.equal(begin().retriesAfterFault(refused(), { ...GET, method }), false);
    assert.equal(begin().retriesAfterFault(refused(), { ...GET, method, sent: false }), true);
    const allowed = begin(three(), next(['error', 'non_idempotent']));
    assert.equal(allowed.retriesAfterFault(refused(), { ...GET, method }), true);
  }
  for (const method of ['PUT', 'DELETE', 'HEAD', 'OPTIONS']) {
    assert.equal(begin().retriesAfterFault(refused(), { ...GET, method }), true);
  }
});

test('a request whose body is gone is not sent twice', () => {
  assert.equal(begin().retriesAfterFault(refused(), { ...GET, replayable: false }), false);
  assert.equal(begin().retriesAfterFault(refused(), { ...GET, replayable: false, sent: false }), true);
});

test('proxy_next_upstream_tries counts the first one', () => {
  const attempts = begin(three(), next(['error'], { tries: 2 }));
  assert.equal(attempts.retriesAfterFault(refused(), GET), true);
  attempts.next();
  assert.equal(attempts.retriesAfterFault(refused(), GET), false);
});

test('after proxy_next_upstream_timeout nobody else is tried', (context) => {
  let now = 1000;
  context.mock.method(performance, 'now', () => now);
  const attempts = begin(three(), next(['error'], { timeout: 50 }));
  now = 1049;
  assert.equal(attempts.retriesAfterFault(refused(), GET), true);
  attempts.next();
  now = 1050;
  assert.equal(attempts.retriesAfterFault(refused(), GET), false);
});

test('a single peer is not tried twice', () => {
  assert.equal(begin(makeUpstream([peerSettings('a:1')])).retriesAfterFault(refused(), GET), false);
});

test('no peer at all is a fault of its own, that counts against nobody', () => {
  const upstream = makeUpstream([peerSettings('a:1', { down: true })]);
  const attempts = new Attempts(upstream.select(fakeExchange()), next());
  const fault = attempts.next();
  assert.ok(fault instanceof UpstreamFault);
  assert.equal(fault.message, 'no live upstreams while connecting to upstream');
  assert.deepEqual([fault.status, fault.kind], [502, 'no live upstreams']);
  assert.equal(attempts.retriesAfterFault(fault, GET), false);
});

test('a kept connection that had died is replaced by a new one to the same peer, which is not to blame', () => {
  for (const upstream of [three(), makeUpstream([peerSettings('a:1')])]) {
    const attempts = begin(upstream);
    assert.equal(attempts.needsFresh, false);
    assert.equal(attempts.retriesAfterFault(stale(), GET), true);
    assert.equal(attempts.needsFresh, true);
    assert.equal(attempts.next(), upstream.peers[0]);
    assert.deepEqual([upstream.peers[0]?.fails, upstream.peers[0]?.active], [0, 1]);
  }
});

test('a kept connection that had died spends no try, and the next fault goes to the next peer', () => {
  const upstream = three();
  const attempts = begin(upstream, next(['error'], { tries: 2 }));
  attempts.retriesAfterFault(stale(), GET);
  attempts.next();
  assert.equal(attempts.retriesAfterFault(refused(), GET), true);
  assert.equal(attempts.needsFresh, false);
  assert.equal(attempts.next(), upstream.peers[1]);
  assert.equal(attempts.retriesAfterFault(refused(), GET), false);
});

test('a request that is not idempotent is not sent again over a new connection either', () => {
  assert.equal(begin().retriesAfterFault(stale(), { ...GET, method: 'POST' }), false);
});

test('a status that is named goes to the next peer, and counts as failure but for 403 and 404', () => {
  for (const [status, condition, fails] of [
    [500, 'http_500', 1],
    [502, 'http_502', 1],
    [503, 'http_503', 1],
    [504, 'http_504', 1],
    [429, 'http_429', 1],
    [403, 'http_403', 0],
    [404, 'http_404', 0],
  ] as const) {
    const upstream = three();
    const attempts = begin(upstream, next([condition]));
    assert.equal(attempts.retriesAfterStatus(status, GET), true, condition);
    assert.deepEqual([upstream.peers[0]?.fails, upstream.peers[0]?.active], [fails, 0], condition);
    assert.equal(begin(three(), next()).retriesAfterStatus(status, GET), false);
  }
});

test('the last peer’s answer is passed on whatever its status is', () => {
  const upstream = three();
  const attempts = begin(upstream, next(['http_500'], { tries: 2 }));
  assert.equal(attempts.retriesAfterStatus(500, GET), true);
  attempts.next();
  assert.equal(attempts.retriesAfterStatus(500, GET), false);
  attempts.succeeded();
  attempts.end();
  assert.equal(upstream.peers[1]?.fails, 0);
  assert.equal(begin(makeUpstream([peerSettings('a:1')]), next(['http_500'])).retriesAfterStatus(500, GET), false);
});

test('a status after a request that must not be sent twice is passed on', () => {
  assert.equal(begin(three(), next(['http_500'])).retriesAfterStatus(500, { ...GET, method: 'POST' }), false);
  assert.equal(begin(three(), next(['http_500'])).retriesAfterStatus(500, { ...GET, replayable: false }), false);
});

test('the peer that a failure has disabled is named once', () => {
  const upstream = three();
  const attempts = begin(upstream);
  attempts.retriesAfterFault(refused(), GET);
  assert.equal(attempts.disabled, upstream.peers[0]);
  attempts.next();
  attempts.retriesAfterFault(stale(), GET);
  assert.equal(attempts.disabled, undefined);
});

test('a peer is active from the attempt to its end', () => {
  const upstream = three();
  const attempts = begin(upstream);
  assert.equal(upstream.peers[0]?.active, 1);
  attempts.succeeded();
  assert.equal(upstream.peers[0]?.active, 1);
  attempts.end();
  attempts.end();
  assert.equal(upstream.peers[0]?.active, 0);
});
