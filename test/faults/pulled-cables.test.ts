// Cables that are pulled, and networks that lose packets: nobody says that it is gone, and yet nobody is waited for too long.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { WsPeer } from '../clients/ws-peer.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { losePackets, mendNetwork, pullCable, testInNamespace } from '../support/network-namespace.ts';
import { ask } from '../support/raw-http.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { until } from '../support/until.ts';
import { scriptedPeer } from './scripted-peer.ts';

const READ_TIMEOUT = 1500;
/** ms within which a dead side must be found; a busy machine may take its time. */
const FOUND = 20_000;
const OPTIONS = { perMessageDeflate: false };

/** Two ports for clients, so that the cable of one can be pulled and the other one left. */
async function start(t: TestContext, peerPort: number, directives = ''): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    http: `
      log_format ends '$status $websocket_close_cause';
      access_log logs/access.log ends;
      server {
        listen 127.0.0.1:8080; listen 127.0.0.1:8081;
        proxy_read_timeout ${READ_TIMEOUT}ms;
        ${directives}
        ${patient(peerPort)}
        location / { proxy_pass http://127.0.0.1:${peerPort}; }
      }`,
  });
  t.after(() => gateway.stop());
  return gateway;
}

/** A location that pings all the time, and gives TCP the time that it takes to try again. */
const patient = (peerPort: number): string =>
  `location /patient { proxy_pass http://127.0.0.1:${peerPort}; proxy_read_timeout 60s; websocket_ping 100ms; }`;

const portOf = (gateway: RunningGateway, index: 0 | 1): number => gateway.port(`127.0.0.1:808${index}`);

function connect(t: TestContext, gateway: RunningGateway, index: 0 | 1 = 0, path = '/'): Promise<TalkingClient> {
  return TalkingClient.to(t, `ws://127.0.0.1:${portOf(gateway, index)}${path}`, OPTIONS);
}

function logged(gateway: RunningGateway, line: string): Promise<unknown> {
  return until(`${line} in the log`, () => gateway.lines('logs/access.log').includes(line));
}

/** What comes in time; the test fails where it does not. */
async function inTime<T>(what: string, coming: Promise<T>): Promise<T> {
  const late = wait(FOUND, undefined, { ref: false }).then(() => assert.fail(`not within ${FOUND} ms: ${what}`));
  return Promise.race([coming, late]);
}

// Each waits for timeouts most of the time.
describe('in a network of its own', { concurrency: 4 }, () => {
  testInNamespace('a client whose cable is pulled is found dead, its peer is told', import.meta.filename, async (t) => {
    const peer = await WsPeer.start(t);
    const gateway = await start(t, peer.port);
    const accepted = peer.accepted();
    const client = await connect(t, gateway);
    assert.equal(await client.ask('before'), 'before');
    const closed = once(await accepted, 'close');
    const other = await connect(t, gateway, 1, '/patient');
    pullCable(portOf(gateway, 0));
    const [code] = await inTime('the end of the peer’s side', closed);
    assert.equal(code, 1001);
    await logged(gateway, '101 client pong missed');
    await gateway.untilAllClosed('127.0.0.1:8080');
    assert.equal(await other.ask('still here?'), 'still here?');
  });

  testInNamespace('a peer whose cable is pulled is found dead, its client is told', import.meta.filename, async (t) => {
    const peer = await WsPeer.start(t);
    const gateway = await start(t, peer.port);
    const client = await connect(t, gateway);
    assert.equal(await client.ask('before'), 'before');
    pullCable(peer.port);
    assert.equal((await inTime('the end of the client’s side', client.closed)).code, 1014);
    await logged(gateway, '101 peer pong missed');
    mendNetwork();
    assert.equal(await (await connect(t, gateway)).ask('and now?'), 'and now?');
  });

  testInNamespace('a client that vanishes while much is sent to it is given up', import.meta.filename, async (t) => {
    const peer = await WsPeer.start(t);
    const gateway = await start(t, peer.port, `send_timeout ${READ_TIMEOUT}ms;`);
    const accepted = peer.accepted();
    const client = await connect(t, gateway);
    const socket = await accepted;
    const closed = once(socket, 'close');
    pullCable(portOf(gateway, 0));
    for (let sent = 0; sent < 32; sent++) socket.send(Buffer.alloc(1024 * 1024));
    await inTime('the end of the peer’s side', closed);
    await gateway.untilAllClosed('127.0.0.1:8080');
    client.socket.terminate();
  });

  testInNamespace('a cable that is pulled and put back costs no byte', import.meta.filename, async (t) => {
    const peer = await WsPeer.start(t);
    const gateway = await start(t, peer.port);
    const client = await connect(t, gateway, 0, '/patient');
    assert.equal(await client.ask('before'), 'before');
    pullCable(portOf(gateway, 0));
    pullCable(peer.port);
    for (let number = 0; number < 20; number++) client.socket.send(`${number}`);
    await wait(500);
    mendNetwork();
    for (let number = 0; number < 20; number++) assert.equal(await client.next(), `${number}`);
  });

  testInNamespace('where packets are lost, all arrives in order', import.meta.filename, async (t) => {
    const peer = await WsPeer.start(t);
    const gateway = await start(t, peer.port);
    const clients = await Promise.all(Array.from({ length: 8 }, () => connect(t, gateway, 0, '/patient')));
    losePackets(0.05);
    const bytes = Buffer.alloc(50_000, 'x');
    await Promise.all(
      clients.map(async (client) => {
        for (let number = 0; number < 100; number++) client.socket.send(`${number}`);
        client.socket.send(bytes);
        for (let number = 0; number < 100; number++) assert.equal(await client.next(), `${number}`);
        assert.deepEqual(await client.next(), bytes);
      }),
    );
    mendNetwork();
  });

  testInNamespace(
    'a kept connection to a peer whose cable is pulled: the next peer answers',
    import.meta.filename,
    async (t) => {
      const answer = (name: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`;
      const first = await scriptedPeer(t, (connection) => connection.answerEach(answer('first')));
      const second = await scriptedPeer(t, (connection) => connection.answerEach(answer('second')));
      const gateway = await gatewayFromConfig({
        http: `
        log_format peers '$upstream_addr';
        access_log logs/access.log peers;
        upstream both { server ${first.address}; server ${second.address} backup; keepalive 4; }
        server {
          listen 127.0.0.1:8080;
          location / { proxy_pass http://both; proxy_read_timeout 500ms; proxy_connect_timeout 500ms; }
        }`,
      });
      t.after(() => gateway.stop());
      assert.equal((await ask(gateway.port(), 'GET /')).text, 'first');
      assert.equal((await ask(gateway.port(), 'GET /')).text, 'first');
      assert.equal(first.connections.length, 1);
      pullCable(first.port);
      assert.equal((await inTime('an answer', ask(gateway.port(), 'GET /'))).text, 'second');
      // It has failed just now, and is left in peace for a while.
      assert.equal((await ask(gateway.port(), 'GET /')).text, 'second');
      const lines = await until('four lines in the log', () => {
        const all = gateway.lines('logs/access.log');
        return all.length === 4 && all;
      });
      assert.deepEqual(lines.slice(2), [`${first.address}, ${second.address}`, second.address]);
    },
  );
});
