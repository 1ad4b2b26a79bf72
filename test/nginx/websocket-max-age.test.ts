// websocket_max_age: a tunnel that is old enough is asked to go, however busy it is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WsPeer } from '../clients/ws-peer.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { until } from '../support/until.ts';

test('at that age, or up to a tenth earlier, the client gets 1012, and the peer 1001', async (t) => {
  const peer = await WsPeer.start(t);
  const gateway = await gatewayFromConfig({
    http: `
      log_format ends '$request_uri $websocket_close_cause';
      server {
          listen 127.0.0.1:8080;
          access_log logs/ends.log ends;
          websocket_max_age 1s;
          location / { proxy_pass http://127.0.0.1:${peer.port}; }
          location /ever { websocket_max_age off; proxy_pass http://127.0.0.1:${peer.port}; }
      }`,
  });
  t.after(() => gateway.stop());
  const url = `ws://127.0.0.1:${gateway.port()}`;
  const ever = await TalkingClient.to(t, `${url}/ever`);
  const accepted = peer.accepted();
  const began = performance.now();
  const { closed, socket } = await TalkingClient.to(t, `${url}/`);
  const atPeer = new Promise((resolve) => void accepted.then((one) => one.once('close', resolve)));
  const talk = setInterval(() => socket.readyState === socket.OPEN && socket.send('busy'), 50);
  t.after(() => clearInterval(talk));
  assert.equal((await closed).code, 1012);
  assert.ok(performance.now() - began >= 890, 'not earlier');
  assert.equal(await atPeer, 1001);
  assert.equal(await ever.ask('still there'), 'still there');
  assert.deepEqual(await until('the line', () => gateway.lines('logs/ends.log')), ['/ max age']);
});
