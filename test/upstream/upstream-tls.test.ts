// TLS towards peers: names, verification that fails closed, sessions that are really resumed.

import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { TLSSocket, TlsOptions } from 'node:tls';
import type { Upstream } from '../../src/upstream/upstream.ts';
import { UpstreamTls, type UpstreamTlsSettings } from '../../src/upstream/upstream-tls.ts';
import { certificateAuthority, selfSignedCertificate, signedCertificate } from '../support/certificates.ts';
import { certificateChain } from './certificate-chain.ts';
import { type PeerSide, type RawPeer, rawPeer } from './raw-peer.ts';
import type { RecordingWatcher } from './recording-watcher.ts';
import { OK, SETTINGS, send, upstreamOf } from './send-request.ts';

function tlsSettings(settings: Partial<UpstreamTlsSettings> = {}): UpstreamTlsSettings {
  return {
    sendsServerName: false,
    verify: false,
    verifyDepth: 1,
    trusted: undefined,
    ciphers: 'DEFAULT',
    protocols: ['TLSv1.2', 'TLSv1.3'],
    sessionReuse: true,
    ...settings,
  };
}

interface TlsPeer {
  readonly peer: RawPeer;
  readonly upstream: Upstream;
  /** One request on a connection of its own. */
  ask(tls: UpstreamTls, name?: string): Promise<RecordingWatcher>;
  /** What the peer saw of each connection, when it had just been made. */
  readonly seen: Seen[];
}

interface Seen {
  readonly protocol: string | null;
  readonly cipher: string;
  readonly resumed: boolean;
  readonly servername: string | false | undefined;
  readonly client: string | undefined;
}

function look(socket: TLSSocket): Seen {
  const { servername } = socket as { servername?: string | false };
  return {
    protocol: socket.getProtocol(),
    cipher: socket.getCipher().name,
    resumed: socket.isSessionReused(),
    servername,
    client: socket.getPeerCertificate().subject?.CN?.toString(),
  };
}

/** A peer over TLS that answers each request. */
async function tlsPeer(context: TestContext, options: TlsOptions): Promise<TlsPeer> {
  const seen: Seen[] = [];
  const behave = (side: PeerSide) => {
    seen.push(look(side.socket as Socket as TLSSocket));
    side.answerEach(OK);
  };
  const peer = await rawPeer(context, behave, options);
  const upstream = upstreamOf(context, peer.name, { connections: 0 });
  const ask = async (tls: UpstreamTls, tlsName = '') => {
    const { watcher } = send(upstream, { settings: { ...SETTINGS, tls }, tlsName });
    await watcher.untilOver();
    return watcher;
  };
  return { peer, upstream, ask, seen };
}

test('an unverified peer is spoken to whatever its certificate is, as nginx does by default', async (context) => {
  const { ask, seen } = await tlsPeer(context, await selfSignedCertificate({ names: ['elsewhere.example'] }));
  const watcher = await ask(new UpstreamTls(tlsSettings()), 'peer.example');
  assert.equal(watcher.body, 'ok');
  assert.equal(seen.at(-1)?.protocol, 'TLSv1.3');
  assert.equal(seen.at(-1)?.servername, false, 'no name is sent unless asked');
});

test('the name is sent where it is a name, and not where it is an address', async (context) => {
  const { ask, seen } = await tlsPeer(context, await selfSignedCertificate());
  const tls = new UpstreamTls(tlsSettings({ sendsServerName: true }));
  await ask(tls, 'peer.example');
  assert.equal(seen.at(-1)?.servername, 'peer.example');
  await ask(tls, '127.0.0.1');
  assert.equal(seen.at(-1)?.servername, false);
});

test('a certificate that the trusted authority signed for the name is accepted', async (context) => {
  const { ask } = await tlsPeer(
    context,
    await signedCertificate({ names: ['peer.example', '*.wild.example', '127.0.0.1'] }),
  );
  const trusted = (await certificateAuthority()).cert;
  for (const name of ['peer.example', 'any.wild.example', '127.0.0.1']) {
    const watcher = await ask(new UpstreamTls(tlsSettings({ verify: true, trusted })), name);
    assert.equal(watcher.body, 'ok', name);
  }
});

for (const [what, made, name, message] of [
  [
    'signed by somebody else',
    () => signedCertificate({ names: ['peer.example'] }, 'Another authority'),
    'peer.example',
    'upstream SSL certificate verify error: (21:unable to verify the first certificate)',
  ],
  [
    'signed by itself',
    () => selfSignedCertificate({ names: ['peer.example'] }),
    'peer.example',
    'upstream SSL certificate verify error: (18:self-signed certificate)',
  ],
  [
    'that has expired',
    () => signedCertificate({ names: ['peer.example'], notBefore: new Date(0), notAfter: new Date(86_400_000) }),
    'peer.example',
    'upstream SSL certificate verify error: (10:certificate has expired)',
  ],
  [
    'for another name',
    () => signedCertificate({ names: ['other.example'] }),
    'peer.example',
    'upstream SSL certificate does not match "peer.example"',
  ],
  [
    'where there is no name to compare',
    () => signedCertificate({ names: ['other.example'] }),
    '',
    'upstream SSL certificate does not match ""',
  ],
] as const) {
  test(`with proxy_ssl_verify a certificate ${what} is refused, and not a byte is sent`, async (context) => {
    const { ask, peer } = await tlsPeer(context, await made());
    const trusted = (await certificateAuthority()).cert;
    const watcher = await ask(new UpstreamTls(tlsSettings({ verify: true, trusted })), name);
    assert.deepEqual(watcher.calls, ['failed']);
    assert.equal(watcher.fault?.message, `${message} while SSL handshaking to upstream`);
    assert.deepEqual([watcher.fault?.status, watcher.fault?.condition], [502, 'error']);
    if (peer.sides.length > 0) await peer.last.until(() => peer.last.closed);
    assert.equal(peer.sides[0]?.received ?? '', '');
  });
}

test('with proxy_ssl_verify and nothing that is trusted, nobody is', async (context) => {
  const { ask } = await tlsPeer(context, await signedCertificate({ names: ['peer.example'] }));
  const watcher = await ask(new UpstreamTls(tlsSettings({ verify: true })), 'peer.example');
  assert.match(watcher.fault?.message ?? '', /^upstream SSL certificate verify error/);
});

test('proxy_ssl_verify_depth counts the intermediate certificates', async (context) => {
  const { key, cert, root: trusted } = await certificateChain('peer.example');
  const { ask } = await tlsPeer(context, { key, cert });
  const one = await ask(new UpstreamTls(tlsSettings({ verify: true, trusted, verifyDepth: 1 })), 'peer.example');
  assert.equal(one.body, 'ok');
  const none = await ask(new UpstreamTls(tlsSettings({ verify: true, trusted, verifyDepth: 0 })), 'peer.example');
  assert.match(none.fault?.message ?? '', /\(22:certificate chain too long\)/);
});

for (const protocol of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`sessions of ${protocol} are resumed, for the same name and peer alone`, async (context) => {
    const { ask, seen } = await tlsPeer(context, await selfSignedCertificate());
    const tls = new UpstreamTls(tlsSettings({ protocols: [protocol] }));
    await ask(tls, 'a.example');
    assert.equal(seen.at(-1)?.resumed, false);
    await untilSessions(tls, 1);
    await ask(tls, 'a.example');
    assert.equal(seen.at(-1)?.resumed, true);
    assert.equal(seen.at(-1)?.protocol, protocol);
    await ask(tls, 'b.example');
    assert.equal(seen.at(-1)?.resumed, false);
  });

  test(`with proxy_ssl_session_reuse off no session of ${protocol} is resumed`, async (context) => {
    const { ask, seen } = await tlsPeer(context, await selfSignedCertificate());
    const tls = new UpstreamTls(tlsSettings({ protocols: [protocol], sessionReuse: false }));
    for (let i = 0; i < 3; i++) {
      await ask(tls);
      assert.equal(seen.at(-1)?.resumed, false);
    }
    assert.equal(tls.sessions, 0);
  });

  test(`a verified session of ${protocol} is resumed, one of a certificate that was refused is not kept`, async (context) => {
    const { ask, seen } = await tlsPeer(context, await signedCertificate({ names: ['peer.example'] }));
    const trusted = (await certificateAuthority()).cert;
    const tls = new UpstreamTls(tlsSettings({ protocols: [protocol], verify: true, trusted }));
    assert.equal((await ask(tls, 'other.example')).calls.at(-1), 'failed');
    assert.equal(tls.sessions, 0);
    await ask(tls, 'peer.example');
    await untilSessions(tls, 1);
    const again = await ask(tls, 'peer.example');
    assert.equal(seen.at(-1)?.resumed, true);
    assert.equal(again.body, 'ok');
  });
}

/** With TLS 1.3 the ticket comes after the handshake; it was sent before the answer, and is here in a turn or two. */
async function untilSessions(tls: UpstreamTls, count: number): Promise<void> {
  while (tls.sessions < count) await new Promise(setImmediate);
}

test('protocols and ciphers are those of the configuration', async (context) => {
  const { ask, seen } = await tlsPeer(context, {
    ...(await selfSignedCertificate({ kind: 'rsa' })),
    minVersion: 'TLSv1.2',
  });
  await ask(new UpstreamTls(tlsSettings({ protocols: ['TLSv1.2'], ciphers: 'ECDHE-RSA-AES256-GCM-SHA384' })));
  assert.equal(seen.at(-1)?.protocol, 'TLSv1.2');
  assert.equal(seen.at(-1)?.cipher, 'ECDHE-RSA-AES256-GCM-SHA384');
  assert.throws(() => new UpstreamTls(tlsSettings({ ciphers: 'NO-SUCH-CIPHER' })));
});

test('a client certificate is presented', async (context) => {
  const ca = (await certificateAuthority()).cert;
  const options = { ...(await signedCertificate()), ca, requestCert: true, rejectUnauthorized: true };
  const { ask, seen } = await tlsPeer(context, options);
  const { cert, key } = await signedCertificate({ names: ['gateway.example'] });
  const watcher = await ask(new UpstreamTls(tlsSettings({ certificate: cert, certificateKey: key })));
  assert.equal(watcher.body, 'ok');
  assert.equal(seen.at(-1)?.client, 'gateway.example');
});

test('a peer that speaks plainly, before or instead of the handshake, is refused', async (context) => {
  for (const answer of ['HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged', 'plain']) {
    const peer = await rawPeer(context, (side: PeerSide) => side.socket.write(answer));
    const upstream = upstreamOf(context, peer.name);
    const { watcher } = send(upstream, { settings: { ...SETTINGS, tls: new UpstreamTls(tlsSettings()) } });
    await watcher.untilOver();
    assert.deepEqual(watcher.calls, ['failed']);
    assert.match(
      watcher.fault?.message ?? '',
      /^SSL_do_handshake\(\) failed \(SSL: .* while SSL handshaking to upstream$/,
    );
  }
});

test('a peer that hangs up in the handshake is told as that', async (context) => {
  const peer = await rawPeer(context, (side) => side.socket.once('data', () => side.socket.end()));
  const tls = new UpstreamTls(tlsSettings());
  const { watcher } = send(upstreamOf(context, peer.name), { settings: { ...SETTINGS, tls } });
  await watcher.untilOver();
  const expected = 'peer closed connection in SSL handshake while SSL handshaking to upstream';
  assert.equal(watcher.fault?.message, expected);
});

test('a handshake that never ends is a timeout', async (context) => {
  const peer = await rawPeer(context, () => {});
  const settings = { ...SETTINGS, connectTimeout: 50, tls: new UpstreamTls(tlsSettings()) };
  const { watcher } = send(upstreamOf(context, peer.name), { settings });
  await watcher.untilOver();
  assert.equal(watcher.fault?.condition, 'timeout');
  await peer.last.until(() => peer.last.closed);
});

test('a kept connection over TLS serves those who want the same name and settings', async (context) => {
  const peer = await rawPeer(context, (side) => side.answerEach(OK), await selfSignedCertificate());
  const upstream = upstreamOf(context, peer.name, { local: false });
  const settings = { ...SETTINGS, tls: new UpstreamTls(tlsSettings()) };
  const ask = async (tlsName: string, what = settings) => {
    await send(upstream, { settings: what, tlsName }).watcher.untilOver();
    return peer.sides.length;
  };
  assert.equal(await ask('a.example'), 1);
  assert.equal(await ask('a.example'), 1);
  assert.equal(await ask('b.example'), 2);
  assert.equal(await ask('a.example', { ...SETTINGS, tls: new UpstreamTls(tlsSettings()) }), 3);
});
