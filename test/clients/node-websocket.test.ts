// The WebSockets that browsers and Node have in common: Node's own, and undici's, through the gateway.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import * as undici from 'undici';
import { PASS_UPGRADE, startGateway } from './start-gateway.ts';
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

type Construct = (url: string, protocols: string[]) => StandardWebSocket;

const IMPLEMENTATIONS: Readonly<Record<string, Construct>> = {
  'Node’s own WebSocket': (url, protocols) => new WebSocket(url, protocols) as StandardWebSocket,
  'the WebSocket of undici': (url, protocols) => new undici.WebSocket(url, protocols) as unknown as StandardWebSocket,
};

const next = async (socket: StandardWebSocket): Promise<unknown> => {
  const [event] = (await once(socket, 'message')) as [{ readonly data: unknown }];
  return event.data;
};

for (const [name, construct] of Object.entries(IMPLEMENTATIONS)) {
  test(name, async (t) => {
    const peer = await WsPeer.start(t, { options: { perMessageDeflate: true } });
    const gateway = await startGateway(t, {
      server: `location / { proxy_pass http://127.0.0.1:${peer.port}; ${PASS_UPGRADE} }`,
    });
    const connect = async (protocols: string[] = []): Promise<StandardWebSocket> => {
      const socket = construct(gateway.url('ws', '/'), protocols);
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
  });
}
