// A side that ends its half still gets all that is on its way to it: in tunnels, both ways, and in answers.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { frameHead } from './live-tunnel.ts';
import { PASS_UPGRADE, ProbedGateway } from './probed-gateway.ts';
import { type PeerConnection, scriptedPeer } from './scripted-peer.ts';

/** More than the buffers of the kernel hold, so that it is under way when the other side has long ended. */
const MUCH = 16 * 1024 * 1024;
const payload = randomBytes(MUCH);
const frame = Buffer.concat([frameHead(MUCH, 0), payload]);

async function start(t: TestContext, behave: (connection: PeerConnection) => void, more = '') {
  const peer = await scriptedPeer(t, behave);
  const gateway = await ProbedGateway.start(t, {
    server: `
      location /ws { proxy_pass http://${peer.address}; ${PASS_UPGRADE} }
      location /patient { proxy_pass http://${peer.address}; proxy_ignore_client_abort on; }
      location /plain { proxy_pass http://${peer.address}; }
      location /file { root .; }
      ${more}`,
    files: { file: payload },
  });
  return { peer, gateway };
}

test('a client that has ended its half of a tunnel gets all that the peer still sends', async (t) => {
  const { peer, gateway } = await start(t, (connection) =>
    connection.onUpgrade(() => connection.socket.once('end', () => connection.socket.end(frame))),
  );
  const client = await (await gateway.client()).upgrade('/ws');
  client.keeps = false;
  const from = client.bytes;
  client.socket.end();
  await client.over();
  assert.equal(client.error, undefined);
  assert.equal(client.bytes - from, frame.length);
  await peer.allClosed();
  await gateway.alive();
});

/** What a client is told whose peer has ended without a close frame: a close frame with 1014. */
const BAD_GATEWAY = Buffer.from([0x88, 2, 1014 >> 8, 1014 & 255]);
/** Bytes that a frame to a peer has more. */
const MASK = 4;

test('a peer that has ended its half of a tunnel gets all that the client still sends', async (t) => {
  const { peer, gateway } = await start(t, (connection) =>
    connection.onUpgrade(() => connection.socket.end('\x81\x03bye')),
  );
  const client = await (await gateway.client()).upgrade('/ws');
  await client.over();
  assert.ok(client.text.endsWith('bye'));
  let arrived = 0;
  peer.last.onData = (bytes) => {
    arrived += bytes.length;
  };
  client.socket.end(frame);
  await peer.allClosed();
  assert.equal(peer.last.error, undefined);
  assert.equal(arrived, frame.length);
  await gateway.alive();
});

test('what a peer says last before it ends the connection arrives whole', async (t) => {
  const { gateway } = await start(t, (connection) => connection.onUpgrade(() => connection.socket.end(frame)));
  const client = await (await gateway.client()).upgrade('/ws');
  await client.over();
  assert.ok(client.body.equals(Buffer.concat([frame, BAD_GATEWAY])));
  client.socket.end();
  await gateway.alive();
});

test('what both sides send before both end arrives on both', async (t) => {
  let arrived = 0;
  const { peer, gateway } = await start(t, (connection) =>
    connection.onUpgrade(() => {
      connection.onData = (bytes) => {
        arrived += bytes.length;
      };
      connection.socket.end(frame);
    }),
  );
  const client = await (await gateway.client()).upgrade('/ws');
  client.socket.end(frame);
  await client.over();
  await peer.allClosed();
  // Behind it stands a close frame of ours where the other side had ended before.
  assert.ok(client.body.subarray(0, frame.length).equals(frame));
  assert.ok([0, BAD_GATEWAY.length].includes(client.body.length - frame.length));
  assert.ok([0, BAD_GATEWAY.length + MASK].includes(arrived - frame.length));
  await gateway.alive();
});

const ANSWER_HEAD = `HTTP/1.1 200 OK\r\nContent-Length: ${MUCH}\r\n\r\n`;

test('a client that ends its half behind a request gets the whole answer where proxy_ignore_client_abort says so', async (t) => {
  const { gateway } = await start(t, (connection) =>
    connection.onRequest(() => {
      connection.socket.write(ANSWER_HEAD);
      connection.socket.end(payload);
    }),
  );
  const client = await gateway.client();
  client.keeps = false;
  client.socket.end('GET /patient HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.over();
  assert.ok(client.bytes > MUCH, `only ${client.bytes} bytes came`);
  await gateway.alive();
});

test('a client that ends its half behind a request for a file gets the whole file', async (t) => {
  const { gateway } = await start(t, () => {});
  const client = await gateway.client();
  client.socket.end('GET /file HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.over();
  assert.ok(client.body.equals(payload), `${client.body.length} bytes came`);
  await gateway.alive();
});

test('an answer that its end delimits arrives whole', async (t) => {
  const { gateway } = await start(t, (connection) =>
    connection.onRequest(() => {
      connection.socket.write('HTTP/1.1 200 OK\r\n\r\n');
      connection.socket.end(payload);
    }),
  );
  const client = await gateway.sends('GET /plain HTTP/1.0\r\nHost: x\r\n\r\n');
  await client.over();
  assert.ok(client.body.equals(payload), `${client.body.length} bytes came`);
  await gateway.alive();
});
