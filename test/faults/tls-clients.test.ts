// Clients that misuse TLS, and certificates that change: nobody else notices, sessions never cross from one server to another.

import assert from 'node:assert/strict';
import { constants, type X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { selfSignedCertificate } from '../support/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { ProbedGateway } from './probed-gateway.ts';
import { RawClient } from './raw-client.ts';

const REQUEST = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

interface Secured {
  readonly gateway: ProbedGateway;
  readonly port: number;
}

/** Two servers on one TLS port; `one.example` is the default. */
async function start(t: TestContext): Promise<Secured> {
  const port = await freePort();
  const one = await selfSignedCertificate({ names: ['one.example'] });
  const two = await selfSignedCertificate({ names: ['two.example'] });
  const server = (name: string): string => `server {
    listen 127.0.0.1:${port} ssl; server_name ${name}.example; client_header_timeout 1s;
    ssl_certificate ${name}.crt; ssl_certificate_key ${name}.key;
    location / { return 200 "${name} $ssl_session_reused"; }
  }`;
  const gateway = await ProbedGateway.start(t, {
    files: { 'one.crt': one.cert, 'one.key': one.key, 'two.crt': two.cert, 'two.key': two.key },
    http: server('one') + server('two'),
  });
  return { gateway, port };
}

/** Does the handshake. @throws what the client's side says where it fails */
async function secure(t: TestContext, port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

/** @returns the name of the server that has answered, and whether it resumed a session */
async function answerOf(socket: TLSSocket, host: string): Promise<string> {
  const said = once(socket, 'data') as Promise<[Buffer]>;
  socket.write(REQUEST(host));
  return String((await said)[0]).split('\r\n\r\n')[1] ?? '';
}

const nameOf = (socket: TLSSocket): string => (socket.getPeerX509Certificate() as X509Certificate).subject;

test('a client that speaks something else than TLS, or breaks it off', async (t) => {
  const { gateway, port } = await start(t);
  const refused: Readonly<Record<string, string>> = {
    'a record that is too long': '160301ffff01',
    'a record of another kind than a handshake after the first': `1603010005010000fc03${'1703030001ff'}`,
    'a ClientHello with lengths that lie': `16030100310100002d0303${'00'.repeat(32)}ff${'00'.repeat(10)}`,
    'a ClientHello that is cut short, and then garbage': `160301002f0100002b0303${'11'.repeat(32)}00${'ff'.repeat(20)}`,
    'an alert before anything else': '15030100020228',
    'SSL 2': '802e0100020015001000000010010080',
  };
  for (const [name, hex] of Object.entries(refused)) {
    await t.test(`${name}: the connection is closed`, async (subtest) => {
      const client = await RawClient.to(subtest, port);
      client.send(Buffer.from(hex, 'hex'));
      await client.over(3000);
      client.socket.destroy();
    });
  }
  await t.test('plain HTTP: 400, in words', async (subtest) => {
    const client = await RawClient.to(subtest, port);
    client.send(REQUEST('one.example'));
    await client.over();
    assert.equal(client.status, 400);
    assert.match(client.text, /The plain HTTP request was sent to HTTPS port/);
  });
  await t.test('garbage in the middle of an open connection: it is closed', async (subtest) => {
    const raw = await RawClient.to(subtest, port);
    raw.socket.removeAllListeners('data');
    const socket = await secure(subtest, port, { socket: raw.socket });
    raw.socket.write(Buffer.from('17030300100123456789abcdef0123456789abcdef', 'hex'));
    await new Promise((resolve) => socket.once('error', resolve).once('close', resolve));
  });
  await t.test('nothing, or a ClientHello byte by byte: closed after client_header_timeout', async (subtest) => {
    const began = performance.now();
    const silent = await RawClient.to(subtest, port);
    const slow = await RawClient.to(subtest, port);
    const drip = setInterval(() => slow.send('\x16'), 100);
    subtest.after(() => clearInterval(drip));
    slow.send(Buffer.from('16030102000100', 'hex'));
    await Promise.all([silent.over(), slow.over()]);
    assert.ok(performance.now() - began > 900);
  });
  await gateway.alive();
});

test('a name that nobody has gets the default server; a known one gets its own', async (t) => {
  const { gateway, port } = await start(t);
  for (const [servername, name] of [
    ['two.example', 'two'],
    ['nobody.example', 'one'],
    ['', 'one'],
  ] as const) {
    const socket = await secure(t, port, { servername });
    assert.equal(nameOf(socket), `CN=${name}.example`);
    socket.destroy();
  }
  await gateway.alive();
});

test('what is older than TLS 1.2, or too weak, is refused', async (t) => {
  const { gateway, port } = await start(t);
  const weak: ConnectionOptions[] = [
    { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'aNULL:eNULL@SECLEVEL=0' },
  ];
  for (const options of weak) await assert.rejects(secure(t, port, options));
  await gateway.alive();
});

test('a client that asks for renegotiation is closed', async (t) => {
  const { gateway, port } = await start(t);
  const socket = await secure(t, port, {
    maxVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_LEGACY_SERVER_CONNECT,
  });
  const closed = once(socket, 'close');
  socket.renegotiate({}, () => {});
  await closed;
  await gateway.alive();
});

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a session of ${version} is resumed at its own server, and at no other`, async (t) => {
    const { gateway, port } = await start(t);
    const options = { minVersion: version, maxVersion: version, servername: 'one.example' };
    const first = await secure(t, port, options);
    const fresh = once(first, 'session') as Promise<[Buffer]>;
    assert.match(await answerOf(first, 'one.example'), /^one /);
    const session = first.getSession() ?? (await fresh)[0];
    const ticket = version === 'TLSv1.3' ? (await fresh)[0] : session;
    first.destroy();
    const again = await secure(t, port, { ...options, session: ticket });
    assert.equal(again.isSessionReused(), true);
    again.destroy();
    const elsewhere = await secure(t, port, { ...options, servername: 'two.example', session: ticket });
    assert.equal(elsewhere.isSessionReused(), false);
    assert.equal(nameOf(elsewhere), 'CN=two.example');
    elsewhere.destroy();
    await gateway.alive();
  });
}

test('a certificate that was replaced is used after a reload, by new connections, and old ones go on', async (t) => {
  const { gateway, port } = await start(t);
  const old = await secure(t, port, { servername: 'one.example' });
  assert.match(await answerOf(old, 'one.example'), /^one/);
  const before = old.getPeerX509Certificate()?.serialNumber;
  const { cert, key } = await selfSignedCertificate({ names: ['one.example'], serial: 77 });
  writeFileSync(join(gateway.sockgate.prefix, 'one.crt'), cert);
  writeFileSync(join(gateway.sockgate.prefix, 'one.key'), key);
  await gateway.sockgate.reload(gateway.configuration());
  const fresh = await secure(t, port, { servername: 'one.example' });
  assert.notEqual(fresh.getPeerX509Certificate()?.serialNumber, before);
  assert.match(await answerOf(old, 'one.example'), /^one/);
  old.destroy();
  fresh.destroy();
  await gateway.alive();
});
