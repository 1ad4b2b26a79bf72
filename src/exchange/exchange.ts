// One request and its answer, from the head's last byte to the log line; and the settings that it meets on its path.

import type { ErrorLog, Level } from '../diagnostics/error-log.ts';
import { CHUNK_END, chunkHead, LAST_CHUNK, lastChunk, writeResponseHead } from '../http1/head-writer.ts';
import { Headers } from '../http1/headers.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { Resolver } from '../resolver/resolver.ts';
import type { ConnectionCounts } from '../zones/connection-counts.ts';
import { type AnswerFraming, answerHeadText, UnsafeAnswerError } from './answer-head.ts';
import { type BodyFilter, BodyFilters } from './body-filter.ts';
import type { ClientLink, ClientWatcher } from './client-link.ts';
import type { ClientManners, ClientVerification, HeadRules } from './client-manners.ts';
import type { CompressionSettings } from './compression-settings.ts';
import { gatherUntilTurnEnds } from './gathering.ts';
import type { KeptBody } from './kept-body.ts';
import type { OpenFileRule } from './open-file-rule.ts';
import { Pacer } from './pacer.ts';
import type { RefusalCause, SnapshotUse, TunnelTrace, UpstreamTrace } from './traces.ts';
import type { Verdict } from './verdict.ts';
import type { WebSocketSettings } from './websocket-settings.ts';

export type { ClientVerification } from './client-manners.ts';
export type { CompressionSettings } from './compression-settings.ts';
export type { OpenFileRule } from './open-file-rule.ts';
export type { RefusalCause, SnapshotUse, TunnelLegTrace, TunnelTrace, UpstreamTrace } from './traces.ts';
export type { WebSocketSettings } from './websocket-settings.ts';

/** What moves an exchange on from outside the path: route/phases.ts fulfils it. */
export interface Pipeline {
  /** What `stub_status` tells. */
  readonly connectionCounts: ConnectionCounts;
  /** Goes on after a handler that said PENDING. */
  resume(exchange: Exchange, verdict: Verdict): void;
  /** Answers with a status: `error_page`, else the page of last resort. */
  fail(exchange: Exchange, status: number): void;
  /** The exchange has become a tunnel: the log phase, if this shall have a line; `websocket_log`. */
  handedOver(exchange: Exchange, tunnel: TunnelTrace): void;
  /** The exchange's tunnel has ended: the log phase, if this shall have a line. */
  ended(exchange: Exchange, tunnel: TunnelTrace): void;
  /** A tunnel goes on with another peer. */
  tunnelResumed(tunnel: TunnelTrace): void;
  /** A rule of ours has refused an opening handshake. */
  handshakeRefused(cause: RefusalCause): void;
  /** Starts over with another URI (`index`, `error_page`, `X-Accel-Redirect`); nothing may have been sent yet. */
  redirect(exchange: Exchange, uri: string, args: string): void;
  /** Takes a subrequest, whose URI is set, through the phases from the server's rewrite phase on. */
  startInternal(exchange: Exchange): void;
  /** Goes on in a named location (`@name`), with the URI as it is; 500 where there is none of that name. */
  redirectToNamed(exchange: Exchange, name: string): void;
}

export class Exchange {
  readonly link: ClientLink;
  readonly head: RequestHead;
  readonly pipeline: Pipeline;
  /** ms since 1970. */
  readonly startedAt: number;

  server: ServerSettings;
  location: LocationSettings;
  /** Who asks, where this is a subrequest: its access is not checked, and its answer has no body. */
  parent: Exchange | undefined = undefined;

  /** nginx's `$request_method`: an internal redirect of `error_page` turns it into GET. */
  method: string;
  /** The URI decoded, slashes merged, dots resolved, without arguments: nginx's `$uri`, a byte string. */
  uri = '';
  /** What stands behind `?`, as sent; nginx's `$args`. */
  args = '';
  /** `rewrite` or `set` have taken the arguments away: `$args` is empty, and not without a value. */
  argsTaken = false;
  /** The URI is still, byte for byte, what the client sent: `proxy_pass` without a URI passes that on. */
  uriIsOriginal = true;
  isInternal = false;
  /** A `rewrite` has changed the URI: a location is looked for again once the rewrite phase is over. */
  uriChanged = false;
  /** A `rewrite … break` has changed the URI, so that the location's name is no part of it: `proxy_pass` passes it on whole. */
  uriLeftLocation = false;
  /** Internal redirects so far; nginx allows 10. */
  redirects = 0;
  /** Where the phases stand: an index into the list of phases, and into the handlers of that phase. */
  phase = 0;
  handler = 0;
  /** `$1` … of the last regular expression that matched, `captures[0]` the whole. */
  captures: readonly (string | undefined)[] | undefined = undefined;
  namedCaptures: Readonly<Record<string, string>> | undefined = undefined;

  /** The refusal of the access phase that stands unless another handler allows (`satisfy any`); 0: none. */
  accessStatus = 0;
  /** The answer's status; 0 as long as there is none. */
  status = 0;
  /** The error that is being answered: it becomes the answer's status, whatever its page's own was. 0: none, or `error_page … =`. */
  errorStatus = 0;
  /** An `error_page` is answering; without `recursive_error_pages` no second one does. */
  errorPageUsed = false;
  /** What a peer called its status, perhaps ''; undefined: what it is usually called. */
  reason: string | undefined = undefined;
  /** The head gets a field of ours; not one that a peer has said, or was to say. */
  addsServer = true;
  addsDate = true;
  readonly answer = new Headers();
  /** Length of the answer's body, -1 where it is not known beforehand. */
  contentLength = -1;
  /** The body may be sent in parts; a filter that makes another body of it says no. */
  allowRanges = false;
  /** Trailer fields for the end of a chunked answer. */
  trailers: Headers | undefined = undefined;
  /** Gives `trailers` what is known only at the end of the body; that there is one makes the answer chunked. */
  endTrailers: ((exchange: Exchange) => void) | undefined = undefined;
  /** Bytes in a second that the answer is sent with (nginx's `$limit_rate`); 0: without a limit; -1: as the location says. */
  limitRate = -1;
  headSent = false;
  framing: AnswerFraming = 'none';
  /** All bytes, and those behind the head, the framing of chunks included: `$bytes_sent`, `$body_bytes_sent`. */
  bytesSent = 0;
  bodyBytesSent = 0;
  finished = false;
  /** The client went before the answer was complete. */
  aborted = false;
  /** The request's body, once it has been gathered whole: `$request_body`. Closed by whoever logs the exchange. */
  requestBody: KeptBody | undefined = undefined;
  /** Bytes of the request's body that have come. */
  bodyBytesReceived = 0;
  /** Bytes of chunked framing that have come with them. */
  framingBytesReceived = 0;

  /** Whoever is answering, and wants to hear of the client. */
  watcher: ClientWatcher | undefined = undefined;
  upstreams: UpstreamTrace[] | undefined = undefined;
  /** Where proxy_pass sends it: `$proxy_host` and `$proxy_port`. */
  proxied: { readonly host: string; readonly port: string } | undefined = undefined;
  /** The head and the trailer of the peer's last answer. */
  upstreamHead: ResponseHead | undefined = undefined;
  upstreamTrailers: Headers | undefined = undefined;
  /** What it has become, from its 101 on. */
  tunnel: TunnelTrace | undefined = undefined;
  /** The count of what uses the snapshot that this exchange began under, while it does. */
  use: SnapshotUse | undefined = undefined;
  #gathering = false;
  /** The header filters have run. */
  #headPrepared = false;
  /** What the bytes of the body pass on their way to the client; undefined where there is nothing. */
  #filters: BodyFilters | undefined = undefined;
  /** Whoever answers has given all of the body; the filters have not. */
  #bodyGiven = false;
  /** The head could not be sent as it was meant: what follows of that answer is not sent either. */
  #muted = false;
  /** What is to be given back at the end. */
  #held: (() => void)[] | undefined = undefined;
  /** What modules remember for the length of the exchange, by a key of their own. */
  #notes: Map<symbol, unknown> | undefined = undefined;
  /** Values of cacheable variables, by slot; see config/template.ts. */
  variableCache: (string | undefined | null)[] | undefined = undefined;

  constructor(link: ClientLink, head: RequestHead, server: ServerSettings, pipeline: Pipeline, startedAt: number) {
    this.link = link;
    this.head = head;
    this.server = server;
    this.location = server.outside;
    this.pipeline = pipeline;
    this.method = head.method;
    this.startedAt = startedAt;
  }

  /** The server is found by a name that only the request tells. */
  enterServer(server: ServerSettings): void {
    this.server = server;
    this.location = server.outside;
  }

  /** An exchange that is asked on behalf of this one: see subrequest.ts. */
  subrequest(link: ClientLink, head: RequestHead): Exchange {
    const exchange = new Exchange(link, head, this.server, this.pipeline, Date.now());
    this.variableCache ??= [];
    this.#notes ??= new Map();
    exchange.parent = this;
    exchange.method = 'GET';
    exchange.variableCache = this.variableCache;
    exchange.namedCaptures = this.namedCaptures;
    exchange.#notes = this.#notes;
    return exchange;
  }

  note<T>(key: symbol): T | undefined {
    return this.#notes?.get(key) as T | undefined;
  }

  setNote(key: symbol, value: unknown): void {
    this.#notes ??= new Map();
    this.#notes.set(key, value);
  }

  /** `release` is called once, when the exchange has been logged: its tunnel, too, is over then. A subrequest is part of its parent. */
  whenOver(release: () => void): void {
    this.#held ??= [];
    if (this.parent === undefined) this.#held.push(release);
    else this.parent.whenOver(release);
  }

  /** It has been logged. */
  over(): void {
    const held = this.#held;
    this.#held = undefined;
    for (const release of held ?? NOTHING_HELD) release();
  }

  /** What `$status` says. */
  get statusToLog(): number {
    if (this.status !== 0) return this.status;
    return this.errorStatus === 0 ? (this.head.version === 9 ? 9 : 0) : this.errorStatus;
  }

  /**
   * Writes a line to the error log of the location, with what nginx tells of a request behind it.
   * @param upstream the peer's URL, where the matter is with an upstream
   */
  log(level: Level, message: string, upstream?: string): void {
    const { errorLog } = this.location;
    if (!errorLog.enabled(level)) return;
    const parts = [message, `client: ${this.link.clientAddress}`, `server: ${this.server.name}`];
    if (this.head.requestLine !== '') parts.push(`request: "${this.head.requestLine}"`);
    if (this.parent !== undefined) parts.push(`subrequest: "${this.uri}"`);
    if (upstream !== undefined) parts.push(`upstream: "${upstream}"`);
    if (this.head.hostHeader !== '') parts.push(`host: "${this.head.hostHeader}"`);
    errorLog.write(level, parts.join(', '), this.link.id);
  }

  /** It has become a tunnel, which may last for days: keeps only what its line in the log may need. */
  slim(): void {
    this.watcher = undefined;
    this.head.headers.trim();
    this.answer.trim();
    this.upstreamHead?.headers.trim();
  }

  resume(verdict: Verdict): void {
    this.pipeline.resume(this, verdict);
  }

  fail(status: number): void {
    // What a peer called its own status is no word for this one.
    this.reason = undefined;
    this.pipeline.fail(this, status);
  }

  /** The answer has no body whatever its head says: HEAD, 1xx, 204, 304 (RFC 9112 6.3), and what is asked by ourselves. */
  get bodiless(): boolean {
    const { status } = this;
    return this.head.method === 'HEAD' || this.parent !== undefined || status === 304 || status === 204 || status < 200;
  }

  /**
   * Lets the location's header filters run: `status`, `answer`, `contentLength` are final. `sendHead` does it where nobody has; it is for
   * who must know of what the filters said before.
   */
  prepareHead(): void {
    if (this.#headPrepared) return;
    this.#headPrepared = true;
    if (this.errorStatus !== 0 && this.errorStatus !== this.status) {
      this.status = this.errorStatus;
      // What the page's own source called its status is not said of this one.
      this.reason = undefined;
    }
    for (const filter of this.location.headerFilters) filter(this);
  }

  /**
   * Sends the head of the answer. The location's header filters run first, then the framing is chosen, and what every answer has is
   * added (`Server`, `Date`, `Connection`).
   */
  sendHead(): void {
    this.prepareHead();
    const pacer = this.limitRate === 0 ? undefined : this.#pace();
    this.framing = this.#chooseFraming();
    this.link.settleKeepAlive();
    this.headSent = true;
    if (this.head.version === 9) return;
    const text = this.#headText();
    if (pacer?.takeHead(text) !== true) this.sendText(text);
  }

  /** What was prepared of an answer is not sent after all: another one takes its place. */
  forgetAnswer(): void {
    this.#headPrepared = false;
    this.answer.clear();
    this.addsServer = true;
    this.addsDate = true;
    this.trailers = undefined;
    this.endTrailers = undefined;
    this.contentLength = -1;
    this.allowRanges = false;
    this.#dropFilters();
  }

  /** For header filters: the body passes this filter, too, behind those that it passes already. */
  addBodyFilter(filter: BodyFilter): void {
    this.#filters ??= new BodyFilters(
      { drain: () => this.watcher?.clientDrain() },
      { write: (bytes, start, end) => this.#frame(bytes, start, end), flush() {}, end: () => this.#complete() },
    );
    this.#filters.add(filter);
  }

  #pace(): Pacer | undefined {
    if (this.limitRate < 0) this.limitRate = this.location.limitRate?.(this) ?? this.limitRate;
    if (this.limitRate <= 0 || this.bodiless) return undefined;
    const pacer = new Pacer(this, this.limitRate, this.location.limitRateAfter?.(this) ?? 0);
    this.addBodyFilter(pacer);
    return pacer;
  }

  /** The client has room again: the filters have, and behind them whoever answers. */
  clientDrained(): void {
    if (this.#filters !== undefined) this.#filters.drain();
    else this.watcher?.clientDrain();
  }

  /** Nothing can be answered any more. */
  clientLeft(): void {
    this.#dropFilters();
    this.watcher?.clientGone();
  }

  /** The client has gone, but whoever answers goes on: nothing holds that up any more. */
  goOnAlone(): void {
    this.#dropFilters();
    this.watcher?.clientDrain();
  }

  #dropFilters(): void {
    this.#filters?.close();
    this.#filters = undefined;
  }

  /** What was sent of the answer and has not left for the client: it waits for the kernel, or in a filter. In bytes. */
  get pendingBytes(): number {
    const { pendingBytes } = this.link.channel;
    return this.#filters === undefined ? pendingBytes : pendingBytes + this.#filters.pendingBytes;
  }

  /** Text that is not of the body itself. */
  sendText(text: string): boolean {
    this.bytesSent += text.length;
    return this.#hasLeft(this.link.channel.writeLatin1(text));
  }

  #hasLeft(left: boolean): boolean {
    if (!left) this.link.sendIsBlocked();
    return left;
  }

  /**
   * Gathers what is sent until the end of this turn of the event loop, or until `finish`: a head and the beginning of its body leave
   * as one segment. Where that cannot leave at once, the watcher's `clientBlocked` is called.
   */
  gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    this.link.channel.cork();
    gatherUntilTurnEnds(this);
  }

  /** Ends `gather`. */
  release(): void {
    if (!this.#gathering) return;
    this.#gathering = false;
    const left = this.#hasLeft(this.link.channel.uncork());
    // With filters, they have said it themselves.
    if (!left && !this.finished && this.#filters === undefined) this.watcher?.clientBlocked();
  }

  /** Sends a head of 1xx before the answer's own, such as 103 Early Hints. */
  sendInformational(status: number, reason: string, headers: Headers): void {
    this.sendText(writeResponseHead(status, reason, headers));
  }

  /** Sends bytes of the body. @returns false: wait for `watcher.clientDrain` before reading on. */
  send(bytes: Uint8Array, start: number, end: number): boolean {
    if (end === start || this.bodiless || this.#muted) return true;
    return this.#filters === undefined ? this.#frame(bytes, start, end) : this.#filters.write(bytes, start, end);
  }

  /** The source has nothing more for now: what filters hold back shall leave. */
  flush(): void {
    this.#filters?.flush();
  }

  #frame(bytes: Uint8Array, start: number, end: number): boolean {
    this.bodyBytesSent += end - start;
    return this.#hasLeft(
      this.framing === 'chunked' ? this.#sendChunk(bytes, start, end) : this.#sendPlain(bytes, start, end),
    );
  }

  #sendPlain(bytes: Uint8Array, start: number, end: number): boolean {
    this.bytesSent += end - start;
    return this.link.channel.write(bytes, start, end);
  }

  #sendChunk(bytes: Uint8Array, start: number, end: number): boolean {
    const head = chunkHead(end - start);
    this.bodyBytesSent += head.length + CHUNK_END.length;
    this.bytesSent += head.length + (end - start) + CHUNK_END.length;
    const { channel } = this.link;
    if (!this.#gathering) channel.cork();
    channel.writeLatin1(head);
    channel.write(bytes, start, end);
    const left = channel.writeLatin1(CHUNK_END);
    return this.#gathering ? left : channel.uncork();
  }

  /** Sends a text of bytes (each character below 256) as body. */
  sendLatin1(text: string): boolean {
    return this.send(Buffer.from(text, 'latin1'), 0, text.length);
  }

  /** The body is complete: ends it, logs, and lets the connection go on; where there are filters, as soon as they are done with it. */
  finish(): void {
    if (this.finished || this.#bodyGiven) return;
    if (this.#filters === undefined) this.#complete();
    else {
      this.#bodyGiven = true;
      this.watcher = undefined;
      this.release();
      this.#filters.end();
    }
  }

  #complete(): void {
    if (this.finished) return;
    this.finished = true;
    this.#dropFilters();
    if (this.framing === 'chunked' && !this.bodiless && !this.aborted) this.#sendLastChunk();
    this.release();
    this.link.exchangeDone();
  }

  #sendLastChunk(): void {
    this.endTrailers?.(this);
    const text = this.trailers === undefined ? LAST_CHUNK : lastChunk(this.trailers);
    this.bodyBytesSent += text.length;
    this.sendText(text);
  }

  /** The body cannot be completed: the client must see that it was cut. */
  cutShort(): void {
    if (this.finished) return;
    this.finished = true;
    this.#dropFilters();
    this.release();
    this.link.keepAlive = false;
    this.link.abort();
  }

  #headText(): string {
    try {
      return answerHeadText(this, this.location, this.link.keepAlive);
    } catch (error) {
      if (!(error instanceof UnsafeAnswerError)) throw error;
      this.log('error', error.message);
      this.#becomeInternalError();
      return answerHeadText(this, this.location, this.link.keepAlive);
    }
  }

  /** An empty 500 instead of a head that could be read as more than one. */
  #becomeInternalError(): void {
    this.#muted = true;
    this.forgetAnswer();
    this.status = 500;
    this.reason = undefined;
    this.contentLength = 0;
    this.framing = 'length';
  }

  #chooseFraming(): AnswerFraming {
    if (this.bodiless) return 'none';
    if (this.endTrailers !== undefined && this.head.version === 11) this.contentLength = -1;
    if (this.contentLength >= 0) return 'length';
    if (this.head.version === 11 && this.location.chunkedTransferEncoding) return 'chunked';
    this.link.keepAlive = false;
    return 'close';
  }
}

const NOTHING_HELD: readonly (() => void)[] = [];

export type Handler = (exchange: Exchange) => Verdict;
/** Changes the answer's head before it is written: `add_header`, `expires`. */
export type HeaderFilter = (exchange: Exchange) => void;
/** A string of the configuration with its variables filled in. Byte strings: each character is one byte. */
export type Text = (exchange: Exchange) => string;

export interface ErrorPage {
  readonly statuses: readonly number[];
  /** `=200` overwrites the status; 0 (`=`) takes what the page's own answer says; undefined keeps the error's. */
  readonly overwrite: number | undefined;
  /** `/path`, `@name` or an absolute URL. */
  readonly target: Text;
}

/** Which symbolic links lead to no file. */
export interface SymlinkRule {
  /** All of them, or those whose owner is not that of what they lead to. */
  readonly how: 'on' | 'if_not_owner';
  /** Links in this part of a path, its begin, may be followed. */
  readonly from: Text | undefined;
}

/** What a location (or a server outside of its locations) does with an exchange. Times in ms, sizes in bytes. */
export interface LocationSettings extends ClientManners {
  /** As written: `/websocket/`, `~ \.php$`, `@fallback`; '' for a server outside of its locations. */
  readonly name: string;
  readonly kind: 'prefix' | 'exact' | 'regex' | 'named' | 'server';
  readonly internal: boolean;
  /** What holds instead for methods that `limit_except` does not name. */
  readonly limitExcept: LimitExcept | undefined;
  /** For proxy_pass and the like under `/name/`: a request of `/name` is redirected to `/name/`. */
  readonly autoRedirect: boolean;
  /** Who resolves names that are only known while an exchange is served, and how long that may take in ms. */
  readonly resolution?: { readonly resolver: Resolver; readonly timeout: number } | undefined;

  readonly rewrite: readonly Handler[];
  readonly preaccess: readonly Handler[];
  readonly access: readonly Handler[];
  /** `satisfy any`: one handler of the access phase that allows is enough. */
  readonly satisfyAny: boolean;
  /** A 401 of the access phase is held back so long. */
  readonly authDelay: number;
  readonly precontent: readonly Handler[];
  /** Tried in order; the first that does not decline answers. */
  readonly content: readonly Handler[];
  readonly headerFilters: readonly HeaderFilter[];
  readonly log: readonly ((exchange: Exchange) => void)[];

  /** Whether a variable that is only given values by `set` is told when it is read without one. */
  readonly warnsOfUnset: boolean;
  readonly errorPages: readonly ErrorPage[];
  readonly errorLog: ErrorLog;
  /** Subrequests have a line in the access log, too. */
  readonly logSubrequest: boolean;
  /** The file system path of a URI under `root` or `alias`; undefined where the two do not fit (regex location without captures …). */
  readonly documentRoot: Text;
  readonly filePath: (exchange: Exchange, uri: string) => string;
  /** undefined: every file is opened anew. */
  readonly openFiles: OpenFileRule | undefined;
  /** undefined: all links are followed. */
  readonly symlinks: SymlinkRule | undefined;
  readonly types: ReadonlyMap<string, string>;
  readonly defaultType: string;

  /** Whether interim answers of an upstream go to this client; undefined: they do not. */
  readonly earlyHints: ((exchange: Exchange) => boolean) | undefined;
  /** Bytes in a second, and how many go before without a limit; a rate of 0, and undefined: there is no limit. */
  readonly limitRate: ((exchange: Exchange) => number) | undefined;
  readonly limitRateAfter: ((exchange: Exchange) => number) | undefined;
  /** Whether `Server:` and the pages of last resort name our version. */
  readonly serverTokens: 'on' | 'off' | 'build';
  /** Pages of errors are made longer for browsers that would show their own instead. */
  readonly msiePadding: boolean;
  /** Internet Explorer gets a page that leads on instead of a redirect. */
  readonly msieRefresh: boolean;
  readonly logNotFound: boolean;
  readonly recursiveErrorPages: boolean;
  readonly absoluteRedirect: boolean;
  readonly portInRedirect: boolean;
  readonly serverNameInRedirect: boolean;
  readonly compression: CompressionSettings;
  readonly websocket: WebSocketSettings;
  readonly etag: boolean;
  readonly maxRanges: number;
  readonly ifModifiedSince: 'off' | 'exact' | 'before';
}

/** `limit_except`: which methods are not concerned, and the settings for all others. */
export interface LimitExcept {
  readonly methods: ReadonlySet<string>;
  readonly otherwise: LocationSettings;
}

/** What finds the location of a URI. See route/locations.ts. */
export interface LocationFinder {
  find(exchange: Exchange, uri: string): LocationSettings | undefined;
  named(name: string): LocationSettings | undefined;
}

export interface ServerSettings extends HeadRules {
  /** The first `server_name`: nginx's `$server_name`, '' where there is none. */
  readonly name: string;
  readonly locations: LocationFinder;
  /** What is in force outside of all locations. */
  readonly outside: LocationSettings;
  /** What is done before anything else, once for a request: an internal redirect does not come here again. */
  readonly postRead: readonly Handler[];
  /** The server's own rewrite phase (`return`, `rewrite`, `if`, `set`), before a location is looked for. */
  readonly rewrite: readonly Handler[];
  /** `ssl_verify_client`: what clients that speak TLS have to show; undefined: nothing. */
  readonly verifyClient: ClientVerification | undefined;
}
