// Ten reloads under a thousand live tunnels and a stream of requests: not one byte is lost or changed, not one request fails.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { ask } from '../support/raw-http.ts';
import { until } from '../support/until.ts';
import { answerFrames, LiveSide } from './live-tunnel.ts';
import { PASS_UPGRADE, ProbedGateway } from './probed-gateway.ts';
import type { RawClient } from './raw-client.ts';
import { scriptedPeer } from './scripted-peer.ts';

/** SOCKGATE_TUNNELS asks for more or fewer. */
const TUNNELS = Number(process.env['SOCKGATE_TUNNELS'] ?? 1000);
const RELOADS = 10;
const WORKERS = 2;
/** ms between a frame that has come back and the next one, about. */
const PACE = 250;
/** Tunnels that are opened at the same time. */
const AT_ONCE = 50;

/** Sends a frame, and the next one some time after its answer, until `stopped`. */
class Talk {
  readonly client: RawClient;
  readonly side: LiveSide;
  stopped = false;
  timer: NodeJS.Timeout | undefined = undefined;

  constructor(client: RawClient, tunnel: number) {
    this.client = client;
    this.side = new LiveSide(client.socket, tunnel, true);
    client.keeps = false;
    this.side.onFrame = () => this.#answered();
    client.socket.on('data', (bytes: Buffer) => this.side.take(bytes));
    this.side.send();
  }

  /** All that was asked has been answered. */
  get isQuiet(): boolean {
    return this.side.received === this.side.sent;
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  #answered(): void {
    if (!this.stopped) this.timer = setTimeout(() => this.side.send(), PACE * (0.5 + Math.random()));
  }
}

async function openTalks(gateway: ProbedGateway): Promise<Talk[]> {
  const talks: Talk[] = [];
  while (talks.length < TUNNELS) {
    const batch = Array.from({ length: Math.min(AT_ONCE, TUNNELS - talks.length) }, async (_, index) => {
      const tunnel = talks.length + index;
      return new Talk(await (await gateway.client()).upgrade(`/live/${tunnel}`), tunnel);
    });
    talks.push(...(await Promise.all(batch)));
  }
  return talks;
}

test(`${TUNNELS} live tunnels survive ${RELOADS} reloads under ${WORKERS} workers without one lost or changed byte`, async (t) => {
  const sides: LiveSide[] = [];
  const peer = await scriptedPeer(t, (connection) =>
    connection.onUpgrade((upgraded) => sides.push(answerFrames(upgraded))),
  );
  const server = (label: number): string => `
    location /live/ { proxy_pass http://127.0.0.1:${peer.port}; ${PASS_UPGRADE} }
    location = /label { return 200 ${label}; }`;
  const events = `worker_connections ${2 * TUNNELS + 100};`;
  const gateway = await ProbedGateway.start(t, { workers: WORKERS, events, server: server(0) });
  const talks = await openTalks(gateway);
  t.after(() => {
    for (const talk of talks) talk.stop();
  });
  const requests = new Requests(gateway.port);

  for (let reload = 1; reload <= RELOADS; reload++) {
    const before = talks.reduce((sum, { side }) => sum + side.received, 0);
    await gateway.sockgate.reload(gateway.configuration({ server: server(reload) }), WORKERS);
    assert.equal((await ask(gateway.port, 'GET /label')).text, String(reload));
    await until(
      'traffic in the tunnels',
      () => talks.reduce((sum, { side }) => sum + side.received, 0) > before + TUNNELS,
    );
  }

  await requests.stop();
  for (const talk of talks) talk.stop();
  await until('all that was sent to be answered', () => talks.every(({ isQuiet, client }) => isQuiet || client.ended));
  assert.deepEqual([...talks.map(({ side }) => side), ...sides].map(({ fault }) => fault).filter(Boolean), []);
  assert.equal(talks.filter(({ client }) => client.ended || client.closed).length, 0);
  assert.equal(sides.length, TUNNELS);
  assert.deepEqual(requests.failures, []);
  const frames = talks.reduce((sum, { side }) => sum + side.sent + side.received, 0);
  t.diagnostic(`${frames} frames, ${requests.answered} requests`);
  for (const { client } of talks) client.socket.destroy();
  await gateway.alive();
});

/** One request after the other, each on a connection of its own. */
class Requests {
  readonly failures: string[] = [];
  answered = 0;
  readonly #port: number;
  #stopped = false;
  readonly #over: Promise<void>;

  constructor(port: number) {
    this.#port = port;
    this.#over = this.#run();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    return this.#over;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const { status, whole } = await ask(this.#port, 'GET /label');
      if (status === 200) this.answered++;
      else this.failures.push(whole === '' ? 'closed without an answer' : whole);
      await wait(5);
    }
  }
}
