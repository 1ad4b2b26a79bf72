// DNS messages: what is written, what is read, and what is refused whatever bytes come.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type DnsAnswer, readAnswer, writeQuery } from '../../src/resolver/dns-message.ts';
import { encodeName, readName } from '../../src/resolver/dns-name.ts';
import { type DnsReply, dnsMessage } from '../support/dns-server.ts';

function read(name: string, type: string, reply: DnsReply): DnsAnswer | string {
  return readAnswer(dnsMessage({ id: 7, name, type }, reply));
}

function good(name: string, type: string, reply: DnsReply): DnsAnswer {
  const answer = read(name, type, reply);
  assert.ok(typeof answer !== 'string', String(answer));
  return answer;
}

describe('a query', () => {
  test('asks for one name, with recursion', () => {
    const query = writeQuery(0x1234, 'a.bc', 'AAAA');
    assert.equal(query?.toString('hex'), '123401000001000000000000016102626300001c0001');
  });

  test('is not written for what is no name', () => {
    for (const name of ['', '.', 'a..b', `${'x'.repeat(64)}.y`, Array(65).fill('abc').join('.')])
      assert.equal(writeQuery(1, name, 'A'), undefined, name);
  });
});

describe('an answer', () => {
  test('has the addresses of the name, and the shortest of their times', () => {
    const records = [
      { type: 'A', data: '127.0.0.1', ttl: 30 },
      { type: 'A', data: '127.0.0.2', ttl: 20 },
    ] as const;
    const answer = good('A.Test', 'A', { records });
    assert.deepEqual(answer.addresses, ['127.0.0.1', '127.0.0.2']);
    assert.deepEqual(
      [answer.name, answer.type, answer.ttl, answer.id, answer.alias],
      ['a.test', 'A', 20, 7, undefined],
    );
  });

  test('has IPv6 addresses in their one form', () => {
    const { addresses } = good('a.test', 'AAAA', { records: [{ type: 'AAAA', data: 'fe80:0::0:1' }] });
    assert.deepEqual(addresses, ['fe80::1']);
  });

  test('has the addresses of what the name is another name for, and says which that is', () => {
    const records = [
      { type: 'CNAME', data: 'B.test', ttl: 5 },
      { type: 'CNAME', owner: 'b.test', data: 'c.test' },
      { type: 'A', owner: 'c.test', data: '127.0.0.3' },
    ] as const;
    const { addresses, alias, ttl } = good('a.test', 'A', { records });
    assert.deepEqual([addresses, alias, ttl], [['127.0.0.3'], 'c.test', 5]);
  });

  test('does not have the addresses of anybody else', () => {
    const records = [
      { type: 'A', owner: 'bank.test', data: '127.0.0.66' },
      { type: 'TXT', data: 'hello' },
    ] as const;
    assert.deepEqual(good('a.test', 'A', { records }).addresses, []);
  });

  test('that goes in circles ends', () => {
    const records = [
      { type: 'CNAME', data: 'b.test' },
      { type: 'CNAME', owner: 'b.test', data: 'a.test' },
    ] as const;
    assert.equal(good('a.test', 'A', { records }).alias, 'b.test');
  });

  test('has the servers of a service', () => {
    const { services } = good('_http._tcp.a.test', 'SRV', { records: [{ type: 'SRV', data: '1 5 8080 b.test' }] });
    assert.deepEqual(services, [{ priority: 1, weight: 5, port: 8080, name: 'b.test' }]);
  });

  test('of an error or cut short says only that', () => {
    assert.equal(good('a.test', 'A', { code: 3 }).code, 3);
    assert.equal(good('a.test', 'A', { truncated: true, records: [{ type: 'A', data: '1.2.3.4' }] }).truncated, true);
  });

  test('with a negative time is one without any', () => {
    assert.equal(good('a.test', 'A', { records: [{ type: 'A', data: '127.0.0.1', ttl: -5 }] }).ttl, 0);
  });
});

describe('what is refused', () => {
  const whole = dnsMessage({ id: 7, name: 'a.test', type: 'A' }, { records: [{ type: 'A', data: '127.0.0.1' }] });

  test('a message that is cut anywhere', () => {
    for (let length = 0; length < whole.length; length++)
      assert.equal(typeof readAnswer(whole.subarray(0, length)), 'string', `${length} bytes`);
  });

  test('a query, more than one question, another class, another type', () => {
    for (const [at, value] of [
      [2, 0x01],
      [5, 2],
      [21, 16],
      [23, 3],
      [29, 3],
    ] as const) {
      const message = Buffer.from(whole);
      message[at] = value;
      const answer = readAnswer(message);
      assert.equal(typeof answer, 'string', `byte ${at}`);
    }
  });

  test('an address of the wrong length', () => {
    const message = dnsMessage({ id: 7, name: 'a.test', type: 'A' }, { records: [{ type: 'A', data: '127.0.0' }] });
    assert.equal(readAnswer(message), 'invalid record of type 1 in DNS response');
  });

  test('a pointer to itself, forward, or behind the end', () => {
    for (const pointer of [0, 1, 5, 0x3fff]) {
      const message = Buffer.alloc(16);
      message.writeUInt16BE(0xc000 | pointer, 0);
      assert.equal(readName(message, 0), undefined, `${pointer}`);
    }
  });

  test('a name of very many pointers, for a message has room for thousands of such names', () => {
    // The root, and then each pointer leads to the one before it.
    const message = Buffer.alloc(2 + 2 * 200);
    for (let at = 2; at < message.length; at += 2) message.writeUInt16BE(0xc000 | (at === 2 ? 0 : at - 2), at);
    assert.deepEqual(readName(message, 2 * 128), { name: '', end: 2 * 128 + 2 });
    assert.equal(readName(message, 2 * 129), undefined);
  });

  test('a label with a dot or a control byte in it, which would read as another name', () => {
    for (const byte of [0x2e, 0x00, 0x20, 0x0a, 0x7f]) assert.equal(readName(Buffer.from([1, byte, 0]), 0), undefined);
  });
});

describe('of any bytes', () => {
  test('a name either is none or ends within them and is short', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.integer({ min: 0, max: 600 }), (bytes, start) => {
        const found = readName(bytes, start);
        if (found === undefined) return;
        assert.ok(found.end <= bytes.length && found.name.length <= 255);
      }),
    );
  });

  test('an answer either is a sentence or holds what its type allows', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom('A', 'AAAA', 'SRV'), (tail, type) => {
        const message = dnsMessage({ id: 1, name: 'a.test', type }, {});
        message.writeUInt16BE(3, 6);
        const answer = readAnswer(Buffer.concat([message, tail]));
        if (typeof answer === 'string') return assert.notEqual(answer, '');
        for (const address of answer.addresses) assert.match(address, type === 'A' ? /^[0-9.]+$/ : /^[0-9a-f:.]+$/);
        assert.ok(answer.ttl >= 0);
      }),
      { numRuns: 500 },
    );
  });

  test('a written name is read back', () => {
    const label = fc.string({
      minLength: 1,
      maxLength: 63,
      unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789-_'),
    });
    fc.assert(
      fc.property(fc.tuple(label, fc.array(label, { maxLength: 2 })), ([first, rest]) => {
        const name = [first, ...rest].join('.');
        const wire = encodeName(name);
        assert.ok(wire !== undefined);
        assert.deepEqual(readName(wire, 0), { name, end: wire.length });
      }),
    );
  });
});
