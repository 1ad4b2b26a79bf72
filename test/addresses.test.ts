// Addresses are read and written as nginx does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Address,
  AddressError,
  type AddressOptions,
  addressBytes,
  binaryAddress,
  formatAddress,
  parseAddress,
  unmapAddress,
} from '../src/addresses.ts';

function address(fields: Partial<Address>): Address {
  const port = fields.port ?? 0;
  return { family: 'ipv4', host: '', port, lastPort: port, hasPort: port !== 0, wildcard: false, uri: '', ...fields };
}

function mistakeIn(text: string, options?: AddressOptions): string {
  try {
    parseAddress(text, options);
  } catch (error) {
    assert.ok(error instanceof AddressError);
    return error.message;
  }
  return 'none';
}

test('reads addresses with and without a port', () => {
  assert.deepEqual(parseAddress('127.0.0.1:80'), address({ host: '127.0.0.1', port: 80 }));
  assert.deepEqual(
    parseAddress('127.0.0.1', { defaultPort: 80 }),
    address({ host: '127.0.0.1', port: 80, lastPort: 80, hasPort: false }),
  );
  assert.deepEqual(parseAddress('[::1]:8080'), address({ family: 'ipv6', host: '::1', port: 8080 }));
  assert.deepEqual(parseAddress('example.com:81'), address({ family: 'name', host: 'example.com', port: 81 }));
  assert.deepEqual(parseAddress('unix:/run/a.sock'), address({ family: 'unix', host: '/run/a.sock' }));
});

test('writes an address of the internet in one form, however it was written', () => {
  assert.equal(parseAddress('[2001:DB8:0:0:0:0:0:001]').host, '2001:db8::1');
  assert.equal(parseAddress('[::ffff:7f00:1]').host, '::ffff:127.0.0.1');
  assert.equal(parseAddress('[1:0:2:0:0:3:0:0]').host, '1:0:2::3:0:0');
  assert.equal(parseAddress('[1:2:3:4:5:6:0:8]').host, '1:2:3:4:5:6:0:8');
  assert.equal(parseAddress('010.0.0.01').host, '10.0.0.1');
});

test('listen takes a port alone, a star, and a range of ports', () => {
  const any = { host: '0.0.0.0', wildcard: true };
  assert.deepEqual(parseAddress('8080', { listen: true }), address({ ...any, port: 8080 }));
  assert.deepEqual(parseAddress('*:80', { listen: true }), address({ ...any, port: 80 }));
  assert.deepEqual(parseAddress('8000-8010', { listen: true }), address({ ...any, port: 8000, lastPort: 8010 }));
  assert.equal(parseAddress('[::]:80', { listen: true }).wildcard, true);
  assert.deepEqual(
    parseAddress('*', { listen: true, defaultPort: 80 }),
    address({ ...any, port: 80, lastPort: 80, hasPort: false }),
  );
});

test('elsewhere a port alone is the name of a host', () => {
  assert.deepEqual(parseAddress('8080'), address({ family: 'name', host: '8080' }));
});

test('takes the URI behind an address where one may stand', () => {
  const uriPart = true;
  assert.equal(parseAddress('127.0.0.1:80/a?b', { uriPart }).uri, '/a?b');
  assert.equal(parseAddress('backend?x=/y', { uriPart }).uri, '?x=/y');
  assert.equal(parseAddress('[::1]/a', { uriPart }).uri, '/a');
  const unix = parseAddress('unix:/run/a.sock:/path', { uriPart });
  assert.deepEqual([unix.host, unix.uri], ['/run/a.sock', '/path']);
  assert.equal(parseAddress('host/path:80', { uriPart }).hasPort, false);
});

test('names a mistake with the words of nginx', () => {
  assert.equal(mistakeIn('127.0.0.1:'), 'invalid port');
  assert.equal(mistakeIn('127.0.0.1:65536'), 'invalid port');
  assert.equal(mistakeIn('127.0.0.1:8x'), 'invalid port');
  assert.equal(mistakeIn('0', { listen: true }), 'invalid port');
  assert.equal(mistakeIn('90-80', { listen: true }), 'invalid port range');
  assert.equal(mistakeIn(':80'), 'no host');
  assert.equal(mistakeIn(''), 'no host');
  assert.equal(mistakeIn('[]:80'), 'no host');
  assert.equal(mistakeIn('[::1'), 'invalid host');
  assert.equal(mistakeIn('[::1]80'), 'invalid host');
  assert.equal(mistakeIn('127.0.0.1/a'), 'invalid host');
  assert.equal(mistakeIn('a/b', { listen: true, uriPart: true }), 'invalid host');
  assert.equal(mistakeIn('[::1::2]'), 'invalid IPv6 address');
  assert.equal(mistakeIn('[fe80::1%eth0]'), 'invalid IPv6 address');
  assert.equal(mistakeIn('unix:'), 'no path in the unix domain socket');
  assert.equal(mistakeIn(`unix:/${'a'.repeat(107)}`), 'too long path in the unix domain socket');
  assert.equal(mistakeIn(`unix:/${'a'.repeat(106)}`), 'none');
});

test('writes an address so that it can be read again', () => {
  for (const text of ['127.0.0.1:80', '[::1]:80', 'example.com:80', 'unix:/run/a.sock', '[2001:db8::1]', '10.0.0.1']) {
    assert.equal(formatAddress(parseAddress(text)), text);
  }
});

test('gives the bytes of an address', () => {
  assert.deepEqual(addressBytes('192.0.2.1'), Uint8Array.of(192, 0, 2, 1));
  assert.deepEqual(addressBytes('::1'), Uint8Array.from([...Array(15).fill(0), 1]));
  assert.deepEqual(addressBytes('2001:db8::1.2.3.4')?.subarray(12), Uint8Array.of(1, 2, 3, 4));
  assert.equal(addressBytes('256.0.0.1'), undefined);
  assert.equal(addressBytes('unix:'), undefined);
  assert.equal(binaryAddress('10.20.255.1'), '\x0a\x14\xff\x01');
  assert.equal(binaryAddress('::1').length, 16);
  assert.equal(binaryAddress('unix:'), 'unix:');
});

test('takes an IPv4 address out of its IPv6 clothes', () => {
  assert.equal(unmapAddress('::ffff:127.0.0.1'), '127.0.0.1');
  assert.equal(unmapAddress('::ffff:7f00:1'), '127.0.0.1');
  assert.equal(unmapAddress('::1'), '::1');
  assert.equal(unmapAddress('10.0.0.1'), '10.0.0.1');
});
