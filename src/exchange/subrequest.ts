// A request that we ask ourselves on behalf of another one, whose answer is for us alone: auth_request.
// https://nginx.org/en/docs/dev/development_guide.html#http_subrequests

import { RequestHead } from '../http1/request-head.ts';
import { NowhereChannel } from '../transport/nowhere-channel.ts';
import type { BodySink, ClientEnd, ClientLink, ClientWatcher } from './client-link.ts';
import type { Exchange } from './exchange.ts';
import { PENDING, type Verdict } from './verdict.ts';

/**
 * Asks for a URI of the exchange's own server, as a GET with the client's fields and without its body, whatever that was; an upgrade
 * is never asked for. The variables that have been set are shared. No access is checked, and the body of the answer is thrown away.
 * @param done told of the exchange with its answer; its verdict is that of the exchange that asks
 * @returns `done`'s verdict where the answer was there at once, else PENDING: the exchange goes on when it has come
 */
export function askSubrequest(parent: Exchange, uri: string, done: (answered: Exchange) => Verdict): Verdict {
  return new Subrequest(parent, done).start(uri);
}

/** To the exchange that is asked, it is the client; to the one that asks, it is who wants to hear of the client. */
class Subrequest implements ClientLink, ClientWatcher {
  readonly channel: NowhereChannel;
  keepAlive = true;
  readonly #parent: Exchange;
  readonly #exchange: Exchange;
  readonly #done: (answered: Exchange) => Verdict;
  /** The answer came before `start` returned. */
  #isStarting = true;
  #isOver = false;
  /** The client has gone: nobody waits for the answer any more. */
  #isGivenUp = false;

  constructor(parent: Exchange, done: (answered: Exchange) => Verdict) {
    this.#parent = parent;
    this.#done = done;
    this.channel = new NowhereChannel(parent.link.channel);
    this.#exchange = parent.subrequest(this, withoutBody(parent.head));
  }

  start(uri: string): Verdict {
    const parent = this.#parent;
    this.#exchange.uri = uri;
    parent.watcher = this;
    parent.pipeline.startInternal(this.#exchange);
    this.#isStarting = false;
    return this.#isOver ? this.#done(this.#exchange) : PENDING;
  }

  // From the exchange that is asked.

  exchangeDone(): void {
    const exchange = this.#exchange;
    this.#isOver = true;
    this.#parent.watcher = undefined;
    if (exchange.location.logSubrequest) for (const log of exchange.location.log) log(exchange);
    if (!this.#isStarting && !this.#isGivenUp) this.#parent.resume(this.#done(exchange));
  }

  abort(): void {
    this.exchangeDone();
  }

  get id(): number {
    return this.#parent.link.id;
  }
  get requests(): number {
    return this.#parent.link.requests;
  }
  get acceptedAt(): number {
    return this.#parent.link.acceptedAt;
  }
  get clientAddress(): string {
    return this.#parent.link.clientAddress;
  }
  get clientPort(): number {
    return this.#parent.link.clientPort;
  }
  get ends(): ClientEnd {
    return this.#parent.link.ends;
  }
  get pipelined(): boolean {
    return this.#parent.link.pipelined;
  }

  actFor(address: string, port: number): void {
    this.#parent.link.actFor(address, port);
  }

  readBody(sink: BodySink): void {
    sink.bodyEnd();
  }

  handOver(): Buffer {
    throw new TypeError('a subrequest has no connection to hand over');
  }

  settleKeepAlive(): void {}
  sendIsBlocked(): void {}
  pauseBody(): void {}
  resumeBody(): void {}
  sendContinue(): void {}

  // From the client of the exchange that asks.

  clientGone(): void {
    const exchange = this.#exchange;
    if (exchange.finished) return;
    this.#isGivenUp = true;
    exchange.aborted = true;
    exchange.finished = true;
    exchange.clientLeft();
  }

  /** Whoever answers knows whether that is a reason to give up. */
  clientEnded(): void {
    this.#isGivenUp = true;
    this.#exchange.watcher?.clientEnded();
    this.#isGivenUp = this.#exchange.finished;
    if (!this.#isGivenUp) return;
    this.#parent.status = CLIENT_CLOSED;
    this.#parent.cutShort();
  }

  clientDrain(): void {}
  clientBlocked(): void {}
}

/** nginx's status for a client that did not wait. */
const CLIENT_CLOSED = 499;

function withoutBody(head: RequestHead): RequestHead {
  const alone = { contentLength: -1, chunked: false, connectionUpgrade: false, upgrade: '', expectContinue: false };
  return Object.assign(new RequestHead(), head, alone);
}
