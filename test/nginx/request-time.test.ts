// $request_time: from the first byte of the head to the end of the answer, so that a client that sends its head slowly is seen.
// https://nginx.org/en/docs/http/ngx_http_log_module.html#var_request_time

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { bestOf } from '../support/best-of.ts';
import { gatewayFromConfig } from '../support/gateway-from-config.ts';
import { RawClient } from '../support/raw-client.ts';
import { unreadBytes } from '../support/unread-bytes.ts';
import { until } from '../support/until.ts';

test('the time of a request begins with its first byte, not with its last, nor with its connection', async (t) => {
  const gateway = await gatewayFromConfig({
    http: `
      log_format time '$request_time';
      server { listen 127.0.0.1:8080; access_log logs/time.log time; location / { return 200; } }`,
  });
  t.after(() => gateway.stop());
  const logged = (): number => Number(gateway.lines('logs/time.log').at(-1));
  const quick = await bestOf(0.1, async () => {
    const client = await RawClient.to(t, gateway.port());
    await wait(200);
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.answer();
    return logged();
  });
  assert.ok(quick < 0.1, `${quick} s`);
  const client = await RawClient.to(t, gateway.port());
  client.send('GET / HTTP/1.1\r\n');
  await until('it to be read', () => unreadBytes(gateway.port(), client.socket.localPort as number) === 0);
  await wait(200);
  client.send('Host: a\r\n\r\n');
  await client.answer();
  assert.ok(logged() >= 0.19, `${logged()} s`);
});
