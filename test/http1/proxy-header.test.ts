// The PROXY header: what is read of it, wherever it is cut, what is none, and its TLVs.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { unmapAddress } from '../../src/addresses.ts';
import {
  PROXY_HEADER_LIMIT,
  type ProxyHeader,
  ProxyHeaderReader,
  ProxyTlvError,
  proxyTlv,
} from '../../src/http1/proxy-header.ts';
import { proxyBinary, proxyBlock, proxyLine, tlv, type WrittenProxyHeader } from '../support/proxy-header.ts';

/** Reads bytes, cut before each of `cuts`; what comes after the end is in the last piece. */
function read(bytes: Buffer, cuts: readonly number[] = []): { state: string; reader: ProxyHeaderReader } {
  const reader = new ProxyHeaderReader();
  const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
  for (let i = 1; i < places.length; i++) {
    const state = reader.push(
      bytes,
      places[i - 1] as number,
      i === places.length - 1 ? bytes.length : (places[i] as number),
    );
    if (state !== 'more') return { state, reader };
  }
  return { state: 'more', reader };
}

const V4: WrittenProxyHeader = {
  source: '192.0.2.1',
  sourcePort: 123,
  destination: '192.0.2.2',
  destinationPort: 5678,
};
const V6: WrittenProxyHeader = { source: '2001:db8::1', sourcePort: 1, destination: '::', destinationPort: 65_535 };

const port = fc.integer({ min: 0, max: 65_535 });
const written = fc.oneof(
  fc.record({ source: fc.ipV4(), sourcePort: port, destination: fc.ipV4(), destinationPort: port }),
  fc.record({
    source: fc.constantFrom('2001:db8::1', '::1', 'fe80::abcd:0:1'),
    sourcePort: port,
    destination: fc.constantFrom('::', '2001:db8:1:2:3:4:5:6'),
    destinationPort: port,
  }),
);
const tlvs = fc.array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 300 })), { maxLength: 5 });

test('a header of either version is read alike wherever it is cut, and what follows it is not lost', () => {
  fc.assert(
    fc.property(
      written,
      fc.boolean(),
      tlvs,
      fc.array(fc.nat({ max: 400 }), { maxLength: 6 }),
      fc.uint8Array({ maxLength: 40 }),
      (header, binary, more, cuts, behind) => {
        const values = Buffer.concat(more.map(([type, value]) => tlv(type, Buffer.from(value))));
        const head = binary ? proxyBinary(header, values) : proxyLine(header);
        const bytes = Buffer.concat([head, behind]);
        // A reader is not called again once it is done, so no cut lies behind the header.
        const { state, reader } = read(
          bytes,
          cuts.filter((cut) => cut < head.length),
        );
        assert.equal(state, 'done');
        assert.deepEqual(reader.header, {
          sourceAddress: header.source,
          sourcePort: header.sourcePort,
          destinationAddress: header.destination,
          destinationPort: header.destinationPort,
          tlvs: binary ? values : Buffer.alloc(0),
        });
        assert.deepEqual(reader.rest, Buffer.from(behind));
      },
    ),
  );
});

test('any bytes at all are read to an end, or kept within bounds, and never throw', () => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 200 }).map((rest) => Buffer.concat([Buffer.from('PROXY TCP4 '), rest])),
    fc.uint8Array({ maxLength: 200 }).map((rest) => proxyBlock(0x21, 0x11, Buffer.from(rest))),
    fc.tuple(fc.nat(255), fc.nat(255), fc.nat(65_535)).map(([a, b, c]) => proxyBlock(a, b, Buffer.alloc(20), c)),
  );
  fc.assert(
    fc.property(anything, fc.array(fc.nat({ max: 200 }), { maxLength: 4 }), (bytes, cuts) => {
      const { state, reader } = read(
        Buffer.from(bytes),
        cuts.filter((cut) => cut < bytes.length),
      );
      assert.ok(['more', 'done', 'broken'].includes(state));
      assert.equal(state === 'broken', reader.fault !== '');
    }),
  );
});

describe('version 1', () => {
  const of = (line: string) => read(Buffer.from(line, 'latin1'));

  test('says UNKNOWN where the proxy does not know: there is no header then, and no fault', () => {
    for (const line of ['PROXY UNKNOWN\r\n', 'PROXY UNKNOWN 1 2 3 4 5 6\r\n']) {
      const { state, reader } = of(`${line}GET`);
      assert.equal(state, 'done');
      assert.equal(reader.header, undefined);
      assert.equal(reader.rest.toString(), 'GET');
    }
  });

  const broken = [
    'GET / HTTP/1.1\r\n',
    'PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n',
    'PROXY TCP4 a b g 1 2\r\n',
    'PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n',
    'PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n',
    `PROXY UNKNOWN ${'x'.repeat(107)}\r\n`,
    `PROXY TCP4 ${'1'.repeat(4000)}`,
  ];
  for (const line of broken) {
    test(`is broken: ${JSON.stringify(line.slice(0, 50))}`, () => {
      const { state, reader } = of(line);
      assert.equal(state, 'broken');
      assert.equal(reader.fault, `broken header: "${(line.split(/[\r\n]/)[0] as string).slice(0, 512)}"`);
    });
  }

  test('that ends too early is broken', () => {
    const { state, reader } = of('PROXY TCP4 1.2');
    assert.equal(state, 'more');
    reader.cut();
    assert.equal(reader.fault, 'broken header: "PROXY TCP4 1.2"');
  });
});

describe('version 2', () => {
  test('of no use is passed over: LOCAL, datagrams, unix sockets', () => {
    const body = Buffer.alloc(216, 1);
    for (const [command, kind] of [
      [0x20, 0x11],
      [0x21, 0x12],
      [0x21, 0x31],
      [0x21, 0x00],
      [0x20, 0x00],
    ] as const) {
      const { state, reader } = read(Buffer.concat([proxyBlock(command, kind, body), Buffer.from('GET')]));
      assert.equal(state, 'done');
      assert.equal(reader.header, undefined);
      assert.equal(reader.rest.toString(), 'GET');
    }
  });

  test('with nothing but its fixed part is whole', () => {
    assert.equal(read(proxyBlock(0x20, 0x00, Buffer.alloc(0))).state, 'done');
  });

  test('of another version, too long, or too short for its addresses is broken', () => {
    const fault = (bytes: Buffer): string => read(bytes).reader.fault;
    assert.equal(fault(proxyBlock(0x31, 0x11, Buffer.alloc(12))), 'unknown PROXY protocol version: 3');
    assert.equal(fault(proxyBlock(0x21, 0x11, Buffer.alloc(0), PROXY_HEADER_LIMIT - 15)), 'header is too large');
    assert.match(fault(proxyBlock(0x21, 0x11, Buffer.alloc(11))), /too short/);
    assert.match(fault(proxyBlock(0x21, 0x21, Buffer.alloc(35))), /too short/);
  });

  test('may have as many bytes as the limit', () => {
    const large = tlv(0x05, 'x'.repeat(PROXY_HEADER_LIMIT - 16 - 12 - 3));
    const { state, reader } = read(proxyBinary(V4, large));
    assert.equal(state, 'done');
    assert.equal(reader.header?.tlvs.length, large.length);
  });

  test('writes IPv6 addresses in their shortest form', () => {
    const { reader } = read(proxyBinary(V6));
    assert.equal(reader.header?.sourceAddress, '2001:db8::1');
    assert.equal(reader.header?.destinationAddress, '::');
    assert.equal(unmapAddress(reader.header.sourceAddress), '2001:db8::1');
  });
});

describe('TLVs', () => {
  const headerWith = (...values: Buffer[]): ProxyHeader =>
    read(proxyBinary(V4, Buffer.concat(values))).reader.header as ProxyHeader;
  const ssl = tlv(
    0x20,
    Buffer.concat([Buffer.from([5, 0, 0, 1, 0]), tlv(0x21, 'TLSv1.3'), tlv(0x22, 'someone'), tlv(0x25, 'EC256')]),
  );
  const header = headerWith(
    tlv(0x01, 'h2'),
    tlv(0x02, 'example.org'),
    tlv(0x30, 'ns'),
    ssl,
    tlv(0xae, ''),
    tlv(0x05, 'ü'),
  );

  test('are found by name, by number, and inside of the ssl one', () => {
    const found: Record<string, string | undefined> = {
      alpn: 'h2',
      '0x1': 'h2',
      '0x0001': 'h2',
      authority: 'example.org',
      netns: 'ns',
      unique_id: '\xc3\xbc',
      '0xae': '',
      '0xee': undefined,
      ssl_verify: '256',
      ssl_version: 'TLSv1.3',
      ssl_0x21: 'TLSv1.3',
      ssl_cn: 'someone',
      ssl_key_alg: 'EC256',
      ssl_cipher: undefined,
    };
    for (const [name, value] of Object.entries(found)) assert.equal(proxyTlv(header, name), value, name);
    assert.equal(proxyTlv(header, 'ssl'), ssl.toString('latin1', 3));
  });

  test('inside of an ssl one that is not there, or too short, are not found', () => {
    assert.equal(proxyTlv(headerWith(), 'ssl_version'), undefined);
    assert.equal(proxyTlv(headerWith(tlv(0x20, 'abcd')), 'ssl_verify'), undefined);
  });

  test('with a name that stands for none, or cut short, are a mistake', () => {
    const fault = (of: ProxyHeader, name: string): string => {
      try {
        proxyTlv(of, name);
      } catch (error) {
        assert.ok(error instanceof ProxyTlvError);
        return error.message;
      }
      return '';
    };
    assert.equal(fault(header, 'color'), 'unknown PROXY protocol TLV "color"');
    assert.equal(fault(header, 'constructor'), 'unknown PROXY protocol TLV "constructor"');
    assert.equal(fault(header, 'ssl_alpn'), 'unknown PROXY protocol TLV "ssl_alpn"');
    assert.equal(fault(header, '0xyz'), 'invalid PROXY protocol TLV "0xyz"');
    for (const cut of [Buffer.from([1]), Buffer.from([1, 0]), Buffer.from([1, 0, 2, 65])]) {
      assert.equal(fault(headerWith(cut), 'netns'), 'broken PROXY protocol TLV');
    }
  });
});
