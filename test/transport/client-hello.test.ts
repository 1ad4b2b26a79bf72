// ClientHellos: those of Node's own client, cut at every byte; those we build; and those that break the rules.

import assert from 'node:assert/strict';
import { createServer as createPlainServer } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls';
import {
  CLIENT_HELLO_LIMIT,
  type ClientHello,
  ClientHelloReader,
  type HelloState,
} from '../../src/transport/client-hello.ts';
import { selfSignedCertificate } from '../support/certificates.ts';

/** The first flight of Node's own TLS client. */
function captureHello(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(bytes: Buffer, _encoding, done) {
        resolve(bytes);
        done();
      },
    });
    const socket = connect({ ...options, socket: wire });
    socket.on('error', () => {});
  });
}

/** A session that a server gave us, to be offered again. */
async function captureSession(version: 'TLSv1.2' | 'TLSv1.3'): Promise<Buffer> {
  const server = createServer({ ...(await selfSignedCertificate()), minVersion: version, maxVersion: version });
  server.on('secureConnection', (socket) => socket.end('over'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as { port: number };
  const socket: TLSSocket = connect({
    host: '127.0.0.1',
    port: address.port,
    servername: 'localhost',
    rejectUnauthorized: false,
  });
  const session = await new Promise<Buffer>((resolve) => socket.once('session', resolve));
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  return session;
}

function readAll(bytes: Buffer): { state: HelloState; reader: ClientHelloReader } {
  const reader = new ClientHelloReader();
  return { state: reader.push(bytes, 0, bytes.length), reader };
}

function helloOf(bytes: Buffer): ClientHello {
  const { state, reader } = readAll(bytes);
  assert.equal(state, 'done', reader.fault);
  return reader.hello as ClientHello;
}

test('it reads name, protocols and versions of the ClientHello that Node sends', async () => {
  const hello = helloOf(await captureHello({ servername: 'WWW.Example.Test', ALPNProtocols: ['h2', 'http/1.1'] }));
  assert.equal(hello.serverName, 'www.example.test');
  assert.deepEqual(hello.alpn, ['h2', 'http/1.1']);
  assert.deepEqual(hello.versions, [0x0304, 0x0303]);
  assert.equal(hello.sessionId.length, 32);
  assert.deepEqual(hello.sessionTicket, Buffer.alloc(0));
  assert.deepEqual(hello.preSharedKeys, []);
  assert.equal(hello.earlyData, false);
});

test('a client of TLS 1.2 without name and protocols has none', async () => {
  const hello = helloOf(await captureHello({ maxVersion: 'TLSv1.2' }));
  assert.equal(hello.serverName, undefined);
  assert.deepEqual(hello.alpn, []);
  assert.deepEqual(hello.versions, [0x0303]);
});

test('a resumed session shows: its ticket in TLS 1.2, its pre-shared key in TLS 1.3', async () => {
  const options = { servername: 'localhost', rejectUnauthorized: false };
  const older = helloOf(
    await captureHello({ ...options, maxVersion: 'TLSv1.2', session: await captureSession('TLSv1.2') }),
  );
  assert.ok((older.sessionTicket?.length ?? 0) > 32);
  const newer = helloOf(await captureHello({ ...options, session: await captureSession('TLSv1.3') }));
  assert.equal(newer.preSharedKeys.length, 1);
  assert.ok((newer.preSharedKeys[0]?.length ?? 0) > 32);
});

test('cut in two at every byte it says the same, and keeps every byte', async () => {
  const bytes = await captureHello({ servername: 'a.test', ALPNProtocols: ['http/1.1'] });
  const whole = helloOf(bytes);
  for (let cut = 0; cut < bytes.length; cut++) {
    const reader = new ClientHelloReader();
    assert.equal(reader.push(bytes, 0, cut), 'more');
    assert.equal(reader.push(bytes, cut, bytes.length), 'done');
    assert.deepEqual(reader.hello, whole);
    assert.deepEqual(reader.received, bytes);
  }
});

test('byte by byte, and spread over records of one byte, it says the same', async () => {
  const bytes = await captureHello({ servername: 'a.test', ALPNProtocols: ['http/1.1'] });
  const whole = helloOf(bytes);
  const slow = new ClientHelloReader();
  for (let at = 0; at < bytes.length; at++) {
    assert.equal(slow.push(bytes, at, at + 1), at === bytes.length - 1 ? 'done' : 'more');
  }
  assert.deepEqual(slow.hello, whole);
  const records = [...bytes.subarray(5)].map((byte) => Buffer.from([22, 3, 1, 0, 1, byte]));
  assert.deepEqual(helloOf(Buffer.concat(records)), whole);
});

test('what follows in the next record belongs to what was received, not to the ClientHello', async () => {
  const bytes = await captureHello({ servername: 'a.test' });
  const early = Buffer.from([23, 3, 3, 0, 2, 1, 2]);
  const { state, reader } = readAll(Buffer.concat([bytes, early]));
  assert.equal(state, 'done');
  assert.deepEqual(reader.received.subarray(bytes.length), early);
});

test('plain HTTP is not TLS, and neither is the ClientHello of SSL 2', () => {
  assert.equal(readAll(Buffer.from('GET / HTTP/1.1\r\n')).state, 'not TLS');
  assert.equal(readAll(Buffer.from([0x80, 0x2e, 0x01, 0x03, 0x01])).state, 'not TLS');
  assert.equal(readAll(Buffer.alloc(0)).state, 'more');
});

const VERSION = [3, 3];
const RANDOM = Array.from({ length: 32 }, () => 7);
const SESSION = [0];
const CIPHERS = [0, 2, 0x13, 0x01];
const COMPRESSION = [1, 0];

function two(length: number): number[] {
  return [length >> 8, length & 255];
}

function extension(type: number, data: number[]): number[] {
  return [...two(type), ...two(data.length), ...data];
}

function body(extensions: number[] | undefined): number[] {
  const end = extensions === undefined ? [] : [...two(extensions.length), ...extensions];
  return [...VERSION, ...RANDOM, ...SESSION, ...CIPHERS, ...COMPRESSION, ...end];
}

function message(content: number[], type = 1): number[] {
  return [type, 0, ...two(content.length), ...content];
}

function record(content: number[]): Buffer {
  return Buffer.from([22, 3, 1, ...two(content.length), ...content]);
}

function withExtensions(...extensions: number[][]): Buffer {
  return record(message(body(extensions.flat())));
}

const nameList = (name: string, type = 0): number[] => {
  const entry = [type, ...two(name.length), ...Buffer.from(name, 'latin1')];
  return [...two(entry.length), ...entry];
};

test('a ClientHello without extensions is a good one', () => {
  const hello = helloOf(record(message(body(undefined))));
  assert.equal(hello.serverName, undefined);
  assert.deepEqual(hello.versions, [0x0303]);
  assert.equal(hello.sessionTicket, undefined);
});

test('unknown extensions are passed over, early data is seen', () => {
  const hello = helloOf(withExtensions(extension(0x0a0a, [1, 2]), extension(42, []), extension(0, nameList('b.test'))));
  assert.equal(hello.earlyData, true);
  assert.equal(hello.serverName, 'b.test');
});

const identity = [0, 1, 9, 0, 0, 0, 0];
const binder = [32, ...RANDOM];
const psk = [...two(identity.length), ...identity, ...two(binder.length), ...binder];

const broken: Record<string, Buffer> = {
  'a record of a later major version': Buffer.from([22, 4, 1, 0, 1, 1]),
  'an empty record': Buffer.from([22, 3, 1, 0, 0]),
  'a record longer than 16 KB': Buffer.from([22, 3, 1, 0x40, 0x01]),
  'another record inside the message': Buffer.concat([
    Buffer.from([22, 3, 1, 0, 1, 1]),
    Buffer.from([23, 3, 3, 0, 1, 0]),
  ]),
  'another handshake message': record(message(body([]), 2)),
  'another message right behind it': record([...message(body([])), 1]),
  'a message longer than 16 KB': record([1, 0, 0x40, 0x01]),
  'a message of 16 MB': record([1, 255, 255, 255]),
  'a body that ends early': record(message([...VERSION, ...RANDOM])),
  'a session id longer than 32 bytes': record(
    message([...VERSION, ...RANDOM, 33, ...RANDOM, 1, ...CIPHERS, ...COMPRESSION]),
  ),
  'no cipher suites': record(message([...VERSION, ...RANDOM, 0, 0, 0, ...COMPRESSION])),
  'half a cipher suite': record(message([...VERSION, ...RANDOM, 0, 0, 3, 1, 2, 3, ...COMPRESSION])),
  'no compression method': record(message([...VERSION, ...RANDOM, 0, ...CIPHERS, 0])),
  'bytes after the extensions': record(message([...body([]), 0])),
  'an extension beyond the end': record(message(body([0, 0, 0, 9]))),
  'an extension twice': withExtensions(extension(16, [0, 3, 2, 104, 50]), extension(16, [0, 3, 2, 104, 50])),
  'an empty server name': withExtensions(extension(0, nameList(''))),
  'an empty list of server names': withExtensions(extension(0, [0, 0])),
  'two server names': withExtensions(extension(0, [0, 8, 0, 0, 1, 97, 0, 0, 1, 98])),
  'a server name that is no host name': withExtensions(extension(0, nameList('a.test', 1))),
  'a server name with a NUL': withExtensions(extension(0, nameList('a\0.test'))),
  'a server name with a space': withExtensions(extension(0, nameList('a .test'))),
  'a server name with a byte above 127': withExtensions(extension(0, nameList('\u00e4.test'))),
  'a server name of 256 bytes': withExtensions(extension(0, nameList('a'.repeat(256)))),
  'an empty protocol': withExtensions(extension(16, [0, 3, 0, 1, 97])),
  'an empty list of protocols': withExtensions(extension(16, [0, 0])),
  'half a version': withExtensions(extension(43, [3, 3, 4, 3])),
  'early data with content': withExtensions(extension(42, [0])),
  'pre-shared keys that are not last': withExtensions(extension(41, psk), extension(42, [])),
  'fewer binders than keys': withExtensions(
    extension(41, [...two(2 * identity.length), ...identity, ...identity, ...two(binder.length), ...binder]),
  ),
  'more binders than keys': withExtensions(
    extension(41, [...two(identity.length), ...identity, ...two(2 * binder.length), ...binder, ...binder]),
  ),
};

for (const [what, bytes] of Object.entries(broken)) {
  test(`${what}: malformed`, () => {
    const { state, reader } = readAll(bytes);
    assert.equal(state, 'malformed');
    assert.notEqual(reader.fault, '');
  });
}

test('an unbroken one of the built kind is read, so the broken ones fail for their own fault', () => {
  const hello = helloOf(
    withExtensions(
      extension(0, nameList('a'.repeat(255))),
      extension(16, [0, 3, 2, 104, 50]),
      extension(43, [4, 3, 4, 3, 3]),
      extension(41, psk),
    ),
  );
  assert.equal(hello.serverName?.length, 255);
  assert.deepEqual(hello.alpn, ['h2']);
  assert.deepEqual(hello.preSharedKeys, [Buffer.from([9])]);
});

test('a ClientHello of the greatest length is read, and one that never ends is given up', () => {
  const padding = CLIENT_HELLO_LIMIT - 4 - body([]).length - 4;
  const longest = message(
    body(
      extension(
        21,
        Array.from({ length: padding }, () => 0),
      ),
    ),
  );
  const half = longest.length >> 1;
  assert.equal(
    helloOf(Buffer.concat([record(longest.slice(0, half)), record(longest.slice(half))])).versions[0],
    0x0303,
  );

  const reader = new ClientHelloReader();
  const piece = Buffer.from([22, 3, 1, 0, 1, 0]);
  let state = reader.push(record([1, 0, 0x3f, 0]), 0, 9);
  let pushes = 0;
  while (state === 'more') {
    state = reader.push(piece, 0, piece.length);
    pushes++;
  }
  assert.equal(state, 'malformed');
  assert.ok(pushes * piece.length <= CLIENT_HELLO_LIMIT);
});

test('no byte changed at random makes it throw', async () => {
  const bytes = await captureHello({ servername: 'a.test', ALPNProtocols: ['http/1.1', 'h2'] });
  for (let at = 0; at < bytes.length; at++) {
    for (const value of [0, 1, 255, (bytes[at] as number) ^ 0x10]) {
      const changed = Buffer.from(bytes);
      changed[at] = value;
      assert.ok(['more', 'done', 'not TLS', 'malformed'].includes(readAll(changed).state));
    }
  }
});

test('a TLS client that meets it on a real connection is read', async () => {
  const reader = new ClientHelloReader();
  const server = createPlainServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const read = new Promise<void>((resolve) => {
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        if (reader.push(bytes, 0, bytes.length) === 'done') resolve();
      });
    });
  });
  const client = connect({
    host: '127.0.0.1',
    port: (server.address() as { port: number }).port,
    servername: 'real.test',
  });
  client.on('error', () => {});
  await read;
  client.destroy();
  assert.equal(reader.hello?.serverName, 'real.test');
  await new Promise((resolve) => server.close(resolve));
});
