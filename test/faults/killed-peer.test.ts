// A peer process that is killed under many clients: with websocket_resume all of them stay, and another process goes on with them.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { until } from '../support/until.ts';

/** `RESUMED_CLIENTS=1000` for the whole number. */
const CLIENTS = Number(process.env['RESUMED_CLIENTS'] ?? 200);

async function startEcho(t: TestContext): Promise<{ port: number; process: ChildProcess }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'echo-peer-main.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const { value: line } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  return { port: Number(line), process: child };
}

test(`${CLIENTS} clients are kept through kill -9 of their peer`, async (t) => {
  const doomed = await startEcho(t);
  const other = await startEcho(t);
  const port = await freePort();
  const sockgate = await startSockgate(t, {
    conf: `
      worker_processes 2;
      error_log logs/error.log notice;
      events { worker_connections 4096; }
      http {
        access_log off;
        upstream app { server 127.0.0.1:${doomed.port} max_fails=0; server 127.0.0.1:${other.port} backup; }
        server {
          listen 127.0.0.1:${port};
          location / { proxy_pass http://app; websocket_resume on; }
          location = /status { websocket_status; }
        }
      }`,
  });
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, () => TalkingClient.to(t, `ws://127.0.0.1:${port}/`)),
  );
  await Promise.all(clients.map((client) => client.ask('before')));
  const killed = once(doomed.process, 'exit');
  doomed.process.kill('SIGKILL');
  await killed;
  const status = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/status`)).text();
  let text = '';
  await until('all to be resumed', async () => {
    text = await status();
    return text.includes(`resumed ${CLIENTS}\n`);
  });
  assert.match(text, new RegExp(`^open ${CLIENTS}$`, 'm'));
  assert.match(text, /^ended 0$/m);
  assert.match(text, /^lost_messages 0$/m);
  const answers = await Promise.all(clients.map((client, i) => client.ask(`after ${i}`)));
  assert.deepEqual(
    answers,
    clients.map((_, i) => `after ${i}`),
  );
  assert.equal(
    clients.every(({ socket }) => socket.readyState === socket.OPEN),
    true,
  );
  assert.doesNotMatch(sockgate.read('logs/error.log'), /\[(?:alert|emerg|crit)\]/);
});
