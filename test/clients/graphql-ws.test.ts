// graphql-ws, server and client: queries, subscriptions that stream, and the close codes by which it says what was wrong.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { buildSchema } from 'graphql';
import { type Client, CloseCode, createClient, GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocket, WebSocketServer } from 'ws';
import { type Certificate, selfSignedCertificate } from '../support/certificates.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { until } from '../support/until.ts';
import { startFourWays, type Way } from './four-ways.ts';

const schema = buildSchema(`
  type Query { greeting(name: String!): String! }
  type Subscription { countdown(from: Int!): Int!, ticks: Int! }
`);

/** How many subscriptions to `ticks` are running, at all peers. */
let ticking = 0;

const roots = {
  query: { greeting: ({ name }: { name: string }) => `grüße, ${name} 🙂` },
  subscription: {
    async *countdown({ from }: { from: number }) {
      for (let left = from; left >= 0; left--) yield { countdown: left };
    },
    async *ticks() {
      ticking++;
      try {
        for (let tick = 0; ; tick++) {
          yield { ticks: tick };
          await wait(5);
        }
      } finally {
        ticking--;
      }
    },
  },
};

/** @returns its port */
async function startServer(t: TestContext, certificate?: Certificate): Promise<number> {
  const server = certificate === undefined ? createServer() : createTlsServer(certificate);
  const sockets = new WebSocketServer({ server, path: '/graphql' });
  const serving = useServer(
    { schema, roots, onConnect: ({ connectionParams }) => connectionParams?.['key'] === 'let me in' },
    sockets,
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    await serving.dispose();
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

test('graphql-ws', async (t) => {
  const plain = await startServer(t);
  const tls = await startServer(t, await selfSignedCertificate());
  const { gateway, ways } = await startFourWays(t, { plain, tls });
  for (const way of ways) await t.test(way.name, (t) => speaks(t, way, gateway.ca));
});

async function speaks(t: TestContext, way: Way, ca: string): Promise<void> {
  const connect = (to: TestContext, key = 'let me in'): Client => {
    const Trusting = class extends WebSocket {
      constructor(url: string, protocols: string) {
        super(url, protocols, { ca });
      }
    };
    const client = createClient({
      url: way.url('/graphql'),
      webSocketImpl: Trusting,
      connectionParams: { key },
      retryAttempts: 0,
    });
    to.after(() => client.dispose());
    return client;
  };

  await t.test('a query is answered', async (t) => {
    assert.deepEqual(await all(connect(t), 'query { greeting(name: "世界") }'), [{ greeting: 'grüße, 世界 🙂' }]);
  });

  await t.test('subscriptions of one connection stream side by side, each in its order, and complete', async (t) => {
    const client = connect(t);
    const streams = [50, 100, 150].map(async (from) => {
      const came = await all(client, `subscription { countdown(from: ${from}) }`);
      assert.deepEqual(
        came,
        Array.from({ length: from + 1 }, (_, index) => ({ countdown: from - index })),
      );
    });
    await Promise.all(streams);
  });

  await t.test('a subscription that is given up ends at the peer, too', async (t) => {
    const ticks = connect(t).iterate({ query: 'subscription { ticks }' });
    for (let tick = 0; tick < 3; tick++) assert.deepEqual((await ticks.next()).value?.data, { ticks: tick });
    assert.equal(ticking, 1);
    await ticks.return?.();
    await until('the subscription to end', () => ticking === 0);
  });

  await t.test('who is not let in is closed with 4403', async (t) => {
    await assert.rejects(all(connect(t, 'wrong'), '{ greeting(name: "x") }'), { code: CloseCode.Forbidden });
  });

  await t.test('what it does not understand is closed with 4400, what comes too early with 4401', async (t) => {
    const open = () => TalkingClient.to(t, way.url('/graphql'), { ca, protocols: [GRAPHQL_TRANSPORT_WS_PROTOCOL] });
    const garbled = await open();
    assert.equal(garbled.socket.protocol, 'graphql-transport-ws');
    garbled.socket.send('no JSON');
    assert.equal((await garbled.closed).code, CloseCode.BadRequest);
    const early = await open();
    early.socket.send('{"type":"subscribe","id":"1","payload":{"query":"{ greeting(name: \\"x\\") }"}}');
    assert.deepEqual(await early.closed, { code: CloseCode.Unauthorized, reason: 'Unauthorized' });
  });
}

/** The data of all results. */
async function all(client: Client, query: string): Promise<unknown[]> {
  const came: unknown[] = [];
  for await (const { data } of client.iterate({ query })) came.push({ ...data });
  return came;
}
