// The core of http: servers, names, listening, locations, files, error pages, and how long and how much a client may.
// https://nginx.org/en/docs/http/ngx_http_core_module.html

import { directives, type SetOf } from '../config/directive.ts';
import { byteString } from '../config/source.ts';
import {
  bufferSize,
  count,
  flag,
  integer,
  oneOf,
  optional,
  rest,
  seconds,
  size,
  someOf,
  template,
  time,
  word,
} from '../config/values.ts';
import type { Handler, LocationSettings, ServerSettings } from '../exchange/exchange.ts';
import { DECLINED } from '../exchange/verdict.ts';
import { MSIE6, SAFARI } from '../listen/keep-alive.ts';
import { clientBodyDirectives, clientBodySettings } from './client-body.ts';
import { anyOf } from './conditions.ts';
import { compileSymlinks, symlinksKind } from './disable-symlinks.ts';
import type { Level, LocationDraft, Mutable, ServerDraft, Workshop } from './draft.ts';
import { compileErrorPages, errorPageKind } from './error-page.ts';
import { placeKind, setFilePlaces } from './file-places.ts';
import { limitExcept, methodKind } from './limit-except.ts';
import { listenKind, readListen } from './listen.ts';
import { locationPatternKind } from './location-pattern.ts';
import { mediaTypes } from './media-types.ts';
import { nginxModule } from './module.ts';
import { defineCaptures } from './named-captures.ts';
import { openFileDirectives, openFileRule } from './open-files.ts';
import { poolSize } from './pool-size.ts';
import { nameResolution, noteResolution, resolverDirectives } from './resolver.ts';
import { firstName, serverNameKind } from './server-name.ts';
import { compileSize, sizeValue } from './size-value.ts';

const EVERYWHERE = ['http', 'server', 'location', 'if'] as const;
const SETTINGS = ['http', 'server', 'location'] as const;
const SERVERS = ['http', 'server'] as const;

const table = directives({
  http: { in: ['main'], args: [], block: 'http', doc: 'Everything about HTTP stands in this block.' },
  server: {
    in: ['http'],
    args: [],
    many: true,
    block: 'server',
    doc: 'One server: its names, addresses and locations.',
  },
  location: {
    in: ['server', 'location'],
    args: [locationPatternKind],
    many: true,
    block: 'location',
    doc: 'What is done with requests whose URI matches: `= uri` exactly, `^~ uri` and `uri` by the longest prefix, `~` and `~*` by the first regular expression, `@name` by name only.',
  },
  listen: {
    in: ['server'],
    args: listenKind,
    many: true,
    doc: 'An address to accept connections on: `address:port`, `port`, `unix:path`. Default: port 80 as root, else 8000.',
    differs:
      '`sndbuf`, `rcvbuf`, `fastopen`, `setfib`, `accept_filter` and `deferred` warn: Node cannot set them. `http2` warns: ALPN offers http/1.1 only, for now.',
  },
  server_name: {
    in: ['server'],
    args: [rest(serverNameKind)],
    many: true,
    doc: 'Names of the server: exact, `*.example.org`, `.example.org`, `www.*`, or `~regex`.',
  },
  root: {
    in: EVERYWHERE,
    args: [placeKind],
    default: 'html',
    doc: 'The folder of the files; the URI is put behind it. Relative to the prefix.',
    differs: 'A path with `..` that comes of a URI or a variable is refused with 403.',
  },
  alias: {
    in: ['location'],
    args: [placeKind],
    doc: 'What replaces the matched part of the URI in the path of a file; in a location with an expression the whole path, made of its captures.',
    differs: 'A path with `..` that comes of a URI, such as `/i../x`, is refused with 403.',
  },
  limit_except: {
    in: ['location'],
    args: [rest(methodKind)],
    block: 'limit_except',
    doc: 'What holds for all methods but these; GET allows HEAD as well.',
  },
  satisfy: {
    in: SETTINGS,
    args: [oneOf('how', 'all', 'any')],
    default: 'all',
    doc: 'Whether all of allow and deny, auth_basic and auth_request must let a client in, or one of them is enough.',
  },
  auth_delay: {
    in: SETTINGS,
    args: [time('time')],
    default: '0s',
    doc: 'How long a 401 is held back, so that passwords cannot be tried quickly.',
  },
  ...openFileDirectives,
  disable_symlinks: {
    in: SETTINGS,
    args: [symlinksKind],
    default: 'off',
    doc: 'Whether files are refused that are reached over symbolic links: `on`, any; `if_not_owner`, those whose owner is not that of what they lead to. With `from=` links in that part of the path may be followed.',
    differs: '`try_files` does not ask; the file that it finds is refused.',
  },
  internal: { in: ['location'], args: [], doc: 'Only internal redirects come here; a client gets 404.' },
  types: {
    in: SETTINGS,
    args: [],
    many: true,
    block: 'raw',
    doc: 'Media types by extension: `text/html html htm;`. Default: `text/html html; image/gif gif; image/jpeg jpg;`.',
  },
  default_type: {
    in: SETTINGS,
    args: [word('type')],
    default: 'text/plain',
    doc: 'The media type of files whose extension is not in `types`.',
  },
  error_page: {
    in: EVERYWHERE,
    args: [errorPageKind],
    many: true,
    doc: 'What answers instead of an error: a URI, a named location, or a URL to redirect to; `=status` changes the status, `=` takes that of the page.',
  },
  recursive_error_pages: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether an error page may itself lead to an error page.',
  },
  msie_padding: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: 'Whether Internet Explorer and Chrome get pages of errors of at least 512 bytes, which they show instead of their own.',
  },
  msie_refresh: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether Internet Explorer gets a page that leads on, with status 200, instead of a redirect that we make.',
  },
  server_tokens: {
    in: SETTINGS,
    args: [oneOf('tokens', 'on', 'off', 'build')],
    default: 'on',
    doc: 'Whether `Server:` and our error pages name the version.',
  },
  absolute_redirect: { in: SETTINGS, args: [flag], default: 'on', doc: 'Whether redirects that we make are absolute.' },
  port_in_redirect: { in: SETTINGS, args: [flag], default: 'on', doc: 'Whether such redirects name the port.' },
  server_name_in_redirect: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether such redirects use the first `server_name` rather than what the client sent in `Host`.',
  },
  log_not_found: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: 'Whether a file that is not there is a line in the error log.',
  },
  log_subrequest: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'Whether subrequests, such as those of `auth_request`, have a line in the access log.',
  },
  etag: { in: SETTINGS, args: [flag], default: 'on', doc: 'Whether files have an `ETag`.' },
  if_modified_since: {
    in: SETTINGS,
    args: [oneOf('how', 'off', 'exact', 'before')],
    default: 'exact',
    doc: 'How `If-Modified-Since` is compared with the time of the file.',
  },
  max_ranges: {
    in: SETTINGS,
    args: [integer('number')],
    doc: 'The most ranges that a request may ask for; 0: ranges are ignored. No limit by default.',
  },
  client_header_timeout: {
    in: SERVERS,
    args: [time('time')],
    default: '60s',
    doc: 'How long a client may take for the head of a request; then 408. Also for the TLS handshake.',
  },
  ...clientBodyDirectives,
  early_hints: {
    in: SETTINGS,
    args: [rest(template('condition'))],
    many: true,
    since: '1.29.0',
    doc: 'Passes interim answers of an upstream (103 Early Hints) to clients of HTTP/1.1, where one of the values is neither empty nor `0`. By default they are not passed.',
  },
  client_header_buffer_size: {
    in: SERVERS,
    args: [size('size')],
    default: '1k',
    doc: 'The buffer for the head of a request, before `large_client_header_buffers` are taken.',
  },
  large_client_header_buffers: {
    in: SERVERS,
    args: [count('number'), bufferSize('size')],
    default: '4 8k',
    doc: 'How many larger buffers a head may take. A request line that does not fit one gets 414, a header field 400.',
  },
  connection_pool_size: {
    in: SERVERS,
    args: [poolSize],
    default: '512',
    effect: 'no effect',
    doc: 'V8 has the memory. No `large_client_header_buffers` may be smaller.',
  },
  keepalive_timeout: {
    in: SETTINGS,
    args: [time('timeout'), optional(seconds('header'))],
    default: '75s',
    doc: 'How long an idle connection is kept; 0 closes after each answer. The second time is told to the client.',
  },
  keepalive_requests: {
    in: SETTINGS,
    args: [integer('number')],
    default: '1000',
    doc: 'The most requests on one connection.',
  },
  keepalive_time: {
    in: SETTINGS,
    args: [time('time')],
    default: '1h',
    doc: 'So long after it was accepted a connection takes no further request.',
  },
  keepalive_min_timeout: {
    in: SETTINGS,
    args: [time('timeout')],
    default: '0',
    since: '1.27.4',
    doc: 'How long an idle connection is kept even if the gateway leaves.',
  },
  keepalive_disable: {
    in: SETTINGS,
    args: [someOf('browser', 'none', 'msie6', 'safari')],
    default: 'msie6',
    doc: 'Browsers whose connections are not kept: `msie6` those of old Internet Explorers after a POST, `safari` those of Safari on macOS.',
  },
  chunked_transfer_encoding: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: 'off: an answer whose length is not known is ended by closing the connection, also for HTTP/1.1.',
  },
  max_headers: {
    in: SERVERS,
    args: [integer('number')],
    default: '1000',
    since: '1.29.8',
    doc: 'The most header fields that a request may have; more get 400. Before the server is known, that of the default server holds.',
  },
  send_timeout: {
    in: SETTINGS,
    args: [time('time')],
    default: '60s',
    doc: 'How long a client may take nothing of what is sent to it; then it is closed.',
  },
  limit_rate: {
    in: EVERYWHERE,
    args: [sizeValue('rate')],
    default: '0',
    doc: 'How many bytes of an answer are sent in a second, for each request by itself; variables are allowed. 0: no limit.',
  },
  limit_rate_after: {
    in: EVERYWHERE,
    args: [sizeValue('size')],
    default: '0',
    doc: 'So many bytes of an answer are sent before `limit_rate` begins to hold; variables are allowed.',
  },
  tcp_nodelay: {
    in: SETTINGS,
    args: [flag],
    default: 'on',
    doc: 'Whether small pieces are sent at once; off: what the client has not yet confirmed may hold them back (Nagle).',
    differs: 'off holds for the whole connection from the first request to such a location on.',
  },
  lingering_close: {
    in: SETTINGS,
    args: [oneOf('how', 'on', 'off', 'always')],
    default: 'on',
    doc: 'Whether what a client still sends is read before its connection is closed, so that the answer is not lost.',
  },
  lingering_time: { in: SETTINGS, args: [time('time')], default: '30s', doc: 'How long at most it is read.' },
  lingering_timeout: { in: SETTINGS, args: [time('time')], default: '5s', doc: 'How long is waited for more of it.' },
  reset_timedout_connection: {
    in: SETTINGS,
    args: [flag],
    default: 'off',
    doc: 'A client that timed out is closed by a reset.',
  },
  ignore_invalid_headers: {
    in: SERVERS,
    args: [flag],
    default: 'on',
    doc: 'Header fields with names that are none are dropped; off: 400.',
  },
  underscores_in_headers: {
    in: SERVERS,
    args: [flag],
    default: 'off',
    doc: 'Whether `_` may stand in the name of a header field.',
  },
  merge_slashes: {
    in: SERVERS,
    args: [flag],
    default: 'on',
    doc: 'Several slashes in a row count as one when a location is looked for.',
  },
  ...resolverDirectives,
});

type Set = SetOf<typeof table>;

export const httpCore = nginxModule('http_core', {
  directives: table,
  doc: 'https://nginx.org/en/docs/http/ngx_http_core_module.html',
  upstream: noteResolution,
  server(set, draft, level) {
    const { workshop } = draft;
    draft.names = set.server_name.length === 0 ? [NO_NAME] : set.server_name.flat();
    for (const { pattern } of draft.names) if (pattern !== undefined) defineCaptures(workshop, pattern);
    Object.assign(draft.settings, serverSettings(set, draft));
    checkHeaderBuffers(set, draft, level);
    const written = level.stands('listen') ? set.listen : [undefined];
    for (const listen of written) {
      workshop.problems.attempt(() => draft.listens.push(...readListen(listen, workshop)));
    }
  },
  location(set, draft, level) {
    const { settings, pattern, workshop } = draft;
    Object.assign(settings, locationSettings(set, draft));
    settings.resolution = nameResolution(set, draft.server.http);
    if (pattern?.regexp !== undefined) defineCaptures(workshop, pattern.regexp);
    setFilePlaces(set, draft, level);
    if (!set.tcp_nodelay) draft.rewrite.push(holdSmallPieces);
  },
});

/** Every connection begins without Nagle's algorithm. */
const holdSmallPieces: Handler = ({ link }) => {
  link.channel.setNoDelay(false);
  return DECLINED;
};

/** A server without `server_name` answers those who name nobody. */
const NO_NAME = { text: '', pattern: undefined };

function serverSettings(set: Set, draft: ServerDraft): Partial<Mutable<ServerSettings>> {
  const { number, size: bytes } = set.large_client_header_buffers;
  return {
    name: firstName(draft.names),
    clientHeaderTimeout: set.client_header_timeout,
    clientHeaderBufferSize: set.client_header_buffer_size,
    largeClientHeaderBuffers: { number, size: bytes },
    maxHeaders: set.max_headers,
    ignoreInvalidHeaders: set.ignore_invalid_headers,
    underscoresInHeaders: set.underscores_in_headers,
    mergeSlashes: set.merge_slashes,
  };
}

/** We have no such pool, but know what nginx says. */
function checkHeaderBuffers(set: Set, { workshop }: ServerDraft, level: Level): void {
  if (set.large_client_header_buffers.size >= set.connection_pool_size) return;
  const limit = 'must be equal to or greater than "connection_pool_size"';
  workshop.error(`the "large_client_header_buffers" size ${limit}`, level.at('large_client_header_buffers'));
}

function locationSettings(set: Set, { workshop, overlays }: LocationDraft): Partial<Mutable<LocationSettings>> {
  return {
    internal: set.internal ?? false,
    openFiles: openFileRule(set),
    symlinks: compileSymlinks(set.disable_symlinks, workshop),
    limitExcept: limitExcept(set, overlays),
    satisfyAny: set.satisfy === 'any',
    authDelay: set.auth_delay,
    types: mediaTypes(set.types, workshop),
    defaultType: byteString(set.default_type),
    errorPages: compileErrorPages(set.error_page, workshop),
    recursiveErrorPages: set.recursive_error_pages,
    msiePadding: set.msie_padding,
    msieRefresh: set.msie_refresh,
    serverTokens: set.server_tokens,
    absoluteRedirect: set.absolute_redirect,
    portInRedirect: set.port_in_redirect,
    serverNameInRedirect: set.server_name_in_redirect,
    logNotFound: set.log_not_found,
    logSubrequest: set.log_subrequest,
    etag: set.etag,
    ifModifiedSince: set.if_modified_since,
    maxRanges: set.max_ranges ?? Number.POSITIVE_INFINITY,
    ...timesAndSizes(set, workshop),
  };
}

function timesAndSizes(set: Set, workshop: Workshop): Partial<Mutable<LocationSettings>> {
  return {
    ...clientBodySettings(set, workshop),
    earlyHints: anyOf(set.early_hints.flat(), workshop),
    keepaliveTimeout: set.keepalive_timeout.timeout,
    keepaliveHeader: Math.floor((set.keepalive_timeout.header ?? 0) / 1000),
    keepaliveRequests: set.keepalive_requests,
    keepaliveTime: set.keepalive_time,
    keepaliveMinTimeout: set.keepalive_min_timeout,
    keepaliveDisable: disabledBrowsers(set.keepalive_disable),
    chunkedTransferEncoding: set.chunked_transfer_encoding,
    sendTimeout: set.send_timeout,
    limitRate: compileSize(set.limit_rate, workshop),
    limitRateAfter: compileSize(set.limit_rate_after, workshop),
    lingeringClose: set.lingering_close,
    lingeringTime: set.lingering_time,
    lingeringTimeout: set.lingering_timeout,
    resetTimedoutConnection: set.reset_timedout_connection,
  };
}

const BROWSERS: Readonly<Record<string, number>> = { none: 0, msie6: MSIE6, safari: SAFARI };

/** As bits. `none` beside others is as if it did not stand, as in nginx. */
function disabledBrowsers(names: readonly string[]): number {
  return names.reduce((bits, name) => bits | (BROWSERS[name] ?? 0), 0);
}
