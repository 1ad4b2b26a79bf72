// `sticky engineio`: when a session is learned, whom it leads to, and how long it is remembered.

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import type { Exchange } from '../../../src/exchange/exchange.ts';
import { Headers } from '../../../src/http1/headers.ts';
import type { Selection } from '../../../src/upstream/balance/balancer.ts';
import { SessionKeeper } from '../../../src/upstream/balance/sticky-engineio.ts';
import type { Peer } from '../../../src/upstream/peer.ts';
import type { Upstream } from '../../../src/upstream/upstream.ts';
import { SharedCache } from '../../../src/zones/shared-cache.ts';
import { rawFrame } from '../../support/raw-websocket.ts';
import { until } from '../../support/until.ts';
import { makeUpstream, peerSettings } from '../make-upstream.ts';

const TIMEOUT = 600_000;
const servers = [peerSettings('a:1'), peerSettings('a:2'), peerSettings('a:3')];
const memory = (): SharedCache => new SharedCache(new SharedArrayBuffer(32_768), 0);
const place = (peer: Peer | undefined): string => peer?.name.slice(-1) ?? '-';

interface Request {
  readonly sid?: string;
  readonly version?: string;
  readonly method?: string;
  /** The peer's answer. */
  readonly status?: number;
  readonly coding?: string;
}

function learning(sessions = memory()): Upstream {
  return makeUpstream(servers, {
    sticky: {
      kind: 'engineio',
      zone: 'z',
      sessions,
      version: (exchange) => (exchange as unknown as { wish: Request }).wish.version ?? '4',
      session: (exchange) => (exchange as unknown as { wish: Request }).wish.sid ?? '',
      timeout: TIMEOUT,
    },
  });
}

function exchangeOf(wish: Request, logged: string[] = []): Exchange {
  const headers = new Headers();
  if (wish.coding !== undefined) headers.add('Content-Encoding', wish.coding);
  const exchange = {
    wish,
    method: wish.method ?? 'GET',
    upstreamHead: { status: wish.status ?? 200, headers },
    log: (_: string, message: string) => logged.push(message),
  };
  return exchange as unknown as Exchange;
}

/** A request whose answer's head has come. */
function answered(upstream: Upstream, wish: Request, logged?: string[]): Selection {
  const selection = upstream.select(exchangeOf(wish, logged));
  selection.next();
  selection.succeeded();
  return selection;
}

function ask(upstream: Upstream, wish: Request): string {
  const selection = answered(upstream, wish);
  const peer = place(selection.peer);
  selection.release();
  return peer;
}

const asked = (upstream: Upstream, sid: string): string =>
  Array.from({ length: 4 }, () => ask(upstream, { sid })).join('');

/** A handshake whose answer has this body. */
function handshake(upstream: Upstream, wish: Request, body: Buffer, logged?: string[]): Selection {
  const selection = answered(upstream, wish, logged);
  const reader = selection.opening();
  reader?.read(body, 0, body.length);
  return selection;
}

const open = (sid: string): Buffer => Buffer.from(`0{"sid":"${sid}","upgrades":[]}`);

test('a session of polling leads back to its peer before its answer has come whole', () => {
  const upstream = learning();
  const selection = handshake(upstream, {}, open('s'));
  assert.equal(asked(upstream, 's'), '1111');
  selection.release();
  assert.equal(asked(upstream, 's'), '1111');
  handshake(upstream, {}, open('t')).release();
  assert.equal(asked(upstream, 't'), '2222');
  assert.equal(asked(upstream, 's'), '1111');
});

test('a session of a WebSocket leads back to its peer', () => {
  const upstream = learning();
  ask(upstream, {});
  const tunnel = handshake(upstream, { status: 101 }, rawFrame({ opcode: 1, payload: open('s') }));
  tunnel.becameTunnel();
  assert.equal(asked(upstream, 's'), '2222');
  tunnel.release();
  assert.equal(asked(upstream, 's'), '2222');
});

test('nothing is learned from any other request or answer', () => {
  const upstream = learning();
  const wishes: readonly Request[] = [
    { version: '' },
    { method: 'POST' },
    { sid: 'other' },
    { status: 400 },
    { coding: 'zstd' },
  ];
  for (const wish of wishes) {
    handshake(upstream, wish, open('s')).release();
    assert.equal(new Set(asked(upstream, 's')).size, 3, JSON.stringify(wish));
  }
});

test('a session that nobody made binds nobody, and asking for it makes none', () => {
  const upstream = learning();
  assert.equal(asked(upstream, 's'), '1231');
});

test('a request goes to another peer where its own fails, and the session stays where it was', () => {
  const upstream = learning();
  handshake(upstream, {}, open('s')).release();
  const selection = upstream.select(exchangeOf({ sid: 's' }));
  assert.equal(place(selection.next()), '1');
  selection.refused();
  assert.notEqual(place(selection.next()), '1');
  selection.succeeded();
  selection.release();
  assert.equal(asked(upstream, 's'), '1111');
});

test('an upstream that is not sticky has nothing to read', () => {
  assert.equal(answered(makeUpstream(servers), {}).opening(), undefined);
});

test('a request is a use: a session that is asked for is remembered', (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const upstream = learning();
  handshake(upstream, {}, open('s')).release();
  for (let i = 0; i < 3; i++) {
    context.mock.timers.tick(TIMEOUT * 0.7);
    assert.equal(ask(upstream, { sid: 's' }), '1');
  }
  context.mock.timers.tick(TIMEOUT * 1.1);
  assert.equal(new Set(asked(upstream, 's')).size, 3);
});

test('it is told where another session had to make room', () => {
  const upstream = learning(new SharedCache(new SharedArrayBuffer(1024), 0));
  const logged: string[] = [];
  for (let i = 0; i < 17; i++) handshake(upstream, {}, open(`s${i}`), logged).release();
  assert.deepEqual(logged, [
    'could not allocate node in sticky session zone "z", expiring least recently used session',
  ]);
});

test('a session is kept while its tunnel is open, and no longer', async (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const sessions = memory();
  const key = hash('md5', 's', 'buffer');
  const keeper = new SessionKeeper(sessions, key, 'peer', 40, 0);
  for (let i = 0; i < 3; i++) {
    context.mock.timers.tick(1000);
    assert.equal(sessions.find(key, 40), undefined);
    await until('it is renewed', () => sessions.find(key, 40) === 'peer');
  }
  keeper.end();
  context.mock.timers.tick(1000);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(sessions.find(key, 40), undefined);
});

test('a session that began as a WebSocket is forgotten when that has ended', () => {
  const upstream = learning();
  handshake(upstream, {}, open('other')).release();
  const tunnel = handshake(upstream, { status: 101 }, rawFrame({ opcode: 1, payload: open('s') }));
  tunnel.becameTunnel();
  assert.equal(asked(upstream, 's'), '2222');
  tunnel.tunnelEnded(0);
  assert.notEqual(asked(upstream, 's'), '2222');
  assert.equal(asked(upstream, 'other'), '1111');
});

test('one that has moved to a WebSocket, too; not one whose WebSocket was only tried', () => {
  const upstream = learning();
  handshake(upstream, {}, open('s')).release();
  for (const messages of [0, 1]) {
    const tried = answered(upstream, { sid: 's', status: 101 });
    tried.becameTunnel();
    tried.tunnelEnded(messages);
    assert.equal(asked(upstream, 's'), '1111');
  }
  const moved = answered(upstream, { sid: 's', status: 101 });
  moved.becameTunnel();
  moved.tunnelEnded(2);
  assert.notEqual(asked(upstream, 's'), '1111');
});

test('tunnels have keepers: of a session that was asked for, and of one that they have begun', () => {
  const upstream = learning();
  const begun = handshake(upstream, { status: 101 }, rawFrame({ opcode: 1, payload: open('s') }));
  const polled = handshake(upstream, {}, open('t'));
  const upgraded = answered(upstream, { sid: 't', status: 101 });
  assert.deepEqual(
    [begun, polled, upgraded].map(({ keeper }) => keeper !== undefined),
    [true, false, true],
  );
  for (const selection of [begun, polled, upgraded]) selection.release();
});
