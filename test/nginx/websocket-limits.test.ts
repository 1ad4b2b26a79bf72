// What a client may send: sizes, rates, floods; and what the log says of who went beyond it.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { WsPeer } from '../clients/ws-peer.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { LoggedTunnel } from '../support/logged-tunnel.ts';
import type { RawClient } from '../support/raw-client.ts';
import { rawFrame } from '../support/raw-websocket.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { until } from '../support/until.ts';

interface Limited {
  readonly client: TalkingClient;
  /** What the peer's `ws` says of the end. */
  readonly peerClosed: Promise<number>;
  log(): string;
  line(): Promise<string>;
}

/** A client before an echoing peer, in a location with these directives. */
async function limited(t: TestContext, directives: string, perMessageDeflate = false): Promise<Limited> {
  const peer = await WsPeer.start(t, { options: { perMessageDeflate } });
  const gateway = await gatewayFromConfig({
    http: `
      log_format ends '$websocket_close_by|$websocket_close_cause';
      server {
          listen 127.0.0.1:8080;
          access_log logs/ends.log ends;
          error_log logs/error.log info;
          location / { proxy_pass http://127.0.0.1:${peer.port}; ${directives} }
      }`,
  });
  t.after(() => gateway.stop());
  const accepted = peer.accepted();
  const client = await TalkingClient.to(t, `ws://127.0.0.1:${gateway.port()}/`, { perMessageDeflate });
  const socket = await accepted;
  return {
    client,
    peerClosed: new Promise((resolve) => socket.once('close', resolve)),
    log: () => gateway.lines('logs/error.log').join('\n'),
    line: () => until('the line', () => gateway.lines('logs/ends.log')[0]),
  };
}

describe('websocket_max_message_size', () => {
  test('lets a message of that size pass, and ends with 1009 what is a byte longer', async (t) => {
    const { client, peerClosed, line, log } = await limited(t, 'websocket_max_message_size 1k;');
    const longest = 'x'.repeat(1024);
    assert.equal(await client.ask(longest), longest);
    client.socket.send(`${longest}y`);
    assert.equal((await client.closed).code, 1009);
    assert.equal(await peerClosed, 1001);
    assert.equal(await line(), 'client|client limit');
    assert.match(log(), /\[warn\].*client sent a message of 1025 bytes, more than "websocket_max_message_size" allows/);
  });

  test('counts all frames of a message, and begins anew with the next', async (t) => {
    const { client } = await limited(t, 'websocket_max_message_size 1k;');
    for (let i = 0; i < 3; i++) {
      client.socket.send('a'.repeat(600), { fin: false });
      client.socket.send('b'.repeat(400), { fin: true });
      assert.equal(await client.next(), 'a'.repeat(600) + 'b'.repeat(400));
    }
    client.socket.send('a'.repeat(600), { fin: false });
    client.socket.send('b'.repeat(600), { fin: true });
    assert.equal((await client.closed).code, 1009);
  });

  test('goes by what is on the wire, so under permessage-deflate by the compressed size', async (t) => {
    const { client } = await limited(t, 'websocket_max_message_size 2k;', true);
    const long = 'x'.repeat(100_000);
    assert.equal(await client.ask(long), long);
  });

  test('is no limit for the peer', async (t) => {
    const peer = await WsPeer.start(t, {
      onText: (socket) => {
        socket.send('y'.repeat(100_000));
        return true;
      },
    });
    const gateway = await gatewayFromConfig({
      http: `server { listen 127.0.0.1:8080; location / { proxy_pass http://127.0.0.1:${peer.port}; websocket_max_message_size 1k; } }`,
    });
    t.after(() => gateway.stop());
    const client = await TalkingClient.to(t, `ws://127.0.0.1:${gateway.port()}/`, { perMessageDeflate: false });
    assert.equal((await client.ask('much, please')).length, 100_000);
  });
});

test('websocket_max_frame_size: a message may be longer, a frame of it may not', async (t) => {
  const { client, line } = await limited(t, 'websocket_max_frame_size 1k;');
  client.socket.send('a'.repeat(1024), { fin: false });
  client.socket.send('b'.repeat(1024), { fin: true });
  assert.equal((await client.next()).length, 2048);
  client.socket.send('c'.repeat(1025));
  assert.equal((await client.closed).code, 1009);
  assert.equal(await line(), 'client|client limit');
});

describe('websocket_message_rate', () => {
  test('makes messages wait that come faster, and loses none', async (t) => {
    const { client } = await limited(t, 'websocket_message_rate 50/s burst=5;');
    const begin = performance.now();
    for (let i = 0; i < 26; i++) client.socket.send(`${i}`);
    for (let i = 0; i < 26; i++) assert.equal(await client.next(), `${i}`);
    // Six at once, and the other twenty a fiftieth of a second apart.
    assert.ok(performance.now() - begin >= 380, `only ${performance.now() - begin} ms`);
  });

  test('counts messages, not their fragments', async (t) => {
    const { client } = await limited(t, 'websocket_message_rate 1/m close;');
    for (let i = 0; i < 50; i++) client.socket.send('.', { fin: i === 49 });
    assert.equal(await client.next(), '.'.repeat(50));
    client.socket.send('one more');
    assert.equal((await client.closed).code, 1008);
  });

  test('with close ends what is faster with 1008', async (t) => {
    const { client, peerClosed, line, log } = await limited(t, 'websocket_message_rate 1/m burst=2 close;');
    for (const text of ['1', '2', '3']) assert.equal(await client.ask(text), text);
    client.socket.send('4');
    assert.equal((await client.closed).code, 1008);
    assert.equal(await peerClosed, 1001);
    assert.equal(await line(), 'client|client limit');
    assert.match(log(), /\[warn\].*client sent more messages than "websocket_message_rate" allows/);
  });
});

test('websocket_control_rate: a flood of pings is ended with 1008', async (t) => {
  const { client, line, log } = await limited(t, 'websocket_control_rate 1/s burst=20;');
  for (let i = 0; i < 60; i++) client.socket.ping();
  assert.equal((await client.closed).code, 1008);
  assert.equal(await line(), 'client|client limit');
  assert.match(log(), /client sent more control frames than "websocket_control_rate" allows/);
});

test('websocket_control_rate: so is a message of empty fragments that never ends', async (t) => {
  const { client, line } = await limited(t, 'websocket_control_rate 1/s burst=20; websocket_max_message_size 1k;');
  client.socket.send('begun', { fin: false });
  for (let i = 0; i < 60; i++) client.socket.send('', { fin: false });
  assert.equal((await client.closed).code, 1008);
  assert.equal(await line(), 'client|client limit');
});

describe('a message that is refused is not counted', () => {
  const counted = async (t: TestContext, directives: string, send: (client: RawClient) => void): Promise<string> => {
    const tunnel = await LoggedTunnel.open(t, {
      format: '$websocket_close_cause|$websocket_messages_in|$websocket_bytes_in',
      location: directives,
    });
    await tunnel.talk(['one', 'two'], []);
    send(tunnel.client);
    tunnel.endInOrder();
    return tunnel.line();
  };
  const frame = (payload: string | Buffer): Buffer => rawFrame({ opcode: 1, payload, masked: true });
  /** Two messages: a head of two bytes, a mask of four, three bytes of text each. */
  const bytes = 2 * 9;

  test('nor what comes behind it, at once or later', async (t) => {
    const send = (client: RawClient): void => {
      client.send(Buffer.concat([frame('four'), frame('five')]));
      void until('a close frame', () => client.rest[0] === 0x88).then(() => client.send(frame('six')));
    };
    assert.equal(await counted(t, 'websocket_max_message_size 3;', send), `client limit|2|${bytes}`);
  });

  test('an empty one, where messages come too fast', async (t) => {
    const directives = 'websocket_message_rate 1/m burst=1 close;';
    assert.equal(await counted(t, directives, (client) => client.send(frame(''))), `client limit|2|${bytes}`);
  });

  test('one whose last byte makes it no UTF-8', async (t) => {
    const send = (client: RawClient): void => client.send(frame(Buffer.from([0x61, 0xc3])));
    assert.match(await counted(t, 'websocket_validate on;', send), /^client protocol error\|2\|/);
  });

  test('those before it are, the last one, too, where it is a ping that is too many', async (t) => {
    const ping = rawFrame({ opcode: 9, masked: true });
    const send = (client: RawClient): void => client.send(Buffer.concat([frame('3.a'), ping, ping, ping]));
    assert.match(await counted(t, 'websocket_control_rate 1/s burst=1;', send), /^client limit\|3\|/);
  });
});

test('limits that nobody meets are not noticed, beside pings of the gateway’s own', async (t) => {
  const { client } = await limited(
    t,
    'websocket_validate on; websocket_max_message_size 1m; websocket_max_frame_size 1m; websocket_message_rate 10000/s burst=10000; websocket_control_rate 100/s burst=100; websocket_ping 50ms;',
  );
  for (let i = 0; i < 200; i++) assert.equal(await client.ask(`grüße ${i}`), `grüße ${i}`);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(await client.ask('still here'), 'still here');
});
