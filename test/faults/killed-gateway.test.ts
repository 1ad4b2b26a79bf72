// The gateway's own process is killed: both sides of its tunnels notice at once, nothing of it is left, and the next one can start.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { WsPeer } from '../clients/ws-peer.ts';
import { freePort } from '../support/free-port.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { TalkingClient } from '../support/talking-client.ts';

const TUNNELS = 20;

/** Processes that a process has started and that still run. */
const childrenOf = (pid: number): string => readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();

test('kill -9: connections end on both sides, no process is left, and a new one takes the ports at once', async (t) => {
  const peer = await WsPeer.start(t);
  const port = await freePort();
  const conf = `
    worker_processes 2;
    events {}
    http { server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${peer.port}; } } }`;
  const first = await startSockgate(t, { conf });
  const sides: Promise<unknown[]>[] = [];
  for (let tunnel = 0; tunnel < TUNNELS; tunnel++) {
    const accepted = peer.accepted();
    const client = await TalkingClient.to(t, `ws://127.0.0.1:${port}/`);
    sides.push(once(client.socket, 'close'), once(await accepted, 'close'));
  }
  // What it has started would outlive it: there is nothing, its workers are threads.
  assert.equal(childrenOf(first.pid), '');
  assert.deepEqual(await first.stop('SIGKILL'), { code: null, signal: 'SIGKILL' });
  for (const [code] of await Promise.all(sides)) assert.equal(code, 1006);

  await startSockgate(t, { conf });
  const client = await TalkingClient.to(t, `ws://127.0.0.1:${port}/`);
  assert.equal(await client.ask('and now?'), 'and now?');
});
