// The real command with probes: whether it is alive, how many sockets it has open, how much memory it takes, what its log complains of.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { WsPeer } from '../clients/ws-peer.ts';
import { bestOf } from '../support/best-of.ts';
import { freePort } from '../support/free-port.ts';
import { ask } from '../support/raw-http.ts';
import { type Sockgate, startSockgate } from '../support/start-sockgate.ts';
import { TalkingClient } from '../support/talking-client.ts';
import { until } from '../support/until.ts';
import { RawClient } from './raw-client.ts';

export interface ProbedGatewayWish {
  /** What stands in `server`. `location /alive/` and `location = /alive` are there already. */
  readonly server?: string;
  /** What stands in `http` before it. */
  readonly http?: string;
  /** What stands before `events`. */
  readonly main?: string;
  /** What stands in `events`. */
  readonly events?: string;
  /** Default: 1. */
  readonly workers?: number;
  /** Default: `access_log logs/access.log` */
  readonly accessLog?: string;
  /** More files of the prefix. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** The lines of a location that hand WebSockets on. */
export const PASS_UPGRADE =
  'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';

/** "Alive" means an answer within this time, in ms. */
const PROMPT = 1000;
/** ms within which everything that a fault has left must be gone. */
const SETTLING = 20_000;

/** The system counts CPU time in steps of so many ms. */
const TIME_GRAIN = 10;

/** @param stat of a process or a thread */
function timeIn(stat: string): number {
  const fields = stat.split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TIME_GRAIN;
}

export class ProbedGateway {
  readonly sockgate: Sockgate;
  readonly port: number;
  readonly #t: TestContext;
  readonly #wish: ProbedGatewayWish;
  readonly #echo: WsPeer;
  #sockets = 0;
  /** The system's number of its first worker's thread. */
  #worker: string | undefined = undefined;

  private constructor(t: TestContext, sockgate: Sockgate, port: number, echo: WsPeer, wish: ProbedGatewayWish) {
    this.#t = t;
    this.#wish = wish;
    this.sockgate = sockgate;
    this.port = port;
    this.#echo = echo;
  }

  static async start(t: TestContext, wish: ProbedGatewayWish): Promise<ProbedGateway> {
    const echo = await WsPeer.start(t);
    const port = await freePort();
    const conf = configuration(wish, port, echo.port);
    const started = { conf, files: wish.files ?? {}, env: wish.env ?? {} };
    const gateway = new ProbedGateway(t, await startSockgate(t, started), port, echo, wish);
    gateway.#sockets = gateway.sockets;
    await gateway.#answersWell();
    return gateway;
  }

  /** The configuration that it was started with, perhaps with some other wishes: to be loaded anew. */
  configuration(wish: Partial<ProbedGatewayWish> = {}): string {
    return configuration({ ...this.#wish, ...wish }, this.port, this.#echo.port);
  }

  /** Sockets of the process, listening ones and connections. */
  get sockets(): number {
    return this.#descriptors().filter((target) => target.startsWith('socket:')).length;
  }

  /** Resident memory in bytes. */
  get memory(): number {
    return Number(/VmRSS:\s*(\d+)/.exec(this.#proc('status'))?.[1]) * 1024;
  }

  /** CPU time of the process so far, in ms. */
  get cpu(): number {
    return timeIn(this.#proc('stat'));
  }

  /**
   * Echoes one message. @returns the ms of it, except those in which the worker that serves was not at work: what the machine took away
   * from it, or from us, holds nobody else up
   */
  async timeEcho(client: TalkingClient): Promise<number> {
    const [began, worked] = [performance.now(), this.#workerTime()];
    assert.equal(await client.ask('tick'), 'tick');
    return Math.min(performance.now() - began, this.#workerTime() - worked + TIME_GRAIN);
  }

  /** CPU time of the one worker so far, in ms. */
  #workerTime(): number {
    this.#worker ??= /start worker process (\d+)/.exec(this.sockgate.errorLog())?.[1];
    return timeIn(this.#proc(`task/${this.#worker}/stat`));
  }

  client(): Promise<RawClient> {
    return RawClient.to(this.#t, this.port);
  }

  /** Sends bytes on a connection of its own. */
  async sends(bytes: string | Uint8Array): Promise<RawClient> {
    const client = await this.client();
    client.send(bytes);
    return client;
  }

  /** `GET path` with keep-alive. */
  get(path: string): Promise<RawClient> {
    return this.sends(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  }

  echo(path = '/alive/'): Promise<TalkingClient> {
    return TalkingClient.to(this.#t, `ws://127.0.0.1:${this.port}${path}`, { perMessageDeflate: false });
  }

  /**
   * Same process, a fresh echo and a GET within a second, sockets back to where they were at the start, nothing uncaught in the log.
   * @param complaints what the log may say at [alert], [crit] and [emerg], and standard error at all
   */
  async alive(complaints: RegExp = /^$/): Promise<void> {
    await this.#answersWell();
    await until(
      `${this.#sockets} sockets again, not ${this.sockets}`,
      () => this.sockets <= this.#sockets,
      SETTLING,
    ).catch((error: Error) => assert.fail(`${error.message}; there are ${this.sockets}`));
    const complained = this.sockgate
      .errorLog()
      .split('\n')
      .filter((line) => /\[(?:alert|crit|emerg)\]/.test(line) && !complaints.test(line))
      // A port that was free may be somebody's for a moment when it is bound.
      .filter((line) => !line.includes('bind() to'));
    assert.deepEqual(complained, []);
    const cried = this.sockgate.stderr.split('\n').filter((line) => line !== '' && !complaints.test(line));
    assert.deepEqual(
      cried.filter((line) => !line.includes('bind() to')),
      [],
    );
  }

  async #answersWell(): Promise<void> {
    const took = await bestOf(PROMPT, () => this.#timeToAnswer());
    assert.ok(took < PROMPT, `an echo and a GET took ${took.toFixed(0)} ms`);
  }

  async #timeToAnswer(): Promise<number> {
    const began = performance.now();
    const client = await this.echo();
    assert.equal(await client.ask('are you there?'), 'are you there?');
    client.socket.terminate();
    assert.equal((await ask(this.port, 'GET /alive')).status, 200);
    return performance.now() - began;
  }

  #descriptors(): string[] {
    const folder = `/proc/${this.sockgate.pid}/fd`;
    return readdirSync(folder).map((name) => {
      try {
        return readlinkSync(`${folder}/${name}`);
      } catch {
        return ''; // closed meanwhile
      }
    });
  }

  #proc(file: string): string {
    return readFileSync(`/proc/${this.sockgate.pid}/${file}`, 'latin1');
  }
}

function configuration(wish: ProbedGatewayWish, port: number, echoPort: number): string {
  return `
worker_processes ${wish.workers ?? 1};
${wish.main ?? ''}
events { ${wish.events ?? ''} }
http {
    ${wish.accessLog ?? 'access_log logs/access.log;'}
    ${wish.http ?? ''}
    server {
        listen 127.0.0.1:${port};
        location = /alive { return 200 alive; }
        location /alive/ { proxy_pass http://127.0.0.1:${echoPort}; ${PASS_UPGRADE} }
        ${wish.server ?? ''}
    }
}
`;
}
