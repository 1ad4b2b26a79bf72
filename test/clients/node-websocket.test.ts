// The WebSockets that browsers and Node have in common: Node's own, and undici's, through the gateway, plain and over TLS.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import * as tls from 'node:tls';
import * as undici from 'undici';
import { selfSignedCertificate } from '../support/certificates.ts';
import { startFourWays, type Way } from './four-ways.ts';
import { WsPeer } from './ws-peer.ts';

/** What both have of the standard's interface, as far as it is used here. */
interface StandardWebSocket extends EventTarget {
  readonly protocol: string;
  readonly extensions: string;
  binaryType: string;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

/** The standard's CloseEvent, which Node has only since 23. */
interface ClosedEvent {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

interface Implementation {
  readonly name: string;
  construct(url: string, protocols: string[]): StandardWebSocket;
  /** Makes it trust a certificate; undefined where it cannot be made to. */
  readonly trust: ((certificate: string) => void) | undefined;
}

const IMPLEMENTATIONS: readonly Implementation[] = [
  {
    name: 'Node’s own WebSocket',
    construct: (url, protocols) => new WebSocket(url, protocols) as StandardWebSocket,
    trust: 'setDefaultCACertificates' in tls ? (certificate) => tls.setDefaultCACertificates([certificate]) : undefined,
  },
  {
    name: 'the WebSocket of undici',
    construct: (url, protocols) => new undici.WebSocket(url, protocols) as unknown as StandardWebSocket,
    trust: (ca) => undici.setGlobalDispatcher(new undici.Agent({ connect: { ca } })),
  },
];

const next = async (socket: StandardWebSocket): Promise<unknown> => {
  const [event] = (await once(socket, 'message')) as [{ readonly data: unknown }];
  return event.data;
};

for (const implementation of IMPLEMENTATIONS) {
  test(implementation.name, async (t) => {
    const certificate = await selfSignedCertificate();
    const options = { perMessageDeflate: true };
    const plain = await WsPeer.start(t, { options });
    const secure = await WsPeer.start(t, { options, tls: certificate });
    const { ways } = await startFourWays(t, { plain: plain.port, tls: secure.port });
    implementation.trust?.(certificate.cert);
    for (const way of ways) {
      const skip = way.isTlsToGateway && implementation.trust === undefined && 'needs Node 22.19';
      await t.test(way.name, { skip }, (t) => talks(t, implementation, way, way.isTlsToPeer ? secure : plain));
    }
  });
}

async function talks(t: TestContext, { construct }: Implementation, way: Way, peer: WsPeer): Promise<void> {
  const connect = async (protocols: string[] = []): Promise<StandardWebSocket> => {
    const socket = construct(way.url('/'), protocols);
    await once(socket, 'open');
    return socket;
  };

  await t.test('echoes text and bytes, compressed where the peer can', async () => {
    const socket = await connect(['chat']);
    assert.equal(socket.protocol, 'chat');
    assert.match(socket.extensions, /^permessage-deflate/);
    socket.binaryType = 'arraybuffer';
    for (const text of ['hello', 'x'.repeat(200_000)]) {
      socket.send(text);
      assert.equal(await next(socket), text);
    }
    socket.send(new Uint8Array([1, 2, 255]));
    assert.deepEqual(new Uint8Array((await next(socket)) as ArrayBuffer), new Uint8Array([1, 2, 255]));
    const closed = once(socket, 'close');
    socket.close(3001, 'enough');
    const [event] = (await closed) as [ClosedEvent];
    assert.deepEqual([event.code, event.reason, event.wasClean], [3001, 'enough', true]);
  });

  await t.test('hears with which code the peer closes', async () => {
    const accepted = peer.accepted();
    const socket = await connect();
    const closed = once(socket, 'close');
    (await accepted).close(4002, 'no more');
    const [event] = (await closed) as [ClosedEvent];
    assert.deepEqual([event.code, event.reason, event.wasClean], [4002, 'no more', true]);
  });

  await t.test('answers a ping', async () => {
    const accepted = peer.accepted();
    const socket = await connect();
    const server = await accepted;
    const pong = once(server, 'pong');
    server.ping('are you there?');
    assert.equal(String((await pong)[0]), 'are you there?');
    socket.close();
    await once(socket, 'close');
  });
}
