// permessage-deflate end to end: what client and peer agree on is what they get, in both directions, whatever they agree on.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { PerMessageDeflateOptions, WebSocket } from 'ws';
import { selfSignedCertificate } from '../support/certificates.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { startFourWays, type Way } from './four-ways.ts';
import { WsPeer } from './ws-peer.ts';

/** What nothing but an earlier message makes smaller. It fits into the smallest window that is asked for here. */
const TEXT = randomBytes(600).toString('hex');
/** Bytes on the wire that a message of `TEXT` costs at least when it is compressed alone, and at most behind one like it. */
const [ALONE, AGAIN] = [TEXT.length / 2, TEXT.length / 8];

interface Agreement {
  /** What the client asks for; the peer agrees to all of it. */
  readonly offer: PerMessageDeflateOptions;
  /** The extension in the answer. */
  readonly agreed: string;
  /** Whether the client's messages, and the peer's, remember those before them. */
  readonly toPeer: boolean;
  readonly toClient: boolean;
}

const AGREEMENTS: Readonly<Record<string, Agreement>> = {
  'context takeover both ways': {
    offer: {},
    agreed: 'permessage-deflate',
    toPeer: true,
    toClient: true,
  },
  'no context takeover either way': {
    offer: { clientNoContextTakeover: true, serverNoContextTakeover: true },
    agreed: 'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
    toPeer: false,
    toClient: false,
  },
  'context takeover to the peer alone': {
    offer: { serverNoContextTakeover: true },
    agreed: 'permessage-deflate; server_no_context_takeover',
    toPeer: true,
    toClient: false,
  },
  'context takeover to the client alone': {
    offer: { clientNoContextTakeover: true },
    agreed: 'permessage-deflate; client_no_context_takeover',
    toPeer: false,
    toClient: true,
  },
  'small windows, with context takeover': {
    offer: { clientMaxWindowBits: 12, serverMaxWindowBits: 11 },
    agreed: 'permessage-deflate; server_max_window_bits=11; client_max_window_bits=12',
    toPeer: true,
    toClient: true,
  },
};

test('permessage-deflate', async (t) => {
  const options = { perMessageDeflate: { threshold: 0 } };
  const plain = await WsPeer.start(t, { options });
  const tls = await WsPeer.start(t, { options, tls: await selfSignedCertificate() });
  const { gateway, ways } = await startFourWays(t, { plain: plain.port, tls: tls.port });
  for (const [name, agreement] of Object.entries(AGREEMENTS)) {
    for (const way of ways) {
      await t.test(`${name}: ${way.name}`, async (t) => {
        const peer = way.isTlsToPeer ? tls : plain;
        const accepted = peer.accepted();
        const client = await connect(t, way, gateway.ca, agreement.offer);
        const socket = await accepted;
        const { 'sec-websocket-extensions': extensions = '' } = client.answer.headers;
        assert.deepEqual(parameters(extensions), parameters(agreement.agreed));
        await remembers(agreement, client, peer.request.socket);
        await mixesWithOthers(client, socket);
      });
    }
  }
});

test('permessage-deflate that a peer declines is none, and messages are not compressed', async (t) => {
  const plain = await WsPeer.start(t, { options: { perMessageDeflate: false } });
  const tls = await WsPeer.start(t, { options: { perMessageDeflate: false }, tls: await selfSignedCertificate() });
  const { gateway, ways } = await startFourWays(t, { plain: plain.port, tls: tls.port });
  for (const way of ways) {
    const client = await connect(t, way, gateway.ca, {});
    assert.equal(client.socket.extensions, '', way.name);
    assert.equal(await client.ask('x'.repeat(50_000)), 'x'.repeat(50_000));
  }
});

function connect(t: TestContext, way: Way, ca: string, options: PerMessageDeflateOptions): Promise<TalkingClient> {
  return TalkingClient.to(t, way.url('/'), { ca, perMessageDeflate: { ...options, threshold: 0 } });
}

/** Sends the same three times, and looks at what each costs on the wire from the second on. */
async function remembers({ toPeer, toClient }: Agreement, client: TalkingClient, peer: Socket): Promise<void> {
  assert.equal(await client.ask(TEXT), TEXT);
  for (let turn = 0; turn < 2; turn++) {
    const before = [peer.bytesRead, client.answer.socket.bytesRead] as const;
    assert.equal(await client.ask(TEXT), TEXT);
    isRemembered(peer.bytesRead - before[0], toPeer);
    isRemembered(client.answer.socket.bytesRead - before[1], toClient);
  }
}

function isRemembered(bytes: number, isTakenOver: boolean): void {
  assert.ok(isTakenOver ? bytes < AGAIN : bytes > ALONE, `${bytes} bytes for a message that came before`);
}

/** Messages that are not compressed, fragments of one that is, a ping between them: all between the same two parties. */
async function mixesWithOthers(client: TalkingClient, peer: WebSocket): Promise<void> {
  const pinged = once(peer, 'ping');
  client.socket.send('one, ', { fin: false, compress: true });
  client.socket.ping('between');
  client.socket.send('two, ', { fin: false });
  client.socket.send('three', { fin: true });
  client.socket.send('not compressed', { compress: false });
  const bytes = randomBytes(100_000);
  assert.equal(await client.next(), 'one, two, three');
  assert.equal(await client.next(), 'not compressed');
  assert.equal(String(await pinged), 'between');
  assert.deepEqual(await client.askBytes(bytes), bytes);
  assert.equal(await client.ask(''), '');
  client.socket.close(3000, 'enough');
  assert.deepEqual(await client.closed, { code: 3000, reason: 'enough' });
}

function parameters(extension: string): string[] {
  return extension.split(/; */).sort();
}
