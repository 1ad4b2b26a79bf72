// limit_rate and limit_rate_after: how fast an answer leaves.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#limit_rate

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bestOf } from '../support/best-of.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import type { HttpMessage } from '../support/http-reader.ts';
import { RawClient } from '../support/raw-client.ts';
import { ask } from '../support/raw-http.ts';
import { startBackend } from '../support/recording-backend.ts';

let gateway: RunningGateway;

/** Each kilobyte differs from the next. */
const BODY = Buffer.from(Array.from({ length: 5000 }, (_, index) => String(index).padStart(10, '0')).join(''));

before(async () => {
  gateway = await gatewayFromConfig({
    http: `
      limit_rate 40k;
      log_format rate '$uri $limit_rate';
      access_log logs/rate.log rate;
      server {
        listen 127.0.0.1:8080;
        location /file { }
        location /after { limit_rate_after 10k; }
        location /off { limit_rate 0; }
        location /fast { limit_rate 4m; }
        location /var { limit_rate $arg_rate; limit_rate_after $arg_after; }
        location /short { return 200 short; }
      }
    `,
    files: Object.fromEntries(['file', 'after', 'off', 'var', 'fast'].map((name) => [`html/${name}`, BODY])),
  });
});

after(() => gateway.stop());

/** How many seconds the body took, which must be whole. */
async function secondsOf(path: string): Promise<number> {
  const start = performance.now();
  const { body } = await ask(gateway.port(), `GET ${path}`);
  assert.ok(body.equals(BODY), path);
  return (performance.now() - start) / 1000;
}

/** Seconds that what is paced takes at least: the second worth of bytes waits for so long. */
const PACED = 0.95;
/** As many seconds more the one behind it would take. */
const TOO_SLOW = 2;

/** Not paced: what is takes longer each time. */
async function assertFast(path: string): Promise<void> {
  const seconds = await bestOf(PACED, () => secondsOf(path));
  assert.ok(seconds < PACED, `${path} took ${seconds} s`);
}

/** Never less than a second, and no more where the machine has time. */
async function assertPaced(measure: () => Promise<number>): Promise<void> {
  const seconds = await bestOf(TOO_SLOW, measure);
  assert.ok(seconds >= PACED && seconds < TOO_SLOW, `it took ${seconds} s`);
}

test('a second’s worth leaves at once, the next when its time has come; several at a time do not hold each other up', async () => {
  await assertPaced(async () => {
    const seconds = await Promise.all(['/file', '/file', '/var?rate=40k', '/var?rate=40k&after=1k'].map(secondsOf));
    for (const each of seconds) assert.ok(each >= PACED, `it took ${each} s`);
    return Math.max(...seconds);
  });
});

test('what limit_rate_after lets pass is not counted', async () => {
  await assertFast('/after');
  await assertFast('/var?rate=1k&after=60k');
});

test('a rate of 0, or of a variable without a value, is no limit', async () => {
  for (const path of ['/off', '/var', '/var?rate=0']) await assertFast(path);
});

test('a rate that is no size is told, and is no limit', async () => {
  await assertFast('/var?rate=much');
  assert.match(gateway.lines().join('\n'), /\[error\] .*invalid size "much", client: /);
});

test('a high rate is not made lower by the grain of our timers', async () => {
  await assertFast('/fast');
});

test('an answer that is shorter than a second’s worth is not held up', async () => {
  const took = await bestOf(500, async () => {
    const start = performance.now();
    assert.equal((await ask(gateway.port(), 'GET /short')).text, 'short');
    return performance.now() - start;
  });
  assert.ok(took < 500, `it took ${took} ms`);
});

test('$limit_rate is the rate that held', async () => {
  await secondsOf('/var?rate=4m');
  await secondsOf('/off');
  assert.ok(gateway.lines('logs/rate.log').includes('/var 4194304'));
  assert.ok(gateway.lines('logs/rate.log').includes('/off 0'));
});

test('an answer of a backend is paced, and the connection goes on behind it', async (t) => {
  const backend = await startBackend(t, (_: HttpMessage, connection) => {
    connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n`);
    connection.socket.write(BODY);
    return undefined;
  });
  const paced = await gatewayFromConfig({
    http: `server { listen 127.0.0.1:8080; limit_rate 40k; location / { proxy_pass http://${backend.address}; } }`,
  });
  t.after(() => paced.stop());
  const client = await RawClient.to(t, paced.port());
  let count = 0;
  await assertPaced(async () => {
    const start = performance.now();
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.ok((await client.answer(++count)).body.equals(BODY));
    return (performance.now() - start) / 1000;
  });
  client.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until('the next answer', () => client.text.split('HTTP/1.1 200').length === count + 2);
});

test('a client that goes while it is paced leaves nothing behind, and is in the log', async (t) => {
  const client = await RawClient.to(t, gateway.port());
  client.send('GET /var?rate=20k&left=1 HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until('the first bytes', () => client.received.length > 10_000);
  const before = gateway.lines('logs/rate.log').length;
  client.socket.resetAndDestroy();
  await client.untilClosed();
  while (gateway.lines('logs/rate.log').length === before) await new Promise((resolve) => setTimeout(resolve, 5));
});
