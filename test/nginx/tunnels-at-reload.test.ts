// A reload and the tunnels of before: WebSockets go on, other protocols have worker_shutdown_timeout left.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WsPeer } from '../clients/ws-peer.ts';
import { freePort } from '../support/free-port.ts';
import { RawClient } from '../support/raw-client.ts';
import { startBackend } from '../support/recording-backend.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { TalkingClient } from '../support/talking-client.ts';

const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n';

for (const [timeout, lasts] of [
  ['worker_shutdown_timeout 10ms;', false],
  ['', true],
] as const) {
  test(`${lasts ? 'without worker_shutdown_timeout all tunnels go on' : 'worker_shutdown_timeout ends what is no WebSocket'}`, async (t) => {
    const peer = await WsPeer.start(t);
    const backend = await startBackend(t, () => SWITCHING);
    const port = await freePort();
    const conf = `
      ${timeout}
      events {}
      http {
          access_log off;
          server {
              listen 127.0.0.1:${port};
              proxy_http_version 1.1;
              location /ws { proxy_pass http://127.0.0.1:${peer.port}; proxy_set_header Upgrade websocket; proxy_set_header Connection Upgrade; }
              location /other { proxy_pass http://${backend.address}; proxy_set_header Upgrade other; proxy_set_header Connection Upgrade; }
          }
      }`;
    const sockgate = await startSockgate(t, { conf });
    const webSocket = await TalkingClient.to(t, `ws://127.0.0.1:${port}/ws`);
    const other = await RawClient.to(t, port);
    other.send('GET /other HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n');
    await other.until('the switch', () => other.text.includes('101 Switching'));
    await sockgate.reload(conf);
    if (!lasts) await other.untilEnded();
    assert.equal(await webSocket.ask('still there?'), 'still there?');
    const connection = await backend.connection();
    if (!lasts) return;
    connection.send('still here');
    await other.until('what the peer says', () => other.text.endsWith('still here'));
  });
}
