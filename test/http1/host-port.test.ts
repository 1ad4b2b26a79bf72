// The host that a request names, as nginx reads it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostPort } from '../../src/http1/host-port.ts';

const READ: [string, string, number][] = [
  ['example.com', 'example.com', 0],
  ['EXAMPLE.Com', 'example.com', 0],
  ['example.com:8080', 'example.com', 8080],
  ['example.com:', 'example.com', 0],
  ['example.com.', 'example.com', 0],
  ['example.com.:80', 'example.com', 80],
  ['10.0.0.1:65535', '10.0.0.1', 65_535],
  ['a_b-c~d', 'a_b-c~d', 0],
  ["a!$&'()*+;=%41", "a!$&'()*+;=%41", 0],
  ['[::1]', '[::1]', 0],
  ['[::1]:443', '[::1]', 443],
  ['[::FFFF:1.2.3.4]', '[::ffff:1.2.3.4]', 0],
  ['[v1.a,b]', '[v1.a,b]', 0],
];

const REFUSED = [
  '',
  '.',
  ':80',
  'a..b',
  '..a',
  'a b',
  'a,b',
  'a/b',
  'a\\b',
  'u@h',
  'a\tb',
  'a\0',
  '\xe4',
  'a:b',
  'a:80:80',
  'a:65536',
  'a:1.2',
  'a:-1',
  'x[::1]',
  '[::1',
  '[::1].',
  '[::1]x',
  '[::1].:80',
  '[a..b]',
  '[a/b]',
];

test('a host is read with its port and without its trailing dot', () => {
  const reader = new HostPort();
  for (const [authority, host, port] of READ) {
    assert.equal(reader.read(authority), true, authority);
    assert.deepEqual([reader.host, reader.port], [host, port], authority);
  }
});

test('what is no host is refused', () => {
  const reader = new HostPort();
  for (const authority of REFUSED) assert.equal(reader.read(authority), false, JSON.stringify(authority));
});

test('a host that is refused does not stand in the way of the one that was read before it', () => {
  const reader = new HostPort();
  for (const authority of REFUSED) {
    reader.read('Example.com:81');
    reader.read(authority);
    assert.equal(reader.read('Example.com:81'), true);
    assert.deepEqual([reader.host, reader.port], ['example.com', 81]);
  }
});
