// nginx's phases in nginx's order: rewrite, find the location, rewrite, preaccess, access, precontent, content.
// https://nginx.org/en/docs/dev/development_guide.html#http_phases

import type { Exchange, Pipeline, TunnelTrace } from '../exchange/exchange.ts';
import type { ErrorPage, Handler, LocationSettings } from '../exchange/settings.ts';
import { DECLINED, DONE, PENDING, type Verdict } from '../exchange/verdict.ts';

const SERVER_REWRITE = 0;
const FIND_LOCATION = 1;
const REWRITE = 2;
const PREACCESS = 3;
const ACCESS = 4;
const PRECONTENT = 5;
const CONTENT = 6;

/** nginx's NGX_HTTP_MAX_URI_CHANGES. */
const MAX_REDIRECTS = 10;

/** What the phases need from those above them. */
export interface PhaseEnds {
  /** Answers with a page of our own: no `error_page` is for this status. */
  answerStatus(exchange: Exchange, status: number): void;
  /** Answers with a redirect to an absolute URL or to a path. */
  answerRedirect(exchange: Exchange, status: number, target: string): void;
  handedOver(exchange: Exchange, tunnel: TunnelTrace): void;
  ended(exchange: Exchange, tunnel: TunnelTrace): void;
}

/** Statuses after which nginx does not trust the rest of the connection. */
const ENDS_CONNECTION = new Set([400, 413, 414, 494, 495, 496, 497, 500, 501, 505]);
const REDIRECT_STATUSES = new Set([301, 302, 303, 307, 308]);

export class Phases implements Pipeline {
  readonly #ends: PhaseEnds;

  constructor(ends: PhaseEnds) {
    this.#ends = ends;
  }

  /** Takes a new exchange, whose server and URI are known, through its phases. */
  start(exchange: Exchange): void {
    exchange.phase = SERVER_REWRITE;
    exchange.handler = 0;
    this.#run(exchange);
  }

  resume(exchange: Exchange, verdict: Verdict): void {
    if (exchange.finished) return;
    if (this.#obey(exchange, verdict)) this.#run(exchange);
  }

  fail(exchange: Exchange, status: number): void {
    if (exchange.finished) return;
    if (exchange.headSent) {
      exchange.cutShort();
      return;
    }
    exchange.errorStatus = status;
    if (ENDS_CONNECTION.has(status)) exchange.link.keepAlive = false;
    const page = this.#errorPage(exchange, status);
    if (page === undefined) this.#ends.answerStatus(exchange, status);
    else this.#sendErrorPage(exchange, page);
  }

  handedOver(exchange: Exchange, tunnel: TunnelTrace): void {
    this.#ends.handedOver(exchange, tunnel);
  }

  ended(exchange: Exchange, tunnel: TunnelTrace): void {
    this.#ends.ended(exchange, tunnel);
  }

  redirect(exchange: Exchange, uri: string, args: string): void {
    if (!this.#mayRedirect(exchange, uri)) return;
    exchange.uri = uri;
    exchange.args = args;
    exchange.uriIsOriginal = false;
    exchange.isInternal = true;
    exchange.location = exchange.server.outside;
    this.start(exchange);
  }

  /** Goes on in a named location, with the URI as it is. */
  redirectToNamed(exchange: Exchange, name: string): void {
    if (!this.#mayRedirect(exchange, name)) return;
    const location = exchange.server.locations.named(name);
    if (location === undefined) {
      exchange.log('error', `could not find named location "${name}"`);
      this.fail(exchange, 500);
      return;
    }
    exchange.isInternal = true;
    exchange.location = location;
    exchange.phase = REWRITE;
    exchange.handler = 0;
    this.#run(exchange);
  }

  #run(exchange: Exchange): void {
    for (;;) {
      if (exchange.phase === FIND_LOCATION && !this.#findLocation(exchange)) return;
      const handlers = handlersOf(exchange);
      if (exchange.handler >= handlers.length) {
        if (!this.#nextPhase(exchange)) return;
        continue;
      }
      const handler = handlers[exchange.handler++] as Handler;
      if (!this.#obey(exchange, handler(exchange))) return;
    }
  }

  /** @returns whether the phases go on now */
  #obey(exchange: Exchange, verdict: Verdict): boolean {
    if (verdict === DECLINED) return true;
    if (verdict === PENDING) return false;
    if (verdict === DONE) return this.#nextPhase(exchange, true);
    this.fail(exchange, verdict);
    return false;
  }

  #nextPhase(exchange: Exchange, answered = false): boolean {
    if (exchange.phase === CONTENT) {
      if (!answered) this.fail(exchange, 404);
      return false;
    }
    exchange.phase++;
    exchange.handler = 0;
    return true;
  }

  #findLocation(exchange: Exchange): boolean {
    const location = exchange.server.locations.find(exchange, exchange.uri);
    exchange.location = location ?? exchange.server.outside;
    exchange.phase = REWRITE;
    exchange.handler = 0;
    if (location === undefined) return true;
    return this.#admit(exchange, location);
  }

  /** What is checked as soon as the location is known, before any of its handlers. */
  #admit(exchange: Exchange, location: LocationSettings): boolean {
    if (location.internal && !exchange.isInternal) {
      this.fail(exchange, 404);
      return false;
    }
    const { contentLength } = exchange.head;
    const most = location.clientMaxBodySize;
    if (most > 0 && contentLength > most && !exchange.isInternal) {
      exchange.log('error', `client intended to send too large body: ${contentLength} bytes`);
      this.fail(exchange, 413);
      return false;
    }
    return true;
  }

  #errorPage(exchange: Exchange, status: number): ErrorPage | undefined {
    if (exchange.errorPageUsed || exchange.redirects > MAX_REDIRECTS) return undefined;
    const { errorPages, recursiveErrorPages } = exchange.location;
    for (const page of errorPages) {
      if (!page.statuses.includes(status)) continue;
      if (!recursiveErrorPages) exchange.errorPageUsed = true;
      return page;
    }
    return undefined;
  }

  #sendErrorPage(exchange: Exchange, page: ErrorPage): void {
    if (page.overwrite !== undefined) exchange.errorStatus = page.overwrite;
    const target = page.target(exchange);
    exchange.forgetAnswer();
    if (target.startsWith('@')) this.redirectToNamed(exchange, target);
    else if (target.startsWith('/')) this.#sendPageAt(exchange, target);
    else this.#sendElsewhere(exchange, page, target);
  }

  #sendPageAt(exchange: Exchange, target: string): void {
    const question = target.indexOf('?');
    if (exchange.method !== 'HEAD') exchange.method = 'GET';
    if (question < 0) this.redirect(exchange, target, '');
    else this.redirect(exchange, target.slice(0, question), target.slice(question + 1));
  }

  #sendElsewhere(exchange: Exchange, page: ErrorPage, target: string): void {
    const status = REDIRECT_STATUSES.has(page.overwrite ?? 0) ? (page.overwrite as number) : 302;
    exchange.errorStatus = 0;
    this.#ends.answerRedirect(exchange, status, target);
  }

  #mayRedirect(exchange: Exchange, target: string): boolean {
    exchange.redirects++;
    if (exchange.redirects <= MAX_REDIRECTS) return true;
    exchange.log('error', `rewrite or internal redirection cycle while internally redirecting to "${target}"`);
    this.fail(exchange, 500);
    return false;
  }
}

const NONE: readonly Handler[] = [];

function handlersOf(exchange: Exchange): readonly Handler[] {
  const { location } = exchange;
  switch (exchange.phase) {
    case SERVER_REWRITE:
      return exchange.server.rewrite;
    case REWRITE:
      return location.rewrite;
    case PREACCESS:
      return location.preaccess;
    case ACCESS:
      return location.access;
    case PRECONTENT:
      return location.precontent;
    case CONTENT:
      return location.content;
    default:
      return NONE;
  }
}
