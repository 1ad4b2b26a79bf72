// Which origins a rule admits: scheme, host and port each count, and what is no origin is none.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HandshakeOrigin } from '../../src/exchange/websocket-settings.ts';
import { admitsOrigin, type NamedOrigin, type OriginRule } from '../../src/websocket/origin-rules.ts';

function admits(rule: OriginRule, origin: string | undefined, asked: Partial<HandshakeOrigin> = {}): boolean {
  return admitsOrigin([rule], false, { host: 'example.com', port: 0, secure: false, ...asked, origin });
}

const named = (rule: Partial<NamedOrigin>): NamedOrigin => ({
  kind: 'name',
  scheme: undefined,
  host: 'example.com',
  which: 'itself',
  port: undefined,
  ...rule,
});

test('self is the host that is asked, at the port that goes with the scheme of the page', () => {
  const self = { kind: 'self' } as const;
  for (const origin of ['https://example.com', 'http://example.com', 'https://example.com:443', 'HTTP://Example.COM'])
    assert.equal(admits(self, origin), true, origin);
  for (const origin of ['https://example.com:8443', 'https://www.example.com', 'https://example.com.evil.test', 'null'])
    assert.equal(admits(self, origin), false, origin);
  assert.equal(admits(self, 'http://example.com:8080', { port: 8080 }), true);
  assert.equal(admits(self, 'http://example.com', { port: 80 }), true);
  assert.equal(admits(self, 'http://example.com', { port: 8080 }), false);
  assert.equal(admits(self, 'http://[::1]:3000', { host: '[::1]', port: 3000 }), true);
});

test('self is a page of TLS where the connection is TLS: any other may have been written on its way', () => {
  const self = { kind: 'self' } as const;
  assert.equal(admits(self, 'https://example.com', { secure: true }), true);
  assert.equal(admits(self, 'http://example.com', { secure: true }), false);
});

test('a name is that host by http and https, at their own ports', () => {
  const rule = named({});
  for (const origin of ['https://example.com', 'http://example.com:80', 'https://example.com.'])
    assert.equal(admits(rule, origin), true, origin);
  for (const origin of [
    'https://example.com:80',
    'ftp://example.com',
    'https://a.example.com',
    'https://notexample.com',
  ])
    assert.equal(admits(rule, origin), false, origin);
});

test('a scheme and a port narrow or widen it', () => {
  assert.equal(admits(named({ scheme: 'https' }), 'http://example.com'), false);
  assert.equal(admits(named({ scheme: 'capacitor', host: 'localhost' }), 'capacitor://localhost'), true);
  assert.equal(admits(named({ port: 8443 }), 'https://example.com:8443'), true);
  assert.equal(admits(named({ port: 8443 }), 'https://example.com'), false);
  assert.equal(admits(named({ port: 'any' }), 'https://example.com:1234'), true);
});

test('names below are not the name itself, and no other name that ends so', () => {
  assert.equal(admits(named({ which: 'below' }), 'https://a.b.example.com'), true);
  assert.equal(admits(named({ which: 'below' }), 'https://example.com'), false);
  assert.equal(admits(named({ which: 'below' }), 'https://evilexample.com'), false);
  assert.equal(admits(named({ which: 'both' }), 'https://example.com'), true);
  assert.equal(admits(named({ which: 'both' }), 'https://a.example.com'), true);
});

test('what is no single origin fits no name', () => {
  const wrong = [
    'https://example.com, https://evil.test',
    'https://example.com https://evil.test',
    'https://example.com/path',
    'https://user@example.com',
    'https://evil.test#@example.com',
    'example.com',
    '',
    'https://',
    'https://example.com:',
  ];
  for (const origin of wrong) {
    assert.equal(admits(named({ port: 'any' }), origin), false, origin);
    assert.equal(admits({ kind: 'self' }, origin), false, origin);
  }
});

test('an origin of null fits its own rule only', () => {
  assert.equal(admits({ kind: 'null' }, 'null'), true);
  assert.equal(admits({ kind: 'null' }, 'https://null'), false);
  assert.equal(admits({ kind: 'null' }, undefined), false);
});

test('an expression is held against the whole origin', () => {
  const rule = { kind: 'pattern', pattern: /^https:\/\/pr-\d+\.example\.com$/i } as const;
  assert.equal(admits(rule, 'https://PR-12.example.com'), true);
  assert.equal(admits(rule, 'https://pr-12.example.com:8443'), false);
});

test('whether a handshake without an origin is admitted is said apart', () => {
  const asked = { origin: undefined, host: 'example.com', port: 0, secure: false };
  assert.equal(admitsOrigin([{ kind: 'self' }], true, asked), true);
  assert.equal(admitsOrigin([{ kind: 'self' }], false, asked), false);
});
