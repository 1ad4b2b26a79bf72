// The folders for temporary files: made with the rights of root for the user that the workers are; and on a disk that is full.
// https://nginx.org/en/docs/http/ngx_http_core_module.html#client_body_temp_path

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { RawClient } from '../support/raw-client.ts';
import { ask } from '../support/raw-http.ts';
import { type Backend, OK, startBackend } from '../support/recording-backend.ts';
import { SKIP_UNLESS_ROOT, smallFileSystem } from '../support/small-file-system.ts';
import { startSockgate } from '../support/start-sockgate.ts';
import { until } from '../support/until.ts';

const MEGABYTE = 1024 * 1024;
const post = (body: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`), body]);

test('with user, folders are made as root and given to that user, who fills them', {
  skip: SKIP_UNLESS_ROOT,
}, async (t) => {
  const backend = await startBackend(t, () => OK);
  const port = await freePort();
  const sockgate = await startSockgate(t, {
    conf: `
      user nobody;
      events {}
      http {
        client_body_temp_path temp/bodies 1 2;
        proxy_temp_path temp/answers;
        server { listen 127.0.0.1:${port}; client_max_body_size 0; location / { proxy_pass http://${backend.address}; } }
      }`,
    files: { 'temp/': '' },
  });
  const nobody = Number(execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' }));
  for (const name of ['bodies', 'answers']) {
    const { uid, mode } = statSync(join(sockgate.prefix, 'temp', name));
    assert.deepEqual([uid, mode & 0o777], [nobody, 0o700], name);
  }
  assert.equal(statSync(join(sockgate.prefix, 'temp')).uid, 0, 'what is there stays as it is');
  const body = Buffer.alloc(MEGABYTE, 'body ');
  const client = await RawClient.to(t, port);
  client.send(post(body));
  assert.equal((await client.answer()).status, 200);
  assert.ok((await backend.request()).body.equals(body));
  const [digit = '', ...others] = readdirSync(join(sockgate.prefix, 'temp/bodies'));
  assert.deepEqual([digit.length, others], [1, []], 'the worker has made the levels below');
  assert.equal(statSync(join(sockgate.prefix, 'temp/bodies', digit)).uid, nobody);
});

/** A gateway whose temporary files are on a disk of 64 kB. */
async function onSmallDisk(
  t: TestContext,
  behaviour: Parameters<typeof startBackend>[1],
): Promise<{ gateway: RunningGateway; backend: Backend } | undefined> {
  const folder = smallFileSystem(t);
  if (folder === undefined) return undefined;
  const backend = await startBackend(t, behaviour);
  const gateway = await gatewayFromConfig({
    http: `
      client_body_temp_path ${folder}/bodies;
      proxy_temp_path ${folder}/answers;
      server {
        listen 127.0.0.1:8080;
        client_max_body_size 0;
        location = /alive { return 200 alive; }
        location / { proxy_pass http://${backend.address}; }
      }`,
  });
  t.after(() => gateway.stop());
  return { gateway, backend };
}

test('a request whose body finds the disk full is a 500, and the next one is served', {
  skip: SKIP_UNLESS_ROOT,
}, async (t) => {
  const started = await onSmallDisk(t, () => OK);
  if (started === undefined) return;
  const { gateway, backend } = started;
  const client = await RawClient.to(t, gateway.port());
  client.send(post(Buffer.alloc(MEGABYTE, 'body ')));
  assert.equal((await client.answer()).status, 500);
  assert.ok(gateway.lines().some((line) => /\[crit\].*bodies\/\d+" failed \(28: No space left on device\)/.test(line)));
  assert.equal(backend.requests.length, 0);
  const next = await RawClient.to(t, gateway.port());
  next.send(post(Buffer.alloc(40_000, 'body ')));
  assert.equal((await next.answer()).status, 200, 'what was written of the other has gone with it');
});

test('an answer that finds the disk full comes whole to a client that reads late', {
  skip: SKIP_UNLESS_ROOT,
}, async (t) => {
  const body = Buffer.alloc(16 * MEGABYTE, 'An answer. ');
  const started = await onSmallDisk(t, (_, { socket }) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
    socket.write(body);
    return undefined;
  });
  if (started === undefined) return;
  const { gateway } = started;
  const client = await RawClient.to(t, gateway.port());
  client.socket.pause();
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until('the full disk', () => gateway.lines().some((line) => line.includes('No space left on device')));
  assert.equal((await ask(gateway.port(), 'GET /alive')).text, 'alive');
  client.socket.resume();
  assert.ok((await client.answer()).body.equals(body));
});
