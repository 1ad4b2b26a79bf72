// TLS on both sides, over whichever kind of channel is chosen: acceptTls for clients, connectSocket for upstreams.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectHttp2, createServer as createHttp2Server, type Http2Server } from 'node:http2';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type ConnectionOptions,
  connect as connectTls,
  createSecureContext,
  createServer as createTlsServer,
  type TLSSocket,
  type TLSSocketOptions,
} from 'node:tls';
import { acceptTls, type TlsAcceptance } from '../../src/transport/accept-tls.ts';
import type { Channel } from '../../src/transport/channel.ts';
import { channelKind, openChannel } from '../../src/transport/choose.ts';
import { ClientHelloReader } from '../../src/transport/client-hello.ts';
import { connectSocket, type Dial, type DialOptions } from '../../src/transport/connect-socket.ts';
import { onOwnerFault } from '../../src/transport/owner-fault.ts';
import { certificateAuthority, selfSignedCertificate, signedCertificate } from '../support/certificates.ts';
import { Recorder } from '../support/recorder.ts';

type Code = Error & { code?: string };

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** How a handshake ended. */
interface Outcome {
  readonly channel?: Channel;
  readonly error?: Code;
}

/** A port whose connections are read until their ClientHello is whole (or `looked` bytes have come), then given to acceptTls. */
async function acceptingPort(t: TestContext, options: TLSSocketOptions, looked?: number) {
  const outcomes: Outcome[] = [];
  const acceptances: (TlsAcceptance | undefined)[] = [];
  let told: () => void = () => {};
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    const channel = openChannel(socket);
    const reader = new ClientHelloReader();
    const look = new Recorder(channel);
    t.after(() => channel.destroy());
    look.onData = (_recorder, bytes, start, end) => {
      const state = reader.push(bytes, start, end);
      if (looked === undefined ? state === 'more' : look.bytes < looked) return;
      const acceptance = acceptTls(channel, reader.received, options, {
        tlsAccepted: (accepted) => {
          t.after(() => accepted.destroy());
          outcomes.push({ channel: accepted });
          told();
        },
        tlsRefused: (error) => {
          outcomes.push({ error });
          told();
        },
      });
      acceptances.push(acceptance);
      assert.equal(outcomes.length, 0, 'told from inside acceptTls');
    };
    channel.resume();
  });
  const port = await listen(t, server);
  const outcome = async (): Promise<Outcome> => {
    while (outcomes.length === 0) {
      await new Promise<void>((resolve) => {
        told = resolve;
      });
    }
    return outcomes[0] as Outcome;
  };
  return { port, outcome, outcomes, acceptances, server };
}

function dialTls(t: TestContext, port: number, options: ConnectionOptions = {}): TLSSocket {
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    rejectUnauthorized: false,
    ...options,
  });
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  return socket;
}

/** Runs connectSocket to its end. */
function dial(t: TestContext, options: DialOptions): Promise<Outcome & { reused?: boolean }> {
  return new Promise((resolve) => {
    let inside = true;
    connectSocket(options, {
      dialConnected: (channel, reused) => {
        assert.equal(inside, false);
        t.after(() => channel.destroy());
        resolve({ channel, reused });
      },
      dialFailed: (error) => {
        assert.equal(inside, false);
        resolve({ error });
      },
    });
    inside = false;
  });
}

function reach(outcome: Outcome): Channel {
  assert.equal(outcome.error, undefined);
  return outcome.channel as Channel;
}

/** Runs the suite on the kind that `choose.ts` has chosen. */
export function tlsSockets(kind: 'handle' | 'stream'): void {
  const suite = (name: string, run: (t: TestContext) => Promise<void>): void => {
    test(`${kind}: ${name}`, { timeout: 20_000 }, run);
  };

  suite('it runs on the kind it says', async () => {
    assert.equal(channelKind(), kind);
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    suite(`${version}: a client whose ClientHello was looked at is accepted, and bytes pass`, async (t) => {
      const secureContext = createSecureContext({ ...(await selfSignedCertificate()), maxVersion: version });
      const { port, outcome } = await acceptingPort(t, { secureContext, ALPNProtocols: ['http/1.1'] });
      const client = dialTls(t, port, { ALPNProtocols: ['h2', 'http/1.1'] });
      client.write('right behind the handshake');
      const far = new Recorder(reach(await outcome()));
      assert.equal(far.channel.tls?.alpnProtocol, 'http/1.1');
      assert.equal(far.channel.tls?.servername, 'localhost');
      assert.equal(far.channel.tls?.getProtocol(), version);
      far.channel.resume();
      await far.untilBytes(26);
      assert.equal(far.text, 'right behind the handshake');
      far.write('answer');
      const [answer] = (await once(client, 'data')) as [Buffer];
      assert.equal(String(answer), 'answer');
      client.end();
      await far.until(() => far.ended);
      far.channel.end();
      await far.untilClosed();
      assert.equal(far.error, undefined);
    });
  }

  suite('it does not matter how much of the ClientHello was looked at', async (t) => {
    const secureContext = createSecureContext(await selfSignedCertificate());
    for (const looked of [1, 5, 100]) {
      const { port, outcome } = await acceptingPort(t, { secureContext }, looked);
      const socket = dialTls(t, port);
      socket.write('x');
      const far = new Recorder(reach(await outcome()));
      far.channel.resume();
      await far.untilBytes(1);
    }
  });

  suite('HTTP/2 gets the TLS socket itself, where the acceptor wants it', async (t) => {
    const secureContext = createSecureContext(await selfSignedCertificate());
    const http2 = http2Answering('h2 over TLS');
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      acceptTls(
        openChannel(socket),
        Buffer.alloc(0),
        { secureContext, ALPNProtocols: ['h2'] },
        {
          tlsSocketTaken: (accepted) => accepted.alpnProtocol === 'h2' && http2.emit('connection', accepted),
          tlsAccepted: () => assert.fail('a channel was made'),
          tlsRefused: (error) => assert.fail(error),
        },
      );
    });
    const port = await listen(t, server);
    assert.equal(await askByHttp2(t, `https://127.0.0.1:${port}`), 'h2 over TLS');
  });

  suite('HTTP/2 in plain goes on with a detached socket', async (t) => {
    const http2 = http2Answering('h2 in plain');
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      const look = new Recorder(openChannel(socket));
      look.onData = ({ channel, received }) => {
        if (received.length >= 24) http2.emit('connection', channel.detach(received));
      };
      look.channel.resume();
    });
    const port = await listen(t, server);
    assert.equal(await askByHttp2(t, `http://127.0.0.1:${port}`), 'h2 in plain');
  });

  suite('large and many messages pass over an accepted channel', async (t) => {
    const secureContext = createSecureContext(await selfSignedCertificate());
    const { port, outcome } = await acceptingPort(t, { secureContext });
    const client = dialTls(t, port);
    const bytes = Buffer.alloc(3_000_000, 'abcdefghij');
    client.end(bytes);
    client.resume();
    const far = new Recorder(reach(await outcome()));
    far.channel.resume();
    await far.until(() => far.ended);
    assert.ok(far.received.equals(bytes));
  });

  suite('what is no TLS is refused with an error that says so', async (t) => {
    const secureContext = createSecureContext(await selfSignedCertificate());
    const { port, outcome, outcomes } = await acceptingPort(t, { secureContext }, 1);
    const client = connect(port, '127.0.0.1');
    client.on('error', () => {});
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal((await outcome()).error?.code, 'ERR_SSL_HTTP_REQUEST');
    await once(client, 'close');
    assert.equal(outcomes.length, 1);
  });

  suite('a client that leaves during the handshake is refused with ECONNRESET', async (t) => {
    const secureContext = createSecureContext(await selfSignedCertificate());
    const { port, outcome } = await acceptingPort(t, { secureContext }, 1);
    const client = connect(port, '127.0.0.1');
    client.end(Buffer.from([22]));
    assert.equal((await outcome()).error?.code, 'ECONNRESET');
    client.destroy();
  });

  suite('a client that wants an older TLS than we allow is refused', async (t) => {
    const secureContext = createSecureContext({ ...(await selfSignedCertificate()), minVersion: 'TLSv1.3' });
    const { port, outcome } = await acceptingPort(t, { secureContext });
    dialTls(t, port, { maxVersion: 'TLSv1.2' });
    assert.match(String((await outcome()).error?.code), /^ERR_SSL_/);
  });

  suite('a handshake that is given up tells nobody, and closes the connection', async (t) => {
    const secureContext = createSecureContext(await selfSignedCertificate());
    const { port, outcomes, acceptances } = await acceptingPort(t, { secureContext }, 1);
    const client = connect(port, '127.0.0.1');
    client.on('error', () => {});
    client.write(Buffer.from([22]));
    while (acceptances.length === 0) await new Promise((resolve) => setImmediate(resolve));
    acceptances[0]?.destroy();
    acceptances[0]?.destroy();
    client.resume();
    await once(client, 'close');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(outcomes.length, 0);
  });

  suite('options that TLS does not take refuse the client, and do not throw', async (t) => {
    const wrong = { secureContext: {} } as unknown as TLSSocketOptions;
    const { port, outcome } = await acceptingPort(t, wrong);
    dialTls(t, port);
    assert.ok((await outcome()).error instanceof Error);
  });

  suite('a record that was tampered with closes the channel with an error', async (t) => {
    const secureContext = createSecureContext(await selfSignedCertificate());
    const { port, outcome } = await acceptingPort(t, { secureContext });
    const raw = connect(port, '127.0.0.1');
    const client = connectTls({ socket: raw, servername: 'localhost', rejectUnauthorized: false });
    client.on('error', () => {});
    t.after(() => raw.destroy());
    const far = new Recorder(reach(await outcome()));
    far.channel.resume();
    // A record of application data, written past the client's TLS.
    raw.write(Buffer.from([23, 3, 3, 0, 32, ...Buffer.alloc(32, 7)]));
    await far.untilClosed();
    assert.match(String((far.error as Code).code), /^ERR_SSL_/);
    await once(raw, 'close');
  });

  suite('a client certificate is judged: good, of another authority, none', async (t) => {
    const { options } = await mutualTls();
    const seen: unknown[][] = [];
    for (const shown of [
      await signedCertificate({ serial: 7 }),
      await signedCertificate({}, 'Another authority'),
      {},
    ]) {
      const { port, outcome } = await acceptingPort(t, options);
      dialTls(t, port, shown);
      const channel = reach(await outcome());
      seen.push([channel.tls?.authorized, channel.tls?.authorizationError]);
    }
    assert.deepEqual(seen[0], [true, null]);
    assert.equal(seen[1]?.[0], false);
    assert.match(String(seen[1]?.[1]), /UNABLE_TO/);
    assert.deepEqual(seen[2], [false, 'UNABLE_TO_GET_ISSUER_CERT']);
  });

  suite('with rejectUnauthorized a client without a good certificate is refused', async (t) => {
    const { options } = await mutualTls();
    const { port, outcome } = await acceptingPort(t, { ...options, rejectUnauthorized: true });
    dialTls(t, port).resume();
    assert.equal((await outcome()).error?.code, 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE');
    const second = await acceptingPort(t, { ...options, rejectUnauthorized: true });
    dialTls(t, second.port, await signedCertificate({}, 'Another authority')).resume();
    assert.match(String((await second.outcome()).error?.code), /^UNABLE_TO/);
  });

  suite('an acceptor that throws is reported, and the connection closed', async (t) => {
    const faults: unknown[] = [];
    const previous = onOwnerFault((fault) => faults.push(fault));
    t.after(() => onOwnerFault(previous));
    const secureContext = createSecureContext(await selfSignedCertificate());
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      acceptTls(
        openChannel(socket),
        Buffer.alloc(0),
        { secureContext },
        {
          tlsAccepted: () => {
            throw new Error('thrown by an acceptor');
          },
          tlsRefused: () => {},
        },
      );
    });
    const client = dialTls(t, await listen(t, server));
    client.resume();
    await once(client, 'close');
    assert.equal((faults[0] as Error).message, 'thrown by an acceptor');
  });

  suite("connectSocket dials TCP, from an address of one's choice", async (t) => {
    const server = createServer((socket) => socket.end(String(socket.remoteAddress)));
    const port = await listen(t, server);
    const near = new Recorder(reach(await dial(t, { host: '127.0.0.1', port, localAddress: '127.0.0.2' })));
    assert.equal(near.channel.remotePort, port);
    near.channel.resume();
    await near.until(() => near.ended);
    assert.equal(near.text, '127.0.0.2');
  });

  suite('connectSocket dials a unix socket', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'sockgate-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'socket');
    const server = createServer((socket) => socket.end('unix'));
    server.listen(path);
    await once(server, 'listening');
    t.after(() => server.close());
    const near = new Recorder(reach(await dial(t, { path })));
    near.channel.resume();
    await near.until(() => near.ended);
    assert.equal(near.text, 'unix');
  });

  suite('a dial that cannot succeed fails with the reason', async (t) => {
    const server = createServer();
    const port = await listen(t, server);
    server.close();
    await once(server, 'close');
    assert.equal((await dial(t, { host: '127.0.0.1', port })).error?.code, 'ECONNREFUSED');
    assert.equal((await dial(t, { path: '/nowhere/at/all' })).error?.code, 'ENOENT');
    assert.equal((await dial(t, { host: '127.0.0.1', port: 70_000 })).error?.code, 'ERR_SOCKET_BAD_PORT');
    const foreign = await dial(t, { host: '127.0.0.1', port, localAddress: '192.0.2.1' });
    assert.equal(foreign.error?.code, 'EADDRNOTAVAIL');
  });

  suite('a dial that is cancelled tells nobody', async (t) => {
    const server = createServer((socket) => socket.on('error', () => {}));
    const port = await listen(t, server);
    const nobody = { dialConnected: () => assert.fail('told'), dialFailed: () => assert.fail('told') };
    const dials: Dial[] = [
      connectSocket({ host: '127.0.0.1', port }, nobody),
      connectSocket({ host: '127.0.0.1', port, tls: { rejectUnauthorized: false } }, nobody),
    ];
    dials[0]?.cancel();
    await once(server, 'connection');
    dials[1]?.cancel();
    dials[1]?.cancel();
    await new Promise((resolve) => setTimeout(resolve, 20));
  });

  suite('connectSocket does TLS, verifies the name, and refuses what it cannot verify', async (t) => {
    const ca = (await certificateAuthority()).cert;
    const certificate = await signedCertificate({ names: ['up.test', '127.0.0.1'] });
    const server = createTlsServer(certificate, (socket) => socket.end(String(socket.servername)));
    const port = await listen(t, server);
    const to = { host: '127.0.0.1', port };
    const near = new Recorder(reach(await dial(t, { ...to, tls: { ca, servername: 'up.test' } })));
    near.channel.resume();
    await near.until(() => near.ended);
    assert.equal(near.text, 'up.test');
    assert.equal(near.channel.tls?.authorized, true);

    const byAddress = new Recorder(reach(await dial(t, { ...to, tls: { ca, servername: '127.0.0.1' } })));
    byAddress.channel.resume();
    await byAddress.until(() => byAddress.ended);
    assert.equal(byAddress.text, 'false', 'an IP address was sent as SNI');

    const otherName = await dial(t, { ...to, tls: { ca, servername: 'other.test' } });
    assert.equal(otherName.error?.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
    const unknown = await dial(t, { ...to, tls: { servername: 'up.test' } });
    assert.match(String(unknown.error?.code), /UNABLE_TO|SELF_SIGNED/);
    reach(await dial(t, { ...to, tls: { servername: 'other.test', rejectUnauthorized: false } }));
    const cipher = await dial(t, { ...to, tls: { ciphers: 'no-such-cipher' } });
    assert.ok(cipher.error instanceof Error);
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    suite(`${version}: a session is handed out, and resumed by the next dial`, async (t) => {
      const ca = (await certificateAuthority()).cert;
      const options = { ...(await signedCertificate()), minVersion: version, maxVersion: version } as const;
      const server = createTlsServer(options, (socket) => socket.write('hello'));
      const port = await listen(t, server);
      const secureContext = createSecureContext({ ca });
      const sessions: Buffer[] = [];
      const tls = { secureContext, servername: 'localhost' };
      const to = { host: '127.0.0.1', port, onSession: (session: Buffer) => sessions.push(session) };
      const first = await dial(t, { ...to, tls });
      assert.equal(first.reused, false);
      const near = new Recorder(reach(first));
      near.channel.resume();
      await near.untilBytes(5);
      // With TLS 1.3 it may come behind the first bytes.
      while (sessions.length === 0) await new Promise((resolve) => setImmediate(resolve));
      const session = sessions.at(-1) as Buffer;
      const second = await dial(t, { ...to, tls: { ...tls, session } });
      assert.equal(second.reused, true);
      assert.equal(reach(second).tls?.authorized, true);
    });
  }

  suite('what an upstream says in plain before the handshake is never taken for its answer', async (t) => {
    const certificate = await selfSignedCertificate();
    const behind = createTlsServer(certificate, (socket) => socket.end('the answer'));
    const behindPort = await listen(t, behind);
    // It speaks first, then passes everything on to a real TLS server.
    const server = createServer((socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
      const onward = connect(behindPort, '127.0.0.1');
      for (const end of [socket, onward]) end.on('error', () => {});
      socket.pipe(onward).pipe(socket);
    });
    const port = await listen(t, server);
    for (const settleFirst of [false, true]) {
      const socket = connect(port, '127.0.0.1');
      if (settleFirst) await once(socket, 'readable');
      socket.destroy();
      const { error, channel } = await dial(t, { host: '127.0.0.1', port, tls: { rejectUnauthorized: false } });
      assert.equal(channel, undefined);
      assert.match(String(error?.code), /^ERR_SSL_/);
    }
  });

  suite('an upstream that closes during the handshake fails the dial', async (t) => {
    const server = createServer((socket) => socket.once('data', () => socket.destroy()));
    const port = await listen(t, server);
    const { error } = await dial(t, { host: '127.0.0.1', port, tls: { rejectUnauthorized: false } });
    assert.equal(error?.code, 'ECONNRESET');
  });

  suite('a dialler that throws is reported, and the connection closed', async (t) => {
    const faults: unknown[] = [];
    const previous = onOwnerFault((fault) => faults.push(fault));
    t.after(() => onOwnerFault(previous));
    const server = createServer();
    const port = await listen(t, server);
    const throwing = (): never => {
      throw new Error('thrown by a dialler');
    };
    connectSocket({ host: '127.0.0.1', port }, { dialConnected: throwing, dialFailed: throwing });
    const [socket] = (await once(server, 'connection')) as [Socket];
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'close');
    assert.equal((faults[0] as Error).message, 'thrown by a dialler');
  });

  suite('TLS over a connection of ours to a connection of ours: both ends are channels', async (t) => {
    const secureContext = createSecureContext(await selfSignedCertificate());
    const { port, outcome } = await acceptingPort(t, { secureContext });
    const dialled = await dial(t, { host: '127.0.0.1', port, tls: { rejectUnauthorized: false } });
    const near = new Recorder(reach(dialled));
    const far = new Recorder(reach(await outcome()));
    near.channel.resume();
    far.channel.resume();
    for (let index = 0; index < 100; index++) near.write(`${index} `);
    near.channel.end();
    await far.until(() => far.ended);
    assert.equal(far.text.split(' ').length, 101);
    far.write('bye');
    far.channel.end();
    await Promise.all([near.untilClosed(), far.untilClosed()]);
    assert.equal(near.text, 'bye');
    assert.equal(near.error, undefined);
    assert.equal(far.error, undefined);
  });
}

async function mutualTls() {
  const ca = (await certificateAuthority()).cert;
  const secureContext = createSecureContext({ ...(await signedCertificate()), ca });
  return { options: { secureContext, requestCert: true } };
}

function http2Answering(text: string): Http2Server {
  return createHttp2Server().on('stream', (stream) => {
    stream.respond();
    stream.end(text);
  });
}

async function askByHttp2(t: TestContext, url: string): Promise<string> {
  const session = connectHttp2(url, { rejectUnauthorized: false });
  session.on('error', () => {});
  t.after(() => session.destroy());
  const request = session.request({ ':path': '/' });
  request.setEncoding('utf8');
  let answer = '';
  for await (const part of request) answer += part;
  return answer;
}
