// open_log_file_cache: which log files with variables in their names stay open, for how long, and when a name is looked at again.
// https://nginx.org/en/docs/http/ngx_http_log_module.html#open_log_file_cache

import assert from 'node:assert/strict';
import { readdirSync, readlinkSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { ask } from '../support/raw-http.ts';
import { until } from '../support/until.ts';

async function start(t: TestContext, cache: string): Promise<RunningGateway> {
  const gateway = await gatewayFromConfig({
    http: `
      log_format uri $uri;
      open_log_file_cache ${cache};
      server { listen 127.0.0.1:8080; access_log logs/named-$arg_n.log uri; location / { return 204; } }`,
  });
  t.after(() => gateway.stop());
  return gateway;
}

/** The log files with names of variables that this process has open. */
function openLogs({ prefix }: RunningGateway): string[] {
  const start = join(prefix, 'logs/named-');
  return readdirSync('/proc/self/fd')
    .map(targetOf)
    .filter((target) => target.startsWith(start))
    .map((target) => target.slice(start.length))
    .sort();
}

function targetOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return '';
  }
}

const log = async (gateway: RunningGateway, n: string, path = '/'): Promise<void> => {
  assert.equal((await ask(gateway.port(), `GET ${path}?n=${n}`)).status, 204);
};

test('valid=: a file that was moved away gets lines until its name is looked at again, and then a new one does', async (t) => {
  const gateway = await start(t, 'max=2 valid=1s inactive=1h');
  await log(gateway, 'a', '/one');
  renameSync(join(gateway.prefix, 'logs/named-a.log'), join(gateway.prefix, 'logs/moved.log'));
  await log(gateway, 'a', '/two');
  assert.deepEqual(gateway.lines('logs/moved.log'), ['/one', '/two']);
  assert.equal(gateway.read('logs/named-a.log'), '');
  await until('a new file', async () => {
    await log(gateway, 'a', '/three');
    return gateway.read('logs/named-a.log').startsWith('/three\n');
  });
  assert.deepEqual(openLogs(gateway), ['a.log']);
});

test('inactive=: a file without lines for so long is closed, one that has them is not', async (t) => {
  const gateway = await start(t, 'max=2 inactive=1s');
  await log(gateway, 'a');
  await log(gateway, 'b');
  assert.deepEqual(openLogs(gateway), ['a.log', 'b.log']);
  await until('the close', async () => {
    await log(gateway, 'b');
    return openLogs(gateway).length < 2;
  });
  assert.deepEqual(openLogs(gateway), ['b.log']);
  await until('the close of the other', () => openLogs(gateway).length === 0);
});

test('min_uses=: a file stays open from its so manieth line on', async (t) => {
  const gateway = await start(t, 'max=2 min_uses=3 inactive=1h');
  const open: number[] = [];
  for (let i = 0; i < 4; i++) {
    await log(gateway, 'a');
    open.push(openLogs(gateway).length);
  }
  assert.deepEqual(open, [0, 0, 1, 1]);
  assert.equal(gateway.lines('logs/named-a.log').length, 4);
});

test('min_uses=: lines count only as long as there was one within inactive=', async (t) => {
  const gateway = await start(t, 'max=2 min_uses=2 inactive=1s');
  await log(gateway, 'a');
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await log(gateway, 'a');
  assert.deepEqual(openLogs(gateway), []);
  await log(gateway, 'a');
  assert.deepEqual(openLogs(gateway), ['a.log']);
});

test('max=: the file that got no line for the longest time makes room', async (t) => {
  const gateway = await start(t, 'max=2 inactive=1h');
  for (const n of ['a', 'b', 'a', 'c']) await log(gateway, n);
  assert.deepEqual(openLogs(gateway), ['a.log', 'c.log']);
});

test('off closes each file behind its line', async (t) => {
  const gateway = await start(t, 'off');
  await log(gateway, 'a');
  assert.deepEqual(openLogs(gateway), []);
  assert.equal(gateway.lines('logs/named-a.log').length, 1);
});
