// The `ws` package as client and as peer: all that WebSockets can do passes the gateway unchanged, plain and over TLS on either leg.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import type { ServerOptions } from 'ws';
import { selfSignedCertificate } from '../support/certificates.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { startFourWays, type Way } from './four-ways.ts';
import { PASS_UPGRADE } from './start-gateway.ts';
import { WsPeer } from './ws-peer.ts';

const MEGABYTE = 1024 * 1024;

const OPTIONS: ServerOptions = {
  perMessageDeflate: true,
  handleProtocols: (offered) => (offered.has('chat.v2') ? 'chat.v2' : false),
};

test('ws', async (t) => {
  const plain = await WsPeer.start(t, { options: OPTIONS });
  const tls = await WsPeer.start(t, { options: OPTIONS, tls: await selfSignedCertificate() });
  const strict = await WsPeer.start(t, { options: { verifyClient: () => false } });
  const { gateway, ways } = await startFourWays(
    t,
    { plain: plain.port, tls: tls.port },
    `location ~ ^/(plain|tls)/strict { proxy_pass http://127.0.0.1:${strict.port}; ${PASS_UPGRADE} }`,
  );
  for (const way of ways) {
    await t.test(way.name, (t) => passesUnchanged(t, way, gateway.ca, way.isTlsToPeer ? tls : plain));
  }
});

async function passesUnchanged(t: TestContext, way: Way, ca: string, peer: WsPeer): Promise<void> {
  const connect = (to: TestContext, options = {}) =>
    TalkingClient.to(to, way.url('/chat'), { ca, perMessageDeflate: false, ...options });

  await t.test('texts and bytes are echoed as they are', async (t) => {
    const client = await connect(t);
    assert.equal(await client.ask(''), '');
    assert.equal(await client.ask('grüße, 世界 🙂'), 'grüße, 世界 🙂');
    const bytes = randomBytes(70_000);
    assert.deepEqual(await client.askBytes(bytes), bytes);
  });

  await t.test('messages of a megabyte pass whole, many at once, in order', async (t) => {
    const client = await connect(t);
    const messages = Array.from({ length: 16 }, () => randomBytes(MEGABYTE));
    for (const message of messages) client.socket.send(message);
    for (const message of messages) assert.equal(message.equals((await client.next()) as Buffer), true);
  });

  await t.test('a message in many frames arrives as one', async (t) => {
    const client = await connect(t);
    for (let part = 0; part < 10; part++) client.socket.send(`${part},`, { fin: part === 9 });
    assert.equal(await client.next(), '0,1,2,3,4,5,6,7,8,9,');
  });

  await t.test('pings and pongs pass both ways, with what they carry', async (t) => {
    const accepted = peer.accepted();
    const client = await connect(t);
    const server = await accepted;
    const pongs = [once(client.socket, 'pong'), once(server, 'pong')];
    const pings = [once(server, 'ping'), once(client.socket, 'ping')];
    client.socket.ping('from the client');
    server.ping('from the peer');
    for (const carried of [...pongs, ...pings]) assert.match(String(await carried), /^from the (client|peer)$/);
  });

  for (const code of [1000, 1001, 1011, 3000, 4999]) {
    await t.test(`a close with ${code} passes from the client to the peer`, async (t) => {
      const accepted = peer.accepted();
      const client = await connect(t);
      const closed = once(await accepted, 'close');
      client.socket.close(code, `bye ${code}`);
      const [seen, reason] = await closed;
      assert.deepEqual([seen, String(reason)], [code, `bye ${code}`]);
      assert.deepEqual(await client.closed, { code, reason: `bye ${code}` });
    });

    await t.test(`a close with ${code} passes from the peer to the client`, async (t) => {
      const accepted = peer.accepted();
      const client = await connect(t);
      (await accepted).close(code, `bye ${code}`);
      assert.deepEqual(await client.closed, { code, reason: `bye ${code}` });
    });
  }

  await t.test('a close without a code is one without a code', async (t) => {
    const accepted = peer.accepted();
    const client = await connect(t);
    (await accepted).close();
    assert.deepEqual(await client.closed, { code: 1005, reason: '' });
  });

  await t.test('a peer that vanishes is told to the client as 1014, a bad gateway', async (t) => {
    const accepted = peer.accepted();
    const client = await connect(t);
    (await accepted).terminate();
    assert.deepEqual(await client.closed, { code: 1014, reason: '' });
  });

  await t.test('a client that vanishes is told to the peer as 1001, going away', async (t) => {
    const accepted = peer.accepted();
    const client = await connect(t);
    const closed = once(await accepted, 'close');
    client.socket.terminate();
    assert.equal((await closed)[0], 1001);
  });

  await t.test('the peer chooses among the subprotocols that the client offers', async (t) => {
    const client = await connect(t, { protocols: ['chat.v1', 'chat.v2'] });
    assert.equal(client.socket.protocol, 'chat.v2');
    assert.equal(peer.request.headers['sec-websocket-protocol'], 'chat.v1,chat.v2');
    const plain = await connect(t);
    assert.equal(plain.socket.protocol, '');
  });

  await t.test('permessage-deflate is between the client and the peer', async (t) => {
    const client = await connect(t, { perMessageDeflate: { threshold: 0 } });
    assert.equal(client.socket.extensions, 'permessage-deflate');
    const text = 'again and '.repeat(100_000);
    assert.equal(await client.ask(text), text);
    const bytes = randomBytes(300_000);
    assert.deepEqual(await client.askBytes(bytes), bytes);
  });

  await t.test('a peer that declines answers in its own words', async (t) => {
    const refused = TalkingClient.to(t, way.url('/strict'), { ca });
    await assert.rejects(refused, /Unexpected server response: 401/);
  });
}
