// Reload after reload under live tunnels, plain and over TLS: good configurations, broken ones, one without its certificate, two at once.

import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { selfSignedCertificate } from '../support/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { UNCOLLECTED } from '../support/resident-bytes.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { until } from '../support/until.ts';
import { PASS_UPGRADE, ProbedGateway, type ProbedGatewayWish } from './probed-gateway.ts';

/** SOCKGATE_RELOADS and SOCKGATE_TUNNELS ask for more or fewer. */
const RELOADS = Number(process.env['SOCKGATE_RELOADS'] ?? 24);
const TUNNELS = Number(process.env['SOCKGATE_TUNNELS'] ?? 100);
const WORKERS = 2;
/** Tunnels that are opened, or talk, at the same time. */
const AT_ONCE = 25;
const MEGABYTE = 1024 * 1024;
/**
 * Bytes by which memory may grow from a quarter of the reloads to their end. What a reload leaves is collected when there is enough of
 * it: memory was seen to rise for five hundred reloads, by 200 MB, and no further for five hundred more.
 */
const FLAT = Math.min(32 + RELOADS / 2, 256) * MEGABYTE + UNCOLLECTED;

const GONE = /exited with code 0/g;
const REFUSED = /\[emerg\]/g;

interface Storm {
  readonly gateway: ProbedGateway;
  readonly tlsPort: number;
  readonly clients: readonly TalkingClient[];
}

async function startStorm(t: TestContext): Promise<Storm> {
  const tlsPort = await freePort();
  const { cert, key } = await selfSignedCertificate();
  const wish: ProbedGatewayWish = {
    workers: WORKERS,
    events: `worker_connections ${4 * TUNNELS + 100};`,
    server: serverOf(tlsPort, 0),
    files: { 'own.crt': cert, 'own.key': key },
  };
  const gateway = await ProbedGateway.start(t, wish);
  const clients: TalkingClient[] = [];
  while (clients.length < TUNNELS) {
    const batch = Array.from({ length: Math.min(AT_ONCE, TUNNELS - clients.length) }, (_, index) => {
      const url = index % 2 === 0 ? `ws://127.0.0.1:${gateway.port}` : `wss://127.0.0.1:${tlsPort}`;
      return TalkingClient.to(t, `${url}/alive/`, { ca: cert, perMessageDeflate: false });
    });
    clients.push(...(await Promise.all(batch)));
  }
  return { gateway, tlsPort, clients };
}

function serverOf(tlsPort: number, label: number): string {
  return `
    listen 127.0.0.1:${tlsPort} ssl; ssl_certificate own.crt; ssl_certificate_key own.key;
    location = /label { return 200 ${label}; }
    location /label/${label} { proxy_pass http://127.0.0.1:1; ${PASS_UPGRADE} }`;
}

/** Sends HUP so often, and waits until the configuration is that of the label and nobody uses an older one. */
async function reloads({ gateway, tlsPort }: Storm, label: number, times: number): Promise<void> {
  const { sockgate } = gateway;
  sockgate.configure(gateway.configuration({ server: serverOf(tlsPort, label) }));
  for (let sent = 0; sent < times; sent++) sockgate.signal('SIGHUP');
  await until(`the configuration ${label}`, async () => (await labelOf(gateway)) === `${label}`);
}

async function labelOf({ port }: ProbedGateway): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/label`, { headers: { connection: 'close' } });
  return answer.text();
}

/** Sends HUP with something that is refused, and waits until the log says that it is. */
async function isRefused({ gateway }: Storm, spoil: () => void, mend: () => void): Promise<void> {
  const { sockgate } = gateway;
  const before = sockgate.count(REFUSED);
  spoil();
  sockgate.signal('SIGHUP');
  await until('the refusal', () => sockgate.count(REFUSED) > before);
  mend();
}

async function allAnswer({ clients }: Storm, words: string): Promise<void> {
  for (let first = 0; first < clients.length; first += AT_ONCE) {
    const answers = await Promise.all(clients.slice(first, first + AT_ONCE).map((client) => client.ask(words)));
    assert.deepEqual(new Set(answers), new Set([words]));
  }
}

test(`${TUNNELS} tunnels, half of them over TLS, outlive ${RELOADS} reloads, of which a third is refused; nothing is left of them`, async (t) => {
  const storm = await startStorm(t);
  const { gateway, tlsPort } = storm;
  const { sockgate } = gateway;
  const { cert } = await selfSignedCertificate();
  const certificate = join(sockgate.prefix, 'own.crt');
  const kept = { memory: 0, sockets: 0, threads: 0 };
  const gone = sockgate.count(GONE);
  let label = 0;
  for (let reload = 0; reload < RELOADS; reload++) {
    const good = gateway.configuration({ server: serverOf(tlsPort, label) });
    const restore = () => sockgate.configure(good);
    if (reload % 6 === 1) await isRefused(storm, () => sockgate.configure(`${good} no_such_directive on;`), restore);
    else if (reload % 6 === 4)
      await isRefused(
        storm,
        () => rmSync(certificate),
        () => writeFileSync(certificate, cert),
      );
    else await reloads(storm, ++label, reload % 6 === 2 ? 2 : 1);
    assert.equal(await labelOf(gateway), `${label}`);
    if (reload % 5 === 0) await allAnswer(storm, `after reload ${reload}`);
    if (reload === Math.floor(RELOADS / 4)) Object.assign(kept, measured(gateway));
  }
  await allAnswer(storm, 'after all');
  // Two HUPs at once may have been one reload.
  await until('the old configurations to go', () => sockgate.count(GONE) - gone >= WORKERS * label);
  const now = measured(gateway);
  t.diagnostic(`memory ${now.memory - kept.memory} bytes, ${now.sockets} sockets, ${now.threads} threads`);
  assert.ok(now.memory - kept.memory < FLAT, `memory has grown by ${now.memory - kept.memory} bytes`);
  await until('as many threads as before', () => measured(gateway).threads <= kept.threads);
  await until('as many sockets as before', () => gateway.sockets <= kept.sockets);
  for (const { socket } of storm.clients) {
    assert.equal(socket.readyState, socket.OPEN);
    socket.terminate();
  }
  await gateway.alive(/\[emerg\]/);
});

function measured(gateway: ProbedGateway) {
  const { memory, sockets, sockgate } = gateway;
  return { memory, sockets, threads: readdirSync(`/proc/${sockgate.pid}/task`).length };
}
