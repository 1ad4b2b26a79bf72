// A gateway to be attacked: before a backend that keeps every byte, with a way to see that it has survived.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { WebSocketServer } from 'ws';
import { onOwnerFault } from '../../src/transport/owner-fault.ts';
import { bestOf } from '../support/best-of.ts';
import { gatewayFromConfig, type RunningGateway } from '../support/gateway-from-config.ts';
import { RawClient, sendAlone } from '../support/raw-client.ts';
import { type Backend, type Behaviour, startBackend } from '../support/recording-backend.ts';
import { TalkingClient } from '../support/talking-client.ts';

export interface AttackWish {
  /** What stands in `server`; `http://backend` is the backend, whose connections are kept. Default: everything goes to it. */
  readonly server?: string;
  /** What stands in `http`, before `server`. */
  readonly http?: string;
  readonly behaviour?: Behaviour;
  readonly files?: Readonly<Record<string, string | Buffer>>;
}

/** "Alive" means an answer and an echo within this time, in ms. */
const PROMPT = 1000;

export const UPGRADE = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';

export class AttackedGateway {
  readonly gateway: RunningGateway;
  readonly backend: Backend;
  readonly #t: TestContext;
  /** What owners of channels threw. */
  readonly #faults: unknown[] = [];

  constructor(t: TestContext, gateway: RunningGateway, backend: Backend) {
    this.#t = t;
    const before = onOwnerFault((fault) => this.#faults.push(fault));
    t.after(() => onOwnerFault(before));
    this.gateway = gateway;
    this.backend = backend;
  }

  get port(): number {
    return this.gateway.port('127.0.0.1:8080');
  }

  connect(): Promise<RawClient> {
    return RawClient.to(this.#t, this.port);
  }

  /** Sends bytes on a connection of their own, and reads to the end that the gateway makes. */
  send(bytes: string | Buffer): Promise<RawClient> {
    return sendAlone(this.#t, this.port, bytes);
  }

  /**
   * The same process serves a GET and a fresh WebSocket within a second, and has said nothing of faults of its own.
   * @param alert what it may say at [alert] all the same
   */
  async isAlive(alert?: RegExp): Promise<void> {
    const took = await bestOf(PROMPT, () => this.#timeToAnswer());
    assert.ok(took < PROMPT, `it takes its time: ${took} ms`);
    const faults = this.gateway.lines().filter((line) => /\[(?:alert|emerg)\]|uncaught|unexpected fault/.test(line));
    const unexpected = faults.filter((line) => alert?.test(line) !== true);
    assert.deepEqual([...unexpected, ...this.#faults], []);
  }

  async #timeToAnswer(): Promise<number> {
    const began = performance.now();
    const { text } = await this.send('GET /alive HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    assert.match(text, /^HTTP\/1\.1 200 .*\r\n\r\nalive$/s);
    const client = await TalkingClient.to(this.#t, `ws://127.0.0.1:${this.port}/alive/echo`);
    assert.equal(await client.ask('alive?'), 'alive?');
    client.socket.close();
    assert.equal((await client.closed).code, 1005);
    return performance.now() - began;
  }
}

export async function attackedGateway(t: TestContext, wish: AttackWish = {}): Promise<AttackedGateway> {
  const backend = await startBackend(t, wish.behaviour);
  const echo = await startEcho(t);
  const http = `
    access_log logs/access.log;
    upstream backend { server ${backend.address}; }
    ${wish.http ?? ''}
    server {
        listen 127.0.0.1:8080;
        location = /alive { return 200 alive; }
        location = /alive/echo { proxy_pass http://127.0.0.1:${echo}; ${UPGRADE} }
        ${wish.server ?? 'location / { proxy_pass http://backend; }'}
    }`;
  const gateway = await gatewayFromConfig({ http, files: wish.files ?? {} });
  t.after(() => gateway.stop());
  return new AttackedGateway(t, gateway, backend);
}

async function startEcho(t: TestContext): Promise<number> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  server.on('connection', (socket) =>
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })),
  );
  t.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
