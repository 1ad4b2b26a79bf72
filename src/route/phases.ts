// nginx's phases in nginx's order: post-read, rewrite, find the location, rewrite, preaccess, access, precontent, content.
// https://nginx.org/en/docs/dev/development_guide.html#http_phases

import { MatchTimeout } from '../config/bounded-regexp.ts';
import type { Exchange, Pipeline, RefusalCause, TunnelTrace } from '../exchange/exchange.ts';
import type { ErrorPage, Handler, LocationSettings } from '../exchange/settings.ts';
import { ALLOWED, DECLINED, DONE, PENDING, type Verdict } from '../exchange/verdict.ts';
import { Headers } from '../http1/headers.ts';
import { ConnectionCounts } from '../zones/connection-counts.ts';
import { refuseLater } from './auth-delay.ts';

const POST_READ = 0;
const SERVER_REWRITE = 1;
const FIND_LOCATION = 2;
const REWRITE = 3;
const PREACCESS = 4;
const ACCESS = 5;
const PRECONTENT = 6;
const CONTENT = 7;

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
  tunnelResumed(tunnel: TunnelTrace): void;
  handshakeRefused(cause: RefusalCause): void;
}

/** Statuses after which nginx does not trust the rest of the connection. */
const ENDS_CONNECTION = new Set([400, 413, 414, 494, 495, 496, 497, 500, 501, 505]);
/** Refusals that another handler of the access phase may outweigh. */
const DENIALS = new Set([401, 403, 407]);
/** Refusals that ask for a password: `auth_delay` holds them back. */
const CHALLENGES = new Set([401, 407]);
/** What an error's own fields in the answer are, which stay although a page is sent in its stead. */
const KEPT_WITH_PAGE = ['www-authenticate', 'proxy-authenticate', 'location', 'upgrade', 'sec-websocket-version'];
/** How long the whole is goes with the refusal of a range alone (RFC 9110 14.4). */
const KEPT_WITH_416 = [...KEPT_WITH_PAGE, 'content-range'];
const REDIRECT_STATUSES = new Set([301, 302, 303, 307, 308]);

export class Phases implements Pipeline {
  /** Of the gateway that these phases are part of. */
  connectionCounts = ConnectionCounts.alone();
  readonly #ends: PhaseEnds;

  constructor(ends: PhaseEnds) {
    this.#ends = ends;
  }

  /** Takes a new exchange, whose server and URI are known, through its phases. */
  start(exchange: Exchange): void {
    exchange.phase = POST_READ;
    exchange.handler = 0;
    this.#run(exchange);
  }

  /** Takes an exchange that has another URI now, or one that we ask ourselves, through its phases. */
  startInternal(exchange: Exchange): void {
    exchange.isInternal = true;
    exchange.uriIsOriginal = false;
    exchange.uriLeftLocation = false;
    exchange.accessStatus = 0;
    exchange.location = exchange.server.outside;
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

  tunnelResumed(tunnel: TunnelTrace): void {
    this.#ends.tunnelResumed(tunnel);
  }

  handshakeRefused(cause: RefusalCause): void {
    this.#ends.handshakeRefused(cause);
  }

  redirect(exchange: Exchange, uri: string, args: string): void {
    if (!this.#mayChangeUri(exchange, `while internally redirecting to "${uri}"`)) return;
    exchange.uri = uri;
    exchange.args = args;
    exchange.argsTaken = false;
    this.startInternal(exchange);
  }

  redirectToNamed(exchange: Exchange, name: string): void {
    if (!this.#mayChangeUri(exchange, `while redirect to named location "${name}"`)) return;
    const location = exchange.server.locations.named(name);
    if (location === undefined) {
      exchange.log('error', `could not find named location "${name}"`);
      this.fail(exchange, 500);
      return;
    }
    exchange.isInternal = true;
    exchange.uriChanged = false;
    exchange.accessStatus = 0;
    this.#enter(exchange, location);
    this.#run(exchange);
  }

  /** An expression that took too long has said neither yes nor no: nothing is decided by it. */
  #run(exchange: Exchange): void {
    try {
      this.#runPhases(exchange);
    } catch (error) {
      if (!(error instanceof MatchTimeout) || exchange.headSent) throw error;
      exchange.log('error', error.message);
      this.fail(exchange, 500);
    }
  }

  #runPhases(exchange: Exchange): void {
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
    if (exchange.phase === ACCESS) return this.#obeyAccess(exchange, verdict);
    if (verdict === DONE) return this.#nextPhase(exchange, true);
    this.fail(exchange, verdict);
    return false;
  }

  /** `satisfy all`: each handler can refuse. `satisfy any`: one that allows outweighs the others; a 401 is remembered before a 403. */
  #obeyAccess(exchange: Exchange, verdict: Verdict): boolean {
    const { satisfyAny } = exchange.location;
    if (verdict === ALLOWED) return satisfyAny ? this.#passAccess(exchange) : true;
    if (verdict === DONE) return this.#nextPhase(exchange);
    if (!(satisfyAny && DENIALS.has(verdict))) return this.#refuse(exchange, verdict);
    if (!CHALLENGES.has(exchange.accessStatus)) exchange.accessStatus = verdict;
    return true;
  }

  #passAccess(exchange: Exchange): boolean {
    exchange.accessStatus = 0;
    exchange.answer.remove('www-authenticate');
    return this.#nextPhase(exchange);
  }

  /** @returns false: the phases do not go on */
  #refuse(exchange: Exchange, status: number): boolean {
    exchange.accessStatus = 0;
    if (!CHALLENGES.has(status) || exchange.location.authDelay === 0) this.fail(exchange, status);
    else refuseLater(exchange, status);
    return false;
  }

  #nextPhase(exchange: Exchange, answered = false): boolean {
    switch (exchange.phase) {
      case REWRITE:
        if (exchange.uriChanged) return this.#findAgain(exchange);
        break;
      case ACCESS:
        if (exchange.accessStatus !== 0) return this.#refuseAccess(exchange);
        break;
      case CONTENT:
        if (!answered) this.fail(exchange, 404);
        return false;
      default:
    }
    exchange.phase++;
    exchange.handler = 0;
    return true;
  }

  /** Nobody has allowed (`satisfy any`). */
  #refuseAccess(exchange: Exchange): boolean {
    if (exchange.accessStatus === 403) exchange.log('error', 'access forbidden by rule');
    return this.#refuse(exchange, exchange.accessStatus);
  }

  /** The rewrite phase has changed the URI. */
  #findAgain(exchange: Exchange): boolean {
    exchange.location = exchange.server.outside;
    if (!this.#mayChangeUri(exchange, `while processing "${exchange.uri}"`)) return false;
    exchange.phase = FIND_LOCATION;
    exchange.handler = 0;
    return true;
  }

  #findLocation(exchange: Exchange): boolean {
    exchange.uriChanged = false;
    const location = exchange.server.locations.find(exchange, exchange.uri);
    this.#enter(exchange, location ?? exchange.server.outside);
    if (location === undefined) return true;
    return this.#admit(exchange, location);
  }

  /** Makes a location the exchange's own, from its rewrite phase on. */
  #enter(exchange: Exchange, location: LocationSettings): void {
    const { limitExcept } = location;
    const isLimited = limitExcept !== undefined && !limitExcept.methods.has(exchange.method);
    exchange.location = isLimited ? limitExcept.otherwise : location;
    exchange.phase = REWRITE;
    exchange.handler = 0;
  }

  /** What is checked as soon as the location is known, before any of its handlers. */
  #admit(exchange: Exchange, location: LocationSettings): boolean {
    if (location.internal && !exchange.isInternal) {
      this.fail(exchange, 404);
      return false;
    }
    const { contentLength } = exchange.head;
    const most = location.clientMaxBodySize;
    if (most > 0 && contentLength > most && !isAnsweringError(exchange)) {
      exchange.setNote(BODY_REFUSED, true);
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
    const kept = copyOf(exchange.answer, exchange.errorStatus === 416 ? KEPT_WITH_416 : KEPT_WITH_PAGE);
    exchange.forgetAnswer();
    for (let i = 0; i < kept.length; i++) exchange.answer.addFrom(kept, i);
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

  #mayChangeUri(exchange: Exchange, occasion: string): boolean {
    exchange.redirects++;
    if (exchange.redirects <= MAX_REDIRECTS) return true;
    exchange.log('error', `rewrite or internal redirection cycle ${occasion}`);
    this.fail(exchange, 500);
    return false;
  }
}

const BODY_REFUSED = Symbol('its body is too large, which has been said');

/** Of an error's page nothing depends on the body: it is thrown away. */
function isAnsweringError(exchange: Exchange): boolean {
  return exchange.errorPageUsed || exchange.errorStatus !== 0 || exchange.note(BODY_REFUSED) === true;
}

function copyOf(answer: Headers, names: readonly string[]): Headers {
  const kept = new Headers();
  for (let i = 0; i < answer.length; i++) if (names.includes(answer.lowerNameAt(i))) kept.addFrom(answer, i);
  return kept;
}

const NONE: readonly Handler[] = [];

function handlersOf(exchange: Exchange): readonly Handler[] {
  const { location } = exchange;
  switch (exchange.phase) {
    case POST_READ:
      return exchange.server.postRead;
    case SERVER_REWRITE:
      return exchange.server.rewrite;
    case REWRITE:
      return location.rewrite;
    case PREACCESS:
      return location.preaccess;
    case ACCESS:
      return exchange.parent === undefined ? location.access : NONE;
    case PRECONTENT:
      return location.precontent;
    case CONTENT:
      return location.content;
    default:
      return NONE;
  }
}
