// Which server a host name belongs to.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { compileServerNames, type ServerName, type ServerNames } from '../../src/route/server-names.ts';

type Captured = Pick<Exchange, 'captures' | 'namedCaptures'>;

function exchange(): Exchange {
  const captured: Captured = { captures: undefined, namedCaptures: undefined };
  return captured as Exchange;
}

function nameOf(text: string): ServerName {
  if (!text.startsWith('~')) return { text, pattern: undefined };
  const pattern = text.slice(1);
  return { text: pattern, pattern: new RegExp(pattern, /[A-Z]/.test(pattern) ? 'i' : '') };
}

/** Each server is known by its names as they are written in the configuration. */
function listener(...servers: string[]): ServerNames<string> {
  const named = servers.map((server) => ({ names: server.split(' ').map(nameOf), server }));
  return compileServerNames(named, 'default');
}

test('an exact name goes before wildcards and expressions, wherever it stands', () => {
  const names = listener('~^www', '*.example.com', 'www.example.*', '.com', 'www.example.com');
  assert.equal(names.find('www.example.com'), 'www.example.com');
});

test('a wildcard at the beginning goes before one at the end, and that before an expression', () => {
  const names = listener('~^www', 'www.example.*', '*.example.com');
  assert.equal(names.find('www.example.com'), '*.example.com');
  assert.equal(names.find('www.example.org'), 'www.example.*');
  assert.equal(names.find('www.other.org'), '~^www');
});

test('of several wildcards the longest one fits', () => {
  const names = listener('*.com', '*.wc.example.com', '*.example.com', 'mail.*', 'mail.example.*');
  assert.equal(names.find('a.b.wc.example.com'), '*.wc.example.com');
  assert.equal(names.find('wc.example.com'), '*.example.com');
  assert.equal(names.find('example.com'), '*.com');
  assert.equal(names.find('com'), 'default');
  assert.equal(names.find('mail.example.org'), 'mail.example.*');
  assert.equal(names.find('mail.other.co.uk'), 'mail.*');
  assert.equal(names.find('mail'), 'default');
});

test('a wildcard stands for whole labels', () => {
  const names = listener('*.example.com', 'mail.*');
  assert.equal(names.find('badexample.com'), 'default');
  assert.equal(names.find('mailbox.org'), 'default');
});

test('a name with a leading dot is the name itself and everything under it', () => {
  const names = listener('.example.com');
  assert.equal(names.find('example.com'), '.example.com');
  assert.equal(names.find('a.b.example.com'), '.example.com');
  assert.equal(names.find('anexample.com'), 'default');
});

test('the first expression that matches wins, and leaves its captures to the exchange', () => {
  const names = listener('~^(?<user>[a-z]+)\\.example\\.com$', '~example');
  const asked = exchange();
  assert.equal(names.find('blah.example.com', asked), '~^(?<user>[a-z]+)\\.example\\.com$');
  assert.equal(asked.captures?.[1], 'blah');
  assert.equal(asked.namedCaptures?.['user'], 'blah');
  assert.equal(names.find('www1.example.com'), '~example');
});

test('an exchange keeps no captures of an expression that did not match', () => {
  const asked = exchange();
  assert.equal(listener('~^(a)$').find('b', asked), 'default');
  assert.equal(asked.captures, undefined);
});

test('case does not matter', () => {
  const names = listener('WWW.Example.com', '*.Wild.com', '~^EXAMPLE\\.COM$', '~^lower$');
  assert.equal(names.find('www.EXAMPLE.com'), 'WWW.Example.com');
  assert.equal(names.find('A.WILD.COM'), '*.Wild.com');
  assert.equal(names.find('example.com'), '~^EXAMPLE\\.COM$');
  assert.equal(names.find('LOWER'), '~^lower$');
});

test('a request without a host belongs to the server of the empty name, else to the default one', () => {
  assert.equal(listener('~.*').find(''), 'default');
  const names = compileServerNames([{ names: [nameOf('')], server: 'nameless' }], 'default');
  assert.equal(names.find(''), 'nameless');
});

test('names of properties that every object has are no servers', () => {
  const names = listener('a.com');
  for (const host of ['__proto__', 'constructor', 'toString']) assert.equal(names.find(host), 'default');
});

test('the first server keeps a name that a second one claims, and the conflict is told', () => {
  const names = compileServerNames(
    [
      { names: [nameOf('a.com'), nameOf('*.b.com')], server: 1 },
      { names: [nameOf('A.com'), nameOf('.b.com'), nameOf('c.com')], server: 2 },
      { names: [nameOf('.c.com'), nameOf('mail.*'), nameOf('mail.*')], server: 3 },
    ],
    0,
  );
  assert.deepEqual(names.conflicts, ['a.com', '.b.com', '.c.com', 'mail.*']);
  assert.equal(names.find('a.com'), 1);
  assert.equal(names.find('x.b.com'), 1);
  assert.equal(names.find('x.c.com'), 0);
});

test('names that nginx takes for no wildcard are told', () => {
  const names = listener('a*.com', '*.a.*', 'a..com', '*a.com', 'a.*.com');
  assert.deepEqual(names.invalid, ['a*.com', '*.a.*', 'a..com', '*a.com', 'a.*.com']);
});
