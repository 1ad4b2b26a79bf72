// Peers over TLS that are not whom they should be: 502, and nothing of the request is given to them, nothing of theirs to the client.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { TlsOptions } from 'node:tls';
import { certificateAuthority, selfSignedCertificate, signedCertificate } from '../support/certificates.ts';
import { PASS_UPGRADE, ProbedGateway } from './probed-gateway.ts';
import { handshake } from './raw-client.ts';
import { type PeerConnection, scriptedPeer } from './scripted-peer.ts';

const EVIL = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
const HOUR = 3_600_000;

/** A GET and a handshake to a peer that must not get them. */
async function isRefused(
  t: TestContext,
  wish: { tls?: TlsOptions; behave?: (connection: PeerConnection) => void; more?: string; says: RegExp },
): Promise<void> {
  const behave = wish.behave ?? ((connection) => connection.answerEach(EVIL));
  const peer = await scriptedPeer(t, behave, wish.tls === undefined ? {} : { tls: wish.tls });
  const { cert: authority } = await certificateAuthority();
  const pass = `proxy_pass https://${peer.address}; proxy_read_timeout 500ms; proxy_connect_timeout 500ms;
    proxy_ssl_name backend.example; proxy_ssl_verify on; proxy_ssl_trusted_certificate authority.crt; ${wish.more ?? ''}`;
  const gateway = await ProbedGateway.start(t, {
    files: { 'authority.crt': authority },
    server: `location = /get { ${pass} } location = /ws { ${pass} ${PASS_UPGRADE} }`,
  });
  for (const request of ['GET /get HTTP/1.1\r\nHost: x\r\nCookie: secret\r\n\r\n', handshake('/ws')]) {
    const client = await gateway.sends(request);
    await client.head();
    assert.ok(client.status === 502 || client.status === 504, `it is ${client.status}`);
    assert.doesNotMatch(client.text, /evil/);
    client.socket.destroy();
  }
  assert.match(gateway.sockgate.errorLog(), wish.says);
  for (const { text } of peer.connections) assert.doesNotMatch(text, /GET|secret/);
  for (const { socket } of peer.connections) socket.destroy();
  await gateway.alive();
}

test('a peer whose certificate nobody vouches for', async (t) => {
  const tls = await selfSignedCertificate({ names: ['backend.example'] });
  await isRefused(t, { tls, says: /upstream SSL certificate verify error: \(18:self-signed certificate\)/ });
});

test('a peer whose certificate is signed by another authority', async (t) => {
  const tls = await signedCertificate({ names: ['backend.example'] }, 'Another authority');
  await isRefused(t, { tls, says: /upstream SSL certificate verify error: \(2[01]:/ });
});

test('a peer whose certificate has expired', async (t) => {
  const long = { notBefore: new Date(Date.now() - 48 * HOUR), notAfter: new Date(Date.now() - 24 * HOUR) };
  const tls = await signedCertificate({ names: ['backend.example'], ...long });
  await isRefused(t, { tls, says: /upstream SSL certificate verify error: \(10:certificate has expired\)/ });
});

test('a peer whose certificate is for another name', async (t) => {
  const tls = await signedCertificate({ names: ['other.example'] });
  await isRefused(t, { tls, says: /upstream SSL certificate does not match "backend.example"/ });
});

test('a peer that speaks only what proxy_ssl_protocols leaves out', async (t) => {
  const tls = { ...(await signedCertificate({ names: ['backend.example'] })), maxVersion: 'TLSv1.2' } as const;
  await isRefused(t, {
    tls,
    more: 'proxy_ssl_protocols TLSv1.3;',
    says: /SSL_do_handshake\(\) failed .*while SSL handshaking to upstream/,
  });
});

test('a peer that answers in plain text before the handshake', (t) =>
  isRefused(t, {
    behave: ({ socket }) => socket.write(EVIL),
    says: /SSL_do_handshake\(\) failed .*wrong version number.*while SSL handshaking to upstream/,
  }));

test('a peer that closes in the middle of the handshake', (t) =>
  isRefused(t, {
    behave: (connection) => {
      connection.onData = () => connection.socket.end(Buffer.from('160303007a02000076', 'hex'));
    },
    says: /peer closed connection in SSL handshake while SSL handshaking to upstream/,
  }));

test('a peer that never answers the handshake', (t) =>
  isRefused(t, {
    behave: () => {},
    says: /upstream timed out \(110: Connection timed out\) while SSL handshaking to upstream/,
  }));

test('a peer that is whom it should be gets the request', async (t) => {
  const peer = await scriptedPeer(t, (connection) => connection.answerEach(EVIL.replace('evil', 'good')), {
    tls: await signedCertificate({ names: ['backend.example'] }),
  });
  const { cert: authority } = await certificateAuthority();
  const gateway = await ProbedGateway.start(t, {
    files: { 'authority.crt': authority },
    server: `location = /get { proxy_pass https://${peer.address}; proxy_ssl_name backend.example; proxy_ssl_verify on;
      proxy_ssl_trusted_certificate authority.crt; }`,
  });
  const client = await gateway.get('/get');
  await client.until('the answer', () => client.text.endsWith('good'));
});
