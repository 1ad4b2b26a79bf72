// What could hold up the event loop: logs that cannot be written, a huge reload. A WebSocket that has nothing to do with it goes on.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bestOf } from '../support/best-of.ts';
import { ask } from '../support/raw-http.ts';
import { SKIP_UNLESS_ROOT, smallFileSystem } from '../support/small-file-system.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';
import { ProbedGateway } from './probed-gateway.ts';

/** For how long the worker's own work may hold up 99 of 100 echoes at most, in ms. */
const P99_MOST = 50;
const SERVERS = 2000;
/** A worker reads and builds a configuration in slices of some 5 ms; collecting its garbage is the longest stop, in ms: some 40 on an idle machine. */
const RELOAD_MOST = 500;

interface Echoes {
  /** For how long the gateway's own work held up each, in ms, from short to long. */
  readonly times: readonly number[];
}

/** Echoes one message after the other through the gateway while `work` lasts. */
async function echoesDuring(gateway: ProbedGateway, work: () => Promise<unknown>): Promise<Echoes> {
  const client = await gateway.echo();
  const times: number[] = [];
  let isOver = false;
  const working = work().finally(() => {
    isOver = true;
  });
  do {
    times.push(await gateway.timeEcho(client));
  } while (!isOver);
  await working;
  client.socket.terminate();
  return { times: times.sort((a, b) => a - b) };
}

/** @returns the time within which 99 of 100 came */
function report(t: TestContext, what: string, { times }: Echoes): number {
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] as number;
  const [median, p99, longest] = [at(0.5), at(0.99), at(1)].map((time) => time.toFixed(1));
  t.diagnostic(`${what}: ${times.length} echoes, median ${median} ms, p99 ${p99} ms, longest ${longest} ms`);
  return at(0.99);
}

/** 99 of 100 echoes come in time while `work` lasts. */
async function staysQuick(
  t: TestContext,
  what: string,
  gateway: ProbedGateway,
  work: () => Promise<unknown>,
): Promise<void> {
  const p99 = await bestOf(P99_MOST, async () => report(t, what, await echoesDuring(gateway, work)));
  assert.ok(p99 < P99_MOST, `p99 is ${p99.toFixed(1)} ms`);
}

const requests = async (gateway: ProbedGateway, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) assert.equal((await ask(gateway.port, 'GET /alive')).status, 200);
};

test('a log on a full disk costs lines, and neither requests nor time', async (t) => {
  const gateway = await ProbedGateway.start(t, { accessLog: 'access_log /dev/full;' });
  await staysQuick(t, 'log on /dev/full', gateway, () => requests(gateway, 200));
  assert.match(gateway.sockgate.errorLog(), /write\(\) to "\/dev\/full" failed \(28: No space left on device\)/);
  assert.ok(gateway.sockgate.count(/\/dev\/full/g) < 20, 'it is said now and then, not for each line');
  await gateway.alive(/\/dev\/full/);
});

test('a log on a small file system that fills up goes on when there is room again', {
  skip: SKIP_UNLESS_ROOT,
}, async (t) => {
  const folder = smallFileSystem(t);
  if (folder === undefined) return;
  const log = join(folder, 'access.log');
  const gateway = await ProbedGateway.start(t, { accessLog: `access_log ${log};` });
  await staysQuick(t, 'log on a full tmpfs', gateway, () => requests(gateway, 1500));
  assert.match(gateway.sockgate.errorLog(), /failed \(28: No space left on device\)/);
  truncateSync(log);
  await until('lines in the log again', async () => {
    await requests(gateway, 1);
    return readFileSync(log, 'latin1').includes('GET /alive');
  });
  await gateway.alive(/No space left/);
});

test('a log pipe that nobody reads costs lines, and neither requests nor time', async (t) => {
  const folder = temporaryFolder(t, {});
  const pipe = join(folder, 'pipe');
  assert.equal(spawnSync('mkfifo', ['-m', '666', pipe]).status, 0);
  // Opened by one who never reads.
  const holder = spawn('sh', ['-c', `exec 3<>'${pipe}'; exec sleep 1000`], { stdio: 'ignore' });
  t.after(() => holder.kill('SIGKILL'));
  const gateway = await ProbedGateway.start(t, {
    http: `log_format long '$request_uri ${'x'.repeat(2000)}';`,
    accessLog: '',
    server: `access_log ${pipe} long;`,
  });
  await staysQuick(t, 'log pipe blocked', gateway, () => requests(gateway, 200));
  assert.match(gateway.sockgate.errorLog(), /pipe" failed \(11: Resource temporarily unavailable\), lines lost: \d+/);
  await gateway.alive(/pipe" failed \(11/);
});

test(`a reload of ${SERVERS} servers holds up a WebSocket for no longer than it must`, async (t) => {
  const gateway = await ProbedGateway.start(t, {});
  const servers = Array.from({ length: SERVERS }, (_, index) => {
    const name = createHash('sha1').update(String(index)).digest('hex').slice(0, 12);
    return `server {
      listen 127.0.0.1:${gateway.port}; server_name ${name}.example *.${name}.example;
      location / { return 200 ${index}; }
      location /ws/ { proxy_pass http://127.0.0.1:1; proxy_set_header Upgrade $http_upgrade; add_header X-${index} "$uri $host"; }
      location ~ ^/${name}/(.*)$ { return 404; }
    }`;
  });
  const conf = gateway.configuration();
  const end = conf.lastIndexOf('}');
  const huge = `${conf.slice(0, end)}\n${servers.join('\n')}\n}`;
  let p99 = Number.POSITIVE_INFINITY;
  const longest = await bestOf(RELOAD_MOST, async () => {
    const echoes = await echoesDuring(gateway, () => gateway.sockgate.reload(huge));
    p99 = Math.min(p99, report(t, `reload of ${SERVERS} servers`, echoes));
    return echoes.times.at(-1) as number;
  });
  const last = createHash('sha1')
    .update(String(SERVERS - 1))
    .digest('hex')
    .slice(0, 12);
  assert.equal((await ask(gateway.port, 'GET /', `Host: a.${last}.example`)).text, String(SERVERS - 1));
  assert.ok(p99 < P99_MOST, `p99 is ${p99.toFixed(1)} ms`);
  assert.ok(longest < RELOAD_MOST, `one echo was held up for ${longest} ms`);
  await gateway.alive();
});
